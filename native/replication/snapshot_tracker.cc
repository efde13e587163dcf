#include "replication/snapshot_tracker.h"

#include <cstring>
#include <new>
#include <utility>

namespace aurora {

SnapshotTracker::Info SnapshotTracker::info() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return info_;
}

Position SnapshotTracker::newest() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return info_.complete.position;
}

Position SnapshotTracker::last_begin() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return last_begin_;
}

void SnapshotTracker::note(const Database& database, Position position,
                           const RecordHeader& header, std::size_t bytes,
                           PageNumber last_page) {
  if (header.kind == RecordKind::snapshot_begin) {
    forget();
    store_ = database.store();
    try {
      pin_ = store_->pin(PageStore::At::durable);
    } catch (const std::bad_alloc&) {
      store_.reset();  // somebody else may go on with it
    }
  }
  bool over = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool due = info_.under_way.position != 0 && header.part == info_.chunks;
    switch (header.kind) {
      case RecordKind::snapshot_begin:
        if (info_.under_way.position != 0) info_.given_up = "another one was begun";
        info_.under_way = snapshot_of(position, header);
        info_.held = pin_ != nullptr;
        last_begin_ = position;
        info_.last_page = 0;
        info_.chunks = 0;
        info_.bytes = 0;
        bytes_since_begin_ = 0;
        break;
      case RecordKind::snapshot_chunk:
        if (!due) return;
        ++info_.chunks;
        info_.bytes += bytes;
        info_.last_page = last_page;
        return;
      case RecordKind::snapshot_end:
        if (due) {
          info_.complete = std::exchange(info_.under_way, {});
          info_.complete.end = position;
          info_.held = false;
          info_.last_page = info_.chunks = 0;
          info_.bytes = 0;
          info_.given_up.clear();
          info_.bytes_since = bytes_since_begin_;
          over = true;
        }
        break;
      default:
        break;
    }
    info_.bytes_since += bytes;
    bytes_since_begin_ += bytes;
  }
  if (over) forget();
}

bool SnapshotTracker::due(const RecordHeader& header) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return info_.under_way.position != 0 && header.part == info_.chunks;
}

std::string SnapshotTracker::difference(const std::vector<DecodedPage>& pages) const {
  if (pin_ == nullptr) return {};
  const Info now = info();
  const std::string its =
      " of the snapshot that begins at position " + std::to_string(now.under_way.position);
  PageNumber last = now.last_page;
  const std::uint8_t* bytes = nullptr;
  for (const DecodedPage& page : pages) {
    const PageNumber own = next_page(last, &bytes);
    if (own != page.number || std::memcmp(bytes, page.data, kPageSize) != 0) {
      return "page " + std::to_string(page.number) + its + " is not that of this copy";
    }
    last = page.number;
  }
  if (pages.empty()) last = next_page(last, &bytes);
  return pages.empty() && last != 0 ? "page " + std::to_string(last) + its + " is missing" : "";
}

bool SnapshotTracker::copy_is_sound() const {
  return pin_ == nullptr || store_->recompute_checksum(*pin_) == info().under_way.checksum;
}

PageNumber SnapshotTracker::next_page(PageNumber last_page, const std::uint8_t** bytes) const {
  for (PageNumber number = last_page; number < pin_->page_count;) {
    *bytes = store_->find(*pin_, ++number);
    if (*bytes != nullptr) return number;
  }
  return 0;
}

void SnapshotTracker::give_up(std::string reason) {
  forget();
  const std::lock_guard<std::mutex> lock(mutex_);
  info_.under_way = {};
  info_.held = false;
  info_.given_up = std::move(reason);
}

void SnapshotTracker::loaded(const Snapshot& snapshot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  info_ = {};
  info_.complete = snapshot;
}

void SnapshotTracker::restart() {
  forget();
  const std::lock_guard<std::mutex> lock(mutex_);
  info_ = {};
}

void SnapshotTracker::forget() {
  if (pin_ != nullptr) store_->unpin(std::exchange(pin_, nullptr));
  store_.reset();
}

}  // namespace aurora
