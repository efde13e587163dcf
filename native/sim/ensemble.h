// The replicas of one simulated log: their disks, the network between them, and how it behaves. The
// log itself is the tests' MemoryLog; this decides which of its replicas hear what, and when.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "log/memory_ensemble.h"
#include "log/memory_log.h"
#include "sim/scheduler.h"

namespace aurora::sim {

// How likely each thing is. Every seed draws its own, most of them 0, so that each kind of trouble
// also comes alone.
struct Weather {
  Time latency = std::chrono::milliseconds(1);  // of a call of the log, at most
  double message_lost = 0;        // a replica does not hear of an entry, or that it is agreed
  double lost_promise = 0;        // per append
  double unanswered = 0;          // per append
  double unsent = 0;              // per append
  double crash_in_append = 0;     // per append
  double crash_in_election = 0;   // per election
  double election_in_vain = 0;    // per election
  double damaged_read = 0;        // per entry that is read
  double damaged_disk = 0;        // per entry that is read: stays so
  double damaged_log = 0;         // per append: on every disk

  static Weather of(Random& random);
  static Weather calm() { return {}; }
};

class Ensemble {
 public:
  using Machine = std::size_t;

  Ensemble(std::size_t size, Random& random, const Weather& weather);

  std::size_t size() const { return machines_.size(); }
  Random& random() { return random_; }
  const Weather& weather() const { return weather_; }
  void set_weather(const Weather& weather);

  // Kept by whoever calls it: a wiped replica gets a new one.
  std::shared_ptr<MemoryLog> log(Machine machine) const { return machines_[machine].log; }
  memory::Bytes last_value() const;

  // Whether `machine` and those that it reaches are a quorum.
  bool quorum(Machine machine) const;
  bool any_quorum() const;

  bool up(Machine machine) const { return machines_[machine].up; }
  bool cut(Machine machine) const { return machines_[machine].cut; }
  void set_up(Machine machine, bool up);
  void set_cut(Machine machine, bool cut);

  // The disk is empty: takes no part until a quorum of the others has told it everything.
  // Not to be done to so many at once that a quorum of them is gone.
  bool may_wipe(Machine machine) const;
  void wipe(Machine machine);
  bool recovered(Machine machine);

  // Whether its replica has not heard of the truncation at that position, nor of anything behind it.
  // A real one still has its old beginning then, which the memory log forgets for all at once.
  void note_truncation(Position position) { truncation_ = position; }
  bool left_behind(Machine machine) {
    return log(machine)->ending(Deadline::max()).position < truncation_;
  }

  // Some messages of the next write do not arrive.
  void lose_messages(Machine writer);

  // Every earlier writer is fenced, and nobody is elected.
  void promise_only();

  // An append of `machine` that nobody has agreed to: if it is still the one that was elected, a
  // minority has it, and the next election finds it or not.
  void accept_by_minority(Machine machine, const std::string& data);

  // Damages an entry as it is read, now and then. `kind`: how, if so.
  enum class Damage { none, flipped, torn };
  Damage damage(Machine machine, Entry* entry);
  bool has_damage(Machine machine) const { return !machines_[machine].damaged.empty(); }
  Position damaged_log() const { return damaged_log_; }  // 0: none
  void note_damaged_log(Position position) { damaged_log_ = position; }

 private:
  struct Disk {
    std::shared_ptr<MemoryLog> log;
    bool up = false;
    bool cut = false;
    bool voting = true;
    std::map<Position, std::uint64_t> damaged;  // for good; and the seed of how
  };
  bool takes_part(const Disk& disk) const { return disk.up && !disk.cut && disk.voting; }
  std::size_t taking_part() const;
  void set_hearing(Machine machine);

  Random& random_;
  Weather weather_;
  const std::shared_ptr<MemoryEnsemble> shared_;
  std::vector<Disk> machines_;
  Position damaged_log_ = 0;
  Position truncation_ = 0;
};

}  // namespace aurora::sim
