// One replica's copy of the database: its pages, who may read, who may write, and what became of
// each commit. Knows neither SQLite (sqlite/vfs.h uses it from above) nor the log
// (replication/replica.h feeds it from beside).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "log/replicated_log.h"
#include "pages/latency.h"
#include "pages/page_store.h"
#include "pages/writer_queue.h"

namespace aurora {

using Reign = std::uint64_t;  // the epoch of a leader's reign; 0: not leading

// Why a database call was refused; the numbers are part of the C interface (aurora_native.h).
enum class Refusal : int {
  none = 0,
  not_leader = 1,       // nothing was written
  leadership_lost = 2,  // certainly not in the log
  outcome_unknown = 3,  // may be in the log: the next leader settles it
  busy = 4,             // write lock not granted in time
  not_readable = 5,     // still loading, or the copy failed its check
  stale_connection = 6, // has seen a version that was taken back: open a new connection
  closed = 7,
  timed_out = 8,        // waited for a version or position in vain; says nothing about the commit
};

struct Verdict {
  Refusal refusal = Refusal::none;
  std::string reason;
  Position position = 0;  // wait_durable: a log position that includes the version
  bool ok() const { return refusal == Refusal::none; }
};

class Database {
 public:
  // Where published versions go (replication/sender.h).
  class Outlet {
   public:
    virtual ~Outlet() = default;

    // Called, without a lock, by a thread that waits for a version which was not sent yet while no
    // other writer is about: it may send it, or leave that to somebody else.
    virtual void send(Deadline deadline) = 0;
  };

  Database();
  ~Database();  // every connection is closed by then

  // --- readers and writers (sqlite/) -----------------------------------------------------------

  // A hold on one version of one page store (the store is replaced when a copy is reloaded).
  struct View {
    std::shared_ptr<PageStore> store;
    Pin* pin = nullptr;
    std::uint64_t generation = 0;  // changes when versions were taken back or the store replaced
  };
  // `latest` views are for the holder of the write lock. Refused: not_readable, closed.
  Verdict open_view(PageStore::At at, View* view);
  void close_view(View* view);  // no-op on an empty one

  // Bumped by every rewind that took something back and by every replace().
  std::uint64_t generation() const;

  WriterQueue& writers();

  // The reign in which a transaction may write now, or 0 and why not.
  Verdict reign(Reign* reign) const;

  // The last check before a commit is published.
  Verdict may_commit(Reign reign) const;

  // Publishes a transaction: *version is now the latest. Refused if the reign is over (the check
  // and the publishing are one step). The caller holds the write lock.
  Verdict publish(Reign reign, std::vector<PagePtr> pages, std::uint32_t page_count,
                  std::uint32_t kept, Version* version);

  // Blocks until `version`, published or read in `reign`, is durable; says what became of it:
  // none, leadership_lost, outcome_unknown, closed; timed_out if it is still open at `deadline`.
  // What was sent in a reign that ended waits for the log's answer as long as begin_reign was told.
  Verdict wait_durable(Reign reign, Version version, Deadline deadline);

  // How long commits waited for their quorum, those that got it.
  Latency& commit_latency();

  // --- replication -----------------------------------------------------------------------------

  // Opens for reading / refuses readers with `reason`.
  void set_readable(bool readable, std::string reason);

  // From here on transactions may be written in `reign`, until end_reign, and are sent by `outlet`.
  // If what becomes of an entry is not known when the reign ends, its commits wait up to
  // `settle_within` for the log to tell, by one of the settle_ functions.
  // No reign is on now; reigns ascend. Does nothing on a closed database.
  void begin_reign(Reign reign, std::shared_ptr<Outlet> outlet = nullptr,
                   std::chrono::nanoseconds settle_within = {});

  // Ends it: no more writers; versions above durable are taken back; those that were *sent* (in
  // the entry under way) get `sent_fate` (outcome_unknown or leadership_lost), those behind it
  // leadership_lost. Wakes everybody, after it has called `first` with the number of versions taken
  // back. Returns that number; 0, without a call, if no reign is on.
  std::uint64_t end_reign(Refusal sent_fate, std::string reason,
                          const std::function<void(std::uint64_t)>& first = nullptr);

  // The log has the versions of `reign` up to `last`, and they were applied.
  void settle_applied(Reign reign, Version last, Position position);

  // The reign `by` has begun: what earlier ones sent and was not applied by now is lost for certain.
  void settle_lost(Reign by);

  // The log will not tell any more: nobody waits for it.
  void settle_never();

  // Whether something was published and not sent.
  bool unsent() const;

  // Blocks until wake() or `deadline`, or not at all if unsent(). A publication by itself does not
  // wake it, waiting for one does, unless that thread sends it.
  bool wait_unsent(Deadline deadline);
  void wake();

  // As those of PageStore. make_durable wakes those who wait for it, after it has called `first`; apply
  // is for a time without a reign, as are load and replace. One thread at a time.
  bool collect(PageStore::Changes* changes);
  void make_durable(const LogMark& mark, const std::function<void()>& first = nullptr);
  bool apply(std::vector<PagePtr> pages, Version first, Version last, std::uint32_t page_count,
             std::uint64_t checksum_after, const LogMark& mark, std::string* reason);

  // Makes the pages of a snapshot the database, which is empty yet, of version `version`; as that of
  // PageStore. What earlier reigns sent and may be part of it stays unknown for good. `mark`: of
  // the snapshot's begin.
  bool load(std::vector<PagePtr> pages, Version version, std::uint32_t page_count,
            std::uint64_t checksum, const LogMark& mark, std::string* reason);

  // Starts again from an empty page store; views on the old one stay readable in memory.
  void replace();

  // Refuses everything from now on, with `closed`, but for wait_durable where the answer is known.
  // Wakes everybody. A reign that is on can still be ended.
  void close();

  // The page store of now; for the replication thread and for stats.
  std::shared_ptr<PageStore> store() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aurora
