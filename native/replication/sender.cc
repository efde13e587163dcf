#include "replication/sender.h"

#include <new>
#include <utility>

namespace aurora {

RecordHeader header_now(const Database& database, std::uint64_t epoch, Position snapshot) {
  const PageStore::Stats stats = database.store()->stats();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  RecordHeader header;
  header.epoch = epoch;
  header.first_version = header.last_version = stats.durable;
  header.snapshot = snapshot;
  header.page_count = stats.page_count;
  header.checksum_before = header.checksum_after = stats.checksum;
  header.time_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  return header;
}

Sender::Sender(std::shared_ptr<ReplicatedLog> log, Database& database, Options options,
               std::function<Position()> newest_snapshot, std::function<void(const Sent&)> sent)
    : log_(std::move(log)),
      database_(database),
      options_(options),
      newest_snapshot_(std::move(newest_snapshot)),
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
  return send_record([](RecordHeader* header) {
    header->kind = RecordKind::heartbeat;
    return encode_heartbeat(*header);
  });
}

Outcome Sender::send_record(const Encode& encode, PageNumber last_page) {
  const std::lock_guard<std::mutex> turn(turn_);
  if (failure_) return *failure_;
  RecordHeader header = header_now(database_, epoch_, newest_snapshot_());
  const std::string entry = encode(&header);
  return append(entry, header, last_page);
}

Outcome Sender::truncate(Position to) {
  Outcome outcome;
  {
    const std::lock_guard<std::mutex> turn(turn_);
    if (!open_) return Outcome::of(Status::none, "this replica does not lead");
    if (failure_) return *failure_;
    outcome = log_->truncate(to, Clock::now() + options_.append_timeout);
    // As after an append: the writer is of no use any more.
    if (!outcome.ok()) failure_ = outcome;
  }
  if (!outcome.ok() || database_.unsent()) database_.wake();
  return outcome;
}

Outcome Sender::send_batch() {
  if (failure_) return *failure_;
  try {
    PageStore::Changes changes;
    if (!database_.collect(&changes)) return {};
    RecordHeader header = header_now(database_, epoch_, newest_snapshot_());
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
        RecordHeader of_part = header;
        of_part.kind = RecordKind::batch_part;
        Outcome part = append(encoder_.take_part(), of_part);
        if (part.ok()) continue;
        part.unsent = true;  // parts count for nothing without the last one
        failure_ = part;
        return part;
      }
    }
    return append(encoder_.finish(), header);
  } catch (const std::bad_alloc&) {
    // Perhaps only after the last part was sent: what became of it is left to the next leader.
    failure_ = Outcome::of(Status::failed, "no memory to make a log entry");
    return *failure_;
  }
}

Outcome Sender::append(const std::string& entry, const RecordHeader& header,
                       PageNumber last_page) {
  if (failure_) return *failure_;
  const auto begin = Clock::now();
  Outcome outcome = log_->append(entry, begin + options_.append_timeout);
  if (!outcome.ok()) {
    failure_ = outcome;
    return outcome;
  }
  const Sent sent{outcome.position, header, last_page, entry.size(), Clock::now() - begin};
  if (header.kind == RecordKind::batch) {
    database_.make_durable({outcome.position, header.time_us, epoch_}, [&] { sent_(sent); });
  } else {
    sent_(sent);
  }
  return outcome;
}

}  // namespace aurora
