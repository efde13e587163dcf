// Where a replica begins to read: the newest complete snapshot that its part of the log knows of.
#pragma once

#include "log/replicated_log.h"

namespace aurora {

struct LogStart {
  Position beginning = 0;  // of the log; above 0: it was truncated
  Position ending = 0;
  Position snapshot = 0;   // where the newest complete snapshot begins, in the log still; 0: none
};

// Looks from `below` (exclusive), or from the log's end, backwards for an entry that can be read, and
// takes its word. ok, or what the log answered: then try again.
Outcome find_start(ReplicatedLog& log, Position below, Deadline deadline, LogStart* start);

}  // namespace aurora
