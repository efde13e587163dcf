// A patch as it is; and edits of a page, which must come back as they were encoded.
#include <algorithm>

#include "fuzz/decode.h"
#include "records/patch.h"

namespace {

using namespace aurora;
using fuzz::require;

void apply(const std::vector<std::uint8_t>& patch) {
  if (!is_patch(patch.data(), patch.size())) return;
  std::vector<std::uint8_t> page(kPageSize, 0x5a);
  apply_patch({1, PageChange::patch, patch.data(), patch.size()}, page.data());
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of its own size, so that a byte read past the end is seen.
  apply(std::vector<std::uint8_t>(data, data + size));
  round_trip(data, size);
  return 0;
}
