#include "replication/snapshot_check.h"

#include <list>
#include <string>

#include "log/entry_stream.h"
#include "pages/page_store.h"

namespace aurora {
namespace {

Outcome wrong(Status status, Position position, const std::string& reason) {
  return {status, position, "position " + std::to_string(position) + ": " + reason, false};
}
Outcome wrong(Position position, const DecodeError& error) {
  const bool too_new = error.status == DecodeStatus::too_new;
  return wrong(too_new ? Status::too_new : Status::corrupt, position, error.reason);
}
Outcome none_at(Position position) {
  return wrong(Status::missing, position, "no snapshot begins here");
}

Outcome take(const Entry& entry, Position position, SnapshotCheck* check) {
  const bool began = check->snapshot().position == position;
  const DecodeError error = check->take(entry);
  if (error.status != DecodeStatus::ok) return wrong(entry.position, error);
  const Position begun = check->snapshot().position;
  if (begun == position) return {};
  if (entry.position == position) {  // no begin, or none that can be read
    RecordHeader header;
    const DecodeError unreadable = decode_header(entry.data, &header);
    if (unreadable.status != DecodeStatus::ok) return wrong(position, unreadable);
  }
  return began ? wrong(Status::end, entry.position, "another snapshot begins") : none_at(position);
}

}  // namespace

void SnapshotCheck::take_page(const DecodedPage& page) {
  checksum_ ^= page_hash(page.number, page.data);
  ++pages_;
}

DecodeError SnapshotCheck::finish() {
  if (checksum_ == snapshot().checksum) return {};
  return {DecodeStatus::corrupt, "its pages do not have the checksum that its begin says"};
}

Outcome check_snapshot(ReplicatedLog& log, Position position, Deadline deadline,
                       SnapshotCheck* check, const std::function<void()>& progress) {
  const Outcome ending = log.ending(deadline);
  if (!ending.ok()) return ending;
  if (position == 0 || position > ending.position) return none_at(position);
  EntryStream::Options options;
  options.from = position;
  options.to = ending.position;
  EntryStream stream(log, options);
  for (;;) {
    std::list<Entry> entries;
    const Outcome outcome = stream.next(&entries, deadline);
    for (const Entry& entry : entries) {
      const Outcome taken = take(entry, position, check);
      if (!taken.ok()) return taken;
      if (check->complete()) return Outcome::at(position);
    }
    progress();
    if (outcome.status == Status::end) {
      if (check->snapshot().position == 0) return none_at(position);
      return wrong(Status::end, position, "the snapshot has no end yet");
    }
    if (!outcome.ok()) return outcome;
  }
}

}  // namespace aurora
