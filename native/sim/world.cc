#include "sim/world.h"

#include <algorithm>
#include <utility>

#include "sim/report.h"

namespace aurora::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Deadline in(Time time) { return Clock::now() + time; }

// When nothing is wrong any more: what a client waits for at most.
constexpr Time kInTime = seconds(120);

// Of the log, in bad weather.
constexpr Time kLongestCall = seconds(3);

Replica::Options options_of(Random& random) {
  Replica::Options options;
  options.append_timeout = milliseconds(random.between(50, 2000));
  if (random.chance(0.7)) options.heartbeat = milliseconds(random.between(20, 500));
  if (random.chance(0.5)) options.entry_limit = static_cast<std::size_t>(random.between(2000, 20'000));
  if (random.chance(0.3)) options.window_bytes = static_cast<std::size_t>(random.between(1000, 50'000));
  options.snapshots.chunk_bytes = static_cast<std::size_t>(random.between(200, 20'000));
  options.snapshots.share = static_cast<double>(random.between(5, 100)) / 100;
  return options;
}

}  // namespace

World::Troubles World::Troubles::of(Random& random) {
  const auto some = [&random](double share) {
    return random.chance(share) ? static_cast<double>(random.between(1, 10)) : 0.0;
  };
  return {some(0.9), some(0.4), some(0.5), some(0.3), 8, some(0.3), some(0.4), 6, some(0.4),
          2 * some(0.7), some(0.6)};
}

World::World(Scheduler& scheduler, Random& random)
    : scheduler_(scheduler),
      random_(random),
      weather_(Weather::of(random)),
      troubles_(Troubles::of(random)),
      options_(options_of(random)),
      ensemble_(random.chance(0.2) ? 5 : 3, random, Weather::calm()),
      bank_(random, oracle_),
      auditor_(oracle_) {}

void World::run() {
  for (Ensemble::Machine machine = 0; machine < ensemble_.size(); ++machine) start(machine, true);
  const ProcessPtr first = lead_at_last();
  if (!bank_.found(first, in(kInTime))) {
    fail("progress is made once all is well", "the first commit failed");
  }
  note("the bank is open");

  ensemble_.set_weather(weather_);
  fibers_ += 2;
  scheduler_.spawn(0, "trouble", [this] { trouble(); });
  scheduler_.spawn(0, "watch", [this] { watch(); });
  scheduler_.sleep(milliseconds(random_.between(1000, 6000)));
  ending_ = true;
  while (fibers_ > 0) scheduler_.sleep(milliseconds(10));

  heal();
  commit_at_last();
  check_at_last();
  shut();
}

// ---- processes ----

ProcessPtr World::alive(Ensemble::Machine machine) const {
  for (const ProcessPtr& process : processes_) {
    if (process->machine == machine && !process->over() && process->replica) return process;
  }
  return nullptr;
}

std::vector<ProcessPtr> World::all_alive() const {
  std::vector<ProcessPtr> all;
  for (Ensemble::Machine machine = 0; machine < ensemble_.size(); ++machine) {
    if (ProcessPtr process = alive(machine)) all.push_back(std::move(process));
  }
  return all;
}

ProcessPtr World::leader() const {
  for (const ProcessPtr& process : all_alive()) {
    if (process->replica->info().state == ReplicaState::leading) return process;
  }
  return nullptr;
}

void World::start(Ensemble::Machine machine, bool with_clients) {
  auto process = std::make_shared<Process>();
  process->number = ++last_group_;
  process->machine = machine;
  process->name = std::string(1, static_cast<char>('a' + machine)) + std::to_string(last_group_);
  const auto crash_it = [this, weak = std::weak_ptr<Process>(process)](Window window) {
    if (const ProcessPtr its = weak.lock()) crash(its, window);
  };
  process->log = std::make_shared<SimLog>(ensemble_, machine, process->name, crash_it);
  process->tools_log =
      std::make_shared<SimLog>(ensemble_, machine, process->name + ".tools", crash_it);
  processes_.push_back(process);
  ensemble_.set_up(machine, true);
  note(process->name + " starts");
  const std::uint64_t writers = with_clients ? 1 + random_.below(3) : 0;
  const std::uint64_t readers = with_clients ? 1 + random_.below(2) : 0;
  process->busy = 1;
  scheduler_.spawn(process->number, process->name, [this, process, writers, readers] {
    Replica::Options options = options_;
    options.identity = {process->name, "sim", process->name, ""};
    process->replica = std::make_unique<Replica>(process->log, options);
    for (std::uint64_t i = 0; i < writers; ++i) {
      scheduler_.spawn(process->number, process->name + ".writer",
                       [this, process] { bank_.write(process); });
    }
    for (std::uint64_t i = 0; i < readers; ++i) {
      scheduler_.spawn(process->number, process->name + ".reader",
                       [this, process] { bank_.read(process); });
    }
    --process->busy;
  });
}

void World::crash(const ProcessPtr& process, Window window) {
  if (process->over()) return;
  reach(window);
  note(process->name + " crashes: " + name_of(window));
  process->dead = true;
  process->log->sever();
  process->tools_log->sever();
  ensemble_.set_up(process->machine, false);
  scheduler_.hold_up(process->number, Time(0));
  scheduler_.spawn(0, process->name + ".remains", [this, process] { bury(process); });
}

// In an order that a process would choose, unlike a crash.
void World::close(const ProcessPtr& process) {
  if (process->over()) return;
  if (process->replica->info().state == ReplicaState::leading) reach(Window::closed_in_reign);
  note(process->name + " closes");
  process->closing = true;
  scheduler_.spawn(process->number, process->name + ".close", [this, process] { bury(process); });
}

void World::bury(ProcessPtr process) {
  while (!process->replica && process->busy > 0) scheduler_.sleep(milliseconds(1));
  process->replica->close();
  process->tools_log->close();
  while (process->busy > 0) scheduler_.sleep(milliseconds(1));
  process->replica.reset();
  if (process->closing) ensemble_.set_up(process->machine, false);
  process->log.reset();
  note(process->name + " is gone");
}

Outcome World::lead(const ProcessPtr& process, Time limit) {
  ++process->busy;
  Replica::LeadTiming timing;
  const Position known = oracle_.newest_reign();
  const Outcome outcome = process->replica->lead(in(limit), &timing);
  note(process->name + " leads: " + to_string(outcome.status) + " " + outcome.reason);
  if (outcome.ok() && !process->dead) oracle_.leads(process->name, outcome.position, known);
  --process->busy;
  return outcome;
}

// ---- trouble ----

void World::trouble() {
  while (!ending_) {
    scheduler_.sleep(milliseconds(random_.between(1, 200)));
    trouble_once(random_.below(ensemble_.size()));
  }
  --fibers_;
}

void World::crash_somewhere(const ProcessPtr& process) {
  const Replica::Info info = process->replica->info();
  const PageStore::Stats stats = process->replica->database()->store()->stats();
  crash(process, info.state == ReplicaState::electing  ? Window::crash_electing
                 : info.snapshot_state == SnapshotState::loading ? Window::crash_loading
                 : info.state == ReplicaState::opening ? Window::crash_opening
                 : stats.latest > stats.sent           ? Window::crash_published
                 : info.snapshot_state == SnapshotState::under_way ? Window::crash_in_snapshot
                                                       : Window::crash_idle);
}

void World::trouble_once(Ensemble::Machine machine) {
  const Troubles& t = troubles_;
  double total = 0;
  for (const double weight : {t.elect, t.step_down, t.crash, t.close, t.restart, t.wipe, t.cut,
                              t.heal, t.hold_up, t.snapshot, t.truncate}) {
    total += weight;
  }
  double choice = total * static_cast<double>(random_.below(1 << 20)) / (1 << 20);
  const auto is = [&choice](double weight) {
    const bool chosen = choice >= 0 && choice < weight;
    choice -= weight;
    return chosen;
  };
  ProcessPtr process = alive(machine);
  if (is(t.elect)) {
    if (!process) return;
    scheduler_.spawn(process->number, process->name + ".elect", [this, process] {
      if (!process->over()) lead(process, Time(random_.between(50'000'000, kLongestCall.count())));
    });
  } else if (is(t.step_down)) {
    if (!process || process->replica->info().state != ReplicaState::leading) return;
    scheduler_.spawn(process->number, process->name + ".step-down", [this, process] {
      if (process->over()) return;
      ++process->busy;
      if (process->replica->step_down(in(seconds(1))).ok()) reach(Window::stepped_down);
      --process->busy;
    });
  } else if (is(t.crash)) {
    if (process) crash_somewhere(process);
  } else if (is(t.close)) {
    if (process) close(process);
  }
  if (const bool restart = is(t.restart); restart || is(t.wipe)) {
    const bool none = std::none_of(processes_.begin(), processes_.end(), [&](const ProcessPtr& p) {
      return p->machine == machine && (!p->over() || (p->closing && p->log));
    });
    if (!none) return;
    if (!restart && ensemble_.may_wipe(machine)) {
      reach(Window::wiped);
      note("the disk of " + std::string(1, static_cast<char>('a' + machine)) + " is wiped");
      ensemble_.wipe(machine);
    }
    start(machine, true);
  } else if (is(t.cut)) {
    if (!process) return;
    if (process->replica->info().state == ReplicaState::leading) reach(Window::leader_cut_off);
    note(process->name + " is cut off");
    ensemble_.set_cut(machine, true);
  } else if (is(t.heal)) {
    if (!ensemble_.cut(machine)) return;
    note(std::string(1, static_cast<char>('a' + machine)) + " is reached again");
    ensemble_.set_cut(machine, false);
  } else if (is(t.hold_up)) {
    if (!process) return;
    if (process->replica->info().state == ReplicaState::leading) reach(Window::leader_held_up);
    note(process->name + " is held up");
    scheduler_.hold_up(process->number,
                       scheduler_.now() + milliseconds(random_.between(10, 3000)));
  } else if (const bool snapshots = is(t.snapshot); snapshots || is(t.truncate)) {
    process = leader();
    if (!process) return;
    scheduler_.spawn(process->number, process->name + ".snapshots", [this, process, snapshots] {
      if (process->over()) return;
      snapshots ? snapshot(process) : truncate(process);
    });
  }
}

void World::snapshot(const ProcessPtr& process) {
  ++process->busy;
  const Outcome begun = process->replica->snapshot(in(seconds(1)));
  note(process->name + " snapshot: " + to_string(begun.status) + " " +
       std::to_string(begun.position));
  --process->busy;
}

// As an operator does: only below a snapshot that was read back.
void World::truncate(const ProcessPtr& process) {
  ++process->busy;
  const Position to = process->replica->info().snapshots.complete.position;
  if (to != 0 && auditor_.snapshot_is_sound(*process, to)) {
    const Outcome done = process->replica->truncate(to);
    note(process->name + " truncates to " + std::to_string(to) + ": " + to_string(done.status));
    if (done.ok()) reach(Window::truncated);
  }
  --process->busy;
}

// ---- what is looked at all the time ----

void World::watch() {
  std::map<int, Replica::Info> before;
  std::map<int, std::uint32_t> last_pages;
  while (!ending_) {
    scheduler_.sleep(std::chrono::microseconds(random_.between(500, 20'000)));
    if (!ensemble_.any_quorum()) reach(Window::quorum_lost);
    int leaders = 0;
    for (const ProcessPtr& process : all_alive()) {
      ++process->busy;
      auditor_.audit(*process);
      if (!process->over()) {
        const Replica::Info info = process->replica->info();
        Replica::Info& last = before[process->number];
        if (info.state == ReplicaState::leading) ++leaders;
        if (info.heartbeats > last.heartbeats) reach(Window::heartbeat);
        if (info.reloads > last.reloads) reach(Window::reloaded);
        if (info.versions_taken_back > last.versions_taken_back) reach(Window::versions_taken_back);
        note_snapshots(info, last);
        const bool loading = info.snapshot_state == SnapshotState::loading;
        if (loading && troubles_.crash > 0 && random_.chance(0.3)) crash_somewhere(process);
        last = info;
        const std::uint32_t pages = process->replica->database()->store()->stats().page_count;
        if (pages < last_pages[process->number]) reach(Window::cut_to_size);
        last_pages[process->number] = pages;
      }
      --process->busy;
    }
    if (leaders > 1) reach(Window::two_leaders);
  }
  --fibers_;
}

void World::note_snapshots(const Replica::Info& now, const Replica::Info& last) const {
  const SnapshotTracker::Info& its = now.snapshots;
  const bool leads = now.state == ReplicaState::leading;
  if (its.complete.position > last.snapshots.complete.position) {
    reach(Window::snapshot);
    if (leads && its.complete.epoch < now.epoch) reach(Window::snapshot_resumed);
  }
  if (now.snapshot_state == SnapshotState::under_way) reach(Window::snapshot_beside_commits);
  if (now.snapshot_state == SnapshotState::loading) reach(Window::snapshot_loading);
  if (now.started_from > last.started_from) reach(Window::started_from_snapshot);
  if (now.reason.find("away for longer") != std::string::npos) reach(Window::away_too_long);
  if (now.reason.find("cannot be loaded") != std::string::npos) reach(Window::snapshot_damaged);
}

// ---- the end ----

void World::heal() {
  note("all is well again");
  ensemble_.set_weather(Weather::calm());
  for (const ProcessPtr& process : processes_) scheduler_.hold_up(process->number, Time(0));
  scheduler_.sleep(kLongestCall);  // what is under way still has its troubles
  ensemble_.set_weather(Weather::calm());
  for (Ensemble::Machine machine = 0; machine < ensemble_.size(); ++machine) {
    ensemble_.set_cut(machine, false);
    for (const ProcessPtr& process : processes_) {
      while (process->machine == machine && process->closing && process->log) {
        scheduler_.sleep(milliseconds(1));
      }
    }
    if (!alive(machine)) start(machine, true);
  }
  while (all_alive().size() < ensemble_.size()) scheduler_.sleep(milliseconds(1));
  // An operator's part: a replica that failed is restarted, and a damaged disk replaced, one after
  // the other.
  for (Ensemble::Machine machine = 0; machine < ensemble_.size(); ++machine) {
    const ProcessPtr process = alive(machine);
    const bool failed = process->replica->info().state == ReplicaState::failed;
    if (!failed && !ensemble_.has_damage(machine)) continue;
    for (Ensemble::Machine other = 0; other < ensemble_.size(); ++other) {
      while (!ensemble_.recovered(other)) scheduler_.sleep(milliseconds(1));
    }
    crash(process, Window::crash_idle);
    if (ensemble_.has_damage(machine)) ensemble_.wipe(machine);
    start(machine, true);
    while (!alive(machine)) scheduler_.sleep(milliseconds(1));
  }
}

ProcessPtr World::lead_at_last() {
  while (all_alive().size() < ensemble_.size()) scheduler_.sleep(milliseconds(1));
  const Deadline deadline = in(kInTime);
  std::string why;
  while (Clock::now() < deadline) {
    std::vector<ProcessPtr> all = all_alive();
    const ProcessPtr process = random_.among(all);
    const Outcome outcome = lead(process, seconds(20));
    if (outcome.ok()) return process;
    why = outcome.reason;
    scheduler_.sleep(milliseconds(100));
  }
  fail("progress is made once all is well", "nobody leads: " + why);
}

// A log that is damaged itself: nobody but a leader that wrote it can go on.
void World::commit_at_last() {
  if (ensemble_.damaged_log() != 0) return;
  const Deadline deadline = in(kInTime);
  while (Clock::now() < deadline) {
    const ProcessPtr leader = lead_at_last();
    Sql sql(*leader, false);
    if (sql.open() && bank_.transfer(leader, sql, true)) return;
    scheduler_.sleep(milliseconds(100));
  }
  fail("progress is made once all is well", "no commit");
}

void World::step_all_down() {
  for (const ProcessPtr& process : all_alive()) {
    const Outcome stepped = process->replica->step_down(in(kInTime));
    if (!stepped.ok()) fail("progress is made once all is well", "step_down: " + stepped.reason);
  }
}

void World::check_at_last() {
  if (ensemble_.damaged_log() != 0) {
    for (const ProcessPtr& process : all_alive()) auditor_.audit(*process);
    return;
  }
  for (const ProcessPtr& process : all_alive()) {
    process->quiet = true;
    while (process->busy > 0) scheduler_.sleep(milliseconds(1));
  }
  const ProcessPtr leader = lead_at_last();
  step_all_down();
  const std::vector<ProcessPtr> all = all_alive();
  for (const ProcessPtr& process : all) {
    const std::uint64_t pins = process->replica->database()->store()->stats().pins;
    if (pins > (process->replica->info().snapshots.held ? 1 : 0)) {
      fail("no version is held for nobody", process->name + " holds " + std::to_string(pins));
    }
  }
  if (const Position newest = leader->replica->info().snapshots.complete.position; newest != 0) {
    auditor_.snapshot_is_sound(*leader, newest);
  }
  const Position position = leader->replica->info().position;
  for (const ProcessPtr& process : all) {
    const Outcome reached = process->replica->wait_position(position, in(kInTime));
    if (!reached.ok()) {
      fail("progress is made once all is well",
           process->name + " does not reach position " + std::to_string(position) + ": " +
               to_string(reached.status) + " " + reached.reason);
    }
    auditor_.audit(*process);
    auditor_.compare(*process, *leader);
  }
}

void World::shut() {
  for (const ProcessPtr& process : all_alive()) close(process);
  for (const ProcessPtr& process : processes_) {
    while (process->log) scheduler_.sleep(milliseconds(10));
  }
  note("the end");
}

}  // namespace aurora::sim
