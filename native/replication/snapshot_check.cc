#include "replication/snapshot_check.h"

#include <list>
#include <string>

#include "log/entry_stream.h"

namespace aurora {
namespace {

Outcome wrong(Status status, Position position, const std::string& reason) {
  return {status, position, "position " + std::to_string(position) + ": " + reason, false};
}

// The entries of a snapshot, one after the other.
class Checker {
 public:
  Checker(Position position, SnapshotCheck* check) : position_(position), check_(*check) {}

  // ok: go on; end: it is complete, as it should be.
  Outcome take(const Entry& entry) {
    RecordHeader header;
    const DecodeError error = decode_header(entry.data, &header);
    const bool first = check_.snapshot.position == 0;
    if (first && (entry.position != position_ || (error.status == DecodeStatus::ok &&
                                                  header.kind != RecordKind::snapshot_begin))) {
      return wrong(Status::missing, position_, "no snapshot begins here");
    }
    if (error.status != DecodeStatus::ok) {
      const bool too_new = error.status == DecodeStatus::too_new;
      return wrong(too_new ? Status::too_new : Status::corrupt, entry.position, error.reason);
    }
    switch (header.kind) {
      case RecordKind::snapshot_begin:
        if (!first) return wrong(Status::end, entry.position, "another snapshot begins");
        check_.snapshot = snapshot_of(entry.position, header);
        return {};
      case RecordKind::snapshot_chunk:
        return take_chunk(entry, header);
      case RecordKind::snapshot_end:
        return finish(entry, header);
      default:
        return {};
    }
  }

  PageNumber last_page() const { return last_page_; }

 private:
  Outcome take_chunk(const Entry& entry, const RecordHeader& header) {
    if (header.part != check_.chunks || header.page_count != check_.snapshot.page_count) {
      return wrong(Status::corrupt, entry.position,
                   "chunk " + std::to_string(header.part) + " where chunk " +
                       std::to_string(check_.chunks) + " was due");
    }
    const DecodeError error = decoder_.decode(entry.data, header);
    if (error.status != DecodeStatus::ok) {
      return wrong(Status::corrupt, entry.position, error.reason);
    }
    for (const DecodedPage& page : decoder_.pages()) {
      if (page.number <= last_page_) {
        return wrong(Status::corrupt, entry.position,
                     "page " + std::to_string(page.number) + " for the second time");
      }
      checksum_ ^= page_hash(page.number, page.data);
      last_page_ = page.number;
      ++check_.pages;
    }
    ++check_.chunks;
    check_.bytes += entry.data.size();
    return {};
  }

  Outcome finish(const Entry& entry, const RecordHeader& header) {
    if (header.part != check_.chunks) {
      return wrong(Status::corrupt, entry.position,
                   "the end of " + std::to_string(header.part) + " chunks after " +
                       std::to_string(check_.chunks));
    }
    if (checksum_ != check_.snapshot.checksum) {
      return wrong(Status::corrupt, check_.snapshot.position,
                   "the snapshot's pages do not have the checksum that its begin says");
    }
    check_.snapshot.end = entry.position;
    return Outcome::of(Status::end, {});
  }

  const Position position_;
  SnapshotCheck& check_;
  BatchDecoder decoder_;
  PageNumber last_page_ = 0;
  std::uint64_t checksum_ = 0;
};

}  // namespace

Outcome check_snapshot(ReplicatedLog& log, Position position, Deadline deadline,
                       SnapshotCheck* check, const std::function<void(PageNumber)>& progress) {
  *check = {};
  const Outcome ending = log.ending(deadline);
  if (!ending.ok()) return ending;
  if (position == 0 || position > ending.position) {
    return wrong(Status::missing, position, "no snapshot begins here");
  }
  EntryStream::Options options;
  options.from = position;
  options.to = ending.position;
  EntryStream stream(log, options);
  Checker checker(position, check);
  for (;;) {
    std::list<Entry> entries;
    Outcome outcome = stream.next(&entries, deadline);
    for (const Entry& entry : entries) {
      Outcome taken = checker.take(entry);
      if (check->snapshot.end != 0) return Outcome::at(position);
      if (!taken.ok()) return taken;
    }
    progress(checker.last_page());
    if (outcome.status == Status::end) {
      if (check->snapshot.position == 0) {
        return wrong(Status::missing, position, "no snapshot begins here");
      }
      return wrong(Status::end, position, "the snapshot has no end yet");
    }
    if (!outcome.ok()) return outcome;
  }
}

}  // namespace aurora
