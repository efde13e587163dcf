// The frame every entry has in common, and the kinds without pages.
#include "records/record.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "records/wire.h"

namespace aurora {
namespace {

constexpr std::size_t kMaxText = 255;

std::string hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%016" PRIx64, value);
  return text;
}

// The longest beginning of a UTF-8 text that fits, without a torn character at its end.
std::string_view fitting(std::string_view text) {
  if (text.size() <= kMaxText) return text;
  std::size_t size = kMaxText;
  while (size > 0 && (static_cast<std::uint8_t>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

// A record without pages is written on one version, whole.
RecordHeader without_pages(const RecordHeader& header, RecordKind kind) {
  RecordHeader result = header;
  result.kind = kind;
  result.first_version = result.last_version;
  result.checksum_before = result.checksum_after;
  if (kind != RecordKind::snapshot_end) result.part = 0;
  result.transactions = 0;
  return result;
}

std::string texts_of(const LeaderInfo& info) {
  std::string body;
  for (const std::string* text : {&info.host, &info.software, &info.instance, &info.schema}) {
    const std::string_view fit = fitting(*text);
    body.push_back(static_cast<char>(fit.size()));
    body.append(fit);
  }
  return body;
}

// Takes the texts off the front of `body`; false if they pass its end.
bool take_texts(std::string_view* body, LeaderInfo* info) {
  for (std::string* text : {&info->host, &info->software, &info->instance, &info->schema}) {
    const std::size_t size = body->empty() ? 0 : static_cast<std::uint8_t>((*body)[0]);
    if (body->empty() || size > body->size() - 1) return false;
    text->assign(body->substr(1, size));
    body->remove_prefix(1 + size);
  }
  return true;
}

// What is wrong with the fields of an entry whose checksum fits, or an empty text.
std::string contradiction(const wire::WireHeader& header, std::size_t stored_size) {
  const auto kind = static_cast<RecordKind>(header.kind);
  const bool batch = kind == RecordKind::batch || kind == RecordKind::batch_part;
  const bool zstd = (header.flags & wire::kBodyIsZstd) != 0;
  if (header.first_version > header.last_version) {
    return "versions " + std::to_string(header.first_version) + ".." +
           std::to_string(header.last_version) + " run backwards";
  }
  if (header.body_size > wire::kMaxBody) {
    return "body of " + std::to_string(header.body_size) + " bytes, the limit is " +
           std::to_string(wire::kMaxBody);
  }
  if (!zstd && header.body_size != stored_size) {
    return "body of " + std::to_string(stored_size) + " bytes, its header says " +
           std::to_string(header.body_size);
  }
  if (!batch && header.first_version != header.last_version) {
    return "a record that is no batch spans several versions";
  }
  if (!batch && header.checksum_before != header.checksum_after) {
    return "a record that is no batch changes the database's checksum";
  }
  if (!holds_pages(kind) && zstd) return "a record without pages is compressed";
  if (!holds_pages(kind) && kind != RecordKind::snapshot_end && header.part != 0) {
    return "a record without pages is in parts";
  }
  if (kind == RecordKind::heartbeat && stored_size != 0) return "a heartbeat with a body";
  if (kind == RecordKind::snapshot_end && stored_size != 0) return "a snapshot's end with a body";
  if (kind == RecordKind::batch_part && header.checksum_before != header.checksum_after) {
    return "a part that changes the database's checksum by itself";
  }
  return {};
}

}  // namespace

namespace wire {

std::uint64_t checksum(const void* data, std::size_t size) { return XXH3_64bits(data, size); }

std::string seal(const RecordHeader& header, std::uint8_t flags, std::size_t body_size,
                 std::string_view stored) {
  WireHeader out;
  std::memcpy(out.magic, kMagic, sizeof kMagic);
  out.format = kFormat;
  out.kind = static_cast<std::uint8_t>(header.kind);
  out.flags = flags;
  out.epoch = header.epoch;
  out.first_version = header.first_version;
  out.last_version = header.last_version;
  out.checksum_before = header.checksum_before;
  out.checksum_after = header.checksum_after;
  out.time_us = header.time_us;
  out.snapshot = header.snapshot;
  out.page_count = header.page_count;
  out.part = header.part;
  out.transactions = header.transactions;
  out.body_size = static_cast<std::uint32_t>(body_size);

  std::string entry;
  entry.reserve(kSmallestEntry + stored.size());
  entry.append(reinterpret_cast<const char*>(&out), sizeof out);
  entry.append(stored);
  const std::uint64_t sum = checksum(entry.data(), entry.size());
  entry.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  return entry;
}

}  // namespace wire

std::string encode_leader(const RecordHeader& header, const LeaderInfo& info) {
  const std::string body = texts_of(info);
  return wire::seal(without_pages(header, RecordKind::leader), 0, body.size(), body);
}

std::string encode_heartbeat(const RecordHeader& header) {
  return wire::seal(without_pages(header, RecordKind::heartbeat), 0, 0, {});
}

std::string encode_snapshot_begin(const RecordHeader& header, const LeaderInfo& info,
                                  std::uint64_t leader_position) {
  std::string body = texts_of(info);
  body.append(reinterpret_cast<const char*>(&leader_position), sizeof leader_position);
  return wire::seal(without_pages(header, RecordKind::snapshot_begin), 0, body.size(), body);
}

std::string encode_snapshot_end(const RecordHeader& header) {
  return wire::seal(without_pages(header, RecordKind::snapshot_end), 0, 0, {});
}

DecodeError decode_header(std::string_view entry, RecordHeader* header) {
  const std::string size = "entry of " + std::to_string(entry.size()) + " bytes";
  if (entry.size() < sizeof wire::kMagic ||
      std::memcmp(entry.data(), wire::kMagic, sizeof wire::kMagic) != 0) {
    return {DecodeStatus::not_ours, size + ": not written by aurora-store"};
  }
  if (entry.size() < wire::kSmallestEntry) {
    return wire::corrupt(size + ": cut short, the smallest has " +
                         std::to_string(wire::kSmallestEntry));
  }
  std::uint64_t expected = 0;
  std::memcpy(&expected, entry.data() + entry.size() - sizeof expected, sizeof expected);
  const std::uint64_t sum = wire::checksum(entry.data(), entry.size() - sizeof expected);
  if (sum != expected) {
    return wire::corrupt(size + ": checksum " + hex(sum) + ", expected " + hex(expected));
  }

  const wire::WireHeader in = wire::header_of(entry);
  if (in.format > wire::kFormat) {
    return {DecodeStatus::too_new, size + ": format version " + std::to_string(in.format) +
                                       ", this release reads up to " +
                                       std::to_string(wire::kFormat)};
  }
  if (in.format == 0 || in.kind == 0) return wire::corrupt(size + ": no format version or kind");
  if (in.kind > wire::kLastKind) {
    return {DecodeStatus::too_new, size + ": record kind " + std::to_string(in.kind) +
                                       ", this release knows 1 to " +
                                       std::to_string(wire::kLastKind)};
  }
  if ((in.flags & ~wire::kKnownFlags) != 0) {
    return {DecodeStatus::too_new, size + ": flags " + std::to_string(in.flags) +
                                       ", this release knows " +
                                       std::to_string(wire::kKnownFlags)};
  }
  const std::string wrong = contradiction(in, wire::stored_body(entry).size());
  if (!wrong.empty()) return wire::corrupt(size + ": " + wrong);

  header->kind = static_cast<RecordKind>(in.kind);
  header->epoch = in.epoch;
  header->first_version = in.first_version;
  header->last_version = in.last_version;
  header->page_count = in.page_count;
  header->part = in.part;
  header->checksum_before = in.checksum_before;
  header->checksum_after = in.checksum_after;
  header->time_us = in.time_us;
  header->snapshot = in.snapshot;
  header->transactions = in.transactions;
  return {};
}

DecodeError decode_leader(std::string_view entry, LeaderInfo* info) {
  RecordHeader header;
  DecodeError error = decode_header(entry, &header);
  if (error.status != DecodeStatus::ok) return error;
  if (header.kind != RecordKind::leader) return wire::corrupt("not a leader record");

  std::string_view body = wire::stored_body(entry);
  if (!take_texts(&body, info)) return wire::corrupt("leader record whose texts pass its end");
  if (!body.empty()) return wire::corrupt("leader record with bytes behind its texts");
  return {};
}

DecodeError decode_snapshot_begin(std::string_view entry, LeaderInfo* info,
                                  std::uint64_t* leader_position) {
  RecordHeader header;
  DecodeError error = decode_header(entry, &header);
  if (error.status != DecodeStatus::ok) return error;
  if (header.kind != RecordKind::snapshot_begin) return wire::corrupt("not a snapshot's begin");

  std::string_view body = wire::stored_body(entry);
  if (!take_texts(&body, info) || body.size() != sizeof *leader_position) {
    return wire::corrupt("a snapshot's begin of another size than its texts say");
  }
  std::memcpy(leader_position, body.data(), sizeof *leader_position);
  return {};
}

void relocate(std::string* entry, std::uint64_t snapshot) {
  std::memcpy(entry->data() + offsetof(wire::WireHeader, snapshot), &snapshot, sizeof snapshot);
  const std::size_t covered = entry->size() - wire::kChecksumSize;
  const std::uint64_t sum = wire::checksum(entry->data(), covered);
  std::memcpy(entry->data() + covered, &sum, sizeof sum);
}

}  // namespace aurora
