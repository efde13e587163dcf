// What changed from one content of a page to the next: runs of bytes, in ascending order.
//
//   gap     varint   unchanged bytes since the end of the run before
//   head    varint   length * 2 + (1 if moved); the length is at least 1
//   then    new:     that many bytes
//           moved:   shift, a zigzag varint: the bytes are those of the old page, `shift` before
//
// Moved runs are there for SQLite's B-tree pages: a cell inserted into one, or removed, shifts the
// array of 2-byte cell pointers behind it, often hundreds of bytes, which say nothing new.
#pragma once

#include <cstddef>
#include <cstdint>

#include "records/record.h"

namespace aurora {

// A longer patch is not worth it: a full page compresses better than many small runs.
inline constexpr std::size_t kMaxPatch = kPageSize * 3 / 4;

inline constexpr std::size_t kNoPatch = ~std::size_t{0};

// Writes the patch that makes `page` of `base`, at most kMaxPatch bytes, and returns its size (0 if
// they are equal), or kNoPatch if it would be longer.
std::size_t encode_patch(const std::uint8_t* base, const std::uint8_t* page, std::uint8_t* out);

// Whether these bytes are a patch: complete runs that stay inside a page.
bool is_patch(const std::uint8_t* data, std::size_t size);

}  // namespace aurora
