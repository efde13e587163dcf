// Fuzzes everything that reads an entry. The first byte of an input chooses how the rest is used:
//   0  an entry, as it is
//   1  an entry whose checksum is made to fit, so that what lies behind it is reached
//   2  the body of a batch, stored as it is (zstd would hide the structure from the fuzzer)
//   3  edits of a page: what is encoded must come back
//   4  the body of a chunk of a snapshot
//   5  a patch, as it is
// Seeds: the golden files of the log format with a byte 0 or 1 in front.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "records/patch.h"
#include "records/record.h"
#include "records/wire.h"

namespace {

using namespace aurora;

void require(bool condition) {
  if (!condition) std::abort();
}

// Reads every byte that was handed out, and holds the promises of BatchDecoder.
void decode(const std::string& entry) {
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

void decode_with_checksum(std::string entry) {
  if (entry.size() >= wire::kSmallestEntry) {
    const std::size_t covered = entry.size() - wire::kChecksumSize;
    const std::uint64_t sum = wire::checksum(entry.data(), covered);
    std::memcpy(&entry[covered], &sum, sizeof sum);
  }
  decode(entry);
}

void decode_body(RecordKind kind, std::string_view body) {
  RecordHeader header;
  header.kind = kind;
  header.page_count = 1000;
  decode(wire::seal(header, 0, body.size(), body));
}

void round_trip(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> base(kPageSize);
  for (std::size_t i = 0; i < kPageSize; ++i) {
    base[i] = static_cast<std::uint8_t>(i * 31 ^ i >> 5);
  }
  std::vector<std::uint8_t> page = base;
  // Edits of six bytes: a copy of `length` bytes from `from` to `to`, or one value there.
  for (; size >= 6; data += 6, size -= 6) {
    const std::size_t to = (data[0] | data[1] << 8) % kPageSize;
    const std::size_t from = (data[2] | data[3] << 8) % kPageSize;
    const std::size_t length = 1 + data[4] * (1 + data[5] % 8) % (kPageSize - std::max(to, from));
    if (data[5] >= 128) {
      std::memset(&page[to], data[2], length);
    } else {
      std::memmove(&page[to], &page[from], length);
    }
  }

  static BatchEncoder encoder(1 << 20);
  RecordHeader header;
  header.page_count = 3;
  encoder.begin(header);
  encoder.add(1, base.data(), page.data());
  encoder.add(3, nullptr, page.data());
  const std::string entry = encoder.finish();

  static BatchDecoder decoder;
  require(decode_header(entry, &header).status == DecodeStatus::ok);
  require(decoder.decode(entry, header).status == DecodeStatus::ok);
  std::vector<std::uint8_t> applied = base;
  for (const DecodedPage& change : decoder.pages()) {
    if (change.change == PageChange::patch) {
      apply_patch(change, applied.data());
    } else {
      std::memcpy(applied.data(), change.data, kPageSize);
    }
    require(applied == page);
  }
  require(decoder.pages().size() == (page == base ? 1 : 2));
}

void apply(const std::uint8_t* data, std::size_t size) {
  if (!is_patch(data, size)) return;
  std::vector<std::uint8_t> page(kPageSize, 0x5a);
  apply_patch({1, PageChange::patch, data, size}, page.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint8_t mode = data[0] % 6;
  // A copy of its own size, so that a byte read past the end is seen.
  const std::vector<std::uint8_t> rest(data + 1, data + size);
  const std::string text(rest.begin(), rest.end());
  switch (mode) {
    case 0: decode(text); break;
    case 1: decode_with_checksum(text); break;
    case 2: decode_body(RecordKind::batch, text); break;
    case 3: round_trip(rest.data(), rest.size()); break;
    case 4: decode_body(RecordKind::snapshot_chunk, text); break;
    default: apply(rest.data(), rest.size());
  }
  return 0;
}
