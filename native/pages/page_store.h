// The database's pages, in memory, in versions: MVCC without locks for readers.
//
//   page number -> newest Page -> older Page -> ...
//
// A *version* is one committed transaction. Three of them matter:
//   durable <= sent <= latest
// `latest` is what the next writer builds on, `sent` has been collected for the log, `durable` is
// on a quorum of replicas and is all that readers ever see. A standby applies versions that are
// durable already, so there all three are equal.
//
// Who may call what: pin, unpin, find, stats: any thread. publish: the one writer. apply, load,
// collect, make_durable, rewind: the one replication thread. publish and apply never happen in the same
// reign, nor publish during a rewind (Database sees to both).
//
// How find() needs no lock: the table's cells and `Page::older` are atomic pointers, pages are
// immutable once linked, and a page is freed only when a newer one of the same number is at or
// below every floor, so no reader walks past what it is entitled to.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "records/record.h"  // Version, PageNumber, kPageSize

namespace aurora {

struct Page {
  std::atomic<Page*> older{nullptr};
  Version version = 0;
  std::uint64_t hash = 0;  // page_hash(); 0 if absent
  PageNumber number = 0;
  bool absent = false;     // reads as zeros; has no bytes
  alignas(16) std::uint8_t bytes[kPageSize];

  static Page* create(PageNumber number);         // bytes uninitialised
  static Page* create_absent(PageNumber number);  // allocated without bytes
  static void destroy(Page* page);
};
struct PageDeleter {
  void operator()(Page* page) const { Page::destroy(page); }
};
using PagePtr = std::unique_ptr<Page, PageDeleter>;

// XXH3 of the 4096 bytes, seeded with the page number. The database's checksum is the XOR over all
// pages that are not absent.
std::uint64_t page_hash(PageNumber number, const std::uint8_t* bytes);

// Where in the log a durable version comes from.
struct LogMark {
  LogMark() = default;
  // NOLINTNEXTLINE: implicit, for those who have nothing to say of time and epoch
  LogMark(std::uint64_t its_position, std::uint64_t its_time_us = 0, std::uint64_t its_epoch = 0)
      : position(its_position), time_us(its_time_us), epoch(its_epoch) {}

  std::uint64_t position = 0;  // of the entry that completed it
  std::uint64_t time_us = 0;   // the leader's clock in that entry
  std::uint64_t epoch = 0;     // the reign that wrote it
};

// A reader's hold on one version. Owned by the store; guarded by its mutex but for `doomed`.
struct Pin {
  Version version = 0;
  std::uint32_t page_count = 0;
  std::uint64_t checksum = 0;       // of the whole version
  LogMark mark;                     // of a durable version
  Version floor = 0;                // keeps pages alive from here on: durable when it was taken
  std::uint64_t serial = 0;         // counts the pins of a store
  std::atomic<bool> doomed{false};  // its version was taken back: whatever it reads is void
  Pin* previous = nullptr;
  Pin* next = nullptr;
};

class PageStore {
 public:
  enum class At { durable, latest };

  PageStore();
  ~PageStore();  // no pin may be left
  PageStore(const PageStore&) = delete;
  PageStore& operator=(const PageStore&) = delete;

  Pin* pin(At at);
  void unpin(Pin* pin);

  // The bytes of a page as of the pin, or null if it is absent or past the pinned size. Valid until
  // unpin(). Check pin.doomed *after* the bytes were used.
  const std::uint8_t* find(const Pin& pin, PageNumber number) const;

  // Makes `pages` (any order, distinct numbers; those past `page_count` are dropped) the version
  // after `latest`, and returns it. Pages above `kept` that are not among them become absent:
  // `kept` is the smallest size the transaction ever cut the database to. If it throws
  // (bad_alloc), nothing has changed.
  Version publish(std::vector<PagePtr> pages, std::uint32_t page_count, std::uint32_t kept);

  // What the versions after `sent` changed, each page once, in ascending order. Marks them sent.
  // The pointers are good until make_durable() or rewind().
  struct Change {
    PageNumber number = 0;
    const Page* before = nullptr;  // null: absent
    const Page* after = nullptr;   // null: absent
  };
  struct Changes {
    Version first = 0;
    Version last = 0;
    std::uint32_t page_count = 0;
    std::uint64_t checksum_before = 0;
    std::uint64_t checksum_after = 0;
    std::vector<Change> pages;
  };
  bool collect(Changes* changes);  // false: nothing new

  // Everything sent is durable now, by the entry at `mark`.
  void make_durable(const LogMark& mark = {});

  // Takes back every version above `durable` and dooms the pins on them. Returns how many.
  std::uint64_t rewind();

  // Applies a batch of the log: versions first..last at once, durable. False, with nothing changed
  // and `reason` set, if `first` is not the next version, or the checksum does not come out as
  // `checksum_after`. Pages with `absent` set become absent; pages above `page_count` as well.
  bool apply(std::vector<PagePtr> pages, Version first, Version last, std::uint32_t page_count,
             std::uint64_t checksum_after, const LogMark& mark, std::string* reason);

  // Makes the pages of a snapshot (distinct numbers, none absent) the version `version` of a store
  // that is empty yet, durable. False, with nothing changed and `reason` set, if their checksum is
  // not `checksum`.
  bool load(std::vector<PagePtr> pages, Version version, std::uint32_t page_count,
            std::uint64_t checksum, const LogMark& mark, std::string* reason);

  struct Stats {
    Version latest = 0;
    Version sent = 0;
    Version durable = 0;
    std::uint32_t page_count = 0;           // of durable
    std::uint64_t checksum = 0;             // of durable
    std::uint64_t pages_held = 0;           // pages with bytes in memory, all versions
    std::uint64_t pins = 0;
    Version oldest_pin = 0;                 // durable when it was taken; 0: none
  };
  Stats stats() const;

  // Recomputes the checksum over all pages of a pinned version, to hold against `Pin::checksum`.
  std::uint64_t recompute_checksum(const Pin& pin) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aurora
