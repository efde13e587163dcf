// The replicated log of libmesos as a ReplicatedLog.
//
// What mesos::log::Log leaves to its caller is done here:
//   - The calls of the writer are serialised: a second one under way would poison it. After any
//     answer that is not a position the writer is dead until elect(): libmesos itself would go on
//     under the winner's promise.
//   - Every wait has a limit, since nothing in libmesos retries or gives up; a request without an
//     answer is discarded. elect() bounds each attempt, because a single lost message would hold
//     it up for ever.
//   - truncate() is held against the known end: libmesos would delete everything.
//   - An append that the local disk might not hold is refused: libmesos would fall silent, or end
//     the process.
//   - Connections to static peers are kept alive (peers.h).
//   - A new replica with static peers waits until theirs run before it starts its recovery: the
//     first request would be lost, and is repeated after ten seconds only.
//   - Truncated entries are made to leave the disk (leveldb.h); a compaction under way keeps the
//     log's objects alive.
//   - Reader and Writer go before the Log, whose destructor waits for them for ever.
//
// An unusable directory ends the process (libmesos calls exit): aurora_store/log/directory.py looks
// at it first.
#pragma once

#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "log/replicated_log.h"
#include "mesos/abi.h"
#include "mesos/logging.h"
#include "mesos/peers.h"

namespace aurora {

class Waiter;

struct MesosLogOptions {
  std::string directory;
  int quorum = 1;
  bool auto_initialize = false;
  std::string peers;       // "log-replica(1)@ip:port,...", or empty
  std::string zk_servers;  // "host:port,...", or empty
  std::string zk_znode;
  std::chrono::nanoseconds zk_session_timeout = std::chrono::seconds(10);
  std::string zk_credentials;  // "user:password", or empty
  std::string metrics_prefix;
};

class MesosLog final : public ReplicatedLog {
 public:
  // Needs a started libprocess. Opens the LevelDB directory, which takes long if it is large.
  static Outcome open(const MesosLogOptions& options, std::shared_ptr<MesosLog>* log);

  ~MesosLog() override;
  MesosLog(const MesosLog&) = delete;
  MesosLog& operator=(const MesosLog&) = delete;

  Outcome elect(Deadline deadline) override;
  Outcome append(const std::string& data, Deadline deadline) override;
  Outcome truncate(Position to, Deadline deadline) override;
  Outcome beginning(Deadline deadline) override;
  Outcome ending(Deadline deadline) override;
  Outcome read(Position from, Position to, std::list<Entry>* entries, Deadline deadline) override;
  Outcome catchup(Deadline deadline) override;
  Outcome compact(Deadline deadline) override;
  bool compacts() const override { return database_ != nullptr; }
  std::uint64_t disk_bytes(Position from, Position to) override;

  // What libmesos holds is given back in the background if that takes longer than a few seconds.
  void close() override;

 private:
  class Visit;
  class Turn;
  struct Objects;

  MesosLog(const MesosLogOptions& options, Peers peers);

  void start();
  void spawn_and_start();
  void accompany_peers();
  void wait_for_peers();
  bool sleep(std::chrono::milliseconds time);

  template <class T>
  Outcome wait_for(abi::Future<T>* future, Deadline deadline);
  Outcome check_disk(std::size_t size) const;
  Outcome check_positions() const;  // under mutex_
  Outcome position_of(abi::Future<abi::LogPosition> future, Deadline deadline);
  Outcome settle(abi::Future<abi::Option<abi::LogPosition>> future, Deadline deadline);

  std::unique_ptr<LibmesosInUse> in_use_;  // until close()
  const std::string directory_;
  const std::size_t quorum_;
  const Peers peers_;
  const bool new_replica_;
  std::unique_ptr<Objects> objects_;  // released by the first close(), after every call has left
  void* database_ = nullptr;          // lives as long as objects_; null: not found (leveldb.h)
  std::thread companion_;             // of static peers; joined by the first close()

  std::mutex mutex_;
  std::condition_variable changed_;    // started, closing, closed, or the last call has left
  std::condition_variable turn_ends_;  // writing_ is false again, or closing
  bool started_ = false;             // guarded by mutex_: reader and writer exist
  bool closing_ = false;             // guarded by mutex_
  bool closed_ = false;              // guarded by mutex_: close() is complete
  int inside_ = 0;                   // guarded by mutex_: calls under way
  bool writing_ = false;             // guarded by mutex_: a call of the writer is under way
  bool elected_ = false;             // guarded by mutex_
  const std::shared_ptr<std::atomic<bool>> stop_compacting_ =
      std::make_shared<std::atomic<bool>>(false);
  std::shared_future<void> compaction_;  // guarded by mutex_: the last one begun
  Position end_ = 0;                 // guarded by mutex_: last position known to the elected writer
  std::set<Waiter*> waiters_;        // guarded by mutex_
};

}  // namespace aurora
