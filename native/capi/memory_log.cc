// The test double of a replicated log behind aurora_native.h.
#include "log/memory_log.h"

#include <new>

#include "capi/handles.h"

struct aur_memory_ensemble {
  std::shared_ptr<aurora::MemoryEnsemble> ensemble;
};

namespace {

// The memory log behind a handle, or null if it is another kind of log.
aurora::MemoryLog* memory_log(aur_log* log) {
  return dynamic_cast<aurora::MemoryLog*>(log->log.get());
}

}  // namespace

extern "C" {

aur_memory_ensemble* aur_memory_ensemble_new(void) {
  try {
    return new aur_memory_ensemble{aurora::make_memory_ensemble()};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void aur_memory_ensemble_free(aur_memory_ensemble* ensemble) { delete ensemble; }

aur_log* aur_log_open_memory(aur_memory_ensemble* ensemble) {
  try {
    return new aur_log{std::make_shared<aurora::MemoryLog>(ensemble->ensemble)};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void aur_log_memory_fault(aur_log* log, const char* name, int32_t countdown, int32_t times,
                          uint64_t amount, aur_outcome* outcome) {
  try {
    aurora::MemoryLog* const memory = memory_log(log);
    if (memory == nullptr) {
      aurora::fill(outcome, AUR_FAILED, 0, "not a memory log");
    } else if (!memory->arm(name, countdown, times, amount)) {
      aurora::fill(outcome, AUR_FAILED, 0, std::string("unknown fault ") + name);
    } else {
      aurora::fill(outcome, AUR_OK, 0, "");
    }
  } catch (const std::bad_alloc&) {
    aurora::fill(outcome, AUR_FAILED, 0, "");
  }
}

void aur_log_memory_clear_faults(aur_log* log) {
  if (aurora::MemoryLog* const memory = memory_log(log)) memory->clear_faults();
}

}  // extern "C"
