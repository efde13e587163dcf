// What the handles of aurora_native.h are made of, shared by the files of this folder.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>

#include "aurora_native.h"
#include "log/replicated_log.h"
#include "pages/database.h"

struct aur_log {
  std::shared_ptr<aurora::ReplicatedLog> log;
};

struct aur_database {
  std::shared_ptr<aurora::Database> database;
};

namespace aurora {

inline std::string text(const char* value) { return value != nullptr ? value : ""; }

// Cut to what the caller's buffer holds.
inline void copy(char* target, std::size_t size, const std::string& value) {
  const std::size_t length = std::min(value.size(), size - 1);
  std::memcpy(target, value.data(), length);
  target[length] = '\0';
}

inline void fill(aur_outcome* out, int status, Position position, const std::string& reason) {
  out->status = status;
  out->position = position;
  copy(out->reason, sizeof(out->reason), reason);
}
inline void fill(aur_outcome* out, const Outcome& outcome) {
  fill(out, static_cast<int>(outcome.status), outcome.position, outcome.reason);
}
inline void fill(aur_outcome* out, const Verdict& verdict) {
  fill(out, static_cast<int>(verdict.refusal), verdict.position, verdict.reason);
}

// A limit of more than ten years, or none (infinity, NaN), is ten years.
inline Deadline deadline_after(double seconds) {
  constexpr double kLongest = 10.0 * 365 * 86400;
  if (!(seconds < kLongest)) seconds = kLongest;
  if (seconds < 0) seconds = 0;
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(seconds));
}

}  // namespace aurora
