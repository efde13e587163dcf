// The leader's way into the log: what was published goes out as entries, one under way at a time.
//
// Whoever has the turn sends. For a lone writer that is the very thread that waits for its commit,
// which costs no switch of threads beyond those of the log; else it is the replication thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "log/replicated_log.h"
#include "pages/database.h"
#include "records/record.h"

namespace aurora {

// A header without pages: the database as it is, in the reign `epoch`. `snapshot`: the newest one.
RecordHeader header_now(const Database& database, std::uint64_t epoch, Position snapshot);

class Sender final : public Database::Outlet {
 public:
  // One entry that is on a quorum.
  struct Sent {
    Position position = 0;
    RecordHeader header;
    PageNumber last_page = 0;  // of a chunk of a snapshot
    std::size_t bytes = 0;
    std::chrono::nanoseconds took{0};
  };
  struct Options {
    std::chrono::nanoseconds append_timeout{std::chrono::seconds(10)};
    std::size_t entry_limit = 1 << 20;
  };

  // `sent` is told of every entry, by the thread that has the turn, never after shut(): once readers
  // see what is in it, and before anybody hears that his commit is durable.
  // `newest_snapshot`: where it begins, as what was sent so far says.
  Sender(std::shared_ptr<ReplicatedLog> log, Database& database, Options options,
         std::function<Position()> newest_snapshot, std::function<void(const Sent&)> sent);

  // From any thread that waits for its commit: sends what was published, unless somebody is sending,
  // who then sees to the rest, or the thread could not wait as long as an append may take.
  void send(Deadline deadline) override;

  // --- the replication thread alone ---

  // A reign begins: its entries carry `epoch`.
  void open(std::uint64_t epoch);

  // Waits until nobody sends; from then on nobody does until open().
  void shut();

  // Waits for its turn, and sends what was published. Not ok: an append of this reign, by whichever
  // thread, was not acknowledged. Nothing is sent after that.
  Outcome send_published();
  Outcome send_heartbeat();

  // Waits for its turn, when all that was sent is durable, and appends a record that is no batch:
  // `encode` makes it of a header of the database as it is then, which it may change.
  using Encode = std::function<std::string(RecordHeader*)>;
  Outcome send_record(const Encode& encode, PageNumber last_page = 0);

  // Waits for its turn, and forgets what the log holds below `to`. From any thread; waits no longer
  // than an append may take, and one under way.
  Outcome truncate(Position to);

 private:
  Outcome send_batch();
  Outcome append(const std::string& entry, const RecordHeader& header, PageNumber last_page = 0);

  const std::shared_ptr<ReplicatedLog> log_;
  Database& database_;
  const Options options_;
  const std::function<Position()> newest_snapshot_;
  const std::function<void(const Sent&)> sent_;

  std::mutex turn_;       // held while an entry is made and under way
  bool open_ = false;     // guarded by turn_
  std::uint64_t epoch_ = 0;         // guarded by turn_
  BatchEncoder encoder_;            // guarded by turn_
  std::optional<Outcome> failure_;  // guarded by turn_; of this reign
};

}  // namespace aurora
