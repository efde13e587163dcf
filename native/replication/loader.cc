#include "replication/loader.h"

#include <cstring>
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

Loader::Loader(Database& database) : database_(database) {}

DecodeError Loader::take(const Entry& entry) {
  RecordHeader header;
  DecodeError error = decode_header(entry.data, &header);
  const bool begun = snapshot_.position != 0;
  // What lies before the begin is nobody's business any more.
  if (error.status != DecodeStatus::ok) return begun ? error : DecodeError{};
  if (header.kind == RecordKind::snapshot_begin) return begin(entry, header);
  if (!begun || loaded_) return {};
  if (header.kind == RecordKind::snapshot_chunk) return take_chunk(entry, header);
  if (header.kind == RecordKind::snapshot_end) return finish(entry, header);
  return {};
}

DecodeError Loader::begin(const Entry& entry, const RecordHeader& header) {
  DecodeError error = decode_snapshot_begin(entry.data, &leader_, &leader_position_);
  if (error.status != DecodeStatus::ok) return error;
  snapshot_ = snapshot_of(entry.position, header);
  pages_.clear();
  last_page_ = 0;
  chunks_ = 0;
  return {};
}

DecodeError Loader::take_chunk(const Entry& entry, const RecordHeader& header) {
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
    pages_.emplace_back(Page::create(page.number));
    std::memcpy(pages_.back()->bytes, page.data, kPageSize);
    last_page_ = page.number;
  }
  ++chunks_;
  return {};
}

DecodeError Loader::finish(const Entry& entry, const RecordHeader& header) {
  if (header.part != chunks_) {
    return corrupt("a snapshot's end after " + std::to_string(chunks_) + " chunks instead of " +
                   std::to_string(header.part));
  }
  std::string reason;
  if (!database_.load(std::exchange(pages_, {}), snapshot_.version, snapshot_.page_count,
                      snapshot_.checksum,
                      {snapshot_.position, snapshot_.time_us, snapshot_.epoch}, &reason)) {
    return corrupt("the snapshot that begins at " + std::to_string(snapshot_.position) +
                   " is not what it should be: " + reason);
  }
  snapshot_.end = entry.position;
  loaded_ = true;
  return {};
}

}  // namespace aurora
