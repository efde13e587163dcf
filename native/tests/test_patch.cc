// Patches: whatever changed in a page, the patch makes the new page of the old one.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "record_samples.h"
#include "records/patch.h"

using namespace aurora;
using namespace aurora::samples;

namespace {

struct Encoded {
  std::size_t size = 0;
  std::vector<std::uint8_t> bytes;
  DecodedPage page() const { return {1, PageChange::patch, bytes.data(), bytes.size()}; }
};

Encoded encode(const PageBytes& base, const PageBytes& page) {
  Encoded encoded;
  encoded.bytes.resize(kMaxPatch);  // exactly: a sanitizer sees a byte too many
  encoded.size = encode_patch(base.data(), page.data(), encoded.bytes.data());
  encoded.bytes.resize(encoded.size == kNoPatch ? 0 : encoded.size);
  return encoded;
}

// Encodes, checks, applies and compares; the size of the patch.
std::size_t round_trip(const PageBytes& base, const PageBytes& page) {
  const Encoded encoded = encode(base, page);
  if (encoded.size == kNoPatch) return kNoPatch;
  REQUIRE(is_patch(encoded.bytes.data(), encoded.bytes.size()));
  PageBytes applied = base;
  apply_patch(encoded.page(), applied.data());
  REQUIRE(applied == page);
  return encoded.size;
}

bool is_patch(std::initializer_list<int> bytes) {
  const std::vector<std::uint8_t> data(bytes.begin(), bytes.end());
  return aurora::is_patch(data.data(), data.size());
}

}  // namespace

TEST_CASE("equal pages make an empty patch") {
  const PageBytes page = random_page(1);
  CHECK(round_trip(page, page) == 0);
}

TEST_CASE("each single byte of a page can change") {
  const PageBytes base = random_page(1);
  for (std::size_t i = 0; i < kPageSize; ++i) {
    PageBytes page = base;
    page[i] ^= 0x10;
    REQUIRE(round_trip(base, page) <= 4);
  }
}

TEST_CASE("pages with nothing in common have no patch") {
  CHECK(round_trip(random_page(1), random_page(2)) == kNoPatch);
}

TEST_CASE("many small changes make a patch only while it is clearly smaller than the page") {
  const PageBytes base = random_page(1);
  std::size_t patches = 0;
  for (std::size_t step = 1; step <= 64; ++step) {
    PageBytes page = base;
    for (std::size_t i = 0; i < kPageSize; i += step) page[i] ^= 1;
    const std::size_t size = round_trip(base, page);
    if (size == kNoPatch) continue;
    CHECK(size <= kMaxPatch);
    ++patches;
  }
  CHECK(patches > 30);
  CHECK(patches < 64);
}

TEST_CASE("a cell pointer inserted into or removed from an array costs bytes, not the array") {
  const PageBytes base = random_page(3);
  PageBytes inserted = base;
  std::copy(base.begin() + 200, base.begin() + 800, inserted.begin() + 202);
  inserted[200] ^= 0x55;
  CHECK(round_trip(base, inserted) < 20);

  PageBytes removed = base;
  std::copy(base.begin() + 202, base.begin() + 802, removed.begin() + 200);
  CHECK(round_trip(base, removed) < 20);
}

TEST_CASE("several cell pointers inserted and removed in one batch still cost bytes only") {
  const PageBytes base = random_page(4);
  std::vector<std::uint8_t> array(base.begin() + 8, base.begin() + 1008);
  for (const int at : {100, 300, 500, 700}) array.insert(array.begin() + at, {0xab, 0xcd});
  array.erase(array.begin() + 900, array.begin() + 902);
  PageBytes page = base;
  std::copy(array.begin(), array.end(), page.begin() + 8);
  CHECK(round_trip(base, page) < 60);
}

TEST_CASE("a moved run is read from the page as it was, not as it is being overwritten") {
  // Two runs that swap places: the second one's source is overwritten by the first.
  const PageBytes base = random_page(5);
  const std::vector<std::uint8_t> patch = {0, 2 * 10 + 1, 19, 0, 2 * 10 + 1, 20};
  REQUIRE(is_patch(patch.data(), patch.size()));
  PageBytes page = base;
  apply_patch({1, PageChange::patch, patch.data(), patch.size()}, page.data());
  CHECK(std::equal(page.begin(), page.begin() + 10, base.begin() + 10));
  CHECK(std::equal(page.begin() + 10, page.begin() + 20, base.begin()));
  CHECK(std::equal(page.begin() + 20, page.end(), base.begin() + 20));
}

TEST_CASE("random edits of every shape come back") {
  std::mt19937 random(20240229);
  const auto below = [&](std::size_t limit) { return random() % limit; };
  std::size_t patches = 0;
  for (int round = 0; round < 20000; ++round) {
    // Few distinct values make accidental equal stretches and false moves likely.
    PageBytes base = random_page(static_cast<std::uint64_t>(round));
    const unsigned values = 1u << below(9);
    for (std::uint8_t& byte : base) byte = static_cast<std::uint8_t>(byte % values);
    PageBytes page = base;
    for (std::size_t edits = below(12); edits > 0; --edits) {
      const std::size_t length = 1 + below(round % 2 == 0 ? 16 : 800);
      const std::size_t at = below(kPageSize - length + 1);
      const std::size_t from = below(kPageSize - length + 1);
      switch (below(4)) {
        case 0:  // new bytes
          for (std::size_t i = 0; i < length; ++i) {
            page[at + i] = static_cast<std::uint8_t>(random());
          }
          break;
        case 1:  // one value
          std::fill_n(page.begin() + at, length, static_cast<std::uint8_t>(below(2)));
          break;
        case 2:  // a copy from anywhere
          std::memmove(&page[at], &page[from], length);
          break;
        default:  // a step forth or back
          if (at >= 2) std::memmove(&page[at - 2 * below(2)], &page[at - 2], length);
      }
    }
    if (round_trip(base, page) != kNoPatch) ++patches;
  }
  CHECK(patches > 15000);
}

TEST_CASE("runs that are cut, empty or leave the page are no patch") {
  CHECK(is_patch({}));
  CHECK(is_patch({0, 2, 7}));
  CHECK(is_patch({5, 2, 7, 0, 4, 1, 2}));
  CHECK(is_patch({0xff, 0x1f, 2, 7}));                            // gap 4095: the last byte
  CHECK_FALSE(is_patch({0}));                                     // no head
  CHECK_FALSE(is_patch({0x80}));                                  // half a number
  CHECK_FALSE(is_patch({0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 2, 7}));  // a number too long
  CHECK_FALSE(is_patch({0, 0}));                                  // no bytes
  CHECK_FALSE(is_patch({0, 1, 0}));                               // no moved bytes
  CHECK_FALSE(is_patch({0, 4, 7}));                               // one byte of two
  CHECK_FALSE(is_patch({0x80, 0x20, 2, 7}));                      // gap 4096
  CHECK_FALSE(is_patch({0xff, 0x1f, 4, 7, 7}));                   // byte 4095 and one more
  CHECK_FALSE(is_patch({0xff, 0xff, 0xff, 0xff, 0x7f, 2, 7}));    // far away
  CHECK_FALSE(is_patch({0, 0xfe, 0xff, 0xff, 0xff, 0x7f, 7}));    // endless
}

TEST_CASE("a moved run may come from any place inside the page and from none outside") {
  CHECK(is_patch({10, 2 * 8 + 1, 20}));                     // shift 10: from byte 0
  CHECK_FALSE(is_patch({10, 2 * 8 + 1, 22}));               // shift 11: from byte -1
  CHECK(is_patch({0, 2 * 8 + 1, 0xef, 0x3f}));              // shift -4088: from byte 4088
  CHECK_FALSE(is_patch({0, 2 * 8 + 1, 0xf1, 0x3f}));        // shift -4089
  CHECK_FALSE(is_patch({0, 2 * 8 + 1}));                    // no shift
  CHECK_FALSE(is_patch({0, 2 * 8 + 1, 0xff, 0xff, 0xff, 0xff, 0x7f}));
}
