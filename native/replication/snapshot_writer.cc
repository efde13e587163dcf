#include "replication/snapshot_writer.h"

#include <algorithm>
#include <new>

namespace aurora {
namespace {

// Pages that compress well: the time to make the entry counts, too.
constexpr std::uint32_t kMostPages = 128;

// A log without transactions for so long has time.
constexpr std::chrono::seconds kIdle{1};

}  // namespace

SnapshotWriter::SnapshotWriter(Sender& sender, SnapshotTracker& snapshots, Options options)
    : sender_(sender), snapshots_(snapshots), options_(options), encoder_(options.chunk_bytes) {}

void SnapshotWriter::open(const LeaderInfo& leader, Position leader_position) {
  leader_ = leader;
  leader_position_ = leader_position;
  requested_ = false;
  next_ = Clock::now();
}

Deadline SnapshotWriter::due() const {
  return requested_ || snapshots_.info().held ? next_ : Deadline::max();
}

Outcome SnapshotWriter::write() {
  const auto start = Clock::now();
  Outcome outcome;
  try {
    outcome = snapshots_.info().held ? write_pages() : write_begin();
  } catch (const std::bad_alloc&) {
    requested_ = false;
    snapshots_.give_up("no memory to make an entry of it");
  }
  const auto now = Clock::now();
  const bool idle = now - last_transactions_.load() > kIdle;
  const double share = idle ? 1.0 : std::clamp(options_.share, 0.01, 1.0);
  next_ = now + std::chrono::duration_cast<Clock::duration>((now - start) * (1 / share - 1));
  return outcome;
}

Outcome SnapshotWriter::write_begin() {
  const Outcome outcome = sender_.send_record([this](RecordHeader* header) {
    header->kind = RecordKind::snapshot_begin;
    return encode_snapshot_begin(*header, leader_, leader_position_);
  });
  requested_ = false;
  return outcome;
}

Outcome SnapshotWriter::write_pages() {
  requested_ = false;  // one is under way
  const SnapshotTracker::Info now = snapshots_.info();
  RecordHeader pages;
  pages.page_count = now.under_way.page_count;
  encoder_.begin(pages);
  PageNumber last = now.last_page;
  std::uint32_t count = 0;
  const std::uint8_t* bytes = nullptr;
  while (count < kMostPages) {
    const PageNumber number = snapshots_.next_page(last, &bytes);
    if (number == 0) break;
    last = number;
    ++count;
    if (encoder_.add(number, nullptr, bytes)) break;
  }
  if (count == 0) {
    return sender_.send_record([&](RecordHeader* header) {
      header->kind = RecordKind::snapshot_end;
      header->part = now.chunks;
      header->snapshot = now.under_way.position;
      return encode_snapshot_end(*header);
    });
  }
  return sender_.send_record(
      [&](RecordHeader* header) {
        header->kind = RecordKind::snapshot_chunk;
        header->part = now.chunks;
        header->page_count = now.under_way.page_count;
        return encoder_.finish_chunk(*header);
      },
      last);
}

}  // namespace aurora
