// A log as leaders write it, some of whose entries come damaged first: what fits is taken and gives
// the pages that were written, what does not fit is refused and harms nothing, and the newest complete
// snapshot is as good a start as the beginning.
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <map>
#include <optional>
#include <utility>

#include "fuzz/decode.h"
#include "pages/page_store.h"
#include "replication/replay.h"
#include "replication/snapshot_check.h"

namespace {

using namespace aurora;
using fuzz::require;

constexpr PageNumber kMostPages = 12;

using PageBytes = std::array<std::uint8_t, kPageSize>;
using Pages = std::map<PageNumber, PageBytes>;

const std::uint8_t* find(const Pages& pages, PageNumber number) {
  const auto found = pages.find(number);
  return found == pages.end() ? nullptr : found->second.data();
}

std::uint64_t checksum_of(const Pages& pages) {
  std::uint64_t checksum = 0;
  for (const auto& [number, bytes] : pages) checksum ^= page_hash(number, bytes.data());
  return checksum;
}

void check_checksum(const Database& database) {
  const std::shared_ptr<PageStore> store = database.store();
  Pin* const pin = store->pin(PageStore::At::durable);
  require(store->recompute_checksum(*pin) == pin->checksum);
  store->unpin(pin);
}

void check_pages(const Database& database, const Pages& pages) {
  check_checksum(database);
  const std::shared_ptr<PageStore> store = database.store();
  Pin* const pin = store->pin(PageStore::At::durable);
  for (PageNumber number = 1; number <= kMostPages; ++number) {
    const std::uint8_t* const own = find(pages, number);
    const std::uint8_t* const its = store->find(*pin, number);
    require((own == nullptr) == (its == nullptr));
    require(own == nullptr || std::memcmp(own, its, kPageSize) == 0);
  }
  store->unpin(pin);
}

class Leader {
 public:
  explicit Leader(FuzzedDataProvider& input) : input_(input) {}

  // The next entries, of a log that begins with take_over(). False: a damaged entry was taken, as one
  // that says something else.
  bool write() {
    switch (input_.ConsumeIntegralInRange(0, 6)) {
      case 0: return take_over();
      case 1: return append(encode_heartbeat(header()));
      case 2: return begin_snapshot();
      case 3: return write_chunk();
      case 4: return end_snapshot();
      default: return commit();
    }
  }

  bool take_over() {
    ++epoch_;
    in_parts_ = false;
    return append(encode_leader(header(), {"host", "fuzzer", "instance", ""}));
  }

  void check() const {
    check_pages(*replay_.database(), pages_);
    if (complete_ == 0) return;
    SnapshotCheck its;
    Replay late;
    for (const Entry& entry : log_) {
      if (entry.position < complete_) continue;
      if (!its.complete()) require(its.take(entry).status == DecodeStatus::ok);
      require(late.apply(entry).status == DecodeStatus::ok);
      if (late.info().next <= entry.position) break;  // it is loaded
    }
    require(its.complete() && its.snapshot().position == complete_);
    for (const Entry& entry : log_) {
      if (entry.position < late.info().next) continue;
      require(late.apply(entry).status == DecodeStatus::ok);
    }
    check_pages(*late.database(), pages_);
    require(late.info().epoch == epoch_ && late.info().version == version_);
  }

 private:
  RecordHeader header() const {
    RecordHeader header;
    header.epoch = epoch_;
    header.first_version = header.last_version = version_;
    header.page_count = page_count_;
    header.checksum_before = header.checksum_after = checksum_of(pages_);
    header.snapshot = complete_;
    return header;
  }

  bool commit() {
    Pages after = pages_;
    for (int changes = input_.ConsumeIntegralInRange(1, 4); changes > 0; --changes) {
      const PageNumber number = input_.ConsumeIntegralInRange<PageNumber>(1, kMostPages);
      if (input_.ConsumeIntegralInRange(0, 9) == 0) {
        after.erase(number);
        continue;
      }
      PageBytes& bytes = after[number];  // a new one is zeros
      const std::size_t from = input_.ConsumeIntegralInRange<std::size_t>(0, kPageSize - 1);
      const std::size_t size = input_.ConsumeIntegralInRange<std::size_t>(1, kPageSize - from);
      const auto value = input_.ConsumeIntegral<std::uint8_t>();
      // Every second time something that does not compress.
      for (std::size_t i = from, noise = value; i < from + size; ++i) {
        noise = noise * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = static_cast<std::uint8_t>(value % 2 == 0 ? value : noise >> 56);
      }
    }
    const PageNumber count = input_.ConsumeIntegralInRange<PageNumber>(1, kMostPages);
    after.erase(after.upper_bound(count), after.end());

    RecordHeader batch = header();
    batch.first_version = version_ + 1;
    batch.last_version = version_ + input_.ConsumeIntegralInRange<Version>(1, 3);
    batch.transactions = 1;
    batch.page_count = count;
    batch.checksum_after = checksum_of(after);
    BatchEncoder encoder(input_.ConsumeBool() ? 1 << 20 : 4096);
    encoder.begin(batch);
    for (PageNumber number = 1; number <= kMostPages; ++number) {
      const std::uint8_t* const before = find(pages_, number);
      const std::uint8_t* const now = find(after, number);
      if (before == nullptr && now == nullptr) continue;
      if (!encoder.add(number, before, now)) continue;
      if (!append(encoder.take_part())) return false;
      in_parts_ = true;
    }
    if (in_parts_ && input_.ConsumeIntegralInRange(0, 3) == 0) return take_over();  // without its end
    pages_ = std::move(after);
    page_count_ = count;
    version_ = batch.last_version;
    if (!append(encoder.finish())) return false;
    in_parts_ = false;
    return true;
  }

  bool begin_snapshot() {
    begun_ = position_ + 1;
    pinned_ = pages_;
    pinned_count_ = page_count_;
    chunks_ = 0;
    return append(encode_snapshot_begin(header(), {"host", "fuzzer", "instance", ""}, 1));
  }

  bool write_chunk() {
    if (begun_ == 0 || pinned_.empty()) return true;
    RecordHeader chunk = header();
    chunk.page_count = pinned_count_;
    chunk.part = chunks_++;
    BatchEncoder encoder(1 << 20);
    encoder.begin(chunk);
    for (int pages = input_.ConsumeIntegralInRange(1, 5); pages > 0 && !pinned_.empty(); --pages) {
      encoder.add(pinned_.begin()->first, nullptr, pinned_.begin()->second.data());
      pinned_.erase(pinned_.begin());
    }
    return append(encoder.finish_chunk(chunk));
  }

  bool end_snapshot() {
    if (begun_ == 0 || !pinned_.empty()) return true;
    complete_ = std::exchange(begun_, 0);
    RecordHeader end = header();
    end.part = chunks_;
    return append(encode_snapshot_end(end));
  }

  bool append(std::string data) {
    ++position_;
    if (input_.ConsumeIntegralInRange(0, 3) == 0 && !take_damaged(data)) return false;
    log_.push_back({position_, std::move(data)});
    require(replay_.apply(log_.back()).status == DecodeStatus::ok);
    const Replay::Info info = replay_.info();
    require(info.position == position_ && info.epoch == epoch_);
    return true;
  }

  bool take_damaged(std::string data) {
    for (int bytes = input_.ConsumeIntegralInRange(1, 3); bytes > 0; --bytes) {
      const bool of_header = input_.ConsumeBool();
      const std::size_t end = of_header ? sizeof(wire::WireHeader) : data.size();
      data[input_.ConsumeIntegralInRange<std::size_t>(0, end - 1)] ^=
          input_.ConsumeIntegral<char>();
    }
    if (input_.ConsumeBool()) data.resize(input_.ConsumeIntegralInRange<std::size_t>(0, data.size()));
    const Entry damaged{position_, fuzz::resealed(std::move(data))};
    const Replay::Info before = replay_.info();
    const bool refused = replay_.apply(damaged).status != DecodeStatus::ok;
    const Replay::Info after = replay_.info();
    // Of billions of pages that are all absent it would take minutes.
    if (after.page_count <= kMostPages) check_checksum(*replay_.database());
    if (!refused) return false;
    require(after.position == before.position && after.next == before.next &&
            after.epoch == before.epoch && after.version == before.version &&
            after.page_count == before.page_count && after.checksum == before.checksum);
    return !in_parts_;  // which are forgotten with the end that does not fit
  }

  FuzzedDataProvider& input_;
  Replay replay_;
  std::vector<Entry> log_;

  Position position_ = 0;
  std::uint64_t epoch_ = 0;
  Version version_ = 0;
  PageNumber page_count_ = 0;
  Pages pages_;
  bool in_parts_ = false;  // a part of a batch was the last entry

  Position complete_ = 0;  // where the newest complete snapshot begins
  Position begun_ = 0;     // the one under way, whose pages that are not written yet are:
  Pages pinned_;
  PageNumber pinned_count_ = 0;
  std::uint32_t chunks_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  Leader leader(input);
  bool sound = leader.take_over();
  while (sound && input.remaining_bytes() > 0) sound = leader.write();
  if (sound) leader.check();
  return 0;
}
