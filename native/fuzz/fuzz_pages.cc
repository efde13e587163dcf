// The body of a batch, and of a chunk of a snapshot; not compressed, which would hide its structure
// from the fuzzer.
#include <string_view>

#include "fuzz/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aurora;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  for (const RecordKind kind : {RecordKind::batch, RecordKind::snapshot_chunk}) {
    RecordHeader header;
    header.kind = kind;
    header.page_count = 1000;
    fuzz::decode(wire::seal(header, 0, body.size(), body));
  }
  return 0;
}
