// What an entry of the log says: its encoding, its decoding, and every check on the way.
// The bytes are described in docs/log-format.md; a test holds the two together.
#pragma once

#include <cstdint>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace aurora {

using Version = std::uint64_t;
using PageNumber = std::uint32_t;
inline constexpr std::size_t kPageSize = 4096;

enum class RecordKind : std::uint8_t {
  leader = 1,      // first entry of a reign
  heartbeat = 2,   // an idle leader's sign of life
  batch = 3,       // the pages of versions first..last
  batch_part = 4,  // a piece of a batch too large for one entry; the last piece is a `batch`
  snapshot_begin = 5,  // of the version it was written on; pages of it follow in chunks
  snapshot_chunk = 6,  // the next pages of the snapshot begun last
  snapshot_end = 7,    // that snapshot is complete
};

inline bool holds_pages(RecordKind kind) {
  return kind == RecordKind::batch || kind == RecordKind::batch_part ||
         kind == RecordKind::snapshot_chunk;
}

struct RecordHeader {
  RecordKind kind = RecordKind::heartbeat;
  std::uint64_t epoch = 0;       // reign of the leader that wrote it: 1, 2, 3 ...
  // The batch's versions. All other kinds were written on one version (first == last).
  Version first_version = 0;
  Version last_version = 0;
  // Size of the database after last_version; in a snapshot_chunk, of the snapshot.
  std::uint32_t page_count = 0;
  // batch_part, snapshot_chunk: 0, 1, 2 ...; batch, snapshot_end: how many of them came before it.
  std::uint32_t part = 0;
  std::uint64_t checksum_before = 0;  // of the whole database, rolling (page_store.h)
  std::uint64_t checksum_after = 0;   // batch_part: equals checksum_before
  std::uint64_t time_us = 0;          // leader's clock, microseconds since 1970 (UTC)
  // Where the newest complete snapshot begins, 0: there is none. A snapshot_end counts its own.
  std::uint64_t snapshot = 0;
  std::uint32_t transactions = 0;     // versions that changed something, for tools
};

// Who leads: the payload of a `leader` record and, as whoever starts there needs to know, of a
// `snapshot_begin`. Texts are UTF-8, at most 255 bytes each.
struct LeaderInfo {
  std::string host;
  std::string software;       // "aurora-store 0.1.0"
  std::string instance;       // unique per opened Store, so that a replica knows its own entries
  std::string schema;         // newest revisions that the software knows, or empty
};

// One changed page in a batch.
enum class PageChange : std::uint8_t {
  full = 0,    // 4096 bytes
  patch = 1,   // what differs from the page before the batch (patch.h)
  absent = 2,  // reads as zeros from now on (dropped by a shrink, or never written)
};

enum class DecodeStatus {
  ok,
  not_ours,    // no magic: another application's entry
  too_new,     // a format version or record kind this release does not know
  corrupt,     // checksum, lengths or structure are wrong
};

struct DecodeError {
  DecodeStatus status = DecodeStatus::ok;
  std::string reason;  // "format version 7, this release reads up to 1"
};

// Builds the entries of one batch. Pages are added in ascending order of number; the encoder
// starts a new entry whenever the compressed one would pass `entry_limit` bytes, so one batch
// becomes zero or more batch_part entries and one final batch entry.
class BatchEncoder {
 public:
  // `entry_limit`: target for the compressed size of an entry, in bytes.
  explicit BatchEncoder(std::size_t entry_limit);
  ~BatchEncoder();
  BatchEncoder(const BatchEncoder&) = delete;
  BatchEncoder& operator=(const BatchEncoder&) = delete;

  // Starts a batch; `header.kind`, `part` are the encoder's own business.
  void begin(const RecordHeader& header);

  // `base` is the page before the batch, or null if it was absent; `page` is null if it is absent
  // now. Chooses full or patch, whichever is smaller; leaves out a page that equals its base, and
  // one past header.page_count (the size says that it is gone). Returns true when an entry is
  // complete: take it with take_part() before adding more.
  bool add(PageNumber number, const std::uint8_t* base, const std::uint8_t* page);
  std::string take_part();

  // The final entry.
  std::string finish();

  // Instead of a batch: the pages added since begin() as one chunk of a snapshot, with `header`,
  // which is known only now. They were added without a base; take it when add() says so.
  std::string finish_chunk(const RecordHeader& header);

 private:
  struct Impl;
  Impl* impl_;
};

std::string encode_leader(const RecordHeader& header, const LeaderInfo& info);
std::string encode_heartbeat(const RecordHeader& header);

// `leader_position`: of the LEADER entry of header.epoch.
std::string encode_snapshot_begin(const RecordHeader& header, const LeaderInfo& info,
                                  std::uint64_t leader_position);
std::string encode_snapshot_end(const RecordHeader& header);  // header.part: how many chunks

// Reads the header and checks magic, the checksum over the whole entry, version, kind and lengths.
// Leaves `header` alone unless ok.
DecodeError decode_header(std::string_view entry, RecordHeader* header);

DecodeError decode_leader(std::string_view entry, LeaderInfo* info);
DecodeError decode_snapshot_begin(std::string_view entry, LeaderInfo* info,
                                  std::uint64_t* leader_position);

// Makes an entry that passed decode_header() one of a log where its newest complete snapshot begins
// at `snapshot`: for tools that copy entries to other positions.
void relocate(std::string* entry, std::uint64_t snapshot);

// One change of a decoded batch. For `patch`, call apply_patch on a copy of the base page.
struct DecodedPage {
  PageNumber number = 0;
  PageChange change = PageChange::full;
  const std::uint8_t* data = nullptr;  // full: 4096 bytes; patch: its encoded runs
  std::size_t size = 0;
};

// The changes of a batch, batch_part or snapshot_chunk entry (all `full`), checked completely before the first is handed out:
// numbers ascend and are 1..page_count of the header, patches stay inside their page, and the
// decompressed size is bounded before a byte is allocated.
class BatchDecoder {
 public:
  BatchDecoder();
  ~BatchDecoder();
  BatchDecoder(const BatchDecoder&) = delete;
  BatchDecoder& operator=(const BatchDecoder&) = delete;

  // decode_header() first. The pages point into the decoder's buffer until the next decode().
  DecodeError decode(std::string_view entry, const RecordHeader& header);
  const std::vector<DecodedPage>& pages() const;

 private:
  struct Impl;
  Impl* impl_;
};

// Turns `page`, which holds the base, into what it became. The patch comes from a BatchDecoder.
void apply_patch(const DecodedPage& patch, std::uint8_t* page);

}  // namespace aurora
