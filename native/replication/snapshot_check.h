// Reads a snapshot back from a log and recomputes its checksum: the proof that a replica could start
// from it, before the log in front of it is given up. Holds one window of the log, no pages.
#pragma once

#include <functional>

#include "log/replicated_log.h"
#include "replication/snapshot_reader.h"

namespace aurora {

class SnapshotCheck final : public SnapshotReader {
 public:
  std::uint64_t pages() const { return pages_; }  // that are not absent

 private:
  void begin() override { checksum_ = pages_ = 0; }
  void take_page(const DecodedPage& page) override;
  DecodeError finish() override;

  std::uint64_t pages_ = 0;
  std::uint64_t checksum_ = 0;
};

// `position`: of its begin; `check` is a new one. ok, or: missing: no snapshot begins there; end: it
// has no end; corrupt, with the position, and why; too_new; or what the log answered. `progress` is
// called now and then.
Outcome check_snapshot(ReplicatedLog& log, Position position, Deadline deadline,
                       SnapshotCheck* check, const std::function<void()>& progress);

}  // namespace aurora
