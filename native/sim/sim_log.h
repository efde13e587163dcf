// One process's handle on its machine's replica of the log. Every call takes time, in which others
// run; it may fail in every way the real log does; and the process may crash inside of it.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "log/replicated_log.h"
#include "sim/ensemble.h"
#include "sim/report.h"

namespace aurora::sim {

class SimLog final : public ReplicatedLog {
 public:
  // `crash` ends the process: it calls sever().
  SimLog(Ensemble& ensemble, Ensemble::Machine machine, std::string name,
         std::function<void(Window)> crash);

  // The process is dead: whatever is left of it can neither read nor write from now on.
  void sever();

  // Positions of which this process has been given damaged copies alone.
  const std::map<Position, std::string>& damaged_copies() const { return damaged_; }
  bool gave_damage() const { return gave_damage_; }  // ever

  Outcome elect(Deadline deadline) override;
  Outcome append(const std::string& data, Deadline deadline) override;
  Outcome truncate(Position to, Deadline deadline) override;
  Outcome beginning(Deadline deadline) override;
  Outcome ending(Deadline deadline) override;
  Outcome read(Position from, Position to, std::list<Entry>* entries, Deadline deadline) override;
  Outcome catchup(Deadline deadline) override;
  void close() override;

 private:
  class Call;

  bool travel();  // false: closed meanwhile
  Outcome wait_in_vain(Deadline deadline, const char* reason);
  Outcome append_now(const std::string& data, Deadline deadline);
  Outcome append_in_trouble(const std::string& data, Deadline deadline);
  Outcome elect_now(Deadline deadline);
  bool ready(Deadline deadline);  // false: its disk knows nothing yet
  void crash(Window window);
  Outcome said(const char* what, const std::string& to, Outcome outcome);

  Ensemble& ensemble_;
  const Ensemble::Machine machine_;
  const std::string name_;
  const std::function<void(Window)> crash_;
  Random& random_;

  std::mutex mutex_;
  std::condition_variable changed_;  // closed, or a call left
  bool closed_ = false;              // guarded by mutex_
  int inside_ = 0;                   // guarded by mutex_
  bool elected_ = false;             // by the one writer call
  std::map<Position, std::string> damaged_;
  bool gave_damage_ = false;
};

}  // namespace aurora::sim
