// A store, for aurora_native.h: a Replica behind a handle.
#include <cmath>
#include <new>

#include "capi/handles.h"
#include "replication/replica.h"
#include "replication/snapshot_check.h"

struct aur_store {
  aur_store(std::shared_ptr<aurora::ReplicatedLog> log, aurora::Replica::Options options)
      : replica(std::move(log), std::move(options)), database{replica.database()} {}

  aurora::Replica replica;
  aur_database database;
};

namespace {

using aurora::text;

std::chrono::nanoseconds nanoseconds(double seconds) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

template <std::size_t size>
void copy(char (&target)[size], const std::string& value) {
  aurora::copy(target, size, value);
}

void copy(aur_latency* target, const aurora::Latency& latency) {
  const aurora::Latency::Counts counts = latency.counts();
  static_assert(sizeof(target->counts) == sizeof(counts.buckets));
  std::copy(counts.buckets.begin(), counts.buckets.end(), target->counts);
  target->total_us = counts.total_us;
}

}  // namespace

static_assert(aurora::Latency::kBuckets == AUR_LATENCY_BUCKETS);

extern "C" {

aur_store* aur_store_open(aur_log* log, const aur_store_options* options) {
  try {
    aurora::Replica::Options wanted;
    if (options->append_timeout_s > 0) wanted.append_timeout = nanoseconds(options->append_timeout_s);
    if (options->heartbeat_s > 0) wanted.heartbeat = nanoseconds(options->heartbeat_s);
    if (options->entry_limit_bytes > 0) wanted.entry_limit = options->entry_limit_bytes;
    if (options->window_bytes > 0) wanted.window_bytes = options->window_bytes;
    if (options->snapshot_share > 0) wanted.snapshots.share = options->snapshot_share;
    if (options->snapshot_chunk_bytes > 0) {
      wanted.snapshots.chunk_bytes = options->snapshot_chunk_bytes;
    }
    wanted.identity.host = text(options->host);
    wanted.identity.software = text(options->software);
    wanted.identity.instance = text(options->instance);
    wanted.identity.schema = text(options->schema);
    return new aur_store(log->log, std::move(wanted));
  } catch (const std::exception&) {
    return nullptr;
  }
}

void aur_store_close(aur_store* store) { store->replica.close(); }

void aur_store_free(aur_store* store) { delete store; }

aur_database* aur_store_database(aur_store* store) { return &store->database; }

void aur_latency_bounds(uint32_t* bounds_us) {
  std::copy(aurora::Latency::kBounds_us.begin(), aurora::Latency::kBounds_us.end(), bounds_us);
}

void aur_store_get_status(aur_store* store, aur_store_status* status) {
  const aurora::Replica::Info info = store->replica.info();
  aurora::Database& database = *store->replica.database();
  const aurora::PageStore::Stats pages = database.store()->stats();
  *status = {};
  status->state = static_cast<int32_t>(info.state);
  status->epoch = info.epoch;
  status->position = info.position;
  status->next = info.next;
  status->log_ending = info.log_ending;
  status->durable_version = pages.durable;
  status->latest_version = pages.latest;
  status->page_count = pages.page_count;
  status->checksum = pages.checksum;
  status->entries_applied = info.entries_applied;
  status->bytes_applied = info.bytes_applied;
  status->appends = info.appends;
  status->bytes_appended = info.bytes_appended;
  status->transactions = info.transactions;
  status->heartbeats = info.heartbeats;
  status->catchups = info.catchups;
  status->rewinds = info.rewinds;
  status->versions_taken_back = info.versions_taken_back;
  status->reloads = info.reloads;
  status->writers_waiting = database.writers().waiting();
  status->pages_held = pages.pages_held;
  status->pins = pages.pins;
  status->oldest_pin = pages.oldest_pin;
  status->last_entry_age_us = -1;
  if (info.last_entry) {
    status->last_entry_age_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                    aurora::Clock::now() - *info.last_entry)
                                    .count();
  }
  status->leader_position = info.leader_position;
  copy(&status->append_latency, store->replica.append_latency());
  copy(&status->commit_latency, database.commit_latency());
  copy(status->leader_host, info.leader.host);
  copy(status->leader_instance, info.leader.instance);
  copy(status->leader_software, info.leader.software);
  copy(status->leader_schema, info.leader.schema);
  copy(status->reason, info.reason);
  const aurora::Snapshot& complete = info.snapshots.complete;
  const aurora::Snapshot& under_way = info.snapshots.under_way;
  status->snapshot_state = static_cast<int32_t>(info.snapshot_state);
  status->snapshot_position = complete.position;
  status->snapshot_end = complete.end;
  status->snapshot_version = complete.version;
  status->snapshot_pages = complete.page_count;
  status->snapshot_time_us = complete.time_us;
  status->bytes_since_snapshot = info.snapshots.bytes_since;
  status->writing_position = under_way.position;
  status->writing_version = under_way.version;
  status->writing_pages = under_way.page_count;
  status->writing_pages_done = info.snapshots.last_page;
  status->writing_chunks = info.snapshots.chunks;
  status->writing_bytes = info.snapshots.bytes;
  status->started_from = info.started_from;
  copy(status->snapshot_given_up, info.snapshots.given_up);
}

void aur_store_wait_caught_up(aur_store* store, double timeout_s, aur_outcome* outcome) {
  aurora::fill(outcome, store->replica.wait_caught_up(aurora::deadline_after(timeout_s)));
}

void aur_store_wait_position(aur_store* store, uint64_t position, double timeout_s,
                             aur_outcome* outcome) {
  aurora::fill(outcome,
               store->replica.wait_position(position, aurora::deadline_after(timeout_s)));
}

int32_t aur_store_wait_state(aur_store* store, int32_t state, double timeout_s) {
  return static_cast<int32_t>(store->replica.wait_state(
      static_cast<aurora::ReplicaState>(state), aurora::deadline_after(timeout_s)));
}

void aur_store_lead(aur_store* store, double timeout_s, aur_lead_timing* timing,
                    aur_outcome* outcome) {
  aurora::Replica::LeadTiming taken;
  aurora::fill(outcome, store->replica.lead(aurora::deadline_after(timeout_s), &taken));
  timing->election_s = taken.election_s;
  timing->catch_up_s = taken.catch_up_s;
  timing->leader_entry_s = taken.leader_entry_s;
}

void aur_store_step_down(aur_store* store, double timeout_s, aur_outcome* outcome) {
  aurora::fill(outcome, store->replica.step_down(aurora::deadline_after(timeout_s)));
}

void aur_store_snapshot(aur_store* store, double timeout_s, aur_outcome* outcome) {
  aurora::fill(outcome, store->replica.snapshot(aurora::deadline_after(timeout_s)));
}

void aur_store_truncate(aur_store* store, uint64_t to, aur_outcome* outcome) {
  aurora::fill(outcome, store->replica.truncate(to));
}

void aur_store_verify_snapshot(aur_store* store, uint64_t position, double timeout_s,
                               aur_snapshot_check* check, uint32_t* pages_done,
                               aur_outcome* outcome) {
  *check = {};
  try {
    aurora::SnapshotCheck its;
    const auto progress = [&] {
      check->page_count = its.snapshot().page_count;
      if (pages_done != nullptr) *pages_done = its.last_page();
    };
    aurora::fill(outcome, aurora::check_snapshot(store->replica.log(), position,
                                                 aurora::deadline_after(timeout_s), &its, progress));
    const aurora::Snapshot& snapshot = its.snapshot();
    *check = {snapshot.end,      snapshot.epoch, snapshot.version,    snapshot.time_us,
              snapshot.checksum, its.pages(),    snapshot.page_count, its.chunks(),
              its.bytes()};
  } catch (const std::exception& error) {
    aurora::fill(outcome, aurora::Outcome::of(aurora::Status::failed, error.what()));
  }
}

uint64_t aur_store_recompute_checksum(aur_store* store, uint64_t* rolling) {
  const std::shared_ptr<aurora::PageStore> pages = store->replica.database()->store();
  aurora::Pin* const pin = pages->pin(aurora::PageStore::At::durable);
  *rolling = pin->checksum;
  const uint64_t checksum = pages->recompute_checksum(*pin);
  pages->unpin(pin);
  return checksum;
}

}  // extern "C"
