// See database.h. Two locks: `publishing` is held while a transaction is published (which hashes
// its pages) and while versions are taken back, so that nothing slips in after a rewind; `mutex`
// is held for moments only, for everything else. Order: publishing, mutex, the store's own.
#include "pages/database.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "pages/handoff.h"

namespace aurora {
namespace {

// Reigns whose end is remembered, for late questions about their commits.
constexpr std::size_t kRemembered = 256;

}  // namespace

struct Database::Impl {
  // How a reign ended.
  struct Ended {
    Version durable = 0;
    Version sent = 0;
    Refusal sent_fate = Refusal::none;
    std::string reason;
    Position position = 0;  // of the newest durable entry
    std::chrono::nanoseconds settle_within{0};
    bool skipped = false;  // its entries were not read: the log tells nothing more of it

    bool undecided(Version version) const {
      return version > durable && version <= sent && sent_fate == Refusal::outcome_unknown &&
             !skipped;
    }
  };
  using Answer = std::optional<Verdict>;  // none: the reign has ended, look again
  struct Waiter {
    Handoff<Answer> answer;
    bool taken = false;  // guarded by mutex: off the list, the answer is on its way
  };
  using Waiters = std::multimap<std::pair<Reign, Version>, Waiter*>;
  using Answers = std::vector<std::pair<Waiter*, Answer>>;

  std::mutex publishing;                      // held while versions are added or taken back
  mutable std::mutex mutex;                   // guards everything below
  std::shared_ptr<PageStore> store = std::make_shared<PageStore>();
  std::atomic<std::uint64_t> generation{1};   // written under mutex, read without
  bool readable = false;
  std::string unreadable_reason = "the database is still loading";
  bool closed = false;

  Reign reign = 0;
  std::shared_ptr<Outlet> outlet;  // of this reign
  std::chrono::nanoseconds settle_within{0};  // of this reign
  std::string no_reign_reason = "this replica does not lead";
  std::map<Reign, Ended> ended;
  Reign forgotten = 0;                        // the newest reign that `ended` has no room for

  Version published = 0, sent = 0, durable = 0;  // as far as this side was told
  Position position = 0;                         // of the newest durable entry
  Waiters waiters;                               // for versions that are not decided

  std::condition_variable wake_up;               // one thread waits: replication
  bool woken = false;

  WriterQueue writers;
  Latency commit_latency;

  std::shared_ptr<PageStore> current_store() const {
    std::lock_guard<std::mutex> lock(mutex);
    return store;
  }

  // The functions below: mutex is held.
  Verdict may_write(Reign in) const;
  Verdict settled(Reign in, Version version) const;
  const Ended* undecided(Reign in, Version version) const;
  void answer(Reign in, Version last, const Answer& answer, Answers* answers);
  void wake();

  static void give(Answers* answers) {  // without the mutex
    for (auto& [waiter, answer] : *answers) waiter->answer.give(std::move(answer));
  }
};

Verdict Database::Impl::may_write(Reign in) const {
  if (closed) return {Refusal::closed, "the database is closed", 0};
  if (in != 0 && in == reign) return {};
  if (in == 0) return {Refusal::not_leader, no_reign_reason, 0};
  const auto end = ended.find(in);
  return {Refusal::leadership_lost, end == ended.end() ? no_reign_reason : end->second.reason, 0};
}

// What became of a version of a reign that is over, or never began.
Verdict Database::Impl::settled(Reign in, Version version) const {
  const auto end = ended.find(in);
  if (end != ended.end()) {
    const Ended& its = end->second;
    if (version <= its.durable) return {Refusal::none, {}, its.position};
    return {version <= its.sent ? its.sent_fate : Refusal::leadership_lost, its.reason, 0};
  }
  if (in != 0 && in <= forgotten) {
    return {Refusal::outcome_unknown, "that reign ended too long ago", 0};
  }
  if (version <= durable) return {Refusal::none, {}, position};
  return {Refusal::leadership_lost, "no such version was published in that reign", 0};
}

// The reign, if it has ended and only the log can tell what became of the version.
const Database::Impl::Ended* Database::Impl::undecided(Reign in, Version version) const {
  const auto end = ended.find(in);
  return end != ended.end() && end->second.undecided(version) ? &end->second : nullptr;
}

// Takes those who wait for a version of `in` up to `last` off the list, to be given `answer`.
void Database::Impl::answer(Reign in, Version last, const Answer& answer, Answers* answers) {
  const auto end = waiters.upper_bound({in, last});
  for (auto i = waiters.lower_bound({in, 0}); i != end; i = waiters.erase(i)) {
    i->second->taken = true;
    answers->emplace_back(i->second, answer);
  }
}

void Database::Impl::wake() {
  woken = true;
  wake_up.notify_all();
}

Database::Database() : impl_(std::make_unique<Impl>()) {}
Database::~Database() = default;

Verdict Database::open_view(PageStore::At at, View* view) {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  if (impl_->closed) return {Refusal::closed, "the database is closed", 0};
  if (!impl_->readable) return {Refusal::not_readable, impl_->unreadable_reason, 0};
  view->pin = impl_->store->pin(at);  // with the mutex held: pin and generation belong together
  view->store = impl_->store;
  view->generation = impl_->generation.load(std::memory_order_relaxed);
  return {};
}

void Database::close_view(View* view) {
  if (view->pin) view->store->unpin(view->pin);
  *view = View{};
}

std::uint64_t Database::generation() const {
  return impl_->generation.load(std::memory_order_acquire);
}

WriterQueue& Database::writers() { return impl_->writers; }

Latency& Database::commit_latency() { return impl_->commit_latency; }

Verdict Database::reign(Reign* reign) const {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  *reign = impl_->closed ? 0 : impl_->reign;
  return impl_->may_write(impl_->reign);
}

Verdict Database::may_commit(Reign reign) const {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  return impl_->may_write(reign);
}

Verdict Database::publish(Reign reign, std::vector<PagePtr> pages, std::uint32_t page_count,
                          std::uint32_t kept, Version* version) {
  std::lock_guard<std::mutex> publishing(impl_->publishing);
  std::shared_ptr<PageStore> store;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    if (Verdict verdict = impl_->may_write(reign); !verdict.ok()) return verdict;
    store = impl_->store;
  }
  *version = store->publish(std::move(pages), page_count, kept);
  std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->published = *version;
  return {};
}

Verdict Database::wait_durable(Reign reign, Version version, Deadline deadline) {
  std::shared_ptr<Outlet> outlet;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    if (reign != 0 && reign == impl_->reign && version > impl_->sent) {
      // With other writers about, the replication thread is faster: it sends one entry after the
      // other, without having to be scheduled among all those that wake up in between.
      const bool alone = impl_->waiters.empty() && impl_->writers.waiting() == 0;
      if (alone && impl_->outlet) {
        outlet = impl_->outlet;
      } else {
        impl_->wake();
      }
    }
  }
  if (outlet) outlet->send(deadline);

  for (;;) {
    Impl::Waiter self;
    Impl::Waiters::iterator place;
    Deadline until = deadline;
    {
      std::lock_guard<std::mutex> lock(impl_->mutex);
      if (reign == 0 || reign != impl_->reign) {
        const Impl::Ended* const end = impl_->undecided(reign, version);
        if (!end || impl_->closed || end->settle_within.count() == 0) {
          return impl_->settled(reign, version);
        }
        until = std::min<Deadline>(deadline, Clock::now() + end->settle_within);
      } else {
        if (version <= impl_->durable) return {Refusal::none, {}, impl_->position};
        if (impl_->closed) return {Refusal::closed, "the database was closed meanwhile", 0};
      }
      place = impl_->waiters.emplace(std::pair(reign, version), &self);
    }
    std::optional<Impl::Answer> answer = self.answer.take_until(until);
    if (!answer) {
      std::lock_guard<std::mutex> lock(impl_->mutex);
      if (!self.taken) {
        impl_->waiters.erase(place);
        if (reign != impl_->reign) return impl_->settled(reign, version);
        return {Refusal::timed_out, "the commit is not on a quorum of replicas yet", 0};
      }
    }
    if (!answer) answer = self.answer.take();
    if (*answer) return **answer;
  }
}

void Database::set_readable(bool readable, std::string reason) {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->readable = readable;
  impl_->unreadable_reason = std::move(reason);
}

void Database::begin_reign(Reign reign, std::shared_ptr<Outlet> outlet,
                           std::chrono::nanoseconds settle_within) {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  assert(reign != 0 && impl_->reign == 0);
  if (impl_->closed) return;
  impl_->reign = reign;
  impl_->outlet = std::move(outlet);
  impl_->settle_within = settle_within;
  impl_->writers.open();
}

std::uint64_t Database::end_reign(Refusal sent_fate, std::string reason,
                                  const std::function<void(std::uint64_t)>& first) {
  Impl::Answers answers;
  std::uint64_t taken_back = 0;
  {
    std::lock_guard<std::mutex> publishing(impl_->publishing);
    std::lock_guard<std::mutex> lock(impl_->mutex);
    if (impl_->reign == 0) return 0;
    const Reign reign = impl_->reign;
    impl_->ended[reign] = {impl_->durable, impl_->sent,     sent_fate,
                           reason,         impl_->position, impl_->settle_within};
    if (impl_->ended.size() > kRemembered) {
      impl_->forgotten = impl_->ended.begin()->first;
      impl_->ended.erase(impl_->ended.begin());
    }
    impl_->reign = 0;
    impl_->outlet.reset();
    impl_->no_reign_reason = std::move(reason);
    impl_->published = impl_->sent = impl_->durable;
    taken_back = impl_->store->rewind();
    if (taken_back > 0) impl_->generation.fetch_add(1, std::memory_order_release);

    impl_->answer(reign, std::numeric_limits<Version>::max(), std::nullopt, &answers);
    impl_->writers.shut();
    impl_->wake();
  }
  if (first) first(taken_back);
  Impl::give(&answers);
  return taken_back;
}

void Database::settle_applied(Reign reign, Version last, Position position) {
  Impl::Answers answers;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    const auto end = impl_->ended.find(reign);
    if (end == impl_->ended.end() || last <= end->second.durable) return;
    end->second.durable = last;
    end->second.position = position;
    impl_->answer(reign, last, Verdict{Refusal::none, {}, position}, &answers);
  }
  Impl::give(&answers);
}

void Database::settle_lost(Reign by) {
  Impl::Answers answers;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    for (auto& [reign, end] : impl_->ended) {
      if (reign >= by || !end.undecided(end.sent)) continue;
      end.sent_fate = Refusal::leadership_lost;
      end.reason += ": the next leader began without it";
      impl_->answer(reign, end.sent, Verdict{end.sent_fate, end.reason, 0}, &answers);
    }
  }
  Impl::give(&answers);
}

void Database::settle_never() {
  Impl::Answers answers;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    for (auto& [reign, end] : impl_->ended) {
      end.settle_within = {};
      impl_->answer(reign, end.sent, std::nullopt, &answers);
    }
  }
  Impl::give(&answers);
}

bool Database::unsent() const {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  return impl_->published > impl_->sent;
}

bool Database::wait_unsent(Deadline deadline) {
  std::unique_lock<std::mutex> lock(impl_->mutex);
  impl_->wake_up.wait_until(lock, deadline, [this] {
    return impl_->published > impl_->sent || impl_->woken || impl_->closed;
  });
  impl_->woken = false;
  return impl_->published > impl_->sent;
}

void Database::wake() {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->wake();
}

bool Database::collect(PageStore::Changes* changes) {
  if (!impl_->current_store()->collect(changes)) return false;
  std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->sent = changes->last;
  return true;
}

void Database::make_durable(const LogMark& mark, const std::function<void()>& first) {
  impl_->current_store()->make_durable(mark);  // who is woken next reads what it has written
  if (first) first();
  Impl::Answers answers;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->durable = impl_->sent;
    impl_->position = mark.position;
    impl_->answer(impl_->reign, impl_->durable, Verdict{Refusal::none, {}, mark.position},
                  &answers);
  }
  Impl::give(&answers);
}

bool Database::apply(std::vector<PagePtr> pages, Version first, Version last,
                     std::uint32_t page_count, std::uint64_t checksum_after, const LogMark& mark,
                     std::string* reason) {
  const std::shared_ptr<PageStore> store = impl_->current_store();
  if (!store->apply(std::move(pages), first, last, page_count, checksum_after, mark, reason)) {
    return false;
  }
  std::lock_guard<std::mutex> lock(impl_->mutex);
  assert(impl_->reign == 0);
  impl_->published = impl_->sent = impl_->durable = last;
  impl_->position = mark.position;
  return true;
}

bool Database::load(std::vector<PagePtr> pages, Version version, std::uint32_t page_count,
                    std::uint64_t checksum, const LogMark& mark, std::string* reason) {
  const std::shared_ptr<PageStore> store = impl_->current_store();
  if (!store->load(std::move(pages), version, page_count, checksum, mark, reason)) return false;
  Impl::Answers answers;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    assert(impl_->reign == 0);
    impl_->published = impl_->sent = impl_->durable = version;
    impl_->position = mark.position;
    for (auto& [reign, end] : impl_->ended) {
      // An entry with newer versions, if the log has it, is behind the snapshot's begin.
      if (!end.undecided(end.sent) || end.sent > version) continue;
      end.skipped = true;
      end.reason += ": the log was not read where it would tell";
      impl_->answer(reign, end.sent, std::nullopt, &answers);
    }
  }
  Impl::give(&answers);
  return true;
}

void Database::replace() {
  auto fresh = std::make_shared<PageStore>();
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    assert(impl_->reign == 0);
    impl_->store.swap(fresh);
    impl_->generation.fetch_add(1, std::memory_order_release);
    impl_->published = impl_->sent = impl_->durable = 0;
    impl_->position = 0;
  }
  // The old store goes here, outside the mutex, or with the last view on it.
}

void Database::close() {
  Impl::Answers answers;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->closed = true;
    for (auto& [key, waiter] : impl_->waiters) {
      waiter->taken = true;
      answers.emplace_back(waiter, std::nullopt);
    }
    impl_->waiters.clear();
    impl_->writers.shut();
    impl_->wake();
  }
  Impl::give(&answers);
}

std::shared_ptr<PageStore> Database::store() const { return impl_->current_store(); }

}  // namespace aurora
