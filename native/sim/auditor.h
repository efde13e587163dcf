// Looks into replicas, at whatever moment: what they hold must be right all the time.
#pragma once

#include "sim/bank.h"
#include "sim/oracle.h"

namespace aurora::sim {

class Auditor {
 public:
  explicit Auditor(Oracle& oracle) : oracle_(oracle) {}

  // Only of the live: what a dead process still does is nobody's business.
  void audit(const Process& process);

  // False: it cannot be said. One that is not sound in a sound log is a bug.
  bool snapshot_is_sound(const Process& process, Position position);

  // At the end, when both have applied the same position.
  void compare(const Process& process, const Process& other);

 private:
  Oracle& oracle_;
};

}  // namespace aurora::sim
