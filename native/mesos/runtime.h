// libprocess, the actor runtime under libmesos: started once per process, never stopped.
#pragma once

#include <cstdint>
#include <string>

#include "log/replicated_log.h"

namespace aurora {

struct LibprocessOptions {
  std::string ip = "127.0.0.1";  // IPv4 address to listen on
  std::uint16_t port = 0;        // 0: any free one
  std::string advertise_ip;      // empty: none
  std::uint16_t advertise_port = 0;
  int worker_threads = 0;  // 0: kDefaultWorkerThreads
  std::string delegate;    // the actor that answers requests which name none; empty: none
};

// Measured with raw appends (docs/log.md): the stock eight cost more than the disk. A log that
// meets in ZooKeeper needs three: two of its actors block, each a thread, until others have run.
constexpr int kDefaultWorkerThreads = 1;

// Needs load_libmesos(). Only the first call decides; a later one that wants something else is
// `failed`. Checks first that the port can be bound: libprocess ends the process if it cannot.
Outcome start_libprocess(const LibprocessOptions& options);

// "ip:port" where it listens, or what it advertises instead; empty if it was not started.
std::string libprocess_address();

}  // namespace aurora
