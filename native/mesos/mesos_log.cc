#include "mesos/mesos_log.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

#include "mesos/future.h"
#include "mesos/leveldb.h"
#include "mesos/runtime.h"

namespace aurora {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstElectionAttempt{2000};
constexpr milliseconds kLongestElectionAttempt{30'000};
constexpr milliseconds kFirstBackOff{1};
constexpr milliseconds kLongestBackOff{100};
constexpr milliseconds kLinkEvery{2000};
constexpr milliseconds kLookForPeersEvery{20};
constexpr milliseconds kPeerAnswersWithin{500};
constexpr milliseconds kWaitForLastPeers{3000};
constexpr milliseconds kDestroyWithin{3000};

// libmesos stores an entry twice, and LevelDB needs room to rewrite its files.
constexpr std::uint64_t kDiskReserve = 16 << 20;
constexpr std::uint64_t kDiskPerByte = 4;

// libmesos 1.11.0 writes the key of a position, which is the position after it, as an int
// (MESOS-10216): later ones would not sort, and a restart would lose them. Some are left for elections.
constexpr Position kLastPosition = std::numeric_limits<std::int32_t>::max() - 1 - 1024;

Outcome closed() { return Outcome::of(Status::closed, "the log was closed"); }

Outcome unsent(Outcome outcome) {
  outcome.unsent = true;
  return outcome;
}

// LogProcess has its libprocess part as a virtual base, whose offset is in the virtual table.
void* process_base(void* process) {
  const std::ptrdiff_t* virtual_table = *static_cast<std::ptrdiff_t**>(process);
  return static_cast<char*>(process) + virtual_table[-3];
}

milliseconds jittered(milliseconds time) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return time + milliseconds(random() % (time.count() + 1));
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

Outcome classify_read(Outcome outcome) {
  if (outcome.status != Status::failed) return outcome;
  if (contains(outcome.reason, "truncated position")) outcome.status = Status::truncated;
  if (contains(outcome.reason, "includes missing")) outcome.status = Status::missing;
  if (contains(outcome.reason, "includes pending")) outcome.status = Status::pending;
  return outcome;
}

}  // namespace

// What belongs to libmesos, in the order of its creation.
struct MesosLog::Objects {
  abi::Log log;
  abi::Reader reader;
  abi::Writer writer;

  ~Objects() {
    libmesos().writer_delete(&writer);
    libmesos().reader_delete(&reader);
    libmesos().log_delete(&log);
  }
};

// A call under way: close() waits for it to end.
class MesosLog::Visit {
 public:
  Visit(MesosLog& log, Deadline deadline) : log_(log) {
    std::unique_lock<std::mutex> lock(log.mutex_);
    ++log.inside_;
    const bool in_time = log.changed_.wait_until(
        lock, deadline, [&log] { return log.started_ || log.closing_; });
    if (log.closing_) {
      outcome = closed();
    } else if (!in_time) {
      outcome = Outcome::of(Status::no_answer, "this replica is new and waits for its peers");
    }
  }
  ~Visit() {
    const std::lock_guard<std::mutex> lock(log_.mutex_);
    if (--log_.inside_ == 0 && log_.closing_) log_.changed_.notify_all();
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  Outcome outcome;

 private:
  MesosLog& log_;
};

// The right to use the writer. A visit that may also wait for its turn.
class MesosLog::Turn {
 public:
  Turn(MesosLog& log, Deadline deadline) : visit_(log, deadline), log_(log) {
    outcome = visit_.outcome;
    if (!outcome.ok()) return;
    std::unique_lock<std::mutex> lock(log.mutex_);
    const bool in_time = log.turn_ends_.wait_until(
        lock, deadline, [&log] { return !log.writing_ || log.closing_; });
    if (log.closing_) {
      outcome = closed();
    } else if (!in_time) {
      outcome = Outcome::of(Status::no_answer, "another call of the writer is under way");
    } else {
      log.writing_ = mine_ = true;
    }
  }
  ~Turn() {
    if (!mine_) return;
    const std::lock_guard<std::mutex> lock(log_.mutex_);
    log_.writing_ = false;
    log_.turn_ends_.notify_one();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  Outcome outcome;

 private:
  const Visit visit_;
  MesosLog& log_;
  bool mine_ = false;
};

Outcome MesosLog::open(const MesosLogOptions& options, std::shared_ptr<MesosLog>* log) {
  const std::string address = libprocess_address();
  if (address.empty()) return Outcome::of(Status::failed, "libprocess was not started");
  if (options.quorum < 1) return Outcome::of(Status::failed, "the quorum must be at least 1");
  Peers peers;
  const Outcome parsed = peers.parse(options.peers, address);
  if (!parsed.ok()) return parsed;
  log->reset(new MesosLog(options, std::move(peers)));
  return Outcome::at(0);
}

MesosLog::MesosLog(const MesosLogOptions& options, Peers peers)
    : in_use_(std::make_unique<LibmesosInUse>()),
      directory_(options.directory),
      quorum_(static_cast<std::size_t>(options.quorum)),
      peers_(std::move(peers)),
      new_replica_(::access((options.directory + "/CURRENT").c_str(), F_OK) != 0),
      objects_(std::make_unique<Objects>()) {
  const abi::Option<std::string> prefix(options.metrics_prefix);
  if (!options.zk_servers.empty()) {
    const abi::Option<abi::Authentication> nobody;
    const abi::Option<abi::Authentication> somebody({"digest", options.zk_credentials});
    const LevelDbFinder finder;
    libmesos().log_new_zookeeper(&objects_->log, options.quorum, options.directory,
                                 options.zk_servers,
                                 abi::Duration{options.zk_session_timeout.count()},
                                 options.zk_znode,
                                 options.zk_credentials.empty() ? nobody : somebody,
                                 options.auto_initialize, prefix);
    database_ = finder.found();
    start();
    return;
  }
  objects_->log.process = ::operator new(abi::kLogProcessSize);
  {
    const LevelDbFinder finder;
    libmesos().log_process_new_static(objects_->log.process, quorum_, options.directory,
                                      &peers_.all(), options.auto_initialize, prefix);
    database_ = finder.found();
  }
  if (peers_.others() == 0) {
    spawn_and_start();
  } else {
    companion_ = std::thread(&MesosLog::accompany_peers, this);
  }
}

MesosLog::~MesosLog() { close(); }

void MesosLog::start() {
  libmesos().reader_new(&objects_->reader, &objects_->log);
  libmesos().writer_new(&objects_->writer, &objects_->log);
  const std::lock_guard<std::mutex> lock(mutex_);
  started_ = true;
  changed_.notify_all();
}

void MesosLog::spawn_and_start() {
  abi::UpidMemory upid;
  libmesos().process_spawn(&upid, process_base(objects_->log.process), false);
  libmesos().upid_delete(&upid);
  start();
}

// Until close(). Returns at once, false, when that has begun.
bool MesosLog::sleep(milliseconds time) {
  std::unique_lock<std::mutex> lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return closing_; });
}

// The thread of a log with static peers.
void MesosLog::accompany_peers() {
  if (new_replica_) wait_for_peers();
  spawn_and_start();
  do {
    peers_.link(process_base(objects_->log.process));
  } while (sleep(kLinkEvery));
}

// A replica that has no data yet can recover from a quorum of the others, or start a new log with
// all of them.
void MesosLog::wait_for_peers() {
  std::optional<Deadline> last;
  do {
    const std::size_t running = peers_.count_running(Clock::now() + kPeerAnswersWithin);
    if (running == peers_.others()) return;
    if (running < quorum_) {
      last.reset();
    } else if (!last) {
      last = Clock::now() + kWaitForLastPeers;
    } else if (Clock::now() > *last) {
      return;
    }
  } while (sleep(kLookForPeersEvery));
}

template <class T>
Outcome MesosLog::wait_for(abi::Future<T>* future, Deadline deadline) {
  const auto waiter = std::make_shared<Waiter>();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closing_) waiter->cancel();
    waiters_.insert(waiter.get());
  }
  const Outcome outcome = await(future, waiter, deadline);
  const std::lock_guard<std::mutex> lock(mutex_);
  waiters_.erase(waiter.get());
  return outcome;
}

// The end of every call of the writer.
Outcome MesosLog::settle(abi::Future<abi::Option<abi::LogPosition>> future, Deadline deadline) {
  Outcome outcome = wait_for(&future, deadline);
  if (outcome.ok()) {
    const abi::Option<abi::LogPosition>& position = value_of(future);
    outcome = position.is_some()
                  ? Outcome::at(position.get().value)
                  : Outcome::of(Status::none, "another writer has been promised a higher number");
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  elected_ = outcome.ok();
  if (elected_) end_ = outcome.position;
  return outcome;
}

Outcome MesosLog::elect(Deadline deadline) {
  const Turn turn(*this, deadline);
  if (!turn.outcome.ok()) return turn.outcome;
  // libmesos climbs over a higher promise one number per attempt, so the first ones follow quickly.
  // An attempt without an answer may have been filling holes, which it keeps: the next one gets
  // more time.
  milliseconds attempt = kFirstElectionAttempt;
  milliseconds back_off = kFirstBackOff;
  for (;;) {
    Outcome outcome = settle(libmesos().writer_start(&objects_->writer),
                             std::min<Deadline>(deadline, Clock::now() + attempt));
    if (outcome.status == Status::no_answer) {
      attempt = std::min(2 * attempt, kLongestElectionAttempt);
    } else if (outcome.status != Status::none) {
      return outcome;
    }
    const milliseconds pause = jittered(back_off);
    back_off = std::min(2 * back_off, kLongestBackOff);
    if (Clock::now() + pause >= deadline) return outcome;
    if (!sleep(pause)) return closed();
  }
}

Outcome MesosLog::check_disk(std::size_t size) const {
  struct statvfs disk {};
  if (::statvfs(directory_.c_str(), &disk) != 0) return Outcome::at(0);
  const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free >= kDiskReserve + kDiskPerByte * size) return Outcome::at(0);
  return Outcome::of(Status::failed,
                     "the disk of this replica has " + std::to_string(free >> 10) +
                         " KiB left, too few to append " + std::to_string(size) + " bytes");
}

Outcome MesosLog::check_positions() const {
  if (end_ < kLastPosition) return Outcome::at(0);
  return Outcome::of(Status::failed,
                     "the log has come to position " + std::to_string(end_) +
                         ", and libmesos can keep hardly any later one: begin a new log with what "
                         "this one has (aurora-store recovery stage)");
}

Outcome MesosLog::append(const std::string& data, Deadline deadline) {
  const Turn turn(*this, deadline);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!turn.outcome.ok()) {
      elected_ = false;
      return unsent(turn.outcome);
    }
    if (!elected_) return unsent(Outcome::of(Status::none, "the writer is not elected"));
    Outcome room = check_positions();
    if (room.ok()) room = check_disk(data.size());
    elected_ = room.ok();
    if (!elected_) return unsent(std::move(room));
  }
  return settle(libmesos().writer_append(&objects_->writer, data), deadline);
}

Outcome MesosLog::truncate(Position to, Deadline deadline) {
  const Turn turn(*this, deadline);
  if (!turn.outcome.ok()) return turn.outcome;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!elected_) return Outcome::of(Status::none, "the writer is not elected");
    if (to > end_ + 1) {
      return Outcome::of(Status::failed, "cannot truncate to " + std::to_string(to) +
                                             ": the log ends at " + std::to_string(end_));
    }
  }
  return settle(libmesos().writer_truncate(&objects_->writer, abi::LogPosition{to}), deadline);
}

Outcome MesosLog::position_of(abi::Future<abi::LogPosition> future, Deadline deadline) {
  const Outcome outcome = wait_for(&future, deadline);
  return outcome.ok() ? Outcome::at(value_of(future).value) : outcome;
}

Outcome MesosLog::beginning(Deadline deadline) {
  const Visit visit(*this, deadline);
  if (!visit.outcome.ok()) return visit.outcome;
  return position_of(libmesos().reader_beginning(&objects_->reader), deadline);
}

Outcome MesosLog::ending(Deadline deadline) {
  const Visit visit(*this, deadline);
  if (!visit.outcome.ok()) return visit.outcome;
  return position_of(libmesos().reader_ending(&objects_->reader), deadline);
}

Outcome MesosLog::read(Position from, Position to, std::list<Entry>* entries, Deadline deadline) {
  const Visit visit(*this, deadline);
  if (!visit.outcome.ok()) return visit.outcome;
  abi::Future<abi::Entries> future = libmesos().reader_read(
      &objects_->reader, abi::LogPosition{from}, abi::LogPosition{to});
  const Outcome outcome = classify_read(wait_for(&future, deadline));
  if (outcome.ok()) {
    // Nobody else holds this future, so its value may be moved out of it.
    entries->splice(entries->end(), const_cast<abi::Entries&>(value_of(future)));
  }
  return outcome;
}

Outcome MesosLog::catchup(Deadline deadline) {
  const Visit visit(*this, deadline);
  if (!visit.outcome.ok()) return visit.outcome;
  const Outcome outcome =
      position_of(libmesos().reader_catchup(&objects_->reader), deadline);
  if (outcome.status != Status::failed || !contains(outcome.reason, "Recovered only 1 position")) {
    return outcome;
  }
  // The quorum holds one position only, so there is nothing before it to lack.
  const Outcome begin = position_of(libmesos().reader_beginning(&objects_->reader), deadline);
  return begin.ok() && begin.position > 0 ? Outcome::at(begin.position - 1) : begin;
}

Outcome MesosLog::compact(Deadline deadline) {
  const Visit visit(*this, deadline);
  if (!visit.outcome.ok()) return visit.outcome;
  if (database_ == nullptr) {
    return Outcome::of(Status::failed,
                       "not supported by this libmesos, which does not show its LevelDB: restart "
                       "the replica, opening its directory compacts it");
  }
  Outcome begin = position_of(libmesos().reader_beginning(&objects_->reader), deadline);
  if (!begin.ok()) return begin;
  const auto waiter = std::make_shared<Waiter>();
  std::unique_lock<std::mutex> lock(mutex_);
  if (closing_) return closed();
  std::packaged_task<void()> work(
      [database = database_, to = begin.position, stop = stop_compacting_, waiter,
       before = compaction_] {
        if (before.valid()) before.wait();
        compact_leveldb(database, to, *stop);
        if (!*stop) waiter->finish();
      });
  std::shared_future<void> done = work.get_future().share();
  std::thread(std::move(work)).detach();  // if it throws, the log knows nothing of it
  compaction_ = std::move(done);
  waiters_.insert(waiter.get());
  lock.unlock();
  waiter->wait(deadline);
  lock.lock();
  waiters_.erase(waiter.get());
  if (waiter->finished()) return begin;
  if (closing_) return closed();
  return Outcome::of(Status::no_answer, "it takes longer, and goes on");
}

std::uint64_t MesosLog::disk_bytes(Position from, Position to) {
  const Visit visit(*this, Clock::now());
  if (!visit.outcome.ok() || database_ == nullptr || from >= to) return 0;
  return leveldb_bytes(database_, from, to);
}

void MesosLog::close() {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    if (closing_) {
      changed_.wait(lock, [this] { return closed_; });
      return;
    }
    closing_ = true;
    *stop_compacting_ = true;
    for (Waiter* waiter : waiters_) waiter->cancel();
    changed_.notify_all();
    turn_ends_.notify_all();
    changed_.wait(lock, [this] { return inside_ == 0; });
  }
  if (companion_.joinable()) companion_.join();
  // libmesos waits in here for its actors to end, and LevelDB must outlive a compaction; a thread of
  // its own may do so for longer.
  std::packaged_task<void()> destroy(
      [objects = std::move(objects_), compaction = compaction_]() mutable {
        if (compaction.valid()) compaction.wait();
        objects.reset();
      });
  const std::future<void> destroyed = destroy.get_future();
  std::thread(std::move(destroy)).detach();
  destroyed.wait_for(kDestroyWithin);
  in_use_.reset();
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace aurora
