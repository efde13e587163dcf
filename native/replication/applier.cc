#include "replication/applier.h"

#include <cstring>
#include <utility>

namespace aurora {
namespace {

DecodeError corrupt(std::string reason) { return {DecodeStatus::corrupt, std::move(reason)}; }

std::string number(std::uint64_t value) { return std::to_string(value); }

// The pages of the durable version, which every patch is based on.
class Bases {
 public:
  explicit Bases(std::shared_ptr<PageStore> store)
      : store_(std::move(store)), pin_(store_->pin(PageStore::At::durable)) {}
  ~Bases() { store_->unpin(pin_); }
  Bases(const Bases&) = delete;
  Bases& operator=(const Bases&) = delete;
  const std::uint8_t* find(PageNumber page) const { return store_->find(*pin_, page); }

 private:
  std::shared_ptr<PageStore> store_;
  Pin* pin_;
};

}  // namespace

Applier::Applier(Database& database) : database_(database) {}

DecodeError Applier::apply(const Entry& entry) {
  RecordHeader header;
  DecodeError error = decode_header(entry.data, &header);
  if (error.status != DecodeStatus::ok) return error;
  error = take_record(entry, header);
  if (error.status == DecodeStatus::ok) {
    const bool chunk = header.kind == RecordKind::snapshot_chunk && !decoder_.pages().empty();
    snapshots_.note(database_, entry.position, header, entry.data.size(),
                    chunk ? decoder_.pages().back().number : 0);
  }
  return error;
}

DecodeError Applier::take_record(const Entry& entry, const RecordHeader& header) {
  if (header.kind == RecordKind::leader) return take_leader(entry, header);
  DecodeError error = check_place(header);
  if (error.status != DecodeStatus::ok) return error;
  switch (header.kind) {
    case RecordKind::batch:
    case RecordKind::batch_part:
      return take_pages(entry, header);
    case RecordKind::snapshot_chunk:
    case RecordKind::snapshot_end:
      return take_snapshot(entry, header);
    default:
      return {};
  }
}

DecodeError Applier::take_leader(const Entry& entry, const RecordHeader& header) {
  if (header.epoch <= epoch_) {
    return corrupt("leader of epoch " + number(header.epoch) + " after epoch " + number(epoch_));
  }
  LeaderInfo leader;
  DecodeError error = decode_leader(entry.data, &leader);
  if (error.status != DecodeStatus::ok) return error;
  const PageStore::Stats stats = database_.store()->stats();
  if (header.last_version != stats.durable || header.checksum_before != stats.checksum) {
    return corrupt("the leader of epoch " + number(header.epoch) + " began on version " +
                   number(header.last_version) + ", which is not this copy's version " +
                   number(stats.durable) + " with the same checksum");
  }
  lead(header.epoch, entry.position, std::move(leader));
  return {};
}

DecodeError Applier::check_place(const RecordHeader& header) const {
  if (header.epoch != epoch_) {
    return corrupt("entry of epoch " + number(header.epoch) + " in epoch " + number(epoch_));
  }
  const PageStore::Stats stats = database_.store()->stats();
  const bool batch =
      header.kind == RecordKind::batch || header.kind == RecordKind::batch_part;
  if (header.first_version != stats.durable + (batch ? 1 : 0)) {
    return corrupt("entry for version " + number(header.first_version) + " on a copy of version " +
                   number(stats.durable));
  }
  if (header.checksum_before != stats.checksum) {
    return corrupt("the entry expects another checksum of version " + number(stats.durable));
  }
  return {};
}

// The pages are there already. If they differ and this copy is sound, it is the snapshot that is of
// no use, which harms nobody: who starts from it finds out by its checksum.
DecodeError Applier::take_snapshot(const Entry& entry, const RecordHeader& header) {
  const bool chunk = header.kind == RecordKind::snapshot_chunk;
  if (chunk) {
    DecodeError error = decoder_.decode(entry.data, header);
    if (error.status != DecodeStatus::ok) return error;
  }
  if (!snapshots_.due(header) || (chunk && decoder_.pages().empty())) return {};
  std::string difference =
      snapshots_.difference(chunk ? decoder_.pages() : std::vector<DecodedPage>{});
  if (difference.empty()) return {};
  if (!snapshots_.copy_is_sound()) return corrupt(difference + ", which is damaged");
  snapshots_.give_up(std::move(difference));
  return {};
}

DecodeError Applier::take_pages(const Entry& entry, const RecordHeader& header) {
  if (header.part != parts_) {
    return corrupt("part " + number(header.part) + " of a batch where part " + number(parts_) +
                   " was due");
  }
  DecodeError error = decoder_.decode(entry.data, header);
  if (error.status != DecodeStatus::ok) return error;

  const std::size_t before = pages_.size();
  const Bases bases(database_.store());
  for (const DecodedPage& change : decoder_.pages()) {
    if (change.change == PageChange::absent) {
      pages_.emplace_back(Page::create_absent(change.number));
      continue;
    }
    pages_.emplace_back(Page::create(change.number));
    std::uint8_t* bytes = pages_.back()->bytes;
    if (change.change == PageChange::full) {
      std::memcpy(bytes, change.data, kPageSize);
      continue;
    }
    const std::uint8_t* base = bases.find(change.number);
    if (base == nullptr) {
      pages_.resize(before);
      return corrupt("a change to page " + number(change.number) + ", which this copy lacks");
    }
    std::memcpy(bytes, base, kPageSize);
    apply_patch(change, bytes);
  }
  if (header.kind == RecordKind::batch_part) {
    ++parts_;
    return {};
  }
  std::string reason;
  std::vector<PagePtr> pages = std::exchange(pages_, {});
  parts_ = 0;
  if (!database_.apply(std::move(pages), header.first_version, header.last_version,
                       header.page_count, header.checksum_after,
                       {entry.position, header.time_us, header.epoch}, &reason)) {
    return corrupt(std::move(reason));
  }
  database_.settle_applied(header.epoch, header.last_version, entry.position);
  return {};
}

void Applier::forget_parts() {
  pages_.clear();
  parts_ = 0;
}

void Applier::restart() {
  forget_parts();
  epoch_ = 0;
  leader_ = {};
  leader_position_ = 0;
  snapshots_.restart();
}

void Applier::start(const Loader& loaded) {
  forget_parts();
  epoch_ = loaded.snapshot().epoch;
  leader_ = loaded.leader();
  leader_position_ = loaded.leader_position();
  snapshots_.restart();
  snapshots_.loaded(loaded.snapshot());
}

void Applier::lead(std::uint64_t epoch, Position position, LeaderInfo leader) {
  forget_parts();  // of the reign before: its batch never came to its end
  epoch_ = epoch;
  leader_position_ = position;
  leader_ = std::move(leader);
  database_.settle_lost(epoch);
}

}  // namespace aurora
