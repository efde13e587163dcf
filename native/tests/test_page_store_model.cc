// PageStore at random, against a model made of maps: after every step the images, the checksums and
// the number of pages in memory are what the model says, here and on a standby.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <list>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "page_fixtures.h"
#include "pages/page_store.h"

using namespace aurora;
using At = PageStore::At;

namespace {

bool checksum_holds(PageStore& store) {
  const Held pin(store, At::durable);
  return store.recompute_checksum(*pin) == store.stats().checksum;
}

// The same rules, said with maps. Each page's history: version -> stamp, 0 for absent.
struct Model {
  struct HeldPin {
    Pin* pin;
    Image image;
    Version floor;
    std::uint64_t serial;
  };
  std::map<PageNumber, std::map<Version, Stamp>> pages;
  std::map<Version, std::uint32_t> sizes{{0, 0}};
  Version durable = 0, sent = 0, latest = 0;
  std::list<HeldPin> pins;
  std::uint64_t serial = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> taken_back;  // pages, serial at the rewind

  Image image(Version version) const {
    Image result;
    for (const auto& [number, history] : pages) {
      auto after = history.upper_bound(version);
      if (after == history.begin() || number > sizes.at(version)) continue;
      if (const Stamp stamp = std::prev(after)->second) result[number] = stamp;
    }
    return result;
  }

  void publish(const Image& written, std::uint32_t page_count, std::uint32_t kept) {
    const Image before = image(latest);
    ++latest;
    sizes[latest] = page_count;
    for (const auto& [number, stamp] : before) {
      if (number > std::min(kept, page_count)) pages[number][latest] = 0;
    }
    for (const auto& [number, stamp] : written) {
      if (number <= page_count) pages[number][latest] = stamp;
    }
  }

  void rewind() {
    std::uint64_t with_bytes = 0;
    for (auto& [number, history] : pages) {
      for (auto i = history.upper_bound(durable); i != history.end(); i = history.erase(i)) {
        with_bytes += i->second != 0;
      }
    }
    taken_back.emplace_back(with_bytes, serial);
    sizes.erase(sizes.upper_bound(durable), sizes.end());
    sent = latest = durable;
  }

  std::uint64_t pages_held() const {
    Version floor = durable;
    std::uint64_t oldest = serial + 1;
    for (const HeldPin& held : pins) {
      floor = std::min(floor, held.floor);
      oldest = std::min(oldest, held.serial);
    }
    std::uint64_t count = 0;
    for (const auto& [number, history] : pages) {
      auto from = history.upper_bound(floor);
      if (from != history.begin()) --from;
      for (; from != history.end(); ++from) count += from->second != 0;
    }
    for (const auto& [with_bytes, last] : taken_back) count += oldest <= last ? with_bytes : 0;
    return count;
  }
};

class Walk {
 public:
  explicit Walk(unsigned seed) : random_(seed) {}

  ~Walk() {
    while (!model_.pins.empty()) unpin();
  }

  void step() {
    switch (below(10)) {
      case 0: case 1: case 2: case 3: return publish();
      case 4: case 5: return pin();
      case 6: case 7: return unpin();
      case 8: return below(8) == 0 ? rewind() : collect();
      default: return collect();
    }
  }

  void check() {
    CHECK(store_.stats().pages_held == model_.pages_held());
    CHECK(store_.stats().latest == model_.latest);
    CHECK(store_.stats().durable == model_.durable);
    CHECK(latest_image(store_) == model_.image(model_.latest));
    CHECK(durable_image(store_) == model_.image(model_.durable));
    CHECK(durable_image(standby_) == model_.image(model_.durable));
    CHECK(standby_.stats().checksum == store_.stats().checksum);
    CHECK(standby_.stats().pages_held == model_.image(model_.durable).size());
    CHECK(checksum_holds(store_));
    CHECK(checksum_holds(standby_));
    for (const Model::HeldPin& held : model_.pins) {
      const Image image = image_of(store_, *held.pin);
      if (!held.pin->doomed) CHECK(image == held.image);
    }
  }

 private:
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }

  void publish() {
    Image written;
    const std::uint32_t before = model_.sizes.at(model_.latest);
    std::uint32_t page_count = before;
    if (below(3) == 0) page_count = below(24);
    std::uint32_t kept = std::min(before, page_count);
    if (below(4) == 0) kept = below(kept + 1);
    for (unsigned i = below(6); i > 0; --i) written[1 + below(26)] = ++stamp_;
    std::vector<PagePtr> pages = pages_of(written);
    std::shuffle(pages.begin(), pages.end(), random_);
    model_.publish(written, page_count, kept);
    CHECK(store_.publish(std::move(pages), page_count, kept) == model_.latest);
  }

  void pin() {
    const bool latest = below(3) == 0;
    Pin* pin = store_.pin(latest ? At::latest : At::durable);
    CHECK(pin->version == (latest ? model_.latest : model_.durable));
    model_.pins.push_back({pin, model_.image(pin->version), model_.durable, ++model_.serial});
  }

  void unpin() {
    if (model_.pins.empty()) return;
    const auto which = std::next(model_.pins.begin(), below(static_cast<unsigned>(
                                                          model_.pins.size())));
    store_.unpin(which->pin);
    model_.pins.erase(which);
  }

  void collect() {
    PageStore::Changes changes;
    CHECK(store_.collect(&changes) == (model_.sent != model_.latest));
    if (model_.sent == model_.latest) return;
    const Image before = model_.image(model_.sent);
    const Image after = model_.image(model_.latest);
    for (const PageStore::Change& change : changes.pages) {
      CHECK((change.before ? stamp_of(change.before->bytes) : 0) == at(before, change.number));
      CHECK((change.after ? stamp_of(change.after->bytes) : 0) == at(after, change.number));
      CHECK((change.before || change.after));
    }
    model_.sent = model_.latest;
    if (below(6) == 0) return rewind();
    if (below(2) == 0) publish();  // while the entry is under way
    store_.make_durable();
    model_.durable = model_.sent;
    std::string reason;
    CHECK(standby_.apply(batch_of(changes), changes.first, changes.last, changes.page_count,
                         changes.checksum_after, {}, &reason));
  }

  void rewind() {
    CHECK(store_.rewind() == model_.latest - model_.durable);
    for (const Model::HeldPin& held : model_.pins) {
      if (held.pin->version > model_.durable) CHECK(held.pin->doomed);
    }
    model_.rewind();
  }

  static Stamp at(const Image& image, PageNumber number) {
    const auto found = image.find(number);
    return found == image.end() ? 0 : found->second;
  }

  std::mt19937 random_;
  PageStore store_, standby_;
  Model model_;
  Stamp stamp_ = 0;
};

}  // namespace

TEST_CASE("at random, store and standby are what a model of maps says, and hold no page more") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Walk walk(seed);
    for (int i = 0; i < 300; ++i) {
      CAPTURE(i);
      walk.step();
      walk.check();
    }
  }
}
