// Batches: what goes in comes out, cut into entries of the right size, and nothing broken gets by.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <sqlite3.h>
#include <zstd.h>

#include <functional>
#include <memory>

#include "record_samples.h"
#include "records/record.h"
#include "records/wire.h"

using namespace aurora;
using namespace aurora::samples;

namespace {

std::string_view view(const PageBytes& page) {
  return {reinterpret_cast<const char*>(page.data()), page.size()};
}

DecodeError decode(BatchDecoder& decoder, const std::string& entry, RecordHeader* header) {
  DecodeError error = decode_header(entry, header);
  return error.status == DecodeStatus::ok ? decoder.decode(entry, *header) : error;
}

// What a decoder says of a batch of 100 pages with this body.
DecodeError decode_body(std::string_view stored, std::uint8_t flags = 0,
                        std::size_t body_size = ~std::size_t{0}) {
  RecordHeader batch = header();
  batch.kind = RecordKind::batch;
  if (body_size == ~std::size_t{0}) body_size = stored.size();
  BatchDecoder decoder;
  RecordHeader decoded;
  const DecodeError error =
      decode(decoder, wire::seal(batch, flags, body_size, stored), &decoded);
  if (error.status != DecodeStatus::ok) CHECK(decoder.pages().empty());
  return error;
}

std::string zstd(std::string_view data) {
  std::string out(ZSTD_compressBound(data.size()), '\0');
  out.resize(ZSTD_compress(&out[0], out.size(), data.data(), data.size(), 1));
  return out;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// All entries of a batch of new pages.
std::vector<std::string> encode_pages(BatchEncoder& encoder, PageNumber count,
                                      const std::function<PageBytes(PageNumber)>& page) {
  std::vector<std::string> entries;
  encoder.begin(header(count));
  for (PageNumber number = 1; number <= count; ++number) {
    if (encoder.add(number, nullptr, page(number).data())) entries.push_back(encoder.take_part());
  }
  entries.push_back(encoder.finish());
  return entries;
}

}  // namespace

TEST_CASE("new, changed and absent pages come back, with their header") {
  BatchEncoder encoder(1 << 20);
  encoder.begin(header());
  const PageBytes base = random_page(1);
  PageBytes page = base;
  page[100] ^= 1;
  page[4095] ^= 1;
  const PageBytes fresh = random_page(2);
  CHECK_FALSE(encoder.add(1, base.data(), page.data()));
  CHECK_FALSE(encoder.add(2, nullptr, fresh.data()));
  CHECK_FALSE(encoder.add(50, base.data(), nullptr));
  CHECK_FALSE(encoder.add(51, nullptr, nullptr));
  CHECK_FALSE(encoder.add(100, base.data(), fresh.data()));
  const std::string entry = encoder.finish();

  BatchDecoder decoder;
  RecordHeader decoded;
  REQUIRE(decode(decoder, entry, &decoded).status == DecodeStatus::ok);
  CHECK(decoded.kind == RecordKind::batch);
  CHECK(decoded.part == 0);
  CHECK(decoded.transactions == 3);
  CHECK(decoded.checksum_after == header().checksum_after);

  const std::vector<DecodedPage>& pages = decoder.pages();
  REQUIRE(pages.size() == 5);
  CHECK(pages[0].number == 1);
  CHECK(pages[0].change == PageChange::patch);
  PageBytes patched = base;
  apply_patch(pages[0], patched.data());
  CHECK(view(patched) == view(page));
  CHECK(pages[1].number == 2);
  CHECK(pages[1].change == PageChange::full);
  CHECK(std::memcmp(pages[1].data, fresh.data(), kPageSize) == 0);
  CHECK(pages[2].number == 50);
  CHECK(pages[2].change == PageChange::absent);
  CHECK(pages[3].number == 51);
  CHECK(pages[3].change == PageChange::absent);
  CHECK(pages[4].number == 100);
  CHECK(pages[4].change == PageChange::full);  // nothing in common with its base
  CHECK(std::memcmp(pages[4].data, fresh.data(), kPageSize) == 0);
}

TEST_CASE("pages that did not change, and pages past the end, are left out") {
  BatchEncoder encoder(1 << 20);
  encoder.begin(header(10));
  const PageBytes page = random_page(1);
  encoder.add(1, page.data(), page.data());
  encoder.add(10, nullptr, page.data());
  encoder.add(11, page.data(), nullptr);
  encoder.add(12, page.data(), page.data());
  BatchDecoder decoder;
  RecordHeader decoded;
  REQUIRE(decode(decoder, encoder.finish(), &decoded).status == DecodeStatus::ok);
  REQUIRE(decoder.pages().size() == 1);
  CHECK(decoder.pages()[0].number == 10);
}

TEST_CASE("a batch without changes is a batch") {
  BatchEncoder encoder(1 << 20);
  encoder.begin(header());
  BatchDecoder decoder;
  RecordHeader decoded;
  REQUIRE(decode(decoder, encoder.finish(), &decoded).status == DecodeStatus::ok);
  CHECK(decoder.pages().empty());
}

TEST_CASE("the highest page number there can be comes back") {
  BatchEncoder encoder(1 << 20);
  encoder.begin(header(~PageNumber{0}));
  encoder.add(~PageNumber{0}, nullptr, nullptr);
  BatchDecoder decoder;
  RecordHeader decoded;
  REQUIRE(decode(decoder, encoder.finish(), &decoded).status == DecodeStatus::ok);
  REQUIRE(decoder.pages().size() == 1);
  CHECK(decoder.pages()[0].number == ~PageNumber{0});
}

TEST_CASE("begin() forgets a batch that was not finished") {
  BatchEncoder encoder(20000);
  encode_pages(encoder, 20, random_page);
  encoder.begin(header());
  for (PageNumber number = 1; number <= 4; ++number) {
    if (encoder.add(number, nullptr, random_page(number).data())) encoder.take_part();
  }
  const std::vector<std::string> entries = encode_pages(encoder, 1, formula_page);
  REQUIRE(entries.size() == 1);
  BatchDecoder decoder;
  RecordHeader decoded;
  REQUIRE(decode(decoder, entries[0], &decoded).status == DecodeStatus::ok);
  CHECK(decoded.part == 0);
  REQUIRE(decoder.pages().size() == 1);
  CHECK(std::memcmp(decoder.pages()[0].data, formula_page(1).data(), kPageSize) == 0);
}

TEST_CASE("a batch of 100,000 pages is cut into entries within the limit and comes back whole") {
  constexpr PageNumber kPages = 100000;
  constexpr std::size_t kLimit = 200000;
  BatchEncoder encoder(kLimit);
  encoder.begin(header(kPages));
  BatchDecoder decoder;
  PageNumber expected = 1;
  std::uint32_t parts = 0;

  // New pages, patched ones and absent ones, in turns.
  const auto check = [&](const std::string& entry, RecordKind kind) {
    REQUIRE(entry.size() <= kLimit);
    RecordHeader decoded;
    REQUIRE(decode(decoder, entry, &decoded).status == DecodeStatus::ok);
    REQUIRE(decoded.kind == kind);
    REQUIRE(decoded.part == parts);
    REQUIRE(decoded.first_version == 1001);
    REQUIRE(decoded.last_version == 1003);
    REQUIRE(decoded.transactions == (kind == RecordKind::batch ? 3 : 0));
    for (const DecodedPage& page : decoder.pages()) {
      REQUIRE(page.number == expected);
      if (expected % 3 == 0) {
        REQUIRE(page.change == PageChange::full);
        REQUIRE(std::memcmp(page.data, random_page(expected).data(), kPageSize) == 0);
      } else if (expected % 3 == 1) {
        REQUIRE(page.change == PageChange::patch);
        PageBytes patched{};
        apply_patch(page, patched.data());
        REQUIRE(patched[expected % kPageSize] == 1);
      } else {
        REQUIRE(page.change == PageChange::absent);
      }
      ++expected;
    }
  };
  for (PageNumber number = 1; number <= kPages; ++number) {
    const PageBytes base{};
    PageBytes page = number % 3 == 0 ? random_page(number) : base;
    page[number % kPageSize] = number % 3 == 1 ? 1 : page[number % kPageSize];
    if (encoder.add(number, number % 3 == 1 ? base.data() : nullptr,
                    number % 3 == 2 ? nullptr : page.data())) {
      check(encoder.take_part(), RecordKind::batch_part);
      ++parts;
    }
  }
  check(encoder.finish(), RecordKind::batch);
  CHECK(expected == kPages + 1);
  CHECK(parts > 600);
}

TEST_CASE("parts of pages that compress well are filled up to the limit, not cut by raw size") {
  constexpr std::size_t kLimit = 50000;
  BatchEncoder encoder(kLimit);
  const std::vector<std::string> entries = encode_pages(encoder, 3000, [](PageNumber number) {
    PageBytes page{};
    std::memcpy(page.data(), random_page(number).data(), 100);
    return page;
  });
  REQUIRE(entries.size() > 3);
  for (std::size_t i = 0; i + 1 < entries.size(); ++i) {
    CHECK(entries[i].size() <= kLimit);
    CHECK(entries[i].size() > kLimit * 8 / 10);
  }
}

TEST_CASE("an entry never holds more than 16 MiB of pages, however well they compress") {
  BatchEncoder encoder(std::size_t{1} << 30);
  const std::vector<std::string> entries =
      encode_pages(encoder, 5000, [](PageNumber) { return PageBytes{}; });
  REQUIRE(entries.size() == 2);
  for (const std::string& entry : entries) {
    CHECK(wire::header_of(entry).body_size <= std::size_t{16} << 20);
  }
}

TEST_CASE("an entry limit below one page gives one page per entry") {
  BatchEncoder encoder(1);
  const std::vector<std::string> entries = encode_pages(encoder, 10, random_page);
  CHECK(entries.size() == 11);
}

TEST_CASE("a page added to an entry that was complete already is not lost") {
  BatchEncoder encoder(1);
  encoder.begin(header());
  CHECK(encoder.add(1, nullptr, random_page(1).data()));
  CHECK(encoder.add(2, nullptr, random_page(2).data()));
  BatchDecoder decoder;
  RecordHeader decoded;
  REQUIRE(decode(decoder, encoder.take_part(), &decoded).status == DecodeStatus::ok);
  CHECK(decoder.pages().size() == 2);
}

TEST_CASE("a body that is not a sequence of changes is corrupt although the checksum fits") {
  const std::string full(kPageSize, 'p');
  const auto reason = [](std::string_view body) {
    const DecodeError error = decode_body(body);
    CHECK(error.status == DecodeStatus::corrupt);
    return error.reason;
  };
  CHECK(decode_body("\x04" + full).status == DecodeStatus::ok);
  CHECK(contains(reason(std::string_view("\0", 1)), "do not ascend at byte 0"));
  CHECK(contains(reason("\x06" + std::string("\x02")), "do not ascend at byte 1"));
  CHECK(contains(reason("\x07"), "unknown change of page 1"));
  CHECK(contains(reason("\x80"), "broken number"));
  CHECK(contains(reason("\x80\x80\x80\x80\x80\x01"), "broken number"));
  CHECK(contains(reason("\x96\x03"), "page 101 of 100"));
  CHECK(contains(reason("\xff\xff\xff\xff\x7f"), "of 100"));
  CHECK(contains(reason("\x04" + full.substr(1)), "page 1 passes the end"));
  CHECK(contains(reason("\x05"), "broken number"));
  CHECK(contains(reason("\x05\x04\x01"), "page 1 passes the end"));
  CHECK(contains(reason("\x04" + full + "\x05\x02\x01\x02"),
                 "broken patch of page 2 at byte 4097"));
}

TEST_CASE("a compressed body that lies about its size is corrupt, and costs no memory") {
  const std::string body = "\x04" + std::string(kPageSize, 'p');
  const std::string packed = zstd(body);
  CHECK(decode_body(packed, wire::kBodyIsZstd, body.size()).status == DecodeStatus::ok);
  CHECK(contains(decode_body(packed, wire::kBodyIsZstd, body.size() + 1).reason,
                 "decompresses to 4097 bytes, its header says 4098"));
  CHECK(contains(decode_body(packed, wire::kBodyIsZstd, body.size() - 1).reason,
                 "cannot decompress"));
  CHECK(contains(decode_body(packed, wire::kBodyIsZstd, (64 << 20) + 1).reason, "the limit is"));
  CHECK(contains(decode_body("not zstd at all", wire::kBodyIsZstd, 100).reason,
                 "cannot decompress"));
  CHECK(contains(decode_body(packed.substr(0, packed.size() - 2), wire::kBodyIsZstd, body.size())
                     .reason,
                 "cannot decompress"));
}

TEST_CASE("records without pages are refused by the batch decoder, and so is a stump") {
  BatchDecoder decoder;
  RecordHeader decoded;
  CHECK(decode(decoder, heartbeat_entry(), &decoded).status == DecodeStatus::corrupt);
  CHECK(decode(decoder, leader_entry(), &decoded).status == DecodeStatus::corrupt);
  RecordHeader batch = header();
  batch.kind = RecordKind::batch;
  CHECK(decoder.decode("too short", batch).status == DecodeStatus::corrupt);
}

TEST_CASE("a chunk of a snapshot has full pages only") {
  RecordHeader chunk = header_on_one_version();
  chunk.kind = RecordKind::snapshot_chunk;
  BatchDecoder decoder;
  RecordHeader decoded;
  REQUIRE(decode(decoder, snapshot_chunk_entry(), &decoded).status == DecodeStatus::ok);
  CHECK(decoded.kind == RecordKind::snapshot_chunk);
  CHECK(decoded.part == 2);
  CHECK(decoder.pages().size() == 2);
  for (const char* body : {"\x06", "\x05\x00"}) {  // page 1 is absent, page 1 is a patch
    const std::string entry = wire::seal(chunk, 0, body[0] == 5 ? 2 : 1, {body, body[0] == 5 ? 2u : 1u});
    const DecodeError error = decode(decoder, entry, &decoded);
    CHECK(error.status == DecodeStatus::corrupt);
    CHECK(contains(error.reason, "page 1 of a snapshot is not there in full"));
  }
}

TEST_CASE("a decoder is as good as new after an entry that it refused") {
  BatchDecoder decoder;
  RecordHeader decoded;
  RecordHeader batch = header();
  batch.kind = RecordKind::batch;
  REQUIRE(decode(decoder, patches_entry(), &decoded).status == DecodeStatus::ok);
  REQUIRE(decode(decoder, wire::seal(batch, 0, 1, "\x07"), &decoded).status ==
          DecodeStatus::corrupt);
  CHECK(decoder.pages().empty());
  REQUIRE(decode(decoder, two_entries()[0], &decoded).status == DecodeStatus::ok);
  CHECK(decoder.pages().size() == 2);
}

// The reason for patches with moved runs: what a small transaction costs in the log.
TEST_CASE("a transaction that updates one row and inserts another costs less than 400 bytes") {
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open(":memory:", &handle) == SQLITE_OK);
  const std::unique_ptr<sqlite3, decltype(&sqlite3_close)> database(handle, sqlite3_close);
  const auto run = [&](const std::string& sql) {
    REQUIRE(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  };
  const auto image = [&] {
    sqlite3_int64 size = 0;
    unsigned char* const bytes = sqlite3_serialize(handle, "main", &size, 0);
    std::vector<std::uint8_t> copy(bytes, bytes + size);
    sqlite3_free(bytes);
    return copy;
  };
  constexpr int kTasks = 10000;
  std::mt19937 random(1);
  const auto transaction = [&] {
    const std::string task = std::to_string(random() % kTasks);
    run("BEGIN; UPDATE task SET status = " + std::to_string(random() % 12) +
        ", changed = changed + 1 WHERE id = " + task +
        "; INSERT INTO event (task, time, status) VALUES (" + task + ", 1395690000000, 3); COMMIT");
  };
  run("PRAGMA page_size = 4096;"
      "CREATE TABLE task (id INTEGER PRIMARY KEY, name TEXT UNIQUE, job INT, status INT,"
      "                   host TEXT, changed INT);"
      "CREATE INDEX task_job ON task (job); CREATE INDEX task_status ON task (status);"
      "CREATE INDEX task_host ON task (host);"
      "CREATE TABLE event (id INTEGER PRIMARY KEY, task INT, time INT, status INT);"
      "CREATE INDEX event_task ON event (task); BEGIN");
  for (int i = 0; i < kTasks; ++i) {
    const std::string id = std::to_string(i);
    run("INSERT INTO task VALUES (" + id + ", 'task-" + std::to_string(random()) + "-" + id +
        "', " + std::to_string(i / 100) + ", 9, 'host-" + std::to_string(random() % 5000) +
        "', 1395680000000); INSERT INTO event (task, time, status) VALUES (" + id +
        ", 1395680000000, 1)");
  }
  run("COMMIT");
  for (int i = 0; i < 2000; ++i) transaction();  // indexes in their usual disorder

  constexpr int kTransactions = 100;
  BatchEncoder encoder(1 << 20);
  BatchDecoder decoder;
  std::size_t total = 0;
  std::vector<std::uint8_t> before = image();
  for (int i = 0; i < kTransactions; ++i) {
    transaction();
    std::vector<std::uint8_t> after = image();
    const auto page_count = static_cast<PageNumber>(after.size() / kPageSize);
    encoder.begin(header(page_count));
    for (PageNumber number = 1; number <= page_count; ++number) {
      const std::size_t at = (number - 1) * kPageSize;
      encoder.add(number, at < before.size() ? &before[at] : nullptr, &after[at]);
    }
    const std::string entry = encoder.finish();
    total += entry.size();

    RecordHeader decoded;
    REQUIRE(decode(decoder, entry, &decoded).status == DecodeStatus::ok);
    before.resize(after.size());
    for (const DecodedPage& page : decoder.pages()) {
      std::uint8_t* const bytes = &before[(page.number - 1) * kPageSize];
      if (page.change == PageChange::patch) {
        apply_patch(page, bytes);
      } else {
        std::memcpy(bytes, page.data, kPageSize);
      }
    }
    REQUIRE(before == after);
  }
  MESSAGE("bytes in the log per transaction: " << total / kTransactions);
  CHECK(total / kTransactions < 400);
}
