#include "log/memory_log.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "log/memory_ensemble.h"

namespace aurora {

using memory::Bytes;
using memory::Fault;
using memory::Faults;
using memory::Gap;

std::shared_ptr<MemoryEnsemble> make_memory_ensemble() {
  return std::make_shared<MemoryEnsemble>();
}

struct MemoryLog::Impl {
  using Lock = std::unique_lock<std::mutex>;

  explicit Impl(std::shared_ptr<MemoryEnsemble> shared) : ensemble(std::move(shared)) {}

  // A call of the log: holds the lock, and is what close() waits for. Writer calls enter one at a
  // time.
  class Call {
   public:
    enum class Of { reader, writer };

    Call(Impl& impl, Of of, Deadline deadline) : impl_(impl), of_(of), lock_(impl.ensemble->mutex) {
      ++impl_.inside;
      if (of_ == Of::reader) return;
      if (impl_.writing) wait_until(deadline, [this] { return !impl_.writing; });
      writing_ = !impl_.closed && !impl_.writing;
      if (writing_) impl_.writing = true;
    }
    ~Call() {
      if (!lock_.owns_lock()) lock_.lock();
      --impl_.inside;
      if (writing_) impl_.writing = false;
      if ((writing_ && impl_.inside != 0) || impl_.closed) impl_.changed.notify_all();
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    // Why the call cannot go on, or ok.
    Outcome entry() const {
      if (impl_.closed) return closed();
      if (of_ == Of::writer && !writing_) {
        return Outcome::of(Status::no_answer, "another call of the writer did not end in time");
      }
      return {};
    }
    static Outcome closed() { return Outcome::of(Status::closed, "the log was closed"); }

    // Sleeps until the deadline, close(), or `ready`. False if it was close().
    template <typename Ready>
    bool wait_until(Deadline deadline, Ready ready) {
      impl_.changed.wait_until(lock_, deadline, [&] { return impl_.closed || ready(); });
      return !impl_.closed;
    }
    bool sleep_until(Deadline deadline) {
      return wait_until(deadline, [] { return false; });
    }
    void unlock() { lock_.unlock(); }

   private:
    Impl& impl_;
    const Of of_;
    Lock lock_;
    bool writing_ = false;  // this call is the writer call inside
  };

  bool elected() const { return number != 0 && number == ensemble->promised; }

  Outcome not_elected() {
    const bool demoted = number != 0;
    number = 0;
    return Outcome::of(Status::none, demoted ? "another writer was elected" : "not elected");
  }

  // Waits in vain for a quorum, as the real log does.
  Outcome no_answer(Call& call, Deadline deadline, const char* reason) {
    number = 0;
    if (!call.sleep_until(deadline)) return Call::closed();
    return Outcome::of(Status::no_answer, reason);
  }

  // append() with at least one fault armed.
  Outcome append_with_faults(Call& call, Bytes value, Deadline deadline);

  const std::shared_ptr<MemoryEnsemble> ensemble;
  std::condition_variable changed;  // closed, or a call left

  // All guarded by ensemble->mutex.
  memory::Replica replica;
  std::uint64_t number = 0;  // of this writer's election; 0: not elected
  bool writing = false;      // a writer call is inside
  int inside = 0;            // calls
  bool closed = false;
};

Outcome MemoryLog::Impl::append_with_faults(Call& call, Bytes value, Deadline deadline) {
  using Unsettled = MemoryEnsemble::Unsettled;
  Faults& faults = replica.faults;
  std::uint64_t amount = 0;

  // Every fault counts every append, also one that another fault decides.
  const bool compete = faults.fires(Fault::competing_writer);
  const bool no_quorum = faults.fires(Fault::no_quorum);
  const bool lost = faults.fires(Fault::lost_promise);
  const bool lost_but_in = faults.fires(Fault::lost_promise_but_in_log);
  const bool fails_but_in = faults.fires(Fault::append_fails_but_is_in_log);
  const bool fails = faults.fires(Fault::append_fails_and_is_not);
  if (faults.fires(Fault::corrupt_entry, &amount) && !value->empty()) {
    std::string damaged = *value;
    damaged[amount % damaged.size()] ^= static_cast<char>(0xff);
    value = std::make_shared<const std::string>(std::move(damaged));
  }
  const bool disk_full = faults.fires(Fault::disk_full);
  const bool slow = faults.fires(Fault::slow, &amount);

  if (disk_full) {
    number = 0;
    Outcome outcome = Outcome::of(Status::failed, "the disk of this replica is full");
    outcome.unsent = true;
    return outcome;
  }
  if (compete) {
    ensemble->elect(nullptr);
    ensemble->write(nullptr, std::make_shared<const std::string>("a competing writer's entry"));
    return not_elected();
  }
  if (no_quorum) return no_answer(call, deadline, "no quorum of replicas answered");
  if (lost) {
    ++ensemble->promised;
    return not_elected();
  }
  if (lost_but_in) {
    ensemble->write(&replica, std::move(value), Unsettled::keep);
    ++ensemble->promised;
    return not_elected();
  }
  if (fails_but_in || fails) {
    ensemble->write(&replica, std::move(value), fails ? Unsettled::drop : Unsettled::keep);
    return no_answer(call, deadline, "no quorum of replicas answered");
  }
  if (slow) {
    const Deadline done = Clock::now() + std::chrono::milliseconds(amount);
    if (!call.sleep_until(std::min(done, deadline))) return Call::closed();
    if (!elected()) return not_elected();
    if (deadline < done) {
      ensemble->write(&replica, std::move(value), Unsettled::keep);
      return no_answer(call, deadline, "no quorum of replicas answered in time");
    }
  }
  return Outcome::at(ensemble->write(&replica, std::move(value)));
}

MemoryLog::MemoryLog(std::shared_ptr<MemoryEnsemble> ensemble)
    : impl_(std::make_unique<Impl>(std::move(ensemble))) {
  const std::lock_guard<std::mutex> lock(impl_->ensemble->mutex);
  impl_->ensemble->join(&impl_->replica);
}

MemoryLog::~MemoryLog() {
  close();
  const std::lock_guard<std::mutex> lock(impl_->ensemble->mutex);
  std::vector<memory::Replica*>& replicas = impl_->ensemble->replicas;
  replicas.erase(std::find(replicas.begin(), replicas.end(), &impl_->replica));
}

bool MemoryLog::arm(const std::string& name, int countdown, int times, std::uint64_t amount) {
  const std::optional<Fault> fault = memory::fault_named(name);
  if (!fault) return false;
  const std::lock_guard<std::mutex> lock(impl_->ensemble->mutex);
  if (times == 0) {
    impl_->replica.faults.disarm(*fault);
  } else {
    impl_->replica.faults.arm(*fault, {countdown, times, amount});
  }
  return true;
}

void MemoryLog::clear_faults() {
  const std::lock_guard<std::mutex> lock(impl_->ensemble->mutex);
  impl_->replica.faults.clear();
}

Outcome MemoryLog::elect(Deadline deadline) {
  Impl::Call call(*impl_, Impl::Call::Of::writer, deadline);
  if (Outcome entry = call.entry(); !entry.ok()) return entry;
  impl_->number = 0;
  if (impl_->replica.faults.fires(Fault::no_quorum)) {
    return impl_->no_answer(call, deadline, "no quorum of replicas answered");
  }
  impl_->number = impl_->ensemble->elect(&impl_->replica);
  impl_->replica.faults.disarm(Fault::hole);
  impl_->replica.faults.disarm(Fault::unlearned);
  return Outcome::at(impl_->ensemble->end());
}

Outcome MemoryLog::append(const std::string& data, Deadline deadline) {
  Bytes value = std::make_shared<const std::string>(data);
  Impl::Call call(*impl_, Impl::Call::Of::writer, deadline);
  if (Outcome entry = call.entry(); !entry.ok()) return entry;
  if (!impl_->elected()) return impl_->not_elected();
  if (impl_->replica.faults.any()) {
    return impl_->append_with_faults(call, std::move(value), deadline);
  }
  return Outcome::at(impl_->ensemble->write(&impl_->replica, std::move(value)));
}

Outcome MemoryLog::truncate(Position to, Deadline deadline) {
  Impl::Call call(*impl_, Impl::Call::Of::writer, deadline);
  if (Outcome entry = call.entry(); !entry.ok()) return entry;
  if (!impl_->elected()) return impl_->not_elected();
  if (to > impl_->ensemble->end() + 1) {
    return Outcome::of(Status::failed, "position " + std::to_string(to) +
                                           " is past the end of the log, " +
                                           std::to_string(impl_->ensemble->end()));
  }
  if (impl_->replica.faults.fires(Fault::no_quorum)) {
    return impl_->no_answer(call, deadline, "no quorum of replicas answered");
  }
  const Position position = impl_->ensemble->write(&impl_->replica, nullptr);
  impl_->ensemble->truncate(to);
  return Outcome::at(position);
}

Outcome MemoryLog::beginning(Deadline deadline) {
  Impl::Call call(*impl_, Impl::Call::Of::reader, deadline);
  if (Outcome entry = call.entry(); !entry.ok()) return entry;
  return Outcome::at(impl_->ensemble->begin);
}

Outcome MemoryLog::ending(Deadline deadline) {
  Impl::Call call(*impl_, Impl::Call::Of::reader, deadline);
  if (Outcome entry = call.entry(); !entry.ok()) return entry;
  return Outcome::at(impl_->ensemble->ending(impl_->replica));
}

Outcome MemoryLog::read(Position from, Position to, std::list<Entry>* entries, Deadline deadline) {
  Impl::Call call(*impl_, Impl::Call::Of::reader, deadline);
  if (Outcome entry = call.entry(); !entry.ok()) return entry;

  const MemoryEnsemble& log = *impl_->ensemble;
  const auto bad = [](Status status, const char* what) {
    return Outcome::of(status, std::string("bad read range (") + what + ")");
  };
  if (to < from) return bad(Status::failed, "to < from");
  if (from < log.begin) {
    Outcome outcome = bad(Status::truncated, "truncated position");
    outcome.position = log.begin;
    return outcome;
  }
  if (to > impl_->ensemble->ending(impl_->replica)) return bad(Status::failed, "past end of log");
  if (log.empty()) return {};

  // A hole shows only when something behind it is there.
  const std::map<Position, Gap>& gaps = impl_->replica.gaps;
  std::vector<std::pair<Position, Bytes>> found;
  bool hole = false;
  auto gap = gaps.lower_bound(from);
  for (Position position = from; position <= to; ++position) {
    if (gap != gaps.end() && gap->first == position) {
      if (gap->second == Gap::unlearned) return bad(Status::pending, "includes pending entries");
      hole = true;
      ++gap;
      continue;
    }
    if (hole) return bad(Status::missing, "includes missing entries");
    if (const Bytes& value = log.slots[position - log.begin]) found.emplace_back(position, value);
  }

  // Copies without the lock: appends go on meanwhile.
  call.unlock();
  for (const auto& [position, value] : found) entries->push_back({position, *value});
  return Outcome::at(to);
}

Outcome MemoryLog::catchup(Deadline deadline) {
  Impl::Call call(*impl_, Impl::Call::Of::reader, deadline);
  if (Outcome entry = call.entry(); !entry.ok()) return entry;
  // As the real one: the last position is left alone, so as not to demote the writer.
  const MemoryEnsemble& log = *impl_->ensemble;
  const Position complete = log.end() > log.begin ? log.end() - 1 : log.begin;
  std::map<Position, Gap>& gaps = impl_->replica.gaps;
  gaps.erase(gaps.begin(), gaps.upper_bound(complete));
  impl_->replica.faults.disarm(Fault::hole);
  impl_->replica.faults.disarm(Fault::unlearned);
  return Outcome::at(complete);
}

void MemoryLog::close() {
  Impl::Lock lock(impl_->ensemble->mutex);
  impl_->closed = true;
  impl_->changed.notify_all();
  impl_->changed.wait(lock, [this] { return impl_->inside == 0; });
}

}  // namespace aurora
