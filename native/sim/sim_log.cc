#include "sim/sim_log.h"

#include <utility>

#include "records/record.h"
#include "sim/report.h"

namespace aurora::sim {
namespace {

Outcome closed() { return Outcome::of(Status::closed, "the log was closed"); }

constexpr std::chrono::milliseconds kElectAgain{50};

bool is_part(const memory::Bytes& value) {
  RecordHeader header;
  return value != nullptr && decode_header(*value, &header).status == DecodeStatus::ok &&
         header.kind == RecordKind::batch_part;
}

}  // namespace

class SimLog::Call {
 public:
  explicit Call(SimLog& log) : log_(log) {
    const std::lock_guard<std::mutex> lock(log_.mutex_);
    ++log_.inside_;
  }
  ~Call() {
    const std::lock_guard<std::mutex> lock(log_.mutex_);
    --log_.inside_;
    log_.changed_.notify_all();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  SimLog& log_;
};

SimLog::SimLog(Ensemble& ensemble, Ensemble::Machine machine, std::string name,
               std::function<void(Window)> crash)
    : ensemble_(ensemble),
      machine_(machine),
      name_(std::move(name)),
      crash_(std::move(crash)),
      random_(ensemble.random()) {}

void SimLog::sever() {
  // Without the mutex: a crash takes no lock, and nothing comes in between here.
  closed_ = true;
  changed_.notify_all();
}

void SimLog::close() {
  std::unique_lock<std::mutex> lock(mutex_);
  closed_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return inside_ == 0; });
}

bool SimLog::travel() {
  const auto most = static_cast<std::uint64_t>(ensemble_.weather().latency.count());
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_until(lock, Clock::now() + Time(random_.below(most)), [this] { return closed_; });
  return !closed_;
}

Outcome SimLog::wait_in_vain(Deadline deadline, const char* reason) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_until(lock, deadline, [this] { return closed_; });
  return closed_ ? closed() : Outcome::of(Status::no_answer, reason);
}

void SimLog::crash(Window window) {
  if (!closed_) crash_(window);
}

Outcome SimLog::said(const char* what, const std::string& to, Outcome outcome) {
  std::string step = name_ + " " + what + (to.empty() ? "" : " " + to) + ": " +
                     to_string(outcome.status) + " " + std::to_string(outcome.position);
  if (!outcome.reason.empty()) step += " (" + outcome.reason + ")";
  note(std::move(step));
  return outcome;
}

// ---- the writer ----

Outcome SimLog::elect(Deadline deadline) {
  const Call call(*this);
  elected_ = false;
  Outcome outcome = elect_now(deadline);
  elected_ = outcome.ok();
  return said("elect", "", std::move(outcome));
}

Outcome SimLog::elect_now(Deadline deadline) {
  const Weather& weather = ensemble_.weather();
  const bool crashes = random_.chance(weather.crash_in_election);
  const std::uint64_t where = random_.below(3);
  if (!travel()) return closed();
  while (!ensemble_.recovered(machine_) || !ensemble_.quorum(machine_)) {
    if (Clock::now() >= deadline) return Outcome::of(Status::no_answer, "no quorum");
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_until(lock, std::min<Deadline>(deadline, Clock::now() + kElectAgain),
                        [this] { return closed_; });
    if (closed_) return closed();
  }
  if (crashes && where == 0) crash(Window::crash_electing);
  if (!travel()) return closed();
  const bool in_vain = random_.chance(weather.election_in_vain);
  if (in_vain && random_.chance(0.5)) {
    ensemble_.promise_only();
    reach(Window::election_promise_only);
    if (crashes) crash(Window::crash_electing);
    return wait_in_vain(deadline, "the promise was there, and then no quorum");
  }
  ensemble_.lose_messages(machine_);
  Outcome outcome = ensemble_.log(machine_)->elect(Clock::now());
  if (crashes && where == 1) crash(Window::crash_electing);
  if (in_vain) {
    reach(Window::election_unanswered);
    return wait_in_vain(deadline, "no answer to an election that was complete");
  }
  if (!travel()) return closed();
  if (crashes && where == 2) crash(Window::crash_electing);
  if (closed_) return closed();
  return outcome;
}

Outcome SimLog::append(const std::string& data, Deadline deadline) {
  const Call call(*this);
  RecordHeader header;
  const bool known = decode_header(data, &header).status == DecodeStatus::ok;
  const bool part = known && header.kind == RecordKind::batch_part;
  if (part) reach(Window::parts);
  if (known && header.transactions > 1) reach(Window::group_commit);
  if (known && header.kind == RecordKind::leader && is_part(ensemble_.last_value())) {
    reach(Window::parts_without_end);
  }
  Outcome outcome = append_now(data, deadline);
  if (part && closed_ && ensemble_.up(machine_) == false) reach(Window::crash_between_parts);
  if (!outcome.ok()) elected_ = false;
  return said("append", std::to_string(data.size()) + " bytes", std::move(outcome));
}

Outcome SimLog::append_now(const std::string& data, Deadline deadline) {
  const Weather& weather = ensemble_.weather();
  if (random_.chance(weather.unsent)) {
    reach(Window::append_unsent);
    Outcome outcome = Outcome::of(Status::failed, "the disk of this replica is full");
    outcome.unsent = true;
    return outcome;
  }
  const bool crashes = random_.chance(weather.crash_in_append);
  const std::uint64_t where = random_.below(4);
  if (!travel()) return closed();
  if (!elected_) return Outcome::of(Status::none, "not elected");
  if (crashes && where == 0) {
    crash(Window::crash_before_append);
    return closed();
  }
  if (!ensemble_.quorum(machine_)) {
    reach(Window::append_in_a_minority);
    ensemble_.accept_by_minority(machine_, data);
    return wait_in_vain(deadline, "no quorum of replicas answered");
  }
  if (crashes && where == 1) {
    ensemble_.accept_by_minority(machine_, data);
    crash(Window::crash_minority_append);
    return closed();
  }
  ensemble_.lose_messages(machine_);
  Outcome outcome = append_in_trouble(data, deadline);
  if (crashes && where == 2) {
    crash(outcome.ok() ? Window::crash_after_quorum : Window::crash_before_append);
    return closed();
  }
  if (!outcome.ok()) return outcome;
  if (!travel()) return closed();
  if (Clock::now() > deadline) return Outcome::of(Status::no_answer, "it came too late");
  if (crashes) crash_(Window::crash_acknowledged);
  return outcome;
}

Outcome SimLog::append_in_trouble(const std::string& data, Deadline deadline) {
  const Weather& weather = ensemble_.weather();
  const std::shared_ptr<MemoryLog> replica = ensemble_.log(machine_);
  MemoryLog& log = *replica;
  if (random_.chance(weather.lost_promise)) {
    reach(Window::append_lost_promise);
    log.arm(random_.chance(0.5) ? "lost-promise" : "lost-promise-but-in-log", 0, 1, 0);
    return log.append(data, Clock::now());
  }
  if (random_.chance(weather.unanswered)) {
    reach(Window::append_unanswered);
    if (random_.chance(0.4)) {
      if (log.append(data, Clock::now()).ok()) reach(Window::append_unanswered_seen);
    } else {
      ensemble_.accept_by_minority(machine_, data);
    }
    return wait_in_vain(deadline, "no quorum of replicas answered");
  }
  const bool damage = ensemble_.damaged_log() == 0 && random_.chance(weather.damaged_log);
  if (damage) log.arm("corrupt-entry", 0, 1, random_.next());
  Outcome outcome = log.append(data, Clock::now());
  if (damage && outcome.ok()) {
    ensemble_.note_damaged_log(outcome.position);
    reach(Window::damaged_log);
  }
  if (outcome.status == Status::none) reach(Window::append_by_a_fenced_leader);
  return outcome;
}

Outcome SimLog::truncate(Position to, Deadline deadline) {
  const Call call(*this);
  if (!travel()) return closed();
  Outcome outcome;
  if (!elected_) {
    outcome = Outcome::of(Status::none, "not elected");
  } else if (!ensemble_.quorum(machine_)) {
    outcome = wait_in_vain(deadline, "no quorum of replicas answered");
  } else {
    outcome = ensemble_.log(machine_)->truncate(to, Clock::now());
    if (outcome.ok()) ensemble_.note_truncation(outcome.position);
  }
  if (!outcome.ok()) elected_ = false;
  return said("truncate", std::to_string(to), std::move(outcome));
}

// ---- readers ----

bool SimLog::ready(Deadline deadline) {
  for (;;) {
    if (!travel()) return false;
    if (ensemble_.recovered(machine_) && !ensemble_.left_behind(machine_)) return true;
    if (Clock::now() >= deadline) return false;
  }
}

Outcome SimLog::beginning(Deadline deadline) {
  const Call call(*this);
  if (!ready(deadline)) return closed_ ? closed() : Outcome::of(Status::no_answer, "recovering");
  return ensemble_.log(machine_)->beginning(deadline);
}

Outcome SimLog::ending(Deadline deadline) {
  const Call call(*this);
  if (!ready(deadline)) return closed_ ? closed() : Outcome::of(Status::no_answer, "recovering");
  return ensemble_.log(machine_)->ending(deadline);
}

Outcome SimLog::read(Position from, Position to, std::list<Entry>* entries, Deadline deadline) {
  const Call call(*this);
  if (!ready(deadline)) return closed_ ? closed() : Outcome::of(Status::no_answer, "recovering");
  std::list<Entry> found;
  Outcome outcome = ensemble_.log(machine_)->read(from, to, &found, deadline);
  if (!travel()) return closed();
  for (Entry& entry : found) {
    const Ensemble::Damage damage = ensemble_.damage(machine_, &entry);
    const bool sound =
        damage == Ensemble::Damage::none && entry.position != ensemble_.damaged_log();
    if (sound) {
      damaged_.erase(entry.position);
    } else {
      gave_damage_ = true;
      damaged_[entry.position] = damage == Ensemble::Damage::torn ? "cut short" : "with a bit flipped";
    }
  }
  const std::string range = std::to_string(from) + " to " + std::to_string(to);
  if (!outcome.ok() || !found.empty()) said("read", range, outcome);
  entries->splice(entries->end(), found);
  return outcome;
}

Outcome SimLog::catchup(Deadline deadline) {
  const Call call(*this);
  if (!ready(deadline)) return closed_ ? closed() : Outcome::of(Status::no_answer, "recovering");
  if (!ensemble_.quorum(machine_)) return wait_in_vain(deadline, "no quorum of replicas answered");
  reach(Window::catchup);
  return said("catchup", "", ensemble_.log(machine_)->catchup(deadline));
}

}  // namespace aurora::sim
