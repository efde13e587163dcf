// From entries to changed pages; batch_encoder.cc describes the body. Trusts nothing.
#include <zstd.h>

#include <memory>
#include <new>

#include "records/buffer.h"
#include "records/patch.h"
#include "records/record.h"
#include "records/wire.h"

namespace aurora {
namespace {

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

struct BatchDecoder::Impl {
  Impl() : context(ZSTD_createDCtx()) {
    if (context == nullptr) throw std::bad_alloc();
  }

  // Fills the body with exactly `size` bytes; a reason if it cannot.
  std::string unpack(std::string_view stored, std::size_t size, bool zstd) {
    body.clear();
    std::uint8_t* const out = body.room(size);
    if (zstd) {
      const std::size_t got =
          ZSTD_decompressDCtx(context.get(), out, size, stored.data(), stored.size());
      if (ZSTD_isError(got)) return std::string("cannot decompress: ") + ZSTD_getErrorName(got);
      if (got != size) {
        return "decompresses to " + std::to_string(got) + " bytes, its header says " +
               std::to_string(size);
      }
    } else if (size != 0) {
      std::memcpy(out, stored.data(), size);
    }
    body.grow(size);
    return {};
  }

  // Splits the body into changes; a reason if one is not valid.
  std::string split(const RecordHeader& header) {
    const std::uint8_t* at = body.data();
    const std::uint8_t* const end = at + body.size();
    std::uint64_t number = 0;
    while (at != end) {
      const auto where = [&, offset = at - body.data()] {
        return " at byte " + std::to_string(offset) + " of the body";
      };
      std::uint64_t head = 0;
      if (!wire::get_varint(&at, end, &head)) return "broken number" + where();
      if (head < 4) return "page numbers do not ascend" + where();
      number += head / 4;
      if (number > header.page_count) {
        return "page " + std::to_string(number) + " of " + std::to_string(header.page_count) +
               where();
      }
      DecodedPage page;
      page.number = static_cast<PageNumber>(number);
      page.change = static_cast<PageChange>(head % 4);
      if (header.kind == RecordKind::snapshot_chunk && page.change != PageChange::full) {
        return "page " + std::to_string(number) + " of a snapshot is not there in full" + where();
      }
      std::uint64_t size = 0;
      switch (page.change) {
        case PageChange::full:
          size = kPageSize;
          break;
        case PageChange::patch:
          if (!wire::get_varint(&at, end, &size)) return "broken number" + where();
          break;
        case PageChange::absent:
          break;
        default:
          return "unknown change of page " + std::to_string(number) + where();
      }
      if (size > static_cast<std::uint64_t>(end - at)) {
        return "page " + std::to_string(number) + " passes the end" + where();
      }
      page.data = at;
      page.size = static_cast<std::size_t>(size);
      at += size;
      if (page.change == PageChange::patch && !is_patch(page.data, page.size)) {
        return "broken patch of page " + std::to_string(number) + where();
      }
      pages.push_back(page);
    }
    return {};
  }

  const std::unique_ptr<ZSTD_DCtx, FreeContext> context;
  Buffer body;
  std::vector<DecodedPage> pages;
};

BatchDecoder::BatchDecoder() : impl_(new Impl) {}
BatchDecoder::~BatchDecoder() { delete impl_; }

const std::vector<DecodedPage>& BatchDecoder::pages() const { return impl_->pages; }

DecodeError BatchDecoder::decode(std::string_view entry, const RecordHeader& header) {
  impl_->pages.clear();
  if (!holds_pages(header.kind)) {
    return wire::corrupt("a record of this kind holds no pages");
  }
  if (entry.size() < wire::kSmallestEntry) return wire::corrupt("entry is cut short");
  const wire::WireHeader in = wire::header_of(entry);
  const std::string_view stored = wire::stored_body(entry);
  const bool zstd = (in.flags & wire::kBodyIsZstd) != 0;
  if (in.body_size > wire::kMaxBody || (!zstd && in.body_size != stored.size())) {
    return wire::corrupt("size of the body is wrong");
  }

  std::string wrong = impl_->unpack(stored, in.body_size, zstd);
  if (wrong.empty()) wrong = impl_->split(header);
  if (wrong.empty()) return {};
  impl_->pages.clear();
  return wire::corrupt("entry of " + std::to_string(entry.size()) + " bytes: " + wrong);
}

}  // namespace aurora
