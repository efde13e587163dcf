// What the fuzzers of entries have in common.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "records/record.h"
#include "records/wire.h"

namespace aurora::fuzz {

inline void require(bool condition) {
  if (!condition) std::abort();
}

// The entry with a checksum that fits, so that what lies behind it is reached.
inline std::string resealed(std::string entry) {
  if (entry.size() < wire::kSmallestEntry) return entry;
  const std::size_t covered = entry.size() - wire::kChecksumSize;
  const std::uint64_t sum = wire::checksum(entry.data(), covered);
  std::memcpy(&entry[covered], &sum, sizeof sum);
  return entry;
}

// Reads every byte that was handed out, and holds the promises of BatchDecoder.
inline void decode(const std::string& entry) {
  RecordHeader header;
  const DecodeError error = decode_header(entry, &header);
  require((error.status == DecodeStatus::ok) == error.reason.empty());
  LeaderInfo info;
  decode_leader(entry, &info);
  std::uint64_t leader_position = 0;
  decode_snapshot_begin(entry, &info, &leader_position);
  if (error.status != DecodeStatus::ok) return;

  std::string moved = entry;
  relocate(&moved, header.snapshot);
  require(moved == entry);
  relocate(&moved, ~header.snapshot);
  RecordHeader header_moved;
  require(decode_header(moved, &header_moved).status == DecodeStatus::ok);
  require(header_moved.snapshot == ~header.snapshot);

  static BatchDecoder decoder;  // reused, as a standby does
  if (decoder.decode(entry, header).status != DecodeStatus::ok) {
    require(decoder.pages().empty());
    return;
  }
  PageNumber previous = 0;
  std::vector<std::uint8_t> page(kPageSize, 0x5a);
  for (const DecodedPage& change : decoder.pages()) {
    require(change.number > previous && change.number <= header.page_count);
    previous = change.number;
    require(header.kind != RecordKind::snapshot_chunk || change.change == PageChange::full);
    if (change.change == PageChange::patch) {
      apply_patch(change, page.data());
    } else if (change.change == PageChange::full) {
      require(change.size == kPageSize);
      std::memcpy(page.data(), change.data, kPageSize);
    }
  }
}

}  // namespace aurora::fuzz
