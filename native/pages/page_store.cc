// See page_store.h for what it is and who may call what. How pages are freed:
//
// Each publish() and apply() leaves a Commit with the pages it linked. When the floor (below which
// nobody looks) reaches a commit, the predecessor of each of its pages is out of reach: freed. A
// commit that was taken back loses its pages altogether, once every pin that existed at that
// moment is gone: not only those on its version, for a reader of an older version may be walking
// past its pages just then.
#include "pages/page_store.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <list>
#include <new>
#include <utility>

#include "pages/page_table.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace aurora {
namespace {

Page* allocate(std::size_t size, PageNumber number) {
  void* memory = std::malloc(size);
  if (!memory) throw std::bad_alloc();
  Page* page = new (memory) Page;
  page->number = number;
  return page;
}

std::uint64_t hash_of(const Page* page) { return page ? page->hash : 0; }
bool present(const Page* page) { return page && !page->absent; }

}  // namespace

Page* Page::create(PageNumber number) { return allocate(sizeof(Page), number); }

Page* Page::create_absent(PageNumber number) {
  Page* page = allocate(offsetof(Page, bytes), number);
  page->absent = true;
  return page;
}

void Page::destroy(Page* page) { std::free(page); }

std::uint64_t page_hash(PageNumber number, const std::uint8_t* bytes) {
  return XXH3_64bits_withSeed(bytes, kPageSize, number);
}

struct PageStore::Impl {
  struct State {
    Version version = 0;
    std::uint32_t page_count = 0;
    std::uint64_t checksum = 0;
  };
  struct Commit {
    Version version = 0;
    std::vector<Page*> pages;     // owned by the table, or by `taken_back`
    std::uint64_t last_pin = 0;   // taken back: serial of the newest pin at that moment
  };
  // A version whose every allocation is done: nothing can fail any more.
  struct Staged {
    State state;
    std::vector<PagePtr> pages;
    std::list<Commit> commit;  // one, with room for the pages
  };

  PageTable table;
  std::atomic<std::uint64_t> held{0};

  mutable std::mutex mutex;        // guards everything below; readers take it to pin and unpin only
  State durable, sent, latest;
  LogMark mark;                    // of durable
  std::list<Commit> history;       // ascending; those above the floor
  std::list<Commit> taken_back;    // in the order of the rewinds
  Pin* oldest_pin = nullptr;       // pins in the order they were taken: floors ascend
  Pin* newest_pin = nullptr;
  Pin* free_pins = nullptr;        // linked by `next`: a read transaction costs no allocation
  std::uint64_t pins = 0;
  std::uint64_t last_serial = 0;
  bool reclaiming = false;         // a thread is freeing pages, outside the mutex

  State state(State Impl::*which) const {
    std::lock_guard<std::mutex> lock(mutex);
    return this->*which;
  }

  Staged stage(const State& base, Version version, std::vector<PagePtr> pages,
               std::uint32_t page_count, std::uint32_t kept);
  void link(Staged* staged);
  bool take_over(const State& base, Version version, std::vector<PagePtr> pages,
                 std::uint32_t page_count, std::uint64_t checksum, const LogMark& mark,
                 std::string* reason);
  void reclaim(std::unique_lock<std::mutex>& lock);
  void destroy(Page* page);
};

// `pages` are sorted. Reads the newest pages of the table as those of `base`.
PageStore::Impl::Staged PageStore::Impl::stage(const State& base, Version version,
                                               std::vector<PagePtr> pages,
                                               std::uint32_t page_count, std::uint32_t kept) {
  while (!pages.empty() && pages.back()->number > page_count) pages.pop_back();

  // Pages that the database lost on the way and that were not written anew.
  const std::uint32_t bottom = std::min(kept, page_count);
  std::vector<PagePtr> lost;
  auto written = pages.begin();
  for (std::uint64_t number = std::uint64_t{bottom} + 1; number <= base.page_count; ++number) {
    while (written != pages.end() && (*written)->number < number) ++written;
    if (written != pages.end() && (*written)->number == number) continue;
    const PageNumber page_number = static_cast<PageNumber>(number);
    if (present(table.newest(page_number))) lost.emplace_back(Page::create_absent(page_number));
  }
  std::move(lost.begin(), lost.end(), std::back_inserter(pages));

  Staged staged;
  staged.state = {version, page_count, base.checksum};
  for (PagePtr& page : pages) {
    page->version = version;
    page->hash = page->absent ? 0 : page_hash(page->number, page->bytes);
    staged.state.checksum ^= page->hash ^ hash_of(table.newest(page->number));
    table.reserve(page->number);
  }
  staged.commit.emplace_back();
  staged.commit.back().version = version;
  staged.commit.back().pages.reserve(pages.size());
  staged.pages = std::move(pages);
  return staged;
}

// No pin sees the pages yet: their version is above all of them.
void PageStore::Impl::link(Staged* staged) {
  std::uint64_t with_bytes = 0;
  for (PagePtr& owned : staged->pages) {
    Page* page = owned.release();
    page->older.store(table.newest(page->number), std::memory_order_relaxed);
    table.set(page->number, page);
    staged->commit.back().pages.push_back(page);
    with_bytes += page->absent ? 0 : 1;
  }
  held.fetch_add(with_bytes, std::memory_order_relaxed);
}

void PageStore::Impl::destroy(Page* page) {
  if (present(page)) held.fetch_sub(1, std::memory_order_relaxed);
  Page::destroy(page);
}

// Frees what is out of everybody's reach, without holding the mutex meanwhile. By one thread at a
// time: a page must not be freed by one while another looks for its predecessor. Whoever does it
// goes on until nothing is left, so others need not wait for it.
void PageStore::Impl::reclaim(std::unique_lock<std::mutex>& lock) {
  if (reclaiming) return;
  for (;;) {
    const Version floor = oldest_pin ? oldest_pin->floor : durable.version;
    std::list<Commit> superseding;
    while (!history.empty() && history.front().version <= floor) {
      superseding.splice(superseding.end(), history, history.begin());
    }
    std::list<Commit> dead;
    while (!taken_back.empty() &&
           (!oldest_pin || oldest_pin->serial > taken_back.front().last_pin)) {
      dead.splice(dead.end(), taken_back, taken_back.begin());
    }
    if (superseding.empty() && dead.empty()) return;

    reclaiming = true;
    lock.unlock();
    for (const Commit& commit : superseding) {
      for (Page* page : commit.pages) {
        Page* older = page->older.load(std::memory_order_relaxed);
        page->older.store(nullptr, std::memory_order_relaxed);
        if (older) destroy(older);
      }
    }
    for (const Commit& commit : dead) {
      for (Page* page : commit.pages) destroy(page);
    }
    lock.lock();
    reclaiming = false;
  }
}

PageStore::PageStore() : impl_(std::make_unique<Impl>()) {}

PageStore::~PageStore() {
  assert(!impl_->oldest_pin);
  while (Pin* pin = impl_->free_pins) {
    impl_->free_pins = pin->next;
    delete pin;
  }
  for (const Impl::Commit& commit : impl_->taken_back) {
    for (Page* page : commit.pages) Page::destroy(page);
  }
  impl_->table.for_each([](Page* page) {
    while (page) {
      Page* older = page->older.load(std::memory_order_relaxed);
      Page::destroy(page);
      page = older;
    }
  });
}

Pin* PageStore::pin(At at) {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  Pin* const pin = impl_->free_pins ? impl_->free_pins : new Pin;
  if (impl_->free_pins) impl_->free_pins = pin->next;
  const Impl::State& state = at == At::durable ? impl_->durable : impl_->latest;
  pin->version = state.version;
  pin->page_count = state.page_count;
  pin->checksum = state.checksum;
  pin->mark = impl_->mark;
  pin->floor = impl_->durable.version;
  pin->serial = ++impl_->last_serial;
  pin->doomed.store(false, std::memory_order_relaxed);
  pin->previous = impl_->newest_pin;
  pin->next = nullptr;
  (pin->previous ? pin->previous->next : impl_->oldest_pin) = pin;
  impl_->newest_pin = pin;
  ++impl_->pins;
  return pin;
}

void PageStore::unpin(Pin* pin) {
  std::unique_lock<std::mutex> lock(impl_->mutex);
  const bool was_oldest = !pin->previous;
  (pin->previous ? pin->previous->next : impl_->oldest_pin) = pin->next;
  (pin->next ? pin->next->previous : impl_->newest_pin) = pin->previous;
  --impl_->pins;
  pin->next = impl_->free_pins;
  impl_->free_pins = pin;
  if (was_oldest) impl_->reclaim(lock);
}

const std::uint8_t* PageStore::find(const Pin& pin, PageNumber number) const {
  if (number > pin.page_count) return nullptr;
  const Page* page = impl_->table.newest(number);
  while (page && page->version > pin.version) page = page->older.load(std::memory_order_acquire);
  return present(page) ? page->bytes : nullptr;
}

namespace {

// True if the numbers are distinct and none is 0 (SQLite counts pages from 1).
bool sort_by_number(std::vector<PagePtr>* pages) {
  const auto below = [](const PagePtr& a, const PagePtr& b) { return a->number < b->number; };
  if (!std::is_sorted(pages->begin(), pages->end(), below)) {
    std::sort(pages->begin(), pages->end(), below);
  }
  const auto same = [](const PagePtr& a, const PagePtr& b) { return a->number == b->number; };
  return (pages->empty() || pages->front()->number != 0) &&
         std::adjacent_find(pages->begin(), pages->end(), same) == pages->end();
}

}  // namespace

Version PageStore::publish(std::vector<PagePtr> pages, std::uint32_t page_count,
                           std::uint32_t kept) {
  const bool valid = sort_by_number(&pages);
  assert(valid);
  (void)valid;
  const Impl::State base = impl_->state(&Impl::latest);
  Impl::Staged staged =
      impl_->stage(base, base.version + 1, std::move(pages), page_count, kept);
  impl_->link(&staged);

  std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->history.splice(impl_->history.end(), staged.commit);
  impl_->latest = staged.state;
  return staged.state.version;
}

bool PageStore::collect(Changes* changes) {
  *changes = Changes{};
  std::vector<const Impl::Commit*> commits;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    if (impl_->sent.version == impl_->latest.version) return false;
    for (auto commit = impl_->history.rbegin();
         commit != impl_->history.rend() && commit->version > impl_->sent.version; ++commit) {
      commits.push_back(&*commit);
    }
    changes->first = impl_->sent.version + 1;
    changes->last = impl_->latest.version;
    changes->page_count = impl_->latest.page_count;
    changes->checksum_before = impl_->sent.checksum;
    changes->checksum_after = impl_->latest.checksum;
    impl_->sent = impl_->latest;
  }

  // Only make_durable() and rewind() could remove these commits or their pages.
  std::vector<const Page*> pages;
  for (const Impl::Commit* commit : commits) {
    pages.insert(pages.end(), commit->pages.begin(), commit->pages.end());
  }
  std::sort(pages.begin(), pages.end(), [](const Page* a, const Page* b) {
    return a->number != b->number ? a->number < b->number : a->version < b->version;
  });
  for (std::size_t i = 0; i < pages.size() && pages[i]->number <= changes->page_count;) {
    const Page* before = pages[i]->older.load(std::memory_order_acquire);
    const PageNumber number = pages[i]->number;
    while (i + 1 < pages.size() && pages[i + 1]->number == number) ++i;
    const Page* after = pages[i++];
    if (!present(before)) before = nullptr;
    if (!present(after)) after = nullptr;
    if (before || after) changes->pages.push_back({number, before, after});
  }
  return true;
}

void PageStore::make_durable(const LogMark& mark) {
  std::unique_lock<std::mutex> lock(impl_->mutex);
  impl_->mark = mark;
  impl_->durable = impl_->sent;
  impl_->reclaim(lock);
}

std::uint64_t PageStore::rewind() {
  std::unique_lock<std::mutex> lock(impl_->mutex);
  const Version durable = impl_->durable.version;
  const std::uint64_t count = impl_->latest.version - durable;

  // Doomed first: who reads a page that is only there because of the rewind must find out.
  for (Pin* pin = impl_->oldest_pin; pin; pin = pin->next) {
    if (pin->version > durable) pin->doomed.store(true, std::memory_order_release);
  }
  std::list<Impl::Commit> undone;
  while (!impl_->history.empty() && impl_->history.back().version > durable) {
    Impl::Commit& commit = impl_->history.back();
    for (Page* page : commit.pages) {
      impl_->table.set(page->number, page->older.load(std::memory_order_relaxed));
    }
    commit.last_pin = impl_->last_serial;
    undone.splice(undone.end(), impl_->history, std::prev(impl_->history.end()));
  }
  impl_->taken_back.splice(impl_->taken_back.end(), undone);
  impl_->latest = impl_->sent = impl_->durable;
  impl_->reclaim(lock);
  return count;
}

bool PageStore::apply(std::vector<PagePtr> pages, Version first, Version last,
                      std::uint32_t page_count, std::uint64_t checksum_after,
                      const LogMark& mark, std::string* reason) {
  const Impl::State base = impl_->state(&Impl::latest);
  if (first != base.version + 1 || last < first) {
    *reason = "versions " + std::to_string(first) + " to " + std::to_string(last) +
              " do not follow version " + std::to_string(base.version);
    return false;
  }
  return impl_->take_over(base, last, std::move(pages), page_count, checksum_after, mark, reason);
}

bool PageStore::load(std::vector<PagePtr> pages, Version version, std::uint32_t page_count,
                     std::uint64_t checksum, const LogMark& mark, std::string* reason) {
  const Impl::State base = impl_->state(&Impl::latest);
  assert(base.version == 0 && base.page_count == 0);
  return impl_->take_over(base, version, std::move(pages), page_count, checksum, mark, reason);
}

// Makes `pages` on top of `base`, which is the latest version, the durable version `version`.
bool PageStore::Impl::take_over(const State& base, Version version, std::vector<PagePtr> pages,
                                std::uint32_t page_count, std::uint64_t checksum,
                                const LogMark& new_mark, std::string* reason) {
  if (!sort_by_number(&pages)) {
    *reason = "a page number is 0 or there twice in version " + std::to_string(version);
    return false;
  }
  Staged staged = stage(base, version, std::move(pages), page_count, page_count);
  if (staged.state.checksum != checksum) {
    *reason = "the database's checksum after version " + std::to_string(version) + " would be " +
              std::to_string(staged.state.checksum) + ", not " + std::to_string(checksum);
    return false;
  }
  link(&staged);

  std::unique_lock<std::mutex> lock(mutex);
  history.splice(history.end(), staged.commit);
  durable = sent = latest = staged.state;
  mark = new_mark;
  reclaim(lock);
  return true;
}

PageStore::Stats PageStore::stats() const {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  Stats stats;
  stats.latest = impl_->latest.version;
  stats.sent = impl_->sent.version;
  stats.durable = impl_->durable.version;
  stats.page_count = impl_->durable.page_count;
  stats.checksum = impl_->durable.checksum;
  stats.pages_held = impl_->held.load(std::memory_order_relaxed);
  stats.pins = impl_->pins;
  stats.oldest_pin = impl_->oldest_pin ? impl_->oldest_pin->floor : 0;
  return stats;
}

std::uint64_t PageStore::recompute_checksum(const Pin& pin) const {
  std::uint64_t checksum = 0;
  for (std::uint64_t i = 1; i <= pin.page_count; ++i) {
    const PageNumber number = static_cast<PageNumber>(i);
    if (const std::uint8_t* bytes = find(pin, number)) checksum ^= page_hash(number, bytes);
  }
  return checksum;
}

}  // namespace aurora
