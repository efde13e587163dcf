// Loading a snapshot out of entries, whatever they hold.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "replication/loader.h"

#include <doctest/doctest.h>

#include "page_fixtures.h"
#include "record_samples.h"

using namespace aurora;

namespace {

constexpr Version kVersion = 40;

std::uint64_t checksum_of(const Image& image) {
  std::uint64_t checksum = 0;
  for (const auto& [number, stamp] : image) {
    checksum ^= page_hash(number, stamped(number, stamp)->bytes);
  }
  return checksum;
}

// Makes the entries of a log, one position after the other.
class Writer {
 public:
  explicit Writer(Position first = 100) : next_(first) {}

  // Of a snapshot of `image`, with so many pages to a chunk.
  Writer& begin(const Image& image, std::uint32_t page_count) {
    page_count_ = page_count;
    chunks_ = 0;
    RecordHeader header = header_of(kVersion, checksum_of(image));
    return add(encode_snapshot_begin(header, samples::leader_info(), 90));
  }
  Writer& chunk(const Image& image) {
    RecordHeader header = header_of(kVersion + 3, 77);
    header.part = chunks_++;
    BatchEncoder encoder(1 << 20);
    encoder.begin(header);
    for (const auto& [number, stamp] : image) {
      encoder.add(number, nullptr, stamped(number, stamp)->bytes);
    }
    return add(encoder.finish_chunk(header));
  }
  Writer& end() {
    RecordHeader header = header_of(kVersion + 9, 78);
    header.part = chunks_;
    return add(encode_snapshot_end(header));
  }
  Writer& add(std::string data) {
    entries.push_back({next_++, std::move(data)});
    return *this;
  }
  Writer& skip_chunk() {
    ++chunks_;
    return *this;
  }
  Writer& of_size(std::uint32_t page_count) {
    page_count_ = page_count;
    return *this;
  }

  std::list<Entry> entries;

 private:
  RecordHeader header_of(Version version, std::uint64_t checksum) const {
    RecordHeader header;
    header.epoch = 3;
    header.first_version = header.last_version = version;
    header.page_count = page_count_;
    header.checksum_before = header.checksum_after = checksum;
    header.time_us = 1234;
    return header;
  }
  Position next_;
  std::uint32_t page_count_ = 0;
  std::uint32_t chunks_ = 0;
};

struct Loading {
  Database database;
  Loader loader{database};

  // The first answer that is not ok.
  DecodeError take(const Writer& writer) {
    for (const Entry& entry : writer.entries) {
      DecodeError error = loader.take(entry);
      if (error.status != DecodeStatus::ok) return error;
    }
    return {};
  }
  Image image() {
    const std::shared_ptr<PageStore> store = database.store();
    const Held pin(*store, PageStore::At::durable);
    return image_of(*store, *pin);
  }
};

const Image kImage = {{1, 11}, {2, 12}, {4, 14}, {7, 17}};

void check_refused(const Writer& writer, const std::string& why,
                   DecodeStatus status = DecodeStatus::corrupt) {
  Loading loading;
  const DecodeError error = loading.take(writer);
  CHECK(error.status == status);
  CHECK_MESSAGE(error.reason.find(why) != std::string::npos, error.reason);
  CHECK(!loading.loader.complete());
  CHECK(loading.database.store()->stats().durable == 0);
  CHECK(loading.image().empty());
}

}  // namespace

TEST_CASE("a snapshot in two chunks becomes the database of the version where it began") {
  Loading loading;
  Writer writer;
  writer.begin(kImage, 9).chunk({{1, 11}, {2, 12}}).chunk({{4, 14}, {7, 17}}).end();
  REQUIRE(loading.take(writer).status == DecodeStatus::ok);
  CHECK(loading.loader.complete());
  CHECK(loading.image() == kImage);
  const PageStore::Stats stats = loading.database.store()->stats();
  CHECK(stats.durable == kVersion);
  CHECK(stats.latest == kVersion);
  CHECK(stats.page_count == 9);
  CHECK(stats.checksum == checksum_of(kImage));
  const Snapshot& snapshot = loading.loader.snapshot();
  CHECK(snapshot.position == 100);
  CHECK(snapshot.end == 103);
  CHECK(snapshot.epoch == 3);
  CHECK(snapshot.version == kVersion);
  CHECK(snapshot.time_us == 1234);
  CHECK(loading.loader.leader_position() == 90);
  CHECK(loading.loader.leader().host == samples::leader_info().host);
}

TEST_CASE("a version that was loaded is built upon as any other") {
  Loading loading;
  Writer writer;
  writer.begin(kImage, 9).chunk(kImage).end();
  REQUIRE(loading.take(writer).status == DecodeStatus::ok);
  Image next = kImage;
  next[2] = 22;
  next.erase(7);
  std::string reason;
  REQUIRE_MESSAGE(loading.database.apply(pages_of({{2, 22}}), kVersion + 1, kVersion + 1, 6,
                                         checksum_of(next), {110, 1, 3}, &reason),
                  reason);
  CHECK(loading.image() == next);
}

TEST_CASE("an empty database is a snapshot without chunks") {
  Loading loading;
  Writer writer;
  writer.begin({}, 0).end();
  REQUIRE(loading.take(writer).status == DecodeStatus::ok);
  CHECK(loading.loader.complete());
  CHECK(loading.database.store()->stats().durable == kVersion);
}

TEST_CASE("what stands before a snapshot, and between its chunks, is skipped") {
  Loading loading;
  Writer writer;
  writer.add("another application's").chunk({{9, 99}}).end().add(samples::patches_entry());
  writer.begin(kImage, 9).add(samples::heartbeat_entry()).chunk({{1, 11}, {2, 12}});
  writer.add(samples::patches_entry()).add(samples::leader_entry());
  writer.chunk({{4, 14}, {7, 17}}).add(samples::two_entries()[0]).end();
  writer.chunk({{1, 1}}).end();
  REQUIRE(loading.take(writer).status == DecodeStatus::ok);
  CHECK(loading.image() == kImage);
  CHECK(loading.loader.snapshot().position == 104);
}

TEST_CASE("a snapshot that was abandoned is nothing but the way to the next one") {
  Loading loading;
  Writer writer;
  writer.begin({{1, 1}, {2, 2}, {3, 3}}, 3).chunk({{1, 1}, {2, 2}});
  writer.begin(kImage, 9).chunk(kImage).end();
  REQUIRE(loading.take(writer).status == DecodeStatus::ok);
  CHECK(loading.image() == kImage);
  CHECK(loading.loader.snapshot().position == 102);
}

TEST_CASE("a snapshot without an end is not loaded") {
  Loading loading;
  Writer writer;
  writer.begin(kImage, 9).chunk(kImage);
  REQUIRE(loading.take(writer).status == DecodeStatus::ok);
  CHECK(!loading.loader.complete());
  CHECK(loading.loader.last_page() == 7);
  CHECK(loading.database.store()->stats().durable == 0);
}

TEST_CASE("a chunk that is missing, at the start, in the middle or at the end, is noticed") {
  check_refused(Writer().begin(kImage, 9).skip_chunk().chunk(kImage).end(),
                "chunk 1 of a snapshot of 9 pages where chunk 0");
  check_refused(Writer().begin(kImage, 9).chunk({{1, 11}}).skip_chunk().chunk({{4, 14}}).end(),
                "chunk 2 of a snapshot of 9 pages where chunk 1");
  check_refused(Writer().begin(kImage, 9).chunk({{1, 11}}).skip_chunk().end(),
                "end after 1 chunks instead of 2");
}

TEST_CASE("a chunk of another snapshot is noticed") {
  check_refused(Writer().begin(kImage, 9).of_size(8).chunk({{1, 11}}).of_size(9).end(),
                "chunk 0 of a snapshot of 8 pages where chunk 0 of 9 pages was due");
  check_refused(Writer().begin(kImage, 9).chunk({{1, 11}, {4, 14}}).chunk({{2, 12}}).end(),
                "page 2 of a snapshot after page 4");
}

TEST_CASE("pages that do not add up to the database's checksum are not installed") {
  check_refused(Writer().begin(kImage, 9).chunk({{1, 11}, {2, 12}, {4, 14}, {7, 18}}).end(),
                "the snapshot that begins at 100 is not what it should be");
  check_refused(Writer().begin(kImage, 9).chunk({{1, 11}, {2, 12}, {4, 14}}).end(), "checksum");
}

TEST_CASE("every damaged entry of a snapshot is noticed") {
  Writer writer;
  writer.begin(kImage, 9).chunk({{1, 11}, {2, 12}}).chunk({{4, 14}, {7, 17}}).end();
  for (Position position = 101; position <= 103; ++position) {
    Writer damaged = writer;
    for (Entry& entry : damaged.entries) {
      if (entry.position == position) entry.data[entry.data.size() / 2] ^= 1;
    }
    check_refused(damaged, "checksum");
  }
}

TEST_CASE("an entry of a newer release within a snapshot is said to be just that") {
  Writer writer;
  writer.begin(kImage, 9);
  writer.add(samples::with_field(samples::heartbeat_entry(), &wire::WireHeader::format,
                                 std::uint16_t{9}));
  check_refused(writer, "format version 9", DecodeStatus::too_new);
}
