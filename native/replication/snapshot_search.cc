#include "replication/snapshot_search.h"

#include <algorithm>
#include <list>

#include "records/record.h"

namespace aurora {

Outcome find_start(ReplicatedLog& log, Position below, Deadline deadline, LogStart* start) {
  *start = {};
  const Outcome beginning = log.beginning(deadline);
  if (!beginning.ok()) return beginning;
  const Outcome ending = log.ending(deadline);
  if (!ending.ok()) return ending;
  start->beginning = beginning.position;
  start->ending = ending.position;

  // One by one: the last positions may hold no entry, or may not be known yet.
  for (Position next = std::min(ending.position + 1, below); next > beginning.position;) {
    --next;
    std::list<Entry> entries;
    const Outcome read = log.read(next, next, &entries, deadline);
    if (read.status == Status::truncated) break;
    if (read.status == Status::no_answer || read.status == Status::closed) return read;
    RecordHeader header;
    if (!read.ok() || entries.empty() ||
        decode_header(entries.front().data, &header).status != DecodeStatus::ok) {
      continue;
    }
    // An entry that names one at or behind itself is damaged: to be read, and refused.
    if (header.snapshot >= beginning.position && header.snapshot < next) {
      start->snapshot = header.snapshot;
    }
    break;
  }
  return Outcome::at(start->snapshot);
}

}  // namespace aurora
