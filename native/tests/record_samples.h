// Pages and records that the tests of the record format share; the golden files hold the same.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "records/record.h"
#include "records/wire.h"

namespace aurora::samples {

using PageBytes = std::array<std::uint8_t, kPageSize>;

// Byte i of page n: (n * 7 + i * i / 16) modulo 256. Any language can say it.
inline PageBytes formula_page(PageNumber number) {
  PageBytes page;
  for (std::size_t i = 0; i < kPageSize; ++i) {
    page[i] = static_cast<std::uint8_t>(number * 7 + i * i / 16);
  }
  return page;
}

inline PageBytes random_page(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  PageBytes page;
  for (std::size_t i = 0; i < kPageSize; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(page.data() + i, &word, sizeof word);
  }
  return page;
}

inline RecordHeader header(std::uint32_t page_count = 100) {
  RecordHeader header;
  header.epoch = 7;
  header.first_version = 1001;
  header.last_version = 1003;
  header.page_count = page_count;
  header.checksum_before = 0x1122334455667788;
  header.checksum_after = 0x99aabbccddeeff00;
  header.time_us = 1700000000123456;
  header.snapshot = 4711;
  header.transactions = 3;
  return header;
}

// Of a record without pages: written on one version.
inline RecordHeader header_on_one_version() {
  RecordHeader one = header();
  one.first_version = one.last_version;
  one.checksum_before = one.checksum_after;
  one.transactions = 0;
  return one;
}

inline LeaderInfo leader_info() {
  return {"scheduler-1.example.com", "aurora-store 0.1.0", "0f8e2c5a", "schema-42"};
}

inline std::string leader_entry() { return encode_leader(header_on_one_version(), leader_info()); }
inline std::string heartbeat_entry() { return encode_heartbeat(header_on_one_version()); }

inline std::string snapshot_begin_entry() {
  return encode_snapshot_begin(header_on_one_version(), leader_info(), 4720);
}

// Pages 2 and 5, as the third chunk.
inline std::string snapshot_chunk_entry() {
  BatchEncoder encoder(1 << 20);
  RecordHeader chunk = header_on_one_version();
  chunk.part = 2;
  encoder.begin(chunk);
  encoder.add(2, nullptr, formula_page(2).data());
  encoder.add(5, nullptr, formula_page(5).data());
  return encoder.finish_chunk(chunk);
}

inline std::string snapshot_end_entry() {
  RecordHeader end = header_on_one_version();
  end.part = 3;
  return encode_snapshot_end(end);
}

// A small batch of patches, too small for zstd. Page 1 has its bytes 24 to 27 overwritten, and
// page 9 a cell pointer inserted in front of bytes 40 to 199, which move on by two.
inline PageBytes page_1_after() {
  PageBytes page = formula_page(1);
  std::memcpy(page.data() + 24, "\x01\x02\x03\x04", 4);
  return page;
}
inline PageBytes page_9_after() {
  PageBytes page = formula_page(9);
  std::memmove(page.data() + 42, page.data() + 40, 160);
  std::memcpy(page.data() + 40, "\xf0\x0d", 2);
  return page;
}
inline std::string patches_entry() {
  BatchEncoder encoder(1 << 20);
  encoder.begin(header());
  encoder.add(1, formula_page(1).data(), page_1_after().data());
  encoder.add(9, formula_page(9).data(), page_9_after().data());
  return encoder.finish();
}

// A batch in two entries: pages 2, 3 are new in the first one; in the second, page 5 is new, 6 is
// absent, and 9 as above.
inline std::vector<std::string> two_entries() {
  BatchEncoder encoder(1 << 20);
  encoder.begin(header());
  encoder.add(2, nullptr, formula_page(2).data());
  encoder.add(3, nullptr, formula_page(3).data());
  std::string part = encoder.take_part();
  encoder.add(5, nullptr, formula_page(5).data());
  encoder.add(6, formula_page(6).data(), nullptr);
  encoder.add(9, formula_page(9).data(), page_9_after().data());
  return {std::move(part), encoder.finish()};
}

// The entry with its checksum made to fit again, after a test changed it.
inline std::string resealed(std::string entry) {
  const std::size_t covered = entry.size() - wire::kChecksumSize;
  const std::uint64_t sum = wire::checksum(entry.data(), covered);
  std::memcpy(&entry[covered], &sum, sizeof sum);
  return entry;
}

// The entry with a field of its header replaced, and a checksum that fits.
template <typename Value>
std::string with_field(std::string entry, Value wire::WireHeader::* field, Value value) {
  wire::WireHeader changed = wire::header_of(entry);
  changed.*field = value;
  std::memcpy(&entry[0], &changed, sizeof changed);
  return resealed(std::move(entry));
}

}  // namespace aurora::samples
