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
#include "replication/loader.h"
#include "replication/sender.h"
#include "replication/snapshot_writer.h"

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

enum class SnapshotState : int {
  none = 0,
  requested = 1,   // of this leader, and not in the log yet
  under_way = 2,   // a leader writes it
  unfinished = 3,  // begun in the log, and this leader cannot go on with it: the next abandons it
  loading = 4,     // this replica starts from one
};

class Replica {
 public:
  struct Options {
    std::chrono::nanoseconds append_timeout{std::chrono::seconds(10)};
    std::chrono::nanoseconds heartbeat{0};  // 0: never
    std::size_t entry_limit = 1 << 20;
    std::size_t window_bytes = 4 << 20;
    SnapshotWriter::Options snapshots;
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
    SnapshotState snapshot_state = SnapshotState::none;
    SnapshotTracker::Info snapshots;  // while one is loaded, that is the one under way
    Position started_from = 0;        // the snapshot that this copy began with; 0: the log's beginning
    Status failure = Status::ok;  // in state failed: truncated, corrupt, too_new, closed or failed
  };

  Replica(std::shared_ptr<ReplicatedLog> log, Options options);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  const std::shared_ptr<Database>& database() const { return database_; }
  ReplicatedLog& log() const { return *log_; }  // to read it
  Info info() const;
  const Latency& append_latency() const { return append_latency_; }

  // All of these block, from any thread, until done, `deadline` (no_answer) or close() (closed).

  // ok: `position` of this reign's LEADER entry, and no other had begun when this was called: a
  // replica that leads already appends a heartbeat to know. If that is refused, it is elected anew.
  Outcome lead(Deadline deadline, LeadTiming* timing);
  Outcome step_down(Deadline deadline);
  Outcome wait_caught_up(Deadline deadline);
  Outcome wait_position(Position position, Deadline deadline);
  // Begins a snapshot, unless one is under way. ok: `position` of its begin; it goes on by itself.
  // none: this replica does not lead (any more).
  Outcome snapshot(Deadline deadline);

  // Forgets the log below `to`, which a complete snapshot must make up for. ok: `position` of the
  // truncation. none: this replica does not lead; failed: refused. Not ok and neither of them: the
  // reign ends. Takes as long as an append may.
  Outcome truncate(Position to);

  ReplicaState wait_state(ReplicaState state, Deadline deadline);

  // Closes the log and the database and joins the thread. Idempotent.
  void close();

 private:
  static constexpr Position kAny = ~Position{0};

  struct LeadRequest {
    Deadline deadline;
    LeadTiming timing;
    std::optional<Outcome> outcome;
  };

  // What became of an entry. again: go on with a new stream; failed: not with this entry.
  enum class Taken { ok, again, failed };

  void run();
  void follow();
  void follow_no_more(const Outcome& why);
  Outcome start_reading(Deadline deadline);
  EntryStream::Options stream_options() const;
  void end_stream();
  Outcome prove_leading(Deadline deadline);
  Outcome become_leader(Deadline deadline, LeadTiming* timing);
  Outcome read_up_to(Position last, Deadline deadline);
  std::optional<Outcome> read_stream_up_to(Position last, Deadline deadline);
  void serve();
  void note_sent(const Sender::Sent& sent);
  Taken take(const Entry& entry);
  Taken load(const Entry& entry);
  void no_snapshot();
  void begin_anew(const std::string& reason);
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
  bool started_ = false;          // it is known where to read from:
  bool from_beginning_ = true;    // - the log's beginning,
  std::optional<Loader> loader_;  // - a snapshot, until it is loaded,
  Position start_ = 0;            //   which begins here; 0: the first one in the log
  Position log_beginning_ = 0;    // as it was then
  Position start_below_ = kAny;   // snapshots from here on cannot be loaded

  Latency append_latency_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Info info_;                       // guarded by mutex_
  std::unique_ptr<EntryStream> stream_;  // the replication thread's; made and given up under mutex_
  LeadRequest* request_ = nullptr;  // guarded by mutex_; owned by lead()
  std::uint64_t proofs_asked_ = 0;  // guarded by mutex_; by calls of lead() on a leader
  std::uint64_t proofs_given_ = 0;  // guarded by mutex_; as many of them, by an entry sent since
  bool step_down_ = false;          // guarded by mutex_
  bool closing_ = false;            // guarded by mutex_
  std::mutex close_mutex_;          // guards the join of thread_
  const std::shared_ptr<Sender> sender_;
  SnapshotWriter writer_;
  std::thread thread_;
};

}  // namespace aurora
