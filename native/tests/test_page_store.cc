// PageStore in one thread: versions, pins, what is freed when, changes, rewind, apply.
// test_page_store_model.cc does all of it at random, test_pages_stress.cc with many threads.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "page_fixtures.h"
#include "pages/page_store.h"

using namespace aurora;
using At = PageStore::At;

namespace {

void settle(PageStore& store) {
  PageStore::Changes changes;
  REQUIRE(store.collect(&changes));
  store.make_durable();
}

void publish_durable(PageStore& store, const Image& image, std::uint32_t page_count) {
  store.publish(pages_of(image), page_count, page_count);
  settle(store);
}

bool checksum_holds(PageStore& store) {
  const Held pin(store, At::durable);
  return store.recompute_checksum(*pin) == store.stats().checksum;
}

}  // namespace

TEST_CASE("a new store is version 0, empty, and readable") {
  PageStore store;
  const Held pin(store, At::durable);
  CHECK(pin->version == 0);
  CHECK(pin->page_count == 0);
  CHECK(store.find(*pin, 1) == nullptr);
  CHECK(store.stats().checksum == 0);
  PageStore::Changes changes;
  CHECK_FALSE(store.collect(&changes));
  CHECK(store.rewind() == 0);
}

TEST_CASE("readers see a version only once it is durable, the writer at once") {
  PageStore store;
  CHECK(store.publish(pages_of({{1, 10}, {2, 20}}), 2, 2) == 1);
  CHECK(durable_image(store).empty());
  CHECK(latest_image(store) == Image{{1, 10}, {2, 20}});
  settle(store);
  CHECK(durable_image(store) == Image{{1, 10}, {2, 20}});
  CHECK(store.stats().page_count == 2);
}

TEST_CASE("what was published after a collect is not durable with it") {
  PageStore store;
  store.publish(pages_of({{1, 10}}), 1, 1);
  PageStore::Changes changes;
  REQUIRE(store.collect(&changes));
  store.publish(pages_of({{1, 11}}), 1, 1);
  store.make_durable();
  CHECK(durable_image(store) == Image{{1, 10}});
  CHECK(store.stats().latest == 2);
  CHECK(store.stats().durable == 1);
}

TEST_CASE("a pin keeps its version whatever comes after, and nothing is kept without one") {
  PageStore store;
  publish_durable(store, {{1, 10}, {2, 20}, {3, 30}}, 3);
  Held old(store, At::durable);
  publish_durable(store, {{1, 11}, {2, 21}}, 3);
  Held middle(store, At::durable);
  publish_durable(store, {{1, 12}}, 3);
  CHECK(old.image() == Image{{1, 10}, {2, 20}, {3, 30}});
  CHECK(middle.image() == Image{{1, 11}, {2, 21}, {3, 30}});
  CHECK(store.stats().pages_held == 6);
  CHECK(store.stats().pins == 2);
  CHECK(store.stats().oldest_pin == 1);

  SUBCASE("the oldest pin goes first: what only it could see is freed") {
    old.release();
    CHECK(store.stats().pages_held == 4);
    CHECK(middle.image() == Image{{1, 11}, {2, 21}, {3, 30}});
    middle.release();
    CHECK(store.stats().pages_held == 3);
  }
  SUBCASE("a newer pin goes first: the oldest still keeps everything above it") {
    middle.release();
    CHECK(store.stats().pages_held == 6);
    CHECK(old.image() == Image{{1, 10}, {2, 20}, {3, 30}});
    old.release();
    CHECK(store.stats().pages_held == 3);
  }
  CHECK(durable_image(store) == Image{{1, 12}, {2, 21}, {3, 30}});
}

TEST_CASE("versions that are not durable are all kept, those below are not") {
  PageStore store;
  publish_durable(store, {{1, 10}}, 1);
  store.publish(pages_of({{1, 11}}), 1, 1);
  store.publish(pages_of({{1, 12}}), 1, 1);
  CHECK(store.stats().pages_held == 3);
  settle(store);
  CHECK(store.stats().pages_held == 1);
}

TEST_CASE("pages past the end of the database are neither kept nor found") {
  PageStore store;
  store.publish(pages_of({{1, 10}, {2, 20}, {9, 90}}), 2, 2);
  settle(store);
  CHECK(store.stats().pages_held == 2);
  publish_durable(store, {}, 12);
  CHECK(durable_image(store) == Image{{1, 10}, {2, 20}});
  CHECK(checksum_holds(store));
}

TEST_CASE("numbers far apart are found, and the pages never written between them are absent") {
  PageStore store;
  publish_durable(store, {{1, 1}, {262144, 2}, {262146, 3}, {5000000, 4}}, 5000000);
  const Held pin(store, At::durable);
  CHECK(store.find(*pin, 262145) == nullptr);
  CHECK(stamp_of(store.find(*pin, 262146)) == 3);
  CHECK(stamp_of(store.find(*pin, 5000000)) == 4);
  CHECK(store.find(*pin, 0xffffffff) == nullptr);
  CHECK(store.recompute_checksum(*pin) == store.stats().checksum);
}

TEST_CASE("a database that shrinks and grows again does not show its old pages") {
  PageStore store;
  publish_durable(store, {{1, 10}, {2, 20}, {3, 30}, {4, 40}}, 4);
  const Held old(store, At::durable);
  Image expected;
  SUBCASE("in two transactions") {
    publish_durable(store, {}, 2);
    CHECK(durable_image(store) == Image{{1, 10}, {2, 20}});
    CHECK(checksum_holds(store));
    publish_durable(store, {{4, 41}}, 4);
    expected = {{1, 10}, {2, 20}, {4, 41}};
  }
  SUBCASE("in one transaction, cut to `kept` on the way") {
    store.publish(pages_of({{2, 21}, {4, 41}}), 4, 1);
    settle(store);
    expected = {{1, 10}, {2, 21}, {4, 41}};
  }
  SUBCASE("to nothing") {
    store.publish({}, 4, 0);
    settle(store);
    expected = {};
  }
  CHECK(durable_image(store) == expected);
  CHECK(old.image() == Image{{1, 10}, {2, 20}, {3, 30}, {4, 40}});
  CHECK(checksum_holds(store));
}

TEST_CASE("changes name each page once, in order, with what it was and what it is") {
  PageStore store;
  publish_durable(store, {{1, 10}, {2, 20}, {3, 30}}, 3);
  const std::uint64_t before = store.stats().checksum;
  store.publish(pages_of({{3, 31}, {1, 11}}), 3, 3);
  store.publish(pages_of({{4, 40}, {1, 12}}), 4, 4);
  PageStore::Changes changes;
  REQUIRE(store.collect(&changes));
  CHECK(changes.first == 2);
  CHECK(changes.last == 3);
  CHECK(changes.page_count == 4);
  CHECK(changes.checksum_before == before);
  REQUIRE(changes.pages.size() == 3);
  CHECK(changes.pages[0].number == 1);
  CHECK(stamp_of(changes.pages[0].before->bytes) == 10);
  CHECK(stamp_of(changes.pages[0].after->bytes) == 12);
  CHECK(changes.pages[1].number == 3);
  CHECK(stamp_of(changes.pages[1].before->bytes) == 30);
  CHECK(stamp_of(changes.pages[1].after->bytes) == 31);
  CHECK(changes.pages[2].number == 4);
  CHECK(changes.pages[2].before == nullptr);
  CHECK(stamp_of(changes.pages[2].after->bytes) == 40);
  store.make_durable();
  CHECK(store.stats().checksum == changes.checksum_after);
  CHECK_FALSE(store.collect(&changes));
}

TEST_CASE("changes list as absent what was there and was lost, and nothing else") {
  PageStore store;
  publish_durable(store, {{1, 10}, {2, 20}, {3, 30}, {5, 50}}, 5);
  store.publish({}, 1, 1);
  store.publish(pages_of({{3, 31}}), 4, 4);  // 2 stays lost; 4 never was; 5 is past the end
  PageStore::Changes changes;
  REQUIRE(store.collect(&changes));
  REQUIRE(changes.pages.size() == 2);
  CHECK(changes.pages[0].number == 2);
  CHECK(stamp_of(changes.pages[0].before->bytes) == 20);
  CHECK(changes.pages[0].after == nullptr);
  CHECK(changes.pages[1].number == 3);
  CHECK(stamp_of(changes.pages[1].after->bytes) == 31);
}

TEST_CASE("a page that came and went between two collects is not a change") {
  PageStore store;
  publish_durable(store, {{1, 10}}, 1);
  store.publish(pages_of({{2, 20}}), 2, 2);
  store.publish({}, 3, 1);
  PageStore::Changes changes;
  REQUIRE(store.collect(&changes));
  CHECK(changes.pages.empty());
  CHECK(changes.last == 3);
  CHECK(changes.checksum_before == changes.checksum_after);
}

TEST_CASE("rewind takes back what is not durable, sent or not") {
  PageStore store;
  publish_durable(store, {{1, 10}, {2, 20}}, 2);
  const PageStore::Stats before = store.stats();
  store.publish(pages_of({{1, 11}, {3, 31}}), 3, 3);
  PageStore::Changes changes;
  REQUIRE(store.collect(&changes));
  store.publish(pages_of({{1, 12}}), 1, 1);
  CHECK(store.rewind() == 2);
  CHECK(store.stats().latest == 1);
  CHECK(store.stats().sent == 1);
  CHECK(store.stats().pages_held == 2);
  CHECK(latest_image(store) == Image{{1, 10}, {2, 20}});
  CHECK_FALSE(store.collect(&changes));

  // The numbers are used again, for something else.
  CHECK(store.publish(pages_of({{1, 13}}), 2, 2) == 2);
  REQUIRE(store.collect(&changes));
  CHECK(changes.checksum_before == before.checksum);
  store.make_durable();
  CHECK(durable_image(store) == Image{{1, 13}, {2, 20}});
  CHECK(checksum_holds(store));
}

TEST_CASE("rewind dooms the pins on what it takes back, which stay safe to read, and no other") {
  PageStore store;
  publish_durable(store, {{1, 10}, {2, 20}}, 2);
  Held reader(store, At::durable);
  store.publish(pages_of({{1, 11}}), 2, 2);
  Held writer(store, At::latest);
  store.publish(pages_of({{1, 12}, {2, 22}}), 2, 2);
  const std::uint8_t* bytes = store.find(*writer, 1);
  CHECK_FALSE(writer->doomed);
  CHECK(store.rewind() == 2);
  CHECK(writer->doomed);
  CHECK_FALSE(reader->doomed);
  CHECK(stamp_of(bytes) == 11);  // what find() gave is good until unpin()
  CHECK(store.stats().pages_held == 5);

  publish_durable(store, {{1, 13}, {2, 23}}, 2);
  publish_durable(store, {{1, 14}}, 2);
  writer.image();
  CHECK(reader.image() == Image{{1, 10}, {2, 20}});
  const Held later(store, At::durable);
  CHECK_FALSE(later->doomed);

  // A reader older than the rewind may be walking past the pages taken back, doomed or not.
  SUBCASE("freed with the last pin of then: the doomed one") {
    reader.release();
    CHECK(store.stats().pages_held == 8);
    writer.release();
    CHECK(store.stats().pages_held == 2);
  }
  SUBCASE("freed with the last pin of then: the reader") {
    writer.release();
    CHECK(store.stats().pages_held == 8);
    reader.release();
    CHECK(store.stats().pages_held == 2);
  }
  CHECK(later.image() == Image{{1, 14}, {2, 23}});
}

TEST_CASE("apply does what publish did elsewhere") {
  PageStore leader, standby;
  std::string reason;
  const auto replicate = [&] {
    PageStore::Changes changes;
    REQUIRE(leader.collect(&changes));
    REQUIRE(standby.apply(batch_of(changes), changes.first, changes.last, changes.page_count,
                          changes.checksum_after, {}, &reason));
    leader.make_durable();
    CHECK(durable_image(standby) == durable_image(leader));
    CHECK(standby.stats().checksum == leader.stats().checksum);
    CHECK(standby.stats().latest == leader.stats().latest);
    CHECK(checksum_holds(standby));
  };
  leader.publish(pages_of({{1, 10}, {2, 20}, {3, 30}, {4, 40}}), 4, 4);
  replicate();
  const Held reader(standby, At::durable);
  leader.publish(pages_of({{1, 11}}), 2, 2);
  leader.publish(pages_of({{1, 12}, {3, 33}}), 4, 4);
  replicate();
  leader.publish({}, 1, 1);
  replicate();
  CHECK(reader.image() == Image{{1, 10}, {2, 20}, {3, 30}, {4, 40}});
}

TEST_CASE("apply refuses what does not fit, and nothing has changed then") {
  PageStore store;
  publish_durable(store, {{1, 10}, {2, 20}}, 2);
  const PageStore::Stats before = store.stats();
  const std::uint64_t same = before.checksum;
  std::string reason;
  std::vector<PagePtr> pages;

  SUBCASE("a gap in the versions") {
    CHECK_FALSE(store.apply({}, 3, 3, 2, same, {}, &reason));
    CHECK(reason == "versions 3 to 3 do not follow version 1");
  }
  SUBCASE("a version applied already") {
    CHECK_FALSE(store.apply({}, 1, 2, 2, same, {}, &reason));
    CHECK(reason == "versions 1 to 2 do not follow version 1");
  }
  SUBCASE("versions that run backwards") { CHECK_FALSE(store.apply({}, 2, 1, 2, same, {}, &reason)); }
  SUBCASE("a page twice") {
    pages.push_back(stamped(1, 11));
    pages.push_back(stamped(1, 11));
    CHECK_FALSE(store.apply(std::move(pages), 2, 2, 2, same, {}, &reason));
    CHECK(reason.find("twice") != std::string::npos);
  }
  SUBCASE("page 0") {
    pages.push_back(stamped(0, 11));
    CHECK_FALSE(store.apply(std::move(pages), 2, 2, 2, same, {}, &reason));
  }
  SUBCASE("other bytes than the checksum says") {
    pages.push_back(stamped(1, 11));
    pages.push_back(stamped(70000, 11));
    CHECK_FALSE(store.apply(std::move(pages), 2, 2, 70000, same, {}, &reason));
    CHECK(reason.find("checksum after version 2") != std::string::npos);
  }
  SUBCASE("a page lost that the checksum still counts") {
    CHECK_FALSE(store.apply({}, 2, 2, 1, same, {}, &reason));
  }
  CHECK_FALSE(reason.empty());
  const PageStore::Stats after = store.stats();
  CHECK(after.latest == before.latest);
  CHECK(after.checksum == before.checksum);
  CHECK(after.page_count == before.page_count);
  CHECK(after.pages_held == before.pages_held);
  CHECK(durable_image(store) == Image{{1, 10}, {2, 20}});
}

TEST_CASE("apply of several versions at once skips to the last") {
  PageStore store;
  std::string reason;
  CHECK(store.apply({}, 1, 1000, 7, 0, {}, &reason));
  CHECK(store.stats().durable == 1000);
  CHECK(store.stats().latest == 1000);
  CHECK(store.stats().page_count == 7);
}
