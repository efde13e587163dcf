// The other replicas of a log with a static set of members.
//
// libmesos connects to each of them once, when the log is made. Whoever is not up then, or dies
// later, is from then on sent every message over a connection of its own, and about one message in
// a thousand gets lost that way. So the connections are asked for again and again, which costs
// nothing while they exist.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "log/replicated_log.h"
#include "mesos/upid.h"

namespace aurora {

class Peers {
 public:
  // "log-replica(1)@ip:port,..."; what is at `own_address` ("ip:port") is this process. failed:
  // names the first one that cannot be used.
  Outcome parse(const std::string& text, const std::string& own_address);

  const Upids& all() const { return all_; }
  std::size_t others() const { return others_.size(); }

  // How many of the others have their replica running at this moment; asks each until `deadline`.
  std::size_t count_running(Deadline deadline) const;

  // Asks libprocess for a connection to each of the others on behalf of an actor of ours.
  void link(void* process_base) const;

 private:
  struct Other {
    Upid upid;
    std::string name;  // "log-replica(1)"
    std::string ip;
    std::uint16_t port;
  };

  Upids all_;
  std::vector<Other> others_;
};

}  // namespace aurora
