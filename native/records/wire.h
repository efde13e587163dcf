// The bytes of an entry, as docs/log-format.md describes them:
//
//   WireHeader (80 bytes) | body, as stored | checksum (8 bytes): XXH3-64 of all before it
//
// What stays in every format version, so that any release can tell a newer entry from a damaged
// one: the magic, the format number behind it, and the checksum in the last eight bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "records/record.h"

namespace aurora::wire {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "entries are read in place");

inline constexpr std::uint8_t kMagic[4] = {0x89, 'A', 'S', 'L'};
inline constexpr std::uint16_t kFormat = 1;
inline constexpr std::uint8_t kLastKind = static_cast<std::uint8_t>(RecordKind::snapshot_end);

inline constexpr std::uint8_t kBodyIsZstd = 0x01;
inline constexpr std::uint8_t kKnownFlags = kBodyIsZstd;

struct WireHeader {
  std::uint8_t magic[4];
  std::uint16_t format;
  std::uint8_t kind;
  std::uint8_t flags;
  std::uint64_t epoch;
  std::uint64_t first_version;
  std::uint64_t last_version;
  std::uint64_t checksum_before;
  std::uint64_t checksum_after;
  std::uint64_t time_us;
  std::uint64_t snapshot;
  std::uint32_t page_count;
  std::uint32_t part;
  std::uint32_t transactions;
  std::uint32_t body_size;  // decompressed
};
static_assert(sizeof(WireHeader) == 80, "no padding, no surprises");
static_assert(offsetof(WireHeader, epoch) == 8 && offsetof(WireHeader, time_us) == 48 &&
              offsetof(WireHeader, page_count) == 64 && offsetof(WireHeader, body_size) == 76);

inline constexpr std::size_t kHeaderSize = sizeof(WireHeader);
inline constexpr std::size_t kChecksumSize = sizeof(std::uint64_t);
inline constexpr std::size_t kSmallestEntry = kHeaderSize + kChecksumSize;

// What a decoder accepts before it allocates, and what an encoder stays below.
inline constexpr std::size_t kMaxBody = std::size_t{64} << 20;
inline constexpr std::size_t kEncodedBody = std::size_t{16} << 20;

std::uint64_t checksum(const void* data, std::size_t size);

// A whole entry around a body. `body_size` is its size before compression.
std::string seal(const RecordHeader& header, std::uint8_t flags, std::size_t body_size,
                 std::string_view stored);

// The part of an entry between header and checksum. The entry has at least kSmallestEntry bytes.
inline std::string_view stored_body(std::string_view entry) {
  return entry.substr(kHeaderSize, entry.size() - kSmallestEntry);
}
inline WireHeader header_of(std::string_view entry) {
  WireHeader header;
  std::memcpy(&header, entry.data(), sizeof header);
  return header;
}

inline DecodeError corrupt(std::string reason) {
  return {DecodeStatus::corrupt, std::move(reason)};
}

// --- numbers of variable length: seven bits a byte, lowest first, the top bit says "goes on" -----

inline constexpr std::size_t kMaxVarint = 5;  // what the encoder writes never needs more

inline std::uint8_t* put_varint(std::uint8_t* out, std::uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<std::uint8_t>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<std::uint8_t>(value);
  return out;
}

// Moves `*at` behind the number. False, if it does not end before `end` or within kMaxVarint bytes.
inline bool get_varint(const std::uint8_t** at, const std::uint8_t* end, std::uint64_t* value) {
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < kMaxVarint && *at != end; ++i) {
    const std::uint8_t byte = *(*at)++;
    result |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      *value = result;
      return true;
    }
  }
  return false;
}

}  // namespace aurora::wire
