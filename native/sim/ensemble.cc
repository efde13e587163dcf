#include "sim/ensemble.h"

#include <algorithm>

#include "sim/report.h"

namespace aurora::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;

Weather Weather::of(Random& random) {
  const auto some = [&random](double share, double least, double most) {
    if (!random.chance(share)) return 0.0;
    return least + (most - least) * static_cast<double>(random.below(1000)) / 1000;
  };
  Weather weather;
  weather.latency = microseconds(random.between(50, random.chance(0.2) ? 20'000 : 2'000));
  weather.message_lost = some(0.5, 0.01, 0.3);
  weather.lost_promise = some(0.4, 0.01, 0.1);
  weather.unanswered = some(0.5, 0.01, 0.15);
  weather.unsent = some(0.2, 0.01, 0.05);
  weather.crash_in_append = some(0.5, 0.01, 0.08);
  weather.crash_in_election = some(0.3, 0.05, 0.3);
  weather.election_in_vain = some(0.4, 0.05, 0.4);
  weather.damaged_read = some(0.25, 0.002, 0.05);
  weather.damaged_disk = some(0.1, 0.001, 0.01);
  weather.damaged_log = some(0.05, 0.005, 0.02);
  return weather;
}

Ensemble::Ensemble(std::size_t size, Random& random, const Weather& weather)
    : random_(random), weather_(weather), shared_(make_memory_ensemble()), machines_(size) {
  for (Disk& disk : machines_) disk.log = std::make_shared<MemoryLog>(shared_);
}

void Ensemble::set_weather(const Weather& weather) {
  weather_ = weather;
  for (Machine machine = 0; machine < machines_.size(); ++machine) {
    log(machine)->clear_faults();
    set_hearing(machine);
  }
}

std::size_t Ensemble::taking_part() const {
  return static_cast<std::size_t>(
      std::count_if(machines_.begin(), machines_.end(),
                    [this](const Disk& disk) { return takes_part(disk); }));
}

bool Ensemble::any_quorum() const { return taking_part() > machines_.size() / 2; }

bool Ensemble::quorum(Machine machine) const {
  return takes_part(machines_[machine]) && any_quorum();
}

void Ensemble::set_hearing(Machine machine) {
  const Disk& disk = machines_[machine];
  log(machine)->arm("hole", 0, disk.up && !disk.cut ? 0 : -1, 0);
}

void Ensemble::set_up(Machine machine, bool up) {
  machines_[machine].up = up;
  set_hearing(machine);
}

void Ensemble::set_cut(Machine machine, bool cut) {
  machines_[machine].cut = cut;
  set_hearing(machine);
}

bool Ensemble::may_wipe(Machine machine) const {
  const auto voting = static_cast<std::size_t>(std::count_if(
      machines_.begin(), machines_.end(), [](const Disk& disk) { return disk.voting; }));
  return !machines_[machine].voting || voting - 1 > machines_.size() / 2;
}

void Ensemble::wipe(Machine machine) {
  Disk& disk = machines_[machine];
  disk.damaged.clear();
  disk.voting = false;
}

bool Ensemble::recovered(Machine machine) {
  Disk& disk = machines_[machine];
  if (!disk.voting && disk.up && !disk.cut && any_quorum()) {
    disk.voting = true;
    disk.log = std::make_shared<MemoryLog>(shared_);  // waits for calls that are in the old one
    set_hearing(machine);
  }
  return disk.voting;
}

void Ensemble::lose_messages(Machine writer) {
  for (Machine other = 0; other < machines_.size(); ++other) {
    if (other == writer || !takes_part(machines_[other])) continue;
    if (!random_.chance(weather_.message_lost)) continue;
    const bool hole = random_.chance(0.5);
    reach(hole ? Window::hole : Window::unlearned);
    log(other)->arm(hole ? "hole" : "unlearned", 0, 1, 0);
  }
}

memory::Bytes Ensemble::last_value() const {
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  return shared_->slots.empty() ? nullptr : shared_->slots.back();
}

void Ensemble::promise_only() {
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  ++shared_->promised;
}

void Ensemble::accept_by_minority(Machine machine, const std::string& data) {
  log(machine)->arm(random_.chance(0.5) ? "append-fails-but-is-in-log" : "append-fails-and-is-not",
                   0, 1, 0);
  log(machine)->append(data, Clock::now());
}

Ensemble::Damage Ensemble::damage(Machine machine, Entry* entry) {
  Disk& disk = machines_[machine];
  std::uint64_t how = 0;
  const auto known = disk.damaged.find(entry->position);
  if (known != disk.damaged.end()) {
    how = known->second;
  } else if (random_.chance(weather_.damaged_disk)) {
    how = random_.next() | 1;
    disk.damaged[entry->position] = how;
    reach(Window::damaged_disk);
  } else if (random_.chance(weather_.damaged_read)) {
    how = random_.next() | 1;
  }
  if (how == 0 || entry->data.empty()) return Damage::none;
  Random shape(how);
  if (shape.chance(0.3)) {
    entry->data.resize(shape.below(entry->data.size()));
    reach(Window::torn_read);
    return Damage::torn;
  }
  entry->data[shape.below(entry->data.size())] ^= static_cast<char>(1 << shape.below(8));
  reach(Window::damaged_read);
  return Damage::flipped;
}

}  // namespace aurora::sim
