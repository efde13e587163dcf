// A database fed with entries by hand, and a version of it that is held.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "replication/replay.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "aurora_native.h"
#include "log/memory_log.h"
#include "page_fixtures.h"
#include "pages/image.h"
#include "records/wire.h"
#include "replication/replica.h"

using namespace aurora;

namespace {

Deadline patient() { return Clock::now() + std::chrono::seconds(60); }

// A leader on a memory log; `commit` makes a version of one page.
struct Leader {
  std::shared_ptr<MemoryEnsemble> ensemble = make_memory_ensemble();
  std::shared_ptr<MemoryLog> log = std::make_shared<MemoryLog>(ensemble);
  Replica replica{log, Replica::Options{}};

  Leader() {
    Replica::LeadTiming timing;
    REQUIRE(replica.lead(patient(), &timing).ok());
  }

  Position commit(PageNumber number, std::uint64_t stamp, std::uint32_t page_count) {
    Database& database = *replica.database();
    int me = 0;
    REQUIRE(database.writers().acquire(&me, patient()) == WriterQueue::Result::granted);
    Reign reign = 0;
    Version version = 0;
    REQUIRE(database.reign(&reign).ok());
    std::vector<PagePtr> pages;
    pages.push_back(stamped(number, stamp));
    REQUIRE(database.publish(reign, std::move(pages), page_count, page_count, &version).ok());
    database.writers().release(&me);
    const Verdict verdict = database.wait_durable(reign, version, patient());
    REQUIRE(verdict.ok());
    return verdict.position;
  }

  std::list<Entry> entries(Position to) {
    std::list<Entry> entries;
    REQUIRE(log->read(log->beginning(patient()).position, to, &entries, patient()).ok());
    return entries;
  }
};

std::uint64_t stamp_in(const DurableImage& image, PageNumber number) {
  std::vector<std::uint8_t> page(kPageSize);
  REQUIRE(image.read(number, 1, page.data()) == 1);
  return stamp_of(page.data());
}

std::unique_ptr<DurableImage> image_of(Database& database) {
  std::unique_ptr<DurableImage> image;
  const Verdict verdict = DurableImage::open(database, &image);
  REQUIRE_MESSAGE(verdict.ok(), verdict.reason);
  return image;
}

}  // namespace

TEST_CASE("a replay fed with the log is the leader's database, at every position") {
  Leader leader;
  const Position first = leader.commit(1, 11, 2);
  const Position second = leader.commit(1, 12, 2);
  Replay replay;
  for (const Entry& entry : leader.entries(second)) {
    const DecodeError error = replay.apply(entry);
    REQUIRE_MESSAGE(error.status == DecodeStatus::ok, error.reason);
    const Replay::Info info = replay.info();
    CHECK(info.position == entry.position);
    CHECK(info.next == entry.position + 1);
    CHECK(info.time_us > 0);
    if (entry.position == first) {
      CHECK(info.version == 1);
      CHECK(stamp_in(*image_of(*replay.database()), 1) == 11);
    }
  }
  const PageStore::Stats stats = leader.replica.database()->store()->stats();
  CHECK(replay.info().version == 2);
  CHECK(replay.info().page_count == 2);
  CHECK(replay.info().checksum == stats.checksum);
  CHECK(replay.info().epoch == 1);
  CHECK(stamp_in(*image_of(*replay.database()), 1) == 12);
}

TEST_CASE("a replay that starts at a snapshot is told to go back to its begin, and ends up the same") {
  Leader leader;
  leader.commit(1, 11, 2);
  const Outcome begun = leader.replica.snapshot(patient());
  REQUIRE_MESSAGE(begun.ok(), begun.reason);
  Position last = leader.commit(2, 22, 2);
  while (leader.replica.info().snapshots.complete.position == 0) {
    REQUIRE(Clock::now() < patient());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  last = leader.commit(1, 12, 2);

  Replay replay;
  bool loaded = false;
  for (const Entry& entry : leader.entries(last)) {
    if (entry.position < begun.position) continue;
    const DecodeError error = replay.apply(entry);
    REQUIRE_MESSAGE(error.status == DecodeStatus::ok, error.reason);
    if (replay.info().next <= entry.position) {
      loaded = true;
      break;
    }
    CHECK(replay.info().version == 0);
  }
  REQUIRE(loaded);
  CHECK(replay.info().position == begun.position);
  CHECK(replay.info().next == begun.position + 1);
  CHECK(replay.info().version == 1);
  CHECK(replay.info().epoch == 1);
  CHECK(replay.info().time_us > 0);
  CHECK(stamp_in(*image_of(*replay.database()), 1) == 11);
  CHECK(image_of(*replay.database())->info().mark.position == begun.position);

  for (const Entry& entry : leader.entries(last)) {
    if (entry.position <= begun.position) continue;
    const DecodeError error = replay.apply(entry);
    REQUIRE_MESSAGE(error.status == DecodeStatus::ok, error.reason);
  }
  CHECK(replay.info().version == 3);
  CHECK(replay.info().checksum == leader.replica.database()->store()->stats().checksum);
}

TEST_CASE("a replay refuses what does not fit, and stays what it was") {
  Leader leader;
  const Position last = leader.commit(1, 11, 1);
  std::list<Entry> entries = leader.entries(last);
  REQUIRE(entries.size() == 2);
  Replay replay;
  Entry damaged = entries.front();

  SUBCASE("damaged bytes") {
    damaged.data[20] ^= 1;
    CHECK(replay.apply(damaged).status == DecodeStatus::corrupt);
  }
  SUBCASE("another application's") {
    damaged.data = "hello";
    CHECK(replay.apply(damaged).status == DecodeStatus::not_ours);
  }
  SUBCASE("an entry of no reign") {
    CHECK(replay.apply(entries.back()).status == DecodeStatus::corrupt);
  }
  CHECK(replay.info().next == 0);
  for (const Entry& entry : entries) CHECK(replay.apply(entry).status == DecodeStatus::ok);

  const DecodeError again = replay.apply(entries.back());
  CHECK(again.status == DecodeStatus::corrupt);
  CHECK(again.reason.find("was due") != std::string::npos);
  CHECK(replay.info().version == 1);
}

TEST_CASE("a replay that refused a snapshot's begin as its first entry takes the log from its beginning") {
  Leader leader;
  const Position last = leader.commit(1, 11, 1);
  const std::list<Entry> entries = leader.entries(last);
  // The kind of the LEADER entry is damaged; its body is not that of a begin.
  Entry damaged = entries.front();
  damaged.data[offsetof(wire::WireHeader, kind)] = static_cast<char>(RecordKind::snapshot_begin);
  const std::size_t covered = damaged.data.size() - wire::kChecksumSize;
  const std::uint64_t sum = wire::checksum(damaged.data.data(), covered);
  std::memcpy(&damaged.data[covered], &sum, sizeof sum);

  Replay replay;
  REQUIRE(replay.apply(damaged).status == DecodeStatus::corrupt);
  for (const Entry& entry : entries) REQUIRE(replay.apply(entry).status == DecodeStatus::ok);
  CHECK(replay.info().epoch == 1);
  CHECK(replay.info().version == 1);
}

TEST_CASE("an image stays as it was while the database goes on, and knows where it is from") {
  Leader leader;
  const Position first = leader.commit(3, 31, 3);
  const auto image = image_of(*leader.replica.database());
  leader.commit(3, 32, 5);

  const DurableImage::Info info = image->info();
  CHECK(info.mark.position == first);
  CHECK(info.mark.epoch == 1);
  CHECK(info.mark.time_us > 0);
  CHECK(info.version == 1);
  CHECK(info.page_count == 3);
  std::vector<std::uint8_t> pages(8 * kPageSize, 0xff);
  CHECK(image->read(1, 8, pages.data()) == 3);
  CHECK(stamp_of(pages.data()) == 0);  // absent: zeros
  CHECK(stamp_of(pages.data() + 2 * kPageSize) == 31);
  CHECK(pages[3 * kPageSize] == 0xff);
  CHECK(image->read(3, 1, pages.data()) == 1);
  CHECK(stamp_of(pages.data()) == 31);
  CHECK(image->read(4, 1, pages.data()) == 0);
  CHECK(image->read(0, 1, pages.data()) == 0);
  CHECK(leader.replica.database()->store()->stats().pins == 1);
}

TEST_CASE("an image of a database that cannot be read is refused") {
  Database database;
  std::unique_ptr<DurableImage> image;
  CHECK(DurableImage::open(database, &image).refusal == Refusal::not_readable);
  database.close();
  CHECK(DurableImage::open(database, &image).refusal == Refusal::closed);
  CHECK(image == nullptr);
}

TEST_CASE("position, version and content of an image belong together while others commit") {
  Leader leader;
  // One version per position, one stamp per version.
  const Position base = leader.commit(1, 1, 1);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint64_t version = 2; version <= 2000; ++version) leader.commit(1, version, 1);
    done = true;
  });
  int wrong = 0;
  while (!done) {
    const auto image = image_of(*leader.replica.database());
    const DurableImage::Info info = image->info();
    if (info.mark.position - base + 1 != info.version) ++wrong;
    if (stamp_in(*image, 1) != info.version) ++wrong;
    std::vector<std::uint8_t> page(kPageSize);
    image->read(1, 1, page.data());
    if (page_hash(1, page.data()) != info.checksum) ++wrong;
  }
  writer.join();
  CHECK(wrong == 0);
}

TEST_CASE("the C interface tells what an entry is") {
  Leader leader;
  const Position last = leader.commit(1, 11, 1);
  const std::list<Entry> entries = leader.entries(last);
  const std::string& reign = entries.front().data;
  const std::string& batch = entries.back().data;
  aur_record record;
  aur_outcome outcome;

  aur_record_header(batch.data(), batch.size(), &record, &outcome);
  REQUIRE(outcome.status == AUR_OK);
  CHECK(record.kind == static_cast<int>(RecordKind::batch));
  CHECK(record.transactions == 1);
  CHECK(record.last_version == 1);
  CHECK(record.body_size > 0);

  aur_page_change page;
  CHECK(aur_record_pages(batch.data(), batch.size(), nullptr, 0, &outcome) == 1);
  CHECK(aur_record_pages(batch.data(), batch.size(), &page, 1, &outcome) == 1);
  CHECK(page.number == 1);
  CHECK(page.change == static_cast<int>(PageChange::full));
  CHECK(aur_record_pages(reign.data(), reign.size(), nullptr, 0, &outcome) == 0);
  CHECK(outcome.status == AUR_OK);

  aur_leader who;
  aur_record_leader(reign.data(), reign.size(), &who, &outcome);
  CHECK(outcome.status == AUR_OK);
  aur_record_leader(batch.data(), batch.size(), &who, &outcome);
  CHECK(outcome.status == AUR_CORRUPT);

  aur_record_header("hello", 5, &record, &outcome);
  CHECK(outcome.status == AUR_NOT_OURS);
  std::string damaged = batch;
  damaged[30] ^= 1;
  aur_record_header(damaged.data(), damaged.size(), &record, &outcome);
  CHECK(outcome.status == AUR_CORRUPT);
  CHECK(std::strlen(outcome.reason) > 0);
  CHECK(aur_record_pages(damaged.data(), damaged.size(), nullptr, 0, &outcome) == 0);
  CHECK(outcome.status == AUR_CORRUPT);
}
