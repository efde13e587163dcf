// What the replicas of a MemoryLog share, and what each of them knows of it. Everything here but
// the mutex itself is guarded by MemoryEnsemble::mutex.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "log/replicated_log.h"

namespace aurora {
namespace memory {

using Bytes = std::shared_ptr<const std::string>;  // null: a no-op or a truncation

enum class Fault {
  lost_promise,
  lost_promise_but_in_log,
  append_fails_but_is_in_log,
  append_fails_and_is_not,
  no_quorum,
  disk_full,
  slow,
  competing_writer,
  corrupt_entry,
  hole,
  unlearned,
};
inline constexpr std::array<const char*, 11> kFaultNames = {
    "lost-promise",
    "lost-promise-but-in-log",
    "append-fails-but-is-in-log",
    "append-fails-and-is-not",
    "no-quorum",
    "disk-full",
    "slow",
    "competing-writer",
    "corrupt-entry",
    "hole",
    "unlearned",
};

inline std::optional<Fault> fault_named(const std::string& name) {
  const auto found = std::find(kFaultNames.begin(), kFaultNames.end(), name);
  if (found == kFaultNames.end()) return {};
  return static_cast<Fault>(found - kFaultNames.begin());
}

struct Armed {
  int countdown = 0;
  int times = 0;  // left; -1: for ever
  std::uint64_t amount = 0;
};

// The faults of one replica.
class Faults {
 public:
  bool any() const { return !armed_.empty(); }
  void arm(Fault fault, Armed armed) { armed_[fault] = armed; }
  void disarm(Fault fault) { armed_.erase(fault); }
  void clear() { armed_.clear(); }

  // Counts one event that the fault is about; whether it fires now.
  bool fires(Fault fault, std::uint64_t* amount = nullptr) {
    const auto found = armed_.find(fault);
    if (found == armed_.end()) return false;
    Armed& armed = found->second;
    if (armed.countdown > 0) {
      --armed.countdown;
      return false;
    }
    if (amount != nullptr) *amount = armed.amount;
    if (armed.times > 0 && --armed.times == 0) armed_.erase(found);
    return true;
  }

 private:
  std::map<Fault, Armed> armed_;
};

// What a replica does not know of a position that the log has.
enum class Gap {
  hole,       // nothing: it never heard of it
  unlearned,  // that it is agreed
};

// One replica's view of the log: everything in it, but for the gaps.
struct Replica {
  Faults faults;
  std::map<Position, Gap> gaps;

  // A peer has written `position`; `agreed`: and says that it is settled.
  void hear(Position position, bool agreed) {
    const bool unlearned = faults.fires(Fault::unlearned);
    if (faults.fires(Fault::hole)) {
      gaps.emplace(position, Gap::hole);  // what it knew before it still knows
    } else if (unlearned || !agreed) {
      gaps[position] = Gap::unlearned;
    } else {
      gaps.erase(position);
    }
  }
};

}  // namespace memory

class MemoryEnsemble {
 public:
  std::mutex mutex;

  std::vector<memory::Replica*> replicas;
  std::uint64_t promised = 0;       // number of the newest election
  Position begin = 0;               // first position not truncated
  std::deque<memory::Bytes> slots;  // the values of begin, begin + 1, ...

  // The last position may be one whose append had no answer: written by somebody, agreed by nobody.
  // The next election keeps it, or fills in a no-op.
  enum class Unsettled { no, keep, drop } unsettled = Unsettled::no;

  bool empty() const { return begin == 0 && slots.empty(); }
  Position end() const { return slots.empty() ? begin : begin + slots.size() - 1; }

  // The highest position that a replica has heard of.
  Position ending(const memory::Replica& replica) const {
    Position position = end();
    for (auto gap = replica.gaps.rbegin(); gap != replica.gaps.rend(); ++gap) {
      if (gap->first != position || gap->second != memory::Gap::hole || position == begin) break;
      --position;
    }
    return position;
  }

  // A new replica gets a copy of what is agreed.
  void join(memory::Replica* replica) {
    replicas.push_back(replica);
    if (unsettled == Unsettled::keep) replica->gaps[end()] = memory::Gap::unlearned;
    if (unsettled == Unsettled::drop) replica->gaps[end()] = memory::Gap::hole;
  }

  // Writes at the next position. `drop`: nobody but the writer itself hears of it.
  Position write(const memory::Replica* writer, memory::Bytes value,
                 Unsettled state = Unsettled::no) {
    const Position position = begin + slots.size();
    slots.push_back(std::move(value));
    unsettled = state;
    for (memory::Replica* replica : replicas) {
      if (replica == writer) {
        if (state != Unsettled::no) replica->gaps[position] = memory::Gap::unlearned;
      } else if (state == Unsettled::drop) {
        replica->gaps[position] = memory::Gap::hole;
      } else if (replica->faults.any() || state != Unsettled::no) {
        replica->hear(position, state == Unsettled::no);
      }
    }
    return position;
  }

  // Fences every earlier writer, settles what was open, and fills every gap of the writer. Returns
  // its number.
  std::uint64_t elect(memory::Replica* writer) {
    if (empty()) write(writer, nullptr);
    if (unsettled != Unsettled::no) {
      if (unsettled == Unsettled::drop) slots.back() = nullptr;
      unsettled = Unsettled::no;
      for (memory::Replica* replica : replicas) {
        if (replica != writer) replica->hear(end(), true);
      }
    }
    if (writer != nullptr) writer->gaps.clear();
    return ++promised;
  }

  void truncate(Position to) {
    for (; begin < to; ++begin) slots.pop_front();
    for (memory::Replica* replica : replicas) {
      replica->gaps.erase(replica->gaps.begin(), replica->gaps.lower_bound(begin));
    }
  }
};

}  // namespace aurora
