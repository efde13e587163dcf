// Pages that carry a stamp in every word, and what tests read back from a PageStore.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <map>
#include <utility>
#include <vector>

#include "pages/page_store.h"

namespace aurora {

using Stamp = std::uint64_t;
using Image = std::map<PageNumber, Stamp>;  // the pages that are not absent

inline constexpr Stamp kTorn = ~Stamp{0};   // the words of a page differ

inline PagePtr stamped(PageNumber number, Stamp stamp) {
  PagePtr page(Page::create(number));
  for (std::size_t i = 0; i < kPageSize; i += sizeof stamp) {
    std::memcpy(page->bytes + i, &stamp, sizeof stamp);
  }
  return page;
}

inline PagePtr absent(PageNumber number) { return PagePtr(Page::create_absent(number)); }

inline std::vector<PagePtr> pages_of(const Image& image) {
  std::vector<PagePtr> pages;
  for (const auto& [number, stamp] : image) pages.push_back(stamped(number, stamp));
  return pages;
}

inline Stamp stamp_of(const std::uint8_t* bytes) {
  Stamp first;
  std::memcpy(&first, bytes, sizeof first);
  return std::memcmp(bytes, bytes + sizeof first, kPageSize - sizeof first) == 0 ? first : kTorn;
}

inline Image image_of(const PageStore& store, const Pin& pin) {
  Image image;
  for (PageNumber number = 1; number <= pin.page_count; ++number) {
    if (const std::uint8_t* bytes = store.find(pin, number)) image[number] = stamp_of(bytes);
  }
  return image;
}

// A pin for the length of a scope.
class Held {
 public:
  Held(PageStore& store, PageStore::At at) : store_(store), pin_(store.pin(at)) {}
  ~Held() { release(); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  void release() {
    if (pin_) store_.unpin(std::exchange(pin_, nullptr));
  }
  Pin* operator->() const { return pin_; }
  const Pin& operator*() const { return *pin_; }
  Image image() const { return image_of(store_, *pin_); }

 private:
  PageStore& store_;
  Pin* pin_;
};

inline Image durable_image(PageStore& store) {
  return Held(store, PageStore::At::durable).image();
}
inline Image latest_image(PageStore& store) { return Held(store, PageStore::At::latest).image(); }

// What a standby makes of collected changes.
inline std::vector<PagePtr> batch_of(const PageStore::Changes& changes) {
  std::vector<PagePtr> pages;
  for (const PageStore::Change& change : changes.pages) {
    if (!change.after) {
      pages.push_back(absent(change.number));
      continue;
    }
    pages.emplace_back(Page::create(change.number));
    std::memcpy(pages.back()->bytes, change.after->bytes, kPageSize);
  }
  return pages;
}

}  // namespace aurora
