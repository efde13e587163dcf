// The symbols of libmesos that only a development cluster needs, looked up when one is started.
#pragma once

#include <string>

#include "log/replicated_log.h"
#include "mesos/abi.h"

namespace aurora {

// One pointer for each line of dev/symbols.txt.
struct DevSymbols {
  void (*local_flags_new)(void* memory);
  void* (*local_launch)(abi::UpidMemory* result, const void* flags, void* allocator);
  void (*version_process_new)(void* memory);
  char* containerizer_launch_vtable;
  void (*containerizer_launch_flags_new)(void* memory);
  void (*flags_base_new)(void* memory);
  // The result is a Try<flags::Warnings>.
  void* (*flags_base_load)(void* result, void* self, const abi::Option<std::string>& prefix,
                           int argc, const char* const* argv, bool unknowns, bool duplicates);
};

// failed: no libmesos is loaded, or the one that is lacks a symbol; `reason` names it.
Outcome find_dev_symbols(DevSymbols* symbols);

}  // namespace aurora
