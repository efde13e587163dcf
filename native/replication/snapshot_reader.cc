#include "replication/snapshot_reader.h"

#include <string>
#include <utility>

namespace aurora {
namespace {

DecodeError corrupt(std::string reason) { return {DecodeStatus::corrupt, std::move(reason)}; }

}  // namespace

Snapshot snapshot_of(Position position, const RecordHeader& begin) {
  Snapshot snapshot;
  snapshot.position = position;
  snapshot.epoch = begin.epoch;
  snapshot.version = begin.last_version;
  snapshot.page_count = begin.page_count;
  snapshot.checksum = begin.checksum_after;
  snapshot.time_us = begin.time_us;
  return snapshot;
}

DecodeError SnapshotReader::take(const Entry& entry) {
  RecordHeader header;
  DecodeError error = decode_header(entry.data, &header);
  const bool begun = snapshot_.position != 0;
  // What lies before the begin is nobody's business any more.
  if (error.status != DecodeStatus::ok) return begun ? error : DecodeError{};
  if (header.kind == RecordKind::snapshot_begin) return take_begin(entry, header);
  if (!begun || complete()) return {};
  if (header.kind == RecordKind::snapshot_chunk) return take_chunk(entry, header);
  if (header.kind == RecordKind::snapshot_end) return take_end(entry, header);
  return {};
}

DecodeError SnapshotReader::take_begin(const Entry& entry, const RecordHeader& header) {
  DecodeError error = decode_snapshot_begin(entry.data, &leader_, &leader_position_);
  if (error.status != DecodeStatus::ok) return error;
  snapshot_ = snapshot_of(entry.position, header);
  last_page_ = 0;
  chunks_ = 0;
  bytes_ = 0;
  begin();
  return {};
}

DecodeError SnapshotReader::take_chunk(const Entry& entry, const RecordHeader& header) {
  if (header.part != chunks_ || header.page_count != snapshot_.page_count) {
    return corrupt("chunk " + std::to_string(header.part) + " of a snapshot of " +
                   std::to_string(header.page_count) + " pages where chunk " +
                   std::to_string(chunks_) + " of " + std::to_string(snapshot_.page_count) +
                   " pages was due");
  }
  DecodeError error = decoder_.decode(entry.data, header);
  if (error.status != DecodeStatus::ok) return error;
  for (const DecodedPage& page : decoder_.pages()) {
    if (page.number <= last_page_) {
      return corrupt("page " + std::to_string(page.number) + " of a snapshot after page " +
                     std::to_string(last_page_));
    }
    take_page(page);
    last_page_ = page.number;
  }
  ++chunks_;
  bytes_ += entry.data.size();
  return {};
}

DecodeError SnapshotReader::take_end(const Entry& entry, const RecordHeader& header) {
  if (header.part != chunks_) {
    return corrupt("a snapshot's end after " + std::to_string(chunks_) + " chunks instead of " +
                   std::to_string(header.part));
  }
  DecodeError error = finish();
  if (error.status == DecodeStatus::ok) {
    snapshot_.end = entry.position;
  } else {
    error.reason = "the snapshot that begins at " + std::to_string(snapshot_.position) +
                   " is not what it should be: " + error.reason;
  }
  return error;
}

}  // namespace aurora
