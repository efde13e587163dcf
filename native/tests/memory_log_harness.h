// Replicas of a memory log, and short ways to ask them.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "log/memory_log.h"

namespace aurora::testing {

// For what must not come, and for what must.
inline Deadline soon() { return Clock::now() + std::chrono::milliseconds(10); }
inline Deadline patient() { return Clock::now() + std::chrono::seconds(60); }

// Replicas of one log.
struct Ensemble {
  explicit Ensemble(std::size_t replicas) {
    for (std::size_t i = 0; i < replicas; ++i) join();
  }
  MemoryLog& join() {
    logs.push_back(std::make_unique<MemoryLog>(shared));
    return *logs.back();
  }
  MemoryLog& operator[](std::size_t i) { return *logs[i]; }

  std::shared_ptr<MemoryEnsemble> shared = make_memory_ensemble();
  std::vector<std::unique_ptr<MemoryLog>> logs;
};

inline Position elect(MemoryLog& log) {
  const Outcome outcome = log.elect(patient());
  REQUIRE(outcome.ok());
  return outcome.position;
}

inline Position append(MemoryLog& log, const std::string& data) {
  const Outcome outcome = log.append(data, patient());
  REQUIRE(outcome.ok());
  return outcome.position;
}

inline Position ending(MemoryLog& log) { return log.ending(patient()).position; }
inline Position beginning(MemoryLog& log) { return log.beginning(patient()).position; }

// What is read, as "position=data position=data"; or the status.
inline std::string read(MemoryLog& log, Position from, Position to) {
  std::list<Entry> entries;
  const Outcome outcome = log.read(from, to, &entries, patient());
  switch (outcome.status) {
    case Status::ok: break;
    case Status::failed: return "failed: " + outcome.reason;
    case Status::truncated: return "truncated to " + std::to_string(outcome.position);
    case Status::missing: return "missing";
    case Status::pending: return "pending";
    default: return "unexpected";
  }
  std::string text;
  for (const Entry& entry : entries) {
    if (!text.empty()) text += ' ';
    text += std::to_string(entry.position) + '=' + entry.data;
  }
  return text;
}

}  // namespace aurora::testing
