#include "pages/image.h"

#include <algorithm>
#include <cstring>

namespace aurora {

Verdict DurableImage::open(Database& database, std::unique_ptr<DurableImage>* image) {
  Database::View view;
  Verdict verdict = database.open_view(PageStore::At::durable, &view);
  if (!verdict.ok()) return verdict;
  try {
    image->reset(new DurableImage(view));
  } catch (...) {
    database.close_view(&view);
    throw;
  }
  return verdict;
}

DurableImage::~DurableImage() { view_.store->unpin(view_.pin); }

DurableImage::Info DurableImage::info() const {
  const Pin& pin = *view_.pin;
  return {pin.mark, pin.version, pin.page_count, pin.checksum};
}

std::size_t DurableImage::read(PageNumber first, std::size_t count, std::uint8_t* buffer) const {
  const Pin& pin = *view_.pin;
  if (first == 0 || first > pin.page_count) return 0;
  count = std::min<std::size_t>(count, pin.page_count - first + std::size_t{1});
  for (std::size_t i = 0; i < count; ++i, buffer += kPageSize) {
    const PageNumber number = first + static_cast<PageNumber>(i);
    if (const std::uint8_t* bytes = view_.store->find(pin, number)) {
      std::memcpy(buffer, bytes, kPageSize);
    } else {
      std::memset(buffer, 0, kPageSize);
    }
  }
  return count;
}

bool DurableImage::is_absent(PageNumber number) const {
  return view_.store->find(*view_.pin, number) == nullptr;
}

}  // namespace aurora
