// What every entry has in common, the records without pages, and the golden files.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "record_samples.h"
#include "records/record.h"
#include "records/wire.h"

using namespace aurora;
using namespace aurora::samples;
using wire::WireHeader;

namespace {

bool same(const RecordHeader& a, const RecordHeader& b) {
  return a.kind == b.kind && a.epoch == b.epoch && a.first_version == b.first_version &&
         a.last_version == b.last_version && a.page_count == b.page_count && a.part == b.part &&
         a.checksum_before == b.checksum_before && a.checksum_after == b.checksum_after &&
         a.time_us == b.time_us && a.snapshot == b.snapshot && a.transactions == b.transactions;
}

DecodeStatus status_of(std::string_view entry) {
  RecordHeader header;
  return decode_header(entry, &header).status;
}

std::string reason_of(std::string_view entry) {
  RecordHeader header;
  return decode_header(entry, &header).reason;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> one_of_each_kind() {
  const std::vector<std::string> batch = two_entries();
  return {leader_entry(), heartbeat_entry(),      patches_entry(),        batch[0],
          batch[1],       snapshot_begin_entry(), snapshot_chunk_entry(), snapshot_end_entry()};
}

}  // namespace

TEST_CASE("a heartbeat comes back as it was written") {
  RecordHeader expected = header_on_one_version();
  expected.kind = RecordKind::heartbeat;
  RecordHeader header;
  REQUIRE(decode_header(heartbeat_entry(), &header).status == DecodeStatus::ok);
  CHECK(same(header, expected));
}

TEST_CASE("a leader record comes back as it was written") {
  RecordHeader expected = header_on_one_version();
  expected.kind = RecordKind::leader;
  const std::string entry = leader_entry();
  RecordHeader header;
  LeaderInfo info;
  REQUIRE(decode_header(entry, &header).status == DecodeStatus::ok);
  REQUIRE(decode_leader(entry, &info).status == DecodeStatus::ok);
  CHECK(same(header, expected));
  CHECK(info.host == leader_info().host);
  CHECK(info.software == leader_info().software);
  CHECK(info.instance == leader_info().instance);
  CHECK(info.schema == leader_info().schema);
}

TEST_CASE("records without pages can be read whatever header they are made from") {
  RecordHeader odd = header();  // spans versions
  odd.part = 3;
  for (const std::string& entry : {encode_heartbeat(odd), encode_leader(odd, leader_info())}) {
    RecordHeader decoded;
    REQUIRE(decode_header(entry, &decoded).status == DecodeStatus::ok);
    CHECK(decoded.first_version == odd.last_version);
    CHECK(decoded.part == 0);
  }
}

TEST_CASE("a text too long for a leader record is cut between two characters") {
  LeaderInfo info;
  info.host = std::string(254, 'h') + "\xc3\xa4";           // the second byte would not fit
  info.software = std::string(253, 's') + "\xc3\xa4";       // fits exactly
  info.instance = std::string(253, 'i') + "\xe2\x82\xac!";  // a character of three bytes
  info.schema = std::string(256, 'c');
  const std::string entry = encode_leader(header_on_one_version(), info);
  LeaderInfo decoded;
  REQUIRE(decode_leader(entry, &decoded).status == DecodeStatus::ok);
  CHECK(decoded.host == std::string(254, 'h'));
  CHECK(decoded.software == info.software);
  CHECK(decoded.instance == std::string(253, 'i'));
  CHECK(decoded.schema == std::string(255, 'c'));
}

TEST_CASE("the largest values of every field come back") {
  RecordHeader most;
  most.kind = RecordKind::heartbeat;
  most.epoch = most.first_version = most.last_version = ~std::uint64_t{0};
  most.checksum_before = most.checksum_after = most.time_us = most.snapshot = ~std::uint64_t{0};
  most.page_count = ~std::uint32_t{0};
  RecordHeader header;
  REQUIRE(decode_header(encode_heartbeat(most), &header).status == DecodeStatus::ok);
  CHECK(same(header, most));
}

TEST_CASE("every flipped byte of an entry is detected, whatever the kind") {
  for (const std::string& entry : one_of_each_kind()) {
    REQUIRE(status_of(entry) == DecodeStatus::ok);
    for (std::size_t i = 0; i < entry.size(); ++i) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        std::string damaged = entry;
        damaged[i] = static_cast<char>(damaged[i] ^ flip);
        const DecodeStatus expected = i < 4 ? DecodeStatus::not_ours : DecodeStatus::corrupt;
        if (status_of(damaged) != expected) FAIL("byte " << i << " flipped by " << flip);
      }
    }
  }
}

TEST_CASE("an entry that is cut short, at any length, or goes on too long is detected") {
  for (const std::string& entry : one_of_each_kind()) {
    for (std::size_t size = 0; size < entry.size(); ++size) {
      const DecodeStatus expected = size < 4 ? DecodeStatus::not_ours : DecodeStatus::corrupt;
      if (status_of(entry.substr(0, size)) != expected) FAIL("cut to " << size << " bytes");
    }
    CHECK(status_of(entry + '\0') == DecodeStatus::corrupt);
    CHECK(status_of(entry + entry) == DecodeStatus::corrupt);
  }
}

TEST_CASE("a damaged entry is reported with its size and both checksums") {
  std::string entry = heartbeat_entry();
  entry[20] = static_cast<char>(entry[20] ^ 1);
  const std::string reason = reason_of(entry);
  CHECK(contains(reason, "entry of 88 bytes: checksum 0x"));
  CHECK(contains(reason, ", expected 0x"));
}

TEST_CASE("a newer format version is refused by its number, not called corrupt") {
  const std::string entry = with_field(leader_entry(), &WireHeader::format, std::uint16_t{7});
  CHECK(status_of(entry) == DecodeStatus::too_new);
  CHECK(contains(reason_of(entry), "format version 7, this release reads up to 1"));
  LeaderInfo info;
  CHECK(decode_leader(entry, &info).status == DecodeStatus::too_new);
}

TEST_CASE("a newer format version counts only if the checksum fits") {
  std::string entry = leader_entry();
  entry[4] = 7;
  CHECK(status_of(entry) == DecodeStatus::corrupt);
}

TEST_CASE("an unknown record kind is refused by its number") {
  for (const int kind : {8, 99, 255}) {
    const std::string entry =
        with_field(heartbeat_entry(), &WireHeader::kind, static_cast<std::uint8_t>(kind));
    CHECK(status_of(entry) == DecodeStatus::too_new);
    CHECK(contains(reason_of(entry),
                   "record kind " + std::to_string(kind) + ", this release knows 1 to 7"));
  }
}

TEST_CASE("an unknown flag is refused by its number") {
  const std::string entry = with_field(patches_entry(), &WireHeader::flags, std::uint8_t{0x42});
  CHECK(status_of(entry) == DecodeStatus::too_new);
  CHECK(contains(reason_of(entry), "flags 66, this release knows 1"));
}

TEST_CASE("entries of other applications are told from damaged ones") {
  const std::string protobuf("\x08\x96\x01\x12\x07testing\x1a\x02\x08\x01", 17);
  const PageBytes noise = random_page(5);
  CHECK(status_of("") == DecodeStatus::not_ours);
  CHECK(status_of("x") == DecodeStatus::not_ours);
  CHECK(status_of(protobuf) == DecodeStatus::not_ours);
  CHECK(status_of(std::string(200, '\0')) == DecodeStatus::not_ours);
  CHECK(status_of({reinterpret_cast<const char*>(noise.data()), noise.size()}) ==
        DecodeStatus::not_ours);
  CHECK(contains(reason_of(protobuf), "entry of 17 bytes: not written by aurora-store"));
}

TEST_CASE("fields that contradict each other are corrupt although the checksum fits") {
  const std::string heartbeat = heartbeat_entry();
  const std::string batch = patches_entry();
  const std::string part = two_entries()[0];
  const auto check = [](const std::string& entry, const std::string& reason) {
    CHECK(status_of(entry) == DecodeStatus::corrupt);
    CHECK_MESSAGE(contains(reason_of(entry), reason), reason_of(entry));
  };
  check(with_field(batch, &WireHeader::format, std::uint16_t{0}), "no format version");
  check(with_field(batch, &WireHeader::kind, std::uint8_t{0}), "no format version or kind");
  check(with_field(batch, &WireHeader::first_version, std::uint64_t{1004}), "run backwards");
  check(with_field(batch, &WireHeader::body_size, std::uint32_t{3}), "its header says 3");
  check(with_field(part, &WireHeader::body_size, std::uint32_t{(64 << 20) + 1}), "the limit is");
  check(with_field(heartbeat, &WireHeader::first_version, std::uint64_t{1}), "several versions");
  check(with_field(heartbeat, &WireHeader::part, std::uint32_t{1}), "in parts");
  check(with_field(heartbeat, &WireHeader::flags, std::uint8_t{1}), "compressed");
  check(with_field(leader_entry(), &WireHeader::kind, std::uint8_t{2}), "heartbeat with a body");
  check(with_field(part, &WireHeader::checksum_after, std::uint64_t{1}), "checksum by itself");
  const std::string chunk = snapshot_chunk_entry();
  const std::string end = snapshot_end_entry();
  check(with_field(chunk, &WireHeader::first_version, std::uint64_t{1}), "several versions");
  check(with_field(chunk, &WireHeader::checksum_after, std::uint64_t{1}), "changes the database's");
  check(with_field(snapshot_begin_entry(), &WireHeader::part, std::uint32_t{1}), "in parts");
  check(with_field(snapshot_begin_entry(), &WireHeader::kind, std::uint8_t{7}), "end with a body");
  check(with_field(end, &WireHeader::flags, std::uint8_t{1}), "compressed");
}

TEST_CASE("a header that is refused leaves the caller's untouched") {
  RecordHeader header;
  header.epoch = 4711;
  std::string entry = heartbeat_entry();
  entry.back() = static_cast<char>(entry.back() ^ 1);
  REQUIRE(decode_header(entry, &header).status == DecodeStatus::corrupt);
  CHECK(header.epoch == 4711);
}

TEST_CASE("a leader record whose texts do not fill it exactly is corrupt") {
  RecordHeader leader = header_on_one_version();
  leader.kind = RecordKind::leader;
  const auto status = [&](std::string_view body) {
    LeaderInfo info;
    return decode_leader(wire::seal(leader, 0, body.size(), body), &info).status;
  };
  CHECK(status(std::string_view("\0\0\0\0", 4)) == DecodeStatus::ok);
  CHECK(status("") == DecodeStatus::corrupt);
  CHECK(status(std::string_view("\0\0\0", 3)) == DecodeStatus::corrupt);
  CHECK(status(std::string_view("\0\0\0\1", 4)) == DecodeStatus::corrupt);
  CHECK(status(std::string_view("\0\0\0\0x", 5)) == DecodeStatus::corrupt);
  LeaderInfo info;
  CHECK(decode_leader(heartbeat_entry(), &info).status == DecodeStatus::corrupt);
}

TEST_CASE("a snapshot's begin comes back with its leader and where that one began") {
  RecordHeader expected = header_on_one_version();
  expected.kind = RecordKind::snapshot_begin;
  const std::string entry = snapshot_begin_entry();
  RecordHeader header;
  LeaderInfo info;
  std::uint64_t leader_position = 0;
  REQUIRE(decode_header(entry, &header).status == DecodeStatus::ok);
  REQUIRE(decode_snapshot_begin(entry, &info, &leader_position).status == DecodeStatus::ok);
  CHECK(same(header, expected));
  CHECK(info.host == leader_info().host);
  CHECK(info.schema == leader_info().schema);
  CHECK(leader_position == 4720);
  CHECK(decode_snapshot_begin(leader_entry(), &info, &leader_position).status ==
        DecodeStatus::corrupt);
  CHECK(decode_leader(entry, &info).status == DecodeStatus::corrupt);
}

TEST_CASE("a snapshot's begin whose body does not end with a position is corrupt") {
  RecordHeader begin = header_on_one_version();
  begin.kind = RecordKind::snapshot_begin;
  for (const std::size_t size : {0, 3, 4, 11, 13}) {
    const std::string body(size, '\0');
    LeaderInfo info;
    std::uint64_t position = 0;
    CHECK(decode_snapshot_begin(wire::seal(begin, 0, size, body), &info, &position).status ==
          DecodeStatus::corrupt);
  }
}

TEST_CASE("a snapshot's end says how many chunks there were") {
  RecordHeader expected = header_on_one_version();
  expected.kind = RecordKind::snapshot_end;
  expected.part = 3;
  RecordHeader header;
  REQUIRE(decode_header(snapshot_end_entry(), &header).status == DecodeStatus::ok);
  CHECK(same(header, expected));
}

TEST_CASE("an entry moved to another log differs in its snapshot alone, and its checksum fits") {
  for (const std::string& entry : one_of_each_kind()) {
    RecordHeader expected;
    REQUIRE(decode_header(entry, &expected).status == DecodeStatus::ok);
    expected.snapshot = 17;
    std::string moved = entry;
    relocate(&moved, 17);
    RecordHeader header;
    REQUIRE(decode_header(moved, &header).status == DecodeStatus::ok);
    CHECK(same(header, expected));
    CHECK(wire::stored_body(moved) == wire::stored_body(entry));
  }
}

// The golden files were written by the first release with this format, and every later one must
// read them. A missing one is written only when AURORA_WRITE_GOLDEN is set; none is ever
// overwritten. tests/test_log_format_doc.py reads the same files by docs/log-format.md.
namespace {

std::string golden(const std::string& name, const std::string& if_missing) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../tests/golden" /
                    "log-format-v1" / (name + ".bin");
  if (!std::filesystem::exists(path) && std::getenv("AURORA_WRITE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << if_missing;
  }
  std::ifstream file(path, std::ios::binary);
  REQUIRE_MESSAGE(file.good(), "golden file is missing: " << path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

// Page numbers, changes and, for full pages and patches applied to their bases, contents.
bool same_pages(const std::string& a, const std::string& b) {
  RecordHeader header_a;
  RecordHeader header_b;
  BatchDecoder decoder_a;
  BatchDecoder decoder_b;
  if (decode_header(a, &header_a).status != DecodeStatus::ok ||
      decode_header(b, &header_b).status != DecodeStatus::ok || !same(header_a, header_b) ||
      decoder_a.decode(a, header_a).status != DecodeStatus::ok ||
      decoder_b.decode(b, header_b).status != DecodeStatus::ok ||
      decoder_a.pages().size() != decoder_b.pages().size()) {
    return false;
  }
  for (std::size_t i = 0; i < decoder_a.pages().size(); ++i) {
    const DecodedPage& page_a = decoder_a.pages()[i];
    const DecodedPage& page_b = decoder_b.pages()[i];
    if (page_a.number != page_b.number || page_a.change != page_b.change ||
        page_a.size != page_b.size || std::memcmp(page_a.data, page_b.data, page_a.size) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("this release writes the same bytes as the golden files where zstd has no say") {
  CHECK(golden("leader", leader_entry()) == leader_entry());
  CHECK(golden("heartbeat", heartbeat_entry()) == heartbeat_entry());
  CHECK(golden("batch-of-patches", patches_entry()) == patches_entry());
  CHECK(golden("snapshot-begin", snapshot_begin_entry()) == snapshot_begin_entry());
  CHECK(golden("snapshot-end", snapshot_end_entry()) == snapshot_end_entry());
}

TEST_CASE("this release reads the golden files of compressed batches") {
  const std::vector<std::string> entries = two_entries();
  CHECK(same_pages(golden("batch-part", entries[0]), entries[0]));
  CHECK(same_pages(golden("batch", entries[1]), entries[1]));
  CHECK(same_pages(golden("snapshot-chunk", snapshot_chunk_entry()), snapshot_chunk_entry()));
}
