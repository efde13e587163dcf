// From changed pages to entries. A body is a sequence of changes, in ascending order of number:
//
//   head     varint   (number - number of the change before, or 0) * 4 + PageChange
//   then     full: 4096 bytes; patch: size (varint), the patch (patch.h); absent: nothing
#include <zstd.h>

#include <cstring>
#include <memory>
#include <new>

#include "records/buffer.h"
#include "records/patch.h"
#include "records/record.h"
#include "records/wire.h"

namespace aurora {
namespace {

constexpr int kZstdLevel = 1;

// More than one change takes in a body, with room for what zstd needs around it: the most that one
// more add() can cost.
constexpr std::size_t kMaxChange = kPageSize + 32;

// Smaller bodies are stored as they are: in them zstd finds next to nothing, in half the time that
// all the rest takes.
constexpr std::size_t kSmallBody = 256;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

}  // namespace

struct BatchEncoder::Impl {
  explicit Impl(std::size_t limit) : entry_limit(limit), context(ZSTD_createCCtx()) {
    if (context == nullptr) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kZstdLevel);
  }

  void begin_entry() {
    previous = 0;
    body.clear();
    fed = 0;
    compressed.clear();
    ZSTD_CCtx_reset(context.get(), ZSTD_reset_session_only);
  }

  // Compresses what was added since the last time. The room is always enough, so zstd is done in
  // one call, and has no other way to fail.
  void compress(ZSTD_EndDirective mode) {
    ZSTD_inBuffer in = {body.data() + fed, body.size() - fed, 0};
    const std::size_t bound = ZSTD_compressBound(in.size) + kMaxChange;
    ZSTD_outBuffer out = {compressed.room(bound), bound, 0};
    const std::size_t left = ZSTD_compressStream2(context.get(), &out, &in, mode);
    if (left != 0) throw std::bad_alloc();
    compressed.grow(out.pos);
    fed = body.size();
  }

  // Whether one more change might pass the limits.
  bool is_full() {
    if (body.size() + kMaxChange > wire::kEncodedBody) return true;
    if (size_at_most() + kMaxChange <= entry_limit) return false;
    compress(ZSTD_e_flush);
    return size_at_most() + kMaxChange > entry_limit;
  }
  std::size_t size_at_most() const {
    return wire::kSmallestEntry + compressed.size() + (body.size() - fed);
  }

  std::string seal_entry(const RecordHeader& sealed) {
    const auto view = [](const Buffer& buffer) {
      return std::string_view(reinterpret_cast<const char*>(buffer.data()), buffer.size());
    };
    bool zstd = false;
    if (body.size() >= kSmallBody) {
      compress(ZSTD_e_end);
      zstd = compressed.size() < body.size();
    }
    return wire::seal(sealed, zstd ? wire::kBodyIsZstd : 0, body.size(),
                      view(zstd ? compressed : body));
  }

  const std::size_t entry_limit;
  const std::unique_ptr<ZSTD_CCtx, FreeContext> context;
  RecordHeader header;
  std::uint32_t parts = 0;

  // Of the entry being built:
  PageNumber previous = 0;  // of the last change
  Buffer body;
  std::size_t fed = 0;      // how much of the body the compressor has been given
  Buffer compressed;
};

BatchEncoder::BatchEncoder(std::size_t entry_limit) : impl_(new Impl(entry_limit)) {}
BatchEncoder::~BatchEncoder() { delete impl_; }

void BatchEncoder::begin(const RecordHeader& header) {
  impl_->header = header;
  impl_->parts = 0;
  impl_->begin_entry();
}

bool BatchEncoder::add(PageNumber number, const std::uint8_t* base, const std::uint8_t* page) {
  // Pages past the end are absent by that alone.
  if (number > impl_->header.page_count) return false;

  std::uint8_t patch[kMaxPatch];
  const std::size_t patch_size =
      base != nullptr && page != nullptr ? encode_patch(base, page, patch) : kNoPatch;
  if (patch_size == 0) return false;

  std::uint8_t* const start = impl_->body.room(kMaxChange);
  std::uint8_t* out = start;
  const auto put_head = [&](PageChange change) {
    out = wire::put_varint(out, (std::uint64_t{number} - impl_->previous) * 4 +
                                    static_cast<std::uint64_t>(change));
  };
  if (page == nullptr) {
    put_head(PageChange::absent);
  } else if (patch_size != kNoPatch) {
    put_head(PageChange::patch);
    out = wire::put_varint(out, patch_size);
    std::memcpy(out, patch, patch_size);
    out += patch_size;
  } else {
    put_head(PageChange::full);
    std::memcpy(out, page, kPageSize);
    out += kPageSize;
  }
  impl_->previous = number;
  impl_->body.grow(static_cast<std::size_t>(out - start));
  return impl_->is_full();
}

std::string BatchEncoder::take_part() {
  RecordHeader part = impl_->header;
  part.kind = RecordKind::batch_part;
  part.part = impl_->parts++;
  part.checksum_after = part.checksum_before;
  part.transactions = 0;
  std::string entry = impl_->seal_entry(part);
  impl_->begin_entry();
  return entry;
}

std::string BatchEncoder::finish() {
  RecordHeader batch = impl_->header;
  batch.kind = RecordKind::batch;
  batch.part = impl_->parts;
  return impl_->seal_entry(batch);
}

std::string BatchEncoder::finish_chunk(const RecordHeader& header) {
  RecordHeader chunk = header;
  chunk.kind = RecordKind::snapshot_chunk;
  chunk.transactions = 0;
  return impl_->seal_entry(chunk);
}

}  // namespace aurora
