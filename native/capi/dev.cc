// A Mesos cluster for development, for aurora_native.h.
#include <exception>

#include "capi/handles.h"
#include "dev/cluster.h"
#include "dev/containerizer.h"

extern "C" {

void aur_mesos_launch(const char* work_directory, int32_t agents, aur_outcome* outcome) {
  try {
    aurora::fill(outcome, aurora::launch_mesos(work_directory, agents));
  } catch (const std::exception& error) {
    aurora::fill(outcome, AUR_FAILED, 0, error.what());
  }
}

int aur_mesos_containerizer(int32_t argc, const char* const* argv, aur_outcome* outcome) {
  int exit_code = 1;
  try {
    aurora::fill(outcome, aurora::run_mesos_containerizer(argc, argv, &exit_code));
  } catch (const std::exception& error) {
    aurora::fill(outcome, AUR_FAILED, 0, error.what());
  }
  return exit_code;
}

}  // extern "C"
