#include "replication/replica.h"

#include <algorithm>
#include <utility>

#include "replication/snapshot_search.h"

namespace aurora {
namespace {

// How long a replica waits for entries at a time: while it opens it may be done without another
// entry. A request to lead interrupts it.
constexpr std::chrono::milliseconds kOpeningSlice{5};
constexpr std::chrono::milliseconds kFollowSlice{100};

// How long it asks the log at a time where to begin.
constexpr std::chrono::seconds kStartSlice{1};

// How soon a version is sent whose committer does not wait for it: interrupted, most likely.
constexpr std::chrono::milliseconds kLookForLeftovers{100};

// How long wait_caught_up waits for a last position that may be undecided.
constexpr std::chrono::milliseconds kLastPositionGrace{500};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Replica::Replica(std::shared_ptr<ReplicatedLog> log, Options options)
    : log_(std::move(log)),
      options_(std::move(options)),
      database_(std::make_shared<Database>()),
      applier_(*database_),
      sender_(std::make_shared<Sender>(
          log_, *database_, Sender::Options{options_.append_timeout, options_.entry_limit},
          [this] { return applier_.snapshots().newest(); },
          [this](const Sender::Sent& sent) { note_sent(sent); })),
      writer_(*sender_, applier_.snapshots(), options_.snapshots) {
  database_->set_readable(false, "the replica still reads the log for the first time");
  thread_ = std::thread([this] { run(); });
}

Replica::~Replica() { close(); }

// ---- from any thread ----

Replica::Info Replica::info() const {
  Info info;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    info = info_;
  }
  if (info.snapshot_state == SnapshotState::loading) return info;
  info.snapshots = applier_.snapshots().info();
  const bool leading = info.state == ReplicaState::leading;
  if (info.snapshots.under_way.position != 0) {
    info.snapshot_state = leading && !info.snapshots.held ? SnapshotState::unfinished
                                                          : SnapshotState::under_way;
  } else if (leading && writer_.requested()) {
    info.snapshot_state = SnapshotState::requested;
  }
  return info;
}

bool Replica::closing() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return closing_;
}

template <class Done>
Outcome Replica::wait(Deadline deadline, const char* what, Done done) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    if (done()) return Outcome::at(info_.position);
    if (closing_) return Outcome::of(Status::closed, "the store was closed");
    if (info_.state == ReplicaState::failed) return Outcome::of(info_.failure, info_.reason);
    if (changed_.wait_until(lock, deadline) == std::cv_status::timeout && !done()) {
      return Outcome::of(Status::no_answer, std::string("time is up; ") + what + ": next position " +
                                                std::to_string(info_.next) + ", the log ends at " +
                                                std::to_string(info_.log_ending));
    }
  }
}

Outcome Replica::lead(Deadline deadline, LeadTiming* timing) {
  Outcome proven = prove_leading(deadline);
  if (proven.status != Status::none) return proven;
  LeadRequest request{deadline, {}, {}};
  std::unique_lock<std::mutex> lock(mutex_);
  if (request_ != nullptr) return Outcome::of(Status::failed, "another call of lead is under way");
  if (closing_) return Outcome::of(Status::closed, "the store was closed");
  if (info_.state == ReplicaState::failed) return Outcome::of(info_.failure, info_.reason);
  if (info_.state == ReplicaState::leading) return Outcome::at(info_.leader_position);
  request_ = &request;
  changed_.notify_all();
  if (stream_) stream_->interrupt();
  // The thread answers: it bounds each step by the deadline, and close() ends them all.
  changed_.wait(lock, [&] { return request.outcome.has_value(); });
  *timing = request.timing;
  return *request.outcome;
}

// none: this replica does not lead, or does not any more.
Outcome Replica::prove_leading(Deadline deadline) {
  Position reign = 0;
  std::uint64_t proof = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (info_.state != ReplicaState::leading) return Outcome::of(Status::none, {});
    reign = info_.leader_position;
    proof = ++proofs_asked_;
  }
  database_->wake();
  const Outcome over = wait(deadline, "proving that this replica leads", [&] {
    return proofs_given_ >= proof || info_.state != ReplicaState::leading ||
           info_.leader_position != reign;
  });
  if (!over.ok()) return over;
  const std::lock_guard<std::mutex> lock(mutex_);
  // A later reign has its LEADER entry for a proof.
  return info_.state == ReplicaState::leading ? Outcome::at(info_.leader_position)
                                              : Outcome::of(Status::none, {});
}

Outcome Replica::step_down(Deadline deadline) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (info_.state != ReplicaState::leading) return Outcome::at(info_.position);
    step_down_ = true;
    database_->writers().shut();  // within the lock: the next reign opens it again
  }
  database_->wake();
  return wait(deadline, "stepping down",
              [this] { return info_.state != ReplicaState::leading; });
}

Outcome Replica::wait_caught_up(Deadline deadline) {
  const Outcome ending = log_->ending(deadline);
  if (!ending.ok()) return ending;
  const Outcome reached = wait(deadline, "catching up", [this, &ending] {
    return info_.state != ReplicaState::opening && info_.next >= ending.position;
  });
  if (!reached.ok() || ending.position == 0) return reached;
  // The last position may stay undecided until somebody leads: it is waited for, but not for long.
  const Outcome last = wait(std::min<Deadline>(deadline, Clock::now() + kLastPositionGrace),
                            "catching up",
                            [this, &ending] { return info_.next > ending.position; });
  return last.status == Status::no_answer ? reached : last;
}

Outcome Replica::wait_position(Position position, Deadline deadline) {
  // A replica that still opens has read it, but lets nobody read it yet.
  return wait(deadline, "waiting for a position", [this, position] {
    return info_.state != ReplicaState::opening && info_.next > position;
  });
}

Outcome Replica::snapshot(Deadline deadline) {
  const Info before = info();
  if (before.state != ReplicaState::leading) {
    return Outcome::of(Status::none, "this replica does not lead");
  }
  if (before.snapshot_state == SnapshotState::under_way) {
    return Outcome::at(before.snapshots.under_way.position);
  }
  writer_.request();
  database_->wake();
  SnapshotTracker& snapshots = applier_.snapshots();
  const Outcome begun = wait(deadline, "beginning a snapshot", [&] {
    return info_.state != ReplicaState::leading || snapshots.last_begin() > before.position;
  });
  if (!begun.ok()) return begun;
  const Position position = snapshots.last_begin();
  if (position > before.position) return Outcome::at(position);
  if (closing()) return Outcome::of(Status::closed, "the store was closed");
  return Outcome::of(Status::none, "the reign ended before the snapshot began");
}

Outcome Replica::truncate(Position to) {
  const Info now = info();
  if (now.state != ReplicaState::leading) {
    return Outcome::of(Status::none, "this replica does not lead");
  }
  const Position snapshot = now.snapshots.complete.position;
  if (to > snapshot) {
    return Outcome::of(Status::failed,
                       snapshot == 0 ? "there is no complete snapshot in the log to start from"
                                     : "the newest complete snapshot begins at position " +
                                           std::to_string(snapshot));
  }
  Outcome outcome = sender_->truncate(to);
  if (outcome.ok()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    info_.log_ending = std::max(info_.log_ending, outcome.position);
    info_.next = std::max(info_.next, outcome.position + 1);
    changed_.notify_all();
  }
  return outcome;
}

ReplicaState Replica::wait_state(ReplicaState state, Deadline deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_until(lock, deadline, [&] { return info_.state != state; });
  return info_.state;
}

void Replica::close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  database_->wake();
  log_->close();
  const std::lock_guard<std::mutex> lock(close_mutex_);
  if (thread_.joinable()) thread_.join();
}

// ---- the replication thread ----

void Replica::run() {
  while (!closing()) {
    LeadRequest* request = nullptr;
    ReplicaState state;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      request = request_;
      state = info_.state;
    }
    if (request != nullptr) {
      LeadTiming timing;
      Outcome outcome = become_leader(request->deadline, &timing);
      const std::lock_guard<std::mutex> lock(mutex_);
      request->timing = timing;
      request->outcome = std::move(outcome);
      request_ = nullptr;
      changed_.notify_all();
    } else if (state == ReplicaState::leading) {
      serve();
    } else if (state == ReplicaState::failed) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return closing_ || request_ != nullptr; });
    } else {
      follow();
    }
  }
  end_reign(Refusal::outcome_unknown, "the store was closed before a quorum had answered");
  end_stream();
  database_->close();
  set_state(ReplicaState::closed);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (request_ != nullptr) {
    request_->outcome = Outcome::of(Status::closed, "the store was closed");
    request_ = nullptr;
    changed_.notify_all();
  }
}

void Replica::follow() {
  if (!stream_) {
    if (!started_) {
      const Outcome start = start_reading(Clock::now() + kStartSlice);
      if (!start.ok()) {
        follow_no_more(start);
        return;
      }
    }
    auto stream = std::make_unique<EntryStream>(*log_, stream_options());
    stream_catchups_ = 0;
    const std::lock_guard<std::mutex> lock(mutex_);
    stream_ = std::move(stream);
    if (request_ != nullptr) return;
  }
  if (!opening_target_) {
    const Outcome ending = log_->ending(Clock::now() + kOpeningSlice);
    if (ending.ok()) opening_target_ = ending.position;
  }
  std::list<Entry> entries;
  const bool opening = info().state == ReplicaState::opening;
  const Outcome outcome =
      stream_->next(&entries, Clock::now() + (opening ? kOpeningSlice : kFollowSlice));
  for (const Entry& entry : entries) {
    const Taken taken = take(entry);
    if (taken == Taken::again) end_stream();
    if (taken != Taken::ok) return;
  }
  note_progress(stream_->progress());
  if (outcome.status == Status::truncated) {
    begin_anew("away for longer than the log remembers: " + outcome.reason);
    return;
  }
  if (loader_ && stream_->progress().next > opening_target_) {
    no_snapshot();
    return;
  }
  if (!outcome.ok() && outcome.status != Status::no_answer) {
    follow_no_more(outcome);
    return;
  }
  const Info now = info();
  if (now.state == ReplicaState::opening && opening_target_ && now.next >= *opening_target_) {
    database_->set_readable(true, {});
    set_state(ReplicaState::standby);
  }
}

// `why` is all that the log will ever say, at once and each time it is asked, unless it is that there
// was no answer yet.
void Replica::follow_no_more(const Outcome& why) {
  if (why.status == Status::no_answer || closing()) return;
  if (info().state == ReplicaState::failed) return;  // for a better reason
  end_stream();
  const bool closed = why.status == Status::closed;
  fail(closed ? Status::closed : Status::failed,
       closed ? "the log was closed, and not by this store: close the store and open it again"
              : "the log cannot be read: " + why.reason);
}

// Finds out where to begin. Not ok: the log did not say yet, or nowhere: the replica has failed.
Outcome Replica::start_reading(Deadline deadline) {
  LogStart start;
  const Outcome outcome = find_start(*log_, start_below_, deadline, &start);
  if (!outcome.ok()) return outcome;
  if (start_below_ != kAny && start.snapshot == 0 && start.beginning > 0) {
    fail(Status::corrupt, "damaged log: " + info().reason + "; the log begins at position " +
                              std::to_string(start.beginning) + ", and no older snapshot is left");
    return Outcome::of(Status::corrupt, info().reason);
  }
  opening_target_ = std::max(opening_target_.value_or(0), start.ending);
  start_ = start.snapshot;
  log_beginning_ = start.beginning;
  from_beginning_ = start_ == 0;
  loader_.reset();
  if (start_ != 0 || start.beginning > 0) loader_.emplace(*database_);
  started_ = true;
  return outcome;
}

EntryStream::Options Replica::stream_options() const {
  EntryStream::Options options;
  options.window_bytes = options_.window_bytes;
  options.from_beginning = from_beginning_;
  options.from = loader_ ? start_ : info().next;
  return options;
}

void Replica::end_stream() {
  std::unique_ptr<EntryStream> ended;  // its end is waited for without the mutex
  const std::lock_guard<std::mutex> lock(mutex_);
  ended.swap(stream_);
}

void Replica::note_progress(const EntryStream::Progress& progress) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!loader_ && progress.next > info_.next) {
    info_.next = progress.next;
    from_beginning_ = false;
  }
  info_.log_ending = std::max(info_.log_ending, progress.ending);
  info_.catchups += progress.catchups - stream_catchups_;
  stream_catchups_ = progress.catchups;
  changed_.notify_all();
}

Replica::Taken Replica::take(const Entry& entry) {
  if (loader_) return load(entry);
  const DecodeError error = applier_.apply(entry);
  if (error.status != DecodeStatus::ok) {
    copy_failed(entry, error);
    return Taken::failed;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  info_.position = entry.position;
  info_.next = entry.position + 1;
  from_beginning_ = false;
  ++info_.entries_applied;
  info_.bytes_applied += entry.data.size();
  info_.last_entry = Clock::now();
  info_.epoch = applier_.epoch();
  info_.leader = applier_.leader();
  info_.leader_position = applier_.leader_position();
  changed_.notify_all();
  return Taken::ok;
}

Replica::Taken Replica::load(const Entry& entry) {
  const DecodeError error = loader_->take(entry);
  const Snapshot& snapshot = loader_->snapshot();
  if (error.status == DecodeStatus::too_new) {
    copy_failed(entry, error);
    return Taken::failed;
  }
  if (error.status != DecodeStatus::ok) {
    start_below_ = snapshot.position;
    begin_anew("the snapshot at position " + std::to_string(snapshot.position) +
               " cannot be loaded: position " + std::to_string(entry.position) + ": " +
               error.reason);
    return Taken::again;
  }
  const bool loaded = loader_->complete();
  if (loaded) applier_.start(*loader_);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!loaded) {
    info_.snapshot_state = SnapshotState::loading;
    info_.snapshots.under_way = snapshot;
    info_.snapshots.last_page = loader_->last_page();
    return Taken::ok;
  }
  info_.snapshot_state = SnapshotState::none;
  info_.started_from = info_.position = snapshot.position;
  info_.next = snapshot.position + 1;
  info_.epoch = applier_.epoch();
  info_.leader = applier_.leader();
  info_.leader_position = applier_.leader_position();
  info_.reason += std::string(info_.reason.empty() ? "" : "; ") +
                  "started from the snapshot at position " + std::to_string(snapshot.position) +
                  ", version " + std::to_string(snapshot.version);
  start_below_ = kAny;
  from_beginning_ = false;
  loader_.reset();
  changed_.notify_all();
  return Taken::again;
}

// The log was read to its end in search of a snapshot.
void Replica::no_snapshot() {
  if (start_ != 0) {
    start_below_ = start_;
    begin_anew("the snapshot at position " + std::to_string(start_) + " is not complete");
    return;
  }
  end_stream();
  fail(Status::truncated,
       "the log begins at position " + std::to_string(log_beginning_) +
           " and holds no complete snapshot to start from: take one on the replica that leads, then"
           " open this one again");
}

// Drops the copy. Readers are refused until the log, from its newest snapshot on, was read again.
void Replica::begin_anew(const std::string& reason) {
  end_stream();
  loader_.reset();
  started_ = false;
  opening_target_.reset();
  database_->set_readable(false, reason);
  database_->replace();
  applier_.restart();
  set_state(ReplicaState::opening, reason);
  const std::lock_guard<std::mutex> lock(mutex_);
  info_.snapshot_state = SnapshotState::none;
  info_.next = 0;
  info_.epoch = 0;
  info_.started_from = 0;
}

// A copy that does not fit the log is dropped and read again, once: if the same entry fails again,
// it is the log that is damaged.
void Replica::copy_failed(const Entry& entry, const DecodeError& error) {
  const std::string reason =
      "position " + std::to_string(entry.position) + ": " + error.reason;
  end_stream();
  applier_.forget_parts();
  if (error.status == DecodeStatus::too_new || failed_at_ == entry.position) {
    const bool too_new = error.status == DecodeStatus::too_new;
    const bool foreign = error.status == DecodeStatus::not_ours;
    const std::string why = (too_new   ? "written by a newer release: "
                             : foreign ? "foreign entry in the log: "
                                       : "damaged log: ") +
                            reason;
    database_->set_readable(false, why);
    fail(too_new ? Status::too_new : Status::corrupt, why);
    return;
  }
  failed_at_ = entry.position;
  begin_anew("the copy failed its check, reading the log again: " + reason);
  opening_target_ = entry.position;
  const std::lock_guard<std::mutex> lock(mutex_);
  ++info_.reloads;
}

Outcome Replica::become_leader(Deadline deadline, LeadTiming* timing) {
  {
    const Info now = info();
    if (now.state == ReplicaState::failed) return Outcome::of(now.failure, now.reason);
  }
  end_stream();
  const ReplicaState before = info().state;
  set_state(ReplicaState::electing);
  const auto back = [&](Outcome outcome) {
    if (info().state == ReplicaState::electing) set_state(before, outcome.reason);
    return outcome;
  };

  const auto elected = Clock::now();
  const Outcome election = log_->elect(deadline);
  timing->election_s = seconds_since(elected);
  if (!election.ok()) return back(election);

  const auto catching_up = Clock::now();
  Outcome caught_up = read_up_to(election.position, deadline);
  timing->catch_up_s = seconds_since(catching_up);
  if (!caught_up.ok()) return back(std::move(caught_up));

  const auto announcing = Clock::now();
  RecordHeader header =
      header_now(*database_, applier_.epoch() + 1, applier_.snapshots().newest());
  header.kind = RecordKind::leader;
  const std::string entry = encode_leader(header, options_.identity);
  const Outcome announced =
      log_->append(entry, std::min<Deadline>(deadline, announcing + options_.append_timeout));
  timing->leader_entry_s = seconds_since(announcing);
  if (!announced.ok()) return back(announced);

  applier_.lead(header.epoch, announced.position, options_.identity);
  applier_.snapshots().note(*database_, announced.position, header, entry.size(), 0);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    info_.position = announced.position;
    info_.next = announced.position + 1;
    info_.log_ending = announced.position;
    ++info_.appends;
    info_.bytes_appended += entry.size();
    info_.last_entry = Clock::now();
    info_.epoch = header.epoch;
    info_.leader = options_.identity;
    info_.leader_position = announced.position;
    step_down_ = false;
    from_beginning_ = false;
  }
  database_->set_readable(true, {});
  sender_->open(header.epoch);
  writer_.open(options_.identity, announced.position);
  database_->begin_reign(header.epoch, sender_, options_.append_timeout);
  set_state(ReplicaState::leading);
  return announced;
}

Outcome Replica::read_up_to(Position last, Deadline deadline) {
  for (;;) {
    if (!started_) {
      const Outcome start = start_reading(deadline);
      if (!start.ok()) return start;
    }
    if (std::optional<Outcome> outcome = read_stream_up_to(last, deadline)) return *outcome;
    if (Clock::now() >= deadline) return Outcome::of(Status::no_answer, "time is up");
  }
}

// None: the log must be read anew.
std::optional<Outcome> Replica::read_stream_up_to(Position last, Deadline deadline) {
  EntryStream::Options options = stream_options();
  if (!from_beginning_ && options.from > last) return Outcome::at(last);
  options.to = last;
  EntryStream stream(*log_, options);
  stream_catchups_ = 0;
  for (;;) {
    std::list<Entry> entries;
    const Outcome outcome = stream.next(&entries, deadline);
    for (const Entry& entry : entries) {
      const Taken taken = take(entry);
      if (taken == Taken::again) return {};
      if (taken == Taken::ok) continue;
      const Info now = info();
      return Outcome::of(now.failure == Status::ok ? Status::corrupt : now.failure, now.reason);
    }
    note_progress(stream.progress());
    if (outcome.status == Status::truncated) {
      begin_anew("away for longer than the log remembers: " + outcome.reason);
      return {};
    }
    if (outcome.status == Status::end && loader_) {
      no_snapshot();
      const Info now = info();
      if (now.state != ReplicaState::failed) return {};
      return Outcome::of(now.failure, now.reason);
    }
    if (outcome.status == Status::end) return Outcome::at(last);
    if (!outcome.ok()) return outcome;
  }
}

void Replica::serve() {
  Deadline beat = Deadline::max();
  bool step_down;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    step_down = step_down_;
    if (options_.heartbeat.count() > 0) beat = *info_.last_entry + options_.heartbeat;
  }
  // Once told to step down there is nothing to wait for: the wake-up may be used up already.
  if (!step_down) {
    database_->wait_unsent(std::min({beat, Clock::now() + kLookForLeftovers, writer_.due()}));
  }
  if (closing()) return;
  Outcome outcome = sender_->send_published();
  if (outcome.ok() && step_down) {
    end_reign(Refusal::leadership_lost, "this replica stepped down");
    return;
  }
  std::uint64_t proof;
  bool wanted;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    proof = proofs_asked_;  // those that were asked for before the entry was sent
    wanted = proof > proofs_given_;
  }
  if (outcome.ok() && wanted) {
    outcome = sender_->send_heartbeat();
    if (outcome.ok()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      proofs_given_ = proof;
      changed_.notify_all();
    }
  } else if (outcome.ok() && Clock::now() >= writer_.due()) {
    outcome = writer_.write();
  } else if (outcome.ok() && Clock::now() >= beat && !database_->unsent()) {
    outcome = sender_->send_heartbeat();
  }
  if (outcome.ok()) return;
  const std::string why = std::string(to_string(outcome.status)) +
                          (outcome.reason.empty() ? "" : ": " + outcome.reason);
  if (outcome.unsent) {
    end_reign(Refusal::leadership_lost, "an append could not be sent (" + why + ")");
  } else {
    end_reign(Refusal::outcome_unknown, "the log did not acknowledge an append (" + why +
                                            "); the next leader settles it");
  }
}

// By whichever thread sends.
void Replica::note_sent(const Sender::Sent& sent) {
  append_latency_.note(sent.took);
  const RecordKind kind = sent.header.kind;
  if (kind == RecordKind::batch || kind == RecordKind::batch_part) writer_.note_transactions();
  applier_.snapshots().note(*database_, sent.position, sent.header, sent.bytes, sent.last_page);
  const std::lock_guard<std::mutex> lock(mutex_);
  ++info_.appends;
  info_.bytes_appended += sent.bytes;
  info_.last_entry = Clock::now();
  info_.log_ending = sent.position;
  info_.heartbeats += kind == RecordKind::heartbeat ? 1 : 0;
  info_.transactions += kind == RecordKind::batch ? sent.header.transactions : 0;
  // A part of a transaction is in the log, but nothing can be read there yet.
  if (kind != RecordKind::batch_part) {
    info_.position = sent.position;
    info_.next = sent.position + 1;
  }
  changed_.notify_all();
}

void Replica::end_reign(Refusal fate, const std::string& reason) {
  if (info().state != ReplicaState::leading) return;
  sender_->shut();
  // Whoever hears that his commit failed must find a standby.
  database_->end_reign(fate, reason, [&](std::uint64_t taken_back) {
    const std::lock_guard<std::mutex> lock(mutex_);
    step_down_ = false;
    info_.versions_taken_back += taken_back;
    if (taken_back > 0) ++info_.rewinds;
    info_.state = ReplicaState::standby;
    info_.reason = reason;
    changed_.notify_all();
  });
}

void Replica::fail(Status failure, std::string reason) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    info_.failure = failure;
  }
  set_state(ReplicaState::failed, std::move(reason));
  database_->settle_never();
}

void Replica::set_state(ReplicaState state, std::string reason) {
  const std::lock_guard<std::mutex> lock(mutex_);
  info_.state = state;
  if (!reason.empty()) info_.reason = std::move(reason);
  changed_.notify_all();
}

}  // namespace aurora
