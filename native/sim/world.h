// One simulated cluster, from its first start to its last check.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/auditor.h"
#include "sim/bank.h"
#include "sim/ensemble.h"
#include "sim/oracle.h"
#include "sim/scheduler.h"

namespace aurora::sim {

class World {
 public:
  World(Scheduler& scheduler, Random& random);

  // The whole run; by the scheduler's first fiber.
  void run();

 private:
  // What is done to the cluster; each seed has its own mixture.
  struct Troubles {
    double elect, step_down, crash, close, restart, wipe, cut, heal, hold_up, snapshot, truncate;
    static Troubles of(Random& random);
  };

  // --- processes ---
  void start(Ensemble::Machine machine, bool with_clients);
  void crash(const ProcessPtr& process, Window window);
  void close(const ProcessPtr& process);
  void bury(ProcessPtr process);  // what is left of it
  Outcome lead(const ProcessPtr& process, Time limit);
  ProcessPtr alive(Ensemble::Machine machine) const;
  std::vector<ProcessPtr> all_alive() const;
  ProcessPtr leader() const;  // one that takes itself for it; or null

  // --- what happens ---
  void trouble();
  void trouble_once(Ensemble::Machine machine);
  void snapshot(const ProcessPtr& process);
  void truncate(const ProcessPtr& process);
  void watch();
  void note_snapshots(const Replica::Info& now, const Replica::Info& last) const;

  // --- the end ---
  void heal();
  ProcessPtr lead_at_last();
  void commit_at_last();
  void step_all_down();
  void check_at_last();
  void shut();

  void crash_somewhere(const ProcessPtr& process);

  Scheduler& scheduler_;
  Random& random_;
  const Weather weather_;
  const Troubles troubles_;
  Replica::Options options_;
  Ensemble ensemble_;
  Oracle oracle_;
  Bank bank_;
  Auditor auditor_;
  std::vector<ProcessPtr> processes_;  // every one there ever was
  int last_group_ = 0;
  int fibers_ = 0;   // of trouble and watch, and elections under way
  bool ending_ = false;
};

}  // namespace aurora::sim
