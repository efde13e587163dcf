// A Mesos master and agents in this process, for development: mesos::internal::local of libmesos.
#pragma once

#include <string>

#include "log/replicated_log.h"

namespace aurora {

// The actor that answers requests which name none, so that /state is the master's: the delegate that
// libprocess is to be started with.
constexpr const char* kMasterDelegate = "master";

// Once per process, after start_libprocess() with kMasterDelegate; never stopped, they end with the
// process. Their flags are the MESOS_* variables, and libmesos ends the process on bad ones. failed:
// the library lacks what is needed, or it was done before.
Outcome launch_mesos(const std::string& work_directory, int agents);

}  // namespace aurora
