// See overlay.h.
#include "sqlite/overlay.h"

#include <algorithm>
#include <cstring>

namespace aurora {

namespace {
// An index that a large transaction has blown up is thrown away: clearing it costs its size.
constexpr std::size_t kLargeIndex = 4096;
}  // namespace

void Overlay::begin(std::uint32_t page_count) {
  clear();
  base_count_ = page_count_ = kept_ = page_count;
}

const std::uint8_t* Overlay::find(PageNumber number) const {
  const auto found = index_.find(number);
  return found == index_.end() ? nullptr : pages_[found->second]->bytes;
}

void Overlay::write(PageNumber number, const std::uint8_t* bytes) {
  const auto [place, added] = index_.try_emplace(number, pages_.size());
  if (added) {
    try {
      pages_.emplace_back(Page::create(number));
    } catch (...) {
      index_.erase(place);
      throw;
    }
  }
  std::memcpy(pages_[place->second]->bytes, bytes, kPageSize);
  page_count_ = std::max(page_count_, number);
}

void Overlay::truncate(std::uint32_t page_count) {
  page_count_ = page_count;
  kept_ = std::min(kept_, page_count);
  const auto cut = std::remove_if(pages_.begin(), pages_.end(), [page_count](const PagePtr& page) {
    return page->number > page_count;
  });
  if (cut == pages_.end()) return;
  pages_.erase(cut, pages_.end());
  index_.clear();
  for (std::size_t i = 0; i < pages_.size(); ++i) index_[pages_[i]->number] = i;
}

bool Overlay::changed() const {
  return !pages_.empty() || page_count_ != base_count_ || kept_ != base_count_;
}

std::vector<PagePtr> Overlay::take() {
  std::vector<PagePtr> taken = std::move(pages_);
  clear();
  return taken;
}

void Overlay::clear() {
  pages_.clear();
  if (index_.bucket_count() > kLargeIndex) {
    index_ = {};
  } else {
    index_.clear();
  }
}

}  // namespace aurora
