// An entry of any kind, as it is and with a checksum that fits. The golden files of the log format
// are seeds.
#include "fuzz/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aurora::fuzz;
  // A copy of its own size, so that a byte read past the end is seen.
  const std::string entry(reinterpret_cast<const char*>(data), size);
  decode(entry);
  decode(resealed(entry));
  return 0;
}
