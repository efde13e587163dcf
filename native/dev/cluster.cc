#include "dev/cluster.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>

#include "dev/symbols.h"
#include "mesos/library.h"
#include "mesos/logging.h"
#include "mesos/runtime.h"

namespace aurora {
namespace {

std::atomic<bool> launched{false};

// mesos::internal::local::Flags as its constructor leaves it: where the two members are that we set.
struct LocalFlags {
  void* vtable;
  std::string work_dir;
  int num_slaves;
};
static_assert(offsetof(LocalFlags, work_dir) == 8 && offsetof(LocalFlags, num_slaves) == 40,
              "layout of local::Flags");

// More than any of the two classes takes: neither size is part of the library's interface.
constexpr std::size_t kObjectBytes = 8192;

// For an object of libmesos that lives as long as the process.
void* allocate() {
  void* const memory = std::calloc(1, kObjectBytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

// An actor's ProcessBase is a virtual base; its offset stands before the virtual table.
void* process_base(void* actor) {
  constexpr int kVirtualBaseOffset = -3;
  const std::ptrdiff_t* const table = *static_cast<std::ptrdiff_t**>(actor);
  return static_cast<char*>(actor) + table[kVirtualBaseOffset];
}

}  // namespace

Outcome launch_mesos(const std::string& work_directory, int agents) {
  DevSymbols api{};
  const Outcome found = find_dev_symbols(&api);
  if (!found.ok()) return found;
  if (libprocess_address().empty()) {
    return Outcome::of(Status::failed, "libprocess is not started");
  }
  if (launched.exchange(true)) {
    return Outcome::of(Status::failed, "a process has one Mesos cluster at most, and this one has");
  }
  // From now on an exit of the process is libmesos's doing.
  static const LibmesosInUse in_use;

  abi::UpidMemory version, master;
  void* const version_process = allocate();
  api.version_process_new(version_process);
  libmesos().process_spawn(&version, process_base(version_process), false);

  void* const memory = allocate();
  api.local_flags_new(memory);
  auto* const flags = static_cast<LocalFlags*>(memory);
  flags->work_dir = work_directory;
  flags->num_slaves = agents;
  api.local_launch(&master, flags, nullptr);
  return Outcome::at(0);
}

}  // namespace aurora
