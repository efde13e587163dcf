// Reads a snapshot out of the entries of a log: from its begin to its end, past whatever was
// committed meanwhile. What becomes of its pages is the business of who derives from it: they are
// loaded (loader.h) or checked only (snapshot_check.h).
#pragma once

#include "log/replicated_log.h"
#include "records/record.h"

namespace aurora {

// A snapshot in the log, as its begin says.
struct Snapshot {
  Position position = 0;  // of its begin; 0: none
  Position end = 0;       // 0: not complete, or not known
  std::uint64_t epoch = 0;
  Version version = 0;
  std::uint32_t page_count = 0;
  std::uint64_t checksum = 0;
  std::uint64_t time_us = 0;
};
Snapshot snapshot_of(Position position, const RecordHeader& begin);

class SnapshotReader {
 public:
  virtual ~SnapshotReader() = default;

  // The next entry; the first one may be before a snapshot's begin. A begin before the end of another
  // snapshot starts anew. Not ok: that snapshot cannot be read; this reader has done its work.
  DecodeError take(const Entry& entry);

  // The end was read, and everything is as it should be.
  bool complete() const { return snapshot_.end != 0; }

  // What is being read, and how far its pages have come.
  const Snapshot& snapshot() const { return snapshot_; }
  PageNumber last_page() const { return last_page_; }
  std::uint32_t chunks() const { return chunks_; }
  std::uint64_t bytes() const { return bytes_; }  // of the chunks in the log

  // Who led when the snapshot began, and the position of that LEADER entry.
  const LeaderInfo& leader() const { return leader_; }
  Position leader_position() const { return leader_position_; }

 protected:
  virtual void begin() = 0;  // forgets the pages of another one
  virtual void take_page(const DecodedPage& page) = 0;
  virtual DecodeError finish() = 0;

 private:
  DecodeError take_begin(const Entry& entry, const RecordHeader& header);
  DecodeError take_chunk(const Entry& entry, const RecordHeader& header);
  DecodeError take_end(const Entry& entry, const RecordHeader& header);

  BatchDecoder decoder_;
  Snapshot snapshot_;
  LeaderInfo leader_;
  Position leader_position_ = 0;
  PageNumber last_page_ = 0;
  std::uint32_t chunks_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace aurora
