#include "sim/auditor.h"

#include <cstring>
#include <utility>

#include "replication/snapshot_check.h"
#include "sim/report.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace aurora::sim {
namespace {

// A version that is pinned, for as long as it is looked at.
class Held {
 public:
  explicit Held(std::shared_ptr<PageStore> store)
      : store_(std::move(store)), pin_(store_->pin(PageStore::At::durable)) {}
  ~Held() { store_->unpin(pin_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  const Pin& pin() const { return *pin_; }
  const PageStore& store() const { return *store_; }
  const std::uint8_t* find(PageNumber page) const { return store_->find(*pin_, page); }

 private:
  std::shared_ptr<PageStore> store_;
  Pin* pin_;
};

std::uint64_t digest(const Held& held) {
  std::uint64_t digest = held.pin().page_count;
  for (PageNumber page = 1; page <= held.pin().page_count; ++page) {
    const std::uint8_t* const bytes = held.find(page);
    digest = bytes == nullptr ? digest * 31 + 1 : XXH3_64bits_withSeed(bytes, kPageSize, digest);
  }
  return digest;
}

}  // namespace

void Auditor::audit(const Process& process) {
  const std::shared_ptr<PageStore> store = process.replica->database()->store();
  const Held held(store);
  const PageStore::Stats stats = store->stats();
  if (stats.durable == held.pin().version &&
      store->recompute_checksum(held.pin()) != stats.checksum) {
    fail("the recomputed checksum is the rolling one",
         process.name + " at version " + std::to_string(stats.durable));
  }
  const std::uint64_t pages = digest(held);
  if (process.over()) return;
  oracle_.version(process.name, held.pin().version, pages);
  const Replica::Info info = process.replica->info();
  if (info.state == ReplicaState::failed) {
    reach(Window::failed);
    if (!process.log->gave_damage()) {
      fail("a replica fails for damage alone", process.name + ": " + info.reason);
    }
  }
  for (const auto& [position, how] : process.log->damaged_copies()) {
    if (position >= info.started_from && position < info.next) {
      fail("nothing damaged is taken", process.name + " has taken position " +
                                           std::to_string(position) + ", which it read " + how);
    }
  }
}

bool Auditor::snapshot_is_sound(const Process& process, Position position) {
  SnapshotCheck check;
  const Outcome outcome = check_snapshot(*process.tools_log, position,
                                         Clock::now() + std::chrono::seconds(2), &check, [] {});
  if (outcome.status == Status::corrupt && !process.tools_log->gave_damage() && !process.dead) {
    fail("a complete snapshot can be loaded", "the one at position " + std::to_string(position) +
                                                  ", read by " + process.name + ": " +
                                                  outcome.reason);
  }
  return outcome.ok();
}

void Auditor::compare(const Process& process, const Process& other) {
  const Held theirs(other.replica->database()->store());
  const Held held(process.replica->database()->store());
  bool same = held.pin().version == theirs.pin().version &&
              held.pin().page_count == theirs.pin().page_count;
  for (PageNumber page = 1; same && page <= held.pin().page_count; ++page) {
    const std::uint8_t* const one = held.find(page);
    const std::uint8_t* const its = theirs.find(page);
    same = (one == nullptr) == (its == nullptr) &&
           (one == nullptr || std::memcmp(one, its, kPageSize) == 0);
  }
  if (!same) {
    fail("replicas at the same position are the same bytes",
         process.name + " and " + other.name + " at position " +
             std::to_string(other.replica->info().position));
  }
  Sql sql(process, true);
  Statement statement;
  std::vector<std::int64_t> sound;
  if (!sql.open() || !sql.read(&statement)) {
    fail("progress is made once all is well", process.name + " cannot be read: " + sql.error());
  }
  oracle_.check_final(statement);
  if (!sql.numbers("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'",
                   &sound) ||
      sound != std::vector<std::int64_t>{1}) {
    fail("SQLite finds its database in order", process.name);
  }
}

}  // namespace aurora::sim
