// The driver's side of a Connection: the write lock, settling, staleness. See vfs.h.
#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

#include "sqlite/connection_impl.h"

namespace aurora {

namespace {

// Connections by id, for xOpen to find. Never destroyed: SQLite may outlive static destructors.
struct Registry {
  std::mutex mutex;
  std::uint64_t next_id = 1;                             // guarded by mutex
  std::unordered_map<std::uint64_t, Connection*> known;  // guarded by mutex
};
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

}  // namespace

std::string& open_refusal() {
  thread_local std::string reason;
  return reason;
}

bool Connection::Impl::lock_or_leave() {
  if (!holds_lock) holds_lock = database->writers().try_acquire(this);
  return holds_lock;
}

void Connection::Impl::unlock() {
  if (!holds_lock) return;
  holds_lock = false;
  database->writers().release(this);
}

bool Connection::Impl::cache_is_void(std::uint64_t generation,
                                     const std::shared_ptr<PageStore>& store) const {
  if (stale) return true;
  if (!has_cache || generation == cached_generation) return false;
  return speculative != 0 || cached_store.lock() != store;
}

bool Connection::Impl::admit(const Database::View& view) {
  stale = cache_is_void(view.generation, view.store);
  if (stale) return false;
  if (!has_cache || view.generation != cached_generation) {
    has_cache = true;
    cached_generation = view.generation;
    cached_store = view.store;
  }
  return true;
}

void Connection::Impl::saw_speculative(Version seen) { speculative = std::max(speculative, seen); }

void Connection::Impl::unsettle(Reign in_reign, Version at_version) {
  unsettled = true;
  reign = in_reign;
  version = at_version;
  verdict = {};
}

Connection::Connection(std::shared_ptr<Database> database, bool read_only) {
  Registry& all = registry();
  const std::lock_guard<std::mutex> guard(all.mutex);
  const std::uint64_t id = all.next_id++;
  impl_ = std::make_unique<Impl>(std::move(database), read_only, id);
  all.known[id] = this;
}

Connection::~Connection() {
  {
    const std::lock_guard<std::mutex> guard(registry().mutex);
    registry().known.erase(impl_->id);
  }
  impl_->unlock();
}

std::uint64_t Connection::id() const { return impl_->id; }

std::shared_ptr<Connection> Connection::find(std::uint64_t id) {
  const std::lock_guard<std::mutex> guard(registry().mutex);
  const auto found = registry().known.find(id);
  return found == registry().known.end() ? nullptr : found->second->weak_from_this().lock();
}

Verdict Connection::acquire(Deadline deadline) {
  if (impl_->read_only) return {Refusal::not_leader, kReadsOnly, 0};
  if (stale()) return {Refusal::stale_connection, kStale, 0};
  Database& database = *impl_->database;
  Reign reign = 0;
  const WriterQueue::Result result = database.writers().acquire(impl_.get(), deadline);
  if (result == WriterQueue::Result::timed_out) {
    return {Refusal::busy,
            "the write lock was not granted in time; " +
                std::to_string(database.writers().waiting()) + " more wait for it",
            0};
  }
  Verdict verdict = database.reign(&reign);
  if (result == WriterQueue::Result::refused) {
    // The reign still lasts: it waits for its last commits, or a new one has begun meanwhile.
    if (verdict.ok()) verdict = {Refusal::not_leader, "this replica steps down, or did", 0};
    return verdict;
  }
  impl_->holds_lock = true;
  if (!verdict.ok()) impl_->unlock();
  return verdict;
}

void Connection::release() { impl_->unlock(); }

Verdict Connection::wait(Deadline deadline) {
  Impl& its = *impl_;
  if (!its.unsettled) return {};
  Verdict verdict = its.verdict;
  if (verdict.ok()) {
    const auto begin = Clock::now();
    verdict = its.database->wait_durable(its.reign, its.version, deadline);
    if (verdict.ok()) its.database->commit_latency().note(Clock::now() - begin);
  }
  if (verdict.refusal == Refusal::timed_out) return verdict;
  its.unsettled = false;
  if (verdict.ok() && its.speculative <= its.version) its.speculative = 0;
  return verdict;
}

bool Connection::unsettled() const { return impl_->unsettled; }

Verdict Connection::take_refusal() {
  Verdict taken = std::exchange(impl_->refusal, {});
  if (taken.ok()) taken.reason = std::exchange(open_refusal(), {});
  return taken;
}

bool Connection::stale() const {
  // Most often nothing happened since, and the generation alone tells.
  const std::uint64_t generation = impl_->database->generation();
  if (!impl_->stale && generation == impl_->cached_generation) return false;
  return impl_->cache_is_void(generation, impl_->database->store());
}

}  // namespace aurora
