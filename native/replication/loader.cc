#include "replication/loader.h"

#include <cstring>
#include <string>
#include <utility>

namespace aurora {

void Loader::take_page(const DecodedPage& page) {
  pages_.emplace_back(Page::create(page.number));
  std::memcpy(pages_.back()->bytes, page.data, kPageSize);
}

DecodeError Loader::finish() {
  std::string reason;
  const Snapshot& its = snapshot();
  if (database_.load(std::exchange(pages_, {}), its.version, its.page_count, its.checksum,
                     {its.position, its.time_us, its.epoch}, &reason)) {
    return {};
  }
  return {DecodeStatus::corrupt, std::move(reason)};
}

}  // namespace aurora
