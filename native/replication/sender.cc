#include "replication/sender.h"

#include <new>
#include <utility>

namespace aurora {

RecordHeader header_now(const Database& database, std::uint64_t epoch) {
  const PageStore::Stats stats = database.store()->stats();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  RecordHeader header;
  header.epoch = epoch;
  header.first_version = header.last_version = stats.durable;
  header.page_count = stats.page_count;
  header.checksum_before = header.checksum_after = stats.checksum;
  header.time_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  return header;
}

Sender::Sender(std::shared_ptr<ReplicatedLog> log, Database& database, Options options,
               std::function<void(const Sent&)> sent)
    : log_(std::move(log)),
      database_(database),
      options_(options),
      sent_(std::move(sent)),
      encoder_(options_.entry_limit) {}

void Sender::send(Deadline deadline) {
  if (deadline - Clock::now() < options_.append_timeout) {
    database_.wake();
    return;
  }
  bool failed;
  {
    const std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn) return;  // whoever has it looks once more when it has given it back
    if (!open_) return;
    failed = !send_batch().ok();
  }
  if (failed || database_.unsent()) database_.wake();
}

void Sender::open(std::uint64_t epoch) {
  const std::lock_guard<std::mutex> turn(turn_);
  epoch_ = epoch;
  failure_.reset();
  open_ = true;
}

void Sender::shut() {
  const std::lock_guard<std::mutex> turn(turn_);
  open_ = false;
}

Outcome Sender::send_published() {
  const std::lock_guard<std::mutex> turn(turn_);
  return send_batch();
}

Outcome Sender::send_heartbeat() {
  const std::lock_guard<std::mutex> turn(turn_);
  Sent beat;
  beat.heartbeat = true;
  return append(encode_heartbeat(header_now(database_, epoch_)), beat);
}

Outcome Sender::send_batch() {
  if (failure_) return *failure_;
  try {
    PageStore::Changes changes;
    if (!database_.collect(&changes)) return {};
    RecordHeader header = header_now(database_, epoch_);
    header.kind = RecordKind::batch;
    header.first_version = changes.first;
    header.last_version = changes.last;
    header.page_count = changes.page_count;
    header.checksum_before = changes.checksum_before;
    header.checksum_after = changes.checksum_after;
    header.transactions = static_cast<std::uint32_t>(changes.last - changes.first + 1);
    encoder_.begin(header);
    for (const PageStore::Change& change : changes.pages) {
      const std::uint8_t* before = change.before == nullptr ? nullptr : change.before->bytes;
      const std::uint8_t* after = change.after == nullptr ? nullptr : change.after->bytes;
      if (encoder_.add(change.number, before, after)) {
        Outcome part = append(encoder_.take_part(), {});
        if (part.ok()) continue;
        part.unsent = true;  // parts count for nothing without the last one
        failure_ = part;
        return part;
      }
    }
    Sent batch;
    batch.transactions = header.transactions;
    batch.time_us = header.time_us;
    return append(encoder_.finish(), batch);
  } catch (const std::bad_alloc&) {
    // Perhaps only after the last part was sent: what became of it is left to the next leader.
    failure_ = Outcome::of(Status::failed, "no memory to make a log entry");
    return *failure_;
  }
}

Outcome Sender::append(const std::string& entry, const Sent& what) {
  if (failure_) return *failure_;
  const auto begin = Clock::now();
  Outcome outcome = log_->append(entry, begin + options_.append_timeout);
  if (!outcome.ok()) {
    failure_ = outcome;
    return outcome;
  }
  Sent sent = what;
  sent.position = outcome.position;
  sent.bytes = entry.size();
  sent.took = Clock::now() - begin;
  if (sent.transactions > 0) {
    database_.make_durable({outcome.position, sent.time_us, epoch_}, [&] { sent_(sent); });
  } else {
    sent_(sent);
  }
  return outcome;
}

}  // namespace aurora
