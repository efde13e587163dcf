// What the program mesos-containerizer does, which an agent starts for each executor.
#pragma once

#include "log/replicated_log.h"

namespace aurora {

// `argv` begins with "launch". Enters the container, which may replace the process; otherwise
// `exit_code` is what the program exits with. failed: the library lacks what is needed, or the
// arguments are not understood.
Outcome run_mesos_containerizer(int argc, const char* const* argv, int* exit_code);

}  // namespace aurora
