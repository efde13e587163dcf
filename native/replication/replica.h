// One replica: a database, a log, and the thread that keeps them together.
//
// As a standby the thread streams the log into the database; as a leader it sees to it that
// everything published is sent (sender.h), that an idle log gets heartbeats, and that a reign ends
// when the log says so. One thread changes the roles, so they can never overlap.
//
//   opening -> standby -> electing -> leading -> standby ...      failed, closed
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "log/entry_stream.h"
#include "log/replicated_log.h"
#include "pages/database.h"
#include "replication/applier.h"
#include "replication/sender.h"

namespace aurora {

// The numbers are part of the C interface.
enum class ReplicaState : int {
  opening = 0,   // reads the log for the first time, or again after its copy failed a check
  standby = 1,
  electing = 2,
  leading = 3,
  failed = 4,    // cannot go on: see the reason
  closed = 5,
};

class Replica {
 public:
  struct Options {
    std::chrono::nanoseconds append_timeout{std::chrono::seconds(10)};
    std::chrono::nanoseconds heartbeat{0};  // 0: never
    std::size_t entry_limit = 1 << 20;
    std::size_t window_bytes = 4 << 20;
    LeaderInfo identity;
  };
  struct LeadTiming {
    double election_s = 0;
    double catch_up_s = 0;
    double leader_entry_s = 0;
  };
  struct Info {
    ReplicaState state = ReplicaState::opening;
    std::uint64_t epoch = 0;
    Position position = 0;
    Position next = 0;
    Position log_ending = 0;
    std::uint64_t entries_applied = 0;
    std::uint64_t bytes_applied = 0;
    std::uint64_t appends = 0;
    std::uint64_t bytes_appended = 0;
    std::uint64_t transactions = 0;
    std::uint64_t heartbeats = 0;
    std::uint64_t catchups = 0;
    std::uint64_t rewinds = 0;
    std::uint64_t versions_taken_back = 0;
    std::uint64_t reloads = 0;
    std::optional<Clock::time_point> last_entry;
    Position leader_position = 0;
    LeaderInfo leader;
    std::string reason;
    Status failure = Status::ok;  // in state failed: truncated, corrupt, too_new or failed
  };

  Replica(std::shared_ptr<ReplicatedLog> log, Options options);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  const std::shared_ptr<Database>& database() const { return database_; }
  Info info() const;
  const Latency& append_latency() const { return append_latency_; }

  // All of these block, from any thread, until done, `deadline` (no_answer) or close() (closed).
  Outcome lead(Deadline deadline, LeadTiming* timing);
  Outcome step_down(Deadline deadline);
  Outcome wait_caught_up(Deadline deadline);
  Outcome wait_position(Position position, Deadline deadline);
  ReplicaState wait_state(ReplicaState state, Deadline deadline);

  // Closes the log and the database and joins the thread. Idempotent.
  void close();

 private:
  struct LeadRequest {
    Deadline deadline;
    LeadTiming timing;
    std::optional<Outcome> outcome;
  };

  void run();
  void follow();
  void end_stream();
  Outcome become_leader(Deadline deadline, LeadTiming* timing);
  Outcome read_up_to(Position last, Deadline deadline);
  void serve();
  void note_sent(const Sender::Sent& sent);
  bool take(const Entry& entry);  // false: failed
  void copy_failed(const Entry& entry, const DecodeError& error);
  void end_reign(Refusal fate, const std::string& reason);
  void set_state(ReplicaState state, std::string reason = {});
  void fail(Status failure, std::string reason);  // for good
  void note_progress(const EntryStream::Progress& progress);
  bool closing() const;
  template <class Done>
  Outcome wait(Deadline deadline, const char* what, Done done);

  const std::shared_ptr<ReplicatedLog> log_;
  const Options options_;
  const std::shared_ptr<Database> database_;

  // Of the replication thread alone.
  Applier applier_;
  std::uint64_t stream_catchups_ = 0;
  std::optional<Position> opening_target_;
  std::optional<Position> failed_at_;
  bool from_beginning_ = true;

  Latency append_latency_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Info info_;                       // guarded by mutex_
  std::unique_ptr<EntryStream> stream_;  // the replication thread's; made and given up under mutex_
  LeadRequest* request_ = nullptr;  // guarded by mutex_; owned by lead()
  bool step_down_ = false;          // guarded by mutex_
  bool closing_ = false;            // guarded by mutex_
  std::mutex close_mutex_;          // guards the join of thread_
  const std::shared_ptr<Sender> sender_;
  std::thread thread_;
};

}  // namespace aurora
