#include "records/patch.h"

#include <algorithm>
#include <cstring>

#include "records/wire.h"

namespace aurora {
namespace {

// Fewer equal bytes than this between two runs cost less than the head of another run.
constexpr std::size_t kJoin = 4;

// Shortest moved run: shorter ones save nothing over new bytes.
constexpr std::size_t kMinMove = 8;

// SQLite's cell pointers are 2 bytes, so every cell inserted or removed adds one such step.
constexpr int kStep = 2;

std::uint64_t load(const std::uint8_t* bytes) {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// How many of the first `limit` bytes are equal.
std::size_t equal_bytes(const std::uint8_t* a, const std::uint8_t* b, std::size_t limit) {
  std::size_t at = 0;
  for (; at + 8 <= limit; at += 8) {
    const std::uint64_t difference = load(a + at) ^ load(b + at);
    if (difference != 0) return at + static_cast<std::size_t>(__builtin_ctzll(difference)) / 8;
  }
  while (at < limit && a[at] == b[at]) ++at;
  return at;
}

std::uint64_t zigzag(int value) {
  return value >= 0 ? static_cast<std::uint64_t>(value) * 2
                    : static_cast<std::uint64_t>(-(value + 1)) * 2 + 1;
}
std::int64_t unzigzag(std::uint64_t value) {
  const auto half = static_cast<std::int64_t>(value >> 1);
  return (value & 1) != 0 ? -half - 1 : half;
}

// A run as it stands in a patch. `source`: where in the old page a moved run comes from.
struct Run {
  std::size_t begin = 0;
  std::size_t length = 0;
  bool moved = false;
  std::size_t source = 0;
  const std::uint8_t* bytes = nullptr;  // of a run that is not moved
};

// Walks over the runs of a patch; stops in front of the first one that is not valid.
class Runs {
 public:
  Runs(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}

  bool complete() const { return valid_ && at_ == end_; }

  bool next(Run* run) {
    if (at_ == end_) return false;
    valid_ = read(run);
    return valid_;
  }

 private:
  bool read(Run* run) {
    std::uint64_t gap = 0;
    std::uint64_t head = 0;
    if (!wire::get_varint(&at_, end_, &gap) || !wire::get_varint(&at_, end_, &head)) return false;
    const std::uint64_t length = head >> 1;
    if (length == 0 || gap > kPageSize - position_ || length > kPageSize - position_ - gap) {
      return false;
    }
    run->begin = position_ + gap;
    run->length = length;
    run->moved = (head & 1) != 0;
    position_ = run->begin + run->length;
    return run->moved ? read_source(run) : read_bytes(run);
  }

  bool read_source(Run* run) {
    std::uint64_t encoded = 0;
    if (!wire::get_varint(&at_, end_, &encoded)) return false;
    const std::int64_t source = static_cast<std::int64_t>(run->begin) - unzigzag(encoded);
    const auto last = static_cast<std::int64_t>(kPageSize - run->length);
    if (source < 0 || source > last) return false;
    run->source = static_cast<std::size_t>(source);
    return true;
  }

  bool read_bytes(Run* run) {
    if (run->length > static_cast<std::size_t>(end_ - at_)) return false;
    run->bytes = at_;
    at_ += run->length;
    return true;
  }

  const std::uint8_t* at_;
  const std::uint8_t* const end_;
  std::size_t position_ = 0;
  bool valid_ = true;
};

// One comparison of two pages.
class Diff {
 public:
  Diff(const std::uint8_t* base, const std::uint8_t* page, std::uint8_t* out)
      : base_(base), page_(page), start_(out), out_(out) {}

  std::size_t encode() {
    for (;;) {
      at_ += equal_bytes(base_ + at_, page_ + at_, kPageSize - at_);
      if (at_ == kPageSize) return static_cast<std::size_t>(out_ - start_);
      const std::size_t moved = find_move(at_);
      if (!(moved != 0 ? put_moved(moved) : put_new(length_of_new()))) return kNoPatch;
    }
  }

 private:
  // Length of the longest moved run at `at`, or 0; sets shift_. The shifts tried are one step
  // around the last one: behind the second of two inserted cells it is twice as large.
  std::size_t find_move(std::size_t at) {
    if (kPageSize - at < kMinMove) return 0;
    const std::uint64_t wanted = load(page_ + at);
    std::size_t longest = 0;
    int longest_shift = 0;
    for (const int shift : {shift_, shift_ + kStep, shift_ - kStep}) {
      const std::ptrdiff_t source = static_cast<std::ptrdiff_t>(at) - shift;
      if (source < 0 || source > static_cast<std::ptrdiff_t>(kPageSize - kMinMove)) continue;
      if (load(base_ + source) != wanted) continue;
      const std::size_t from = static_cast<std::size_t>(source);
      const std::size_t length =
          equal_bytes(base_ + from, page_ + at, kPageSize - std::max(at, from));
      if (length > longest) {
        longest = length;
        longest_shift = shift;
      }
    }
    if (longest != 0) shift_ = longest_shift;
    return longest;
  }

  // From a byte that differs up to the last one that does before a longer stretch of equal bytes,
  // or before a moved run.
  std::size_t length_of_new() {
    std::size_t end = at_ + 1;
    for (std::size_t i = end; i < kPageSize && i - end < kJoin; ++i) {
      if (base_[i] == page_[i]) continue;
      const int shift = shift_;
      if (find_move(i) != 0) {
        shift_ = shift;  // it is found again, as the next run
        break;
      }
      end = i + 1;
    }
    return end - at_;
  }

  bool has_room(std::size_t bytes) const {
    return static_cast<std::size_t>(out_ - start_) + 3 * wire::kMaxVarint + bytes <= kMaxPatch;
  }

  void put_head(std::size_t length, bool moved) {
    out_ = wire::put_varint(out_, at_ - end_of_last_);
    out_ = wire::put_varint(out_, length * 2 + (moved ? 1 : 0));
    at_ += length;
    end_of_last_ = at_;
  }

  bool put_moved(std::size_t length) {
    if (!has_room(0)) return false;
    put_head(length, true);
    out_ = wire::put_varint(out_, zigzag(shift_));
    return true;
  }

  bool put_new(std::size_t length) {
    if (!has_room(length)) return false;
    const std::uint8_t* const bytes = page_ + at_;
    put_head(length, false);
    std::memcpy(out_, bytes, length);
    out_ += length;
    return true;
  }

  const std::uint8_t* const base_;
  const std::uint8_t* const page_;
  std::uint8_t* const start_;
  std::uint8_t* out_;
  std::size_t at_ = 0;           // everything before it is dealt with
  std::size_t end_of_last_ = 0;  // of the last run written
  int shift_ = 0;                // of the last moved run
};

}  // namespace

std::size_t encode_patch(const std::uint8_t* base, const std::uint8_t* page, std::uint8_t* out) {
  return Diff(base, page, out).encode();
}

bool is_patch(const std::uint8_t* data, std::size_t size) {
  Runs runs(data, size);
  for (Run run; runs.next(&run);) {
  }
  return runs.complete();
}

void apply_patch(const DecodedPage& patch, std::uint8_t* page) {
  // Moved runs speak of the page as it was, and the runs before them overwrite it.
  std::uint8_t old[kPageSize];
  std::memcpy(old, page, kPageSize);
  Runs runs(patch.data, patch.size);
  for (Run run; runs.next(&run);) {
    std::memcpy(page + run.begin, run.moved ? old + run.source : run.bytes, run.length);
  }
}

}  // namespace aurora
