// Test double of the Mesos replicated log, with a switch for every fault the real one shows.
// For tests alone; no user option leads here.
//
// A MemoryEnsemble is the agreed log plus the promise; each MemoryLog on it is one replica with its
// own writer and its own view of what it has learned. It keeps the real log's rules: one elected
// writer, an append after "none" answers "none" until elect(), positions taken by no-ops (position
// 0, and each election fills the position of an unsettled append with the value or a no-op), reads
// that fail with truncated/missing/pending, and a hole at the end of a range that goes unnoticed.
#pragma once

#include <memory>
#include <string>

#include "log/replicated_log.h"

namespace aurora {

class MemoryEnsemble;
std::shared_ptr<MemoryEnsemble> make_memory_ensemble();

class MemoryLog : public ReplicatedLog {
 public:
  explicit MemoryLog(std::shared_ptr<MemoryEnsemble> ensemble);
  ~MemoryLog() override;

  // Fires after `countdown` more appends of this replica as elected writer, `times` times (-1: for
  // ever). All armed faults count every append, whichever of them decides it. Arming a fault again
  // replaces it; `times` 0 disarms it.
  //   lost-promise                 append answers none; the entry is not in the log
  //   lost-promise-but-in-log      append answers none; the next election keeps the entry
  //   append-fails-but-is-in-log   no answer (waits for the deadline); the next election keeps it
  //   append-fails-and-is-not      no answer (waits for the deadline); the next election fills in a
  //                                no-op
  //   no-quorum                    elect, append and truncate (it counts them all) wait for their
  //                                deadline; nothing is written
  //   disk-full                    append fails, unsent; the writer is not elected any more
  //   slow                         append takes `amount` milliseconds; no answer if the deadline is
  //                                earlier: the next election keeps the entry
  //   competing-writer             another writer is elected and appends a foreign entry just
  //                                before; append answers none
  //   corrupt-entry                the entry is written with byte `amount` (modulo size) flipped
  //   hole                         this replica does not hear of its peers' entries, and
  //   unlearned                    it hears of them, but not that they are agreed: both count the
  //                                peers' entries instead of its own appends, and end with
  //                                catchup() (which, like the real one, leaves the log's last
  //                                position as it is) or elect()
  // Returns false for an unknown name.
  bool arm(const std::string& name, int countdown, int times, std::uint64_t amount);
  void clear_faults();

  Outcome elect(Deadline deadline) override;
  Outcome append(const std::string& data, Deadline deadline) override;
  Outcome truncate(Position to, Deadline deadline) override;
  Outcome beginning(Deadline deadline) override;
  Outcome ending(Deadline deadline) override;
  Outcome read(Position from, Position to, std::list<Entry>* entries, Deadline deadline) override;
  Outcome catchup(Deadline deadline) override;
  void close() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aurora
