#include "dev/containerizer.h"

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>

#include "dev/symbols.h"

namespace aurora {
namespace {

// mesos::internal::slave::MesosContainerizerLaunch. Its constructor is inlined in libmesos, so it is
// made here: a Subcommand (virtual table, name, flags) and its own flags.
struct ContainerizerLaunch {
  void* vtable;
  std::string name;
  alignas(8) unsigned char subcommand_flags[184];
  alignas(8) unsigned char flags[8192 - 224];  // more than they take
};
static_assert(offsetof(ContainerizerLaunch, name) == 8 &&
                  offsetof(ContainerizerLaunch, subcommand_flags) == 40 &&
                  offsetof(ContainerizerLaunch, flags) == 224,
              "layout of MesosContainerizerLaunch");

// Its virtual functions after the two destructors.
using Execute = int (*)(void* self);
using GetFlags = void* (*)(void* self);
constexpr int kExecute = 2;
constexpr int kGetFlags = 3;

// Before the first virtual function there are the offset to the top and the type's description.
constexpr std::size_t kVtableHeaderBytes = 16;

// Try<flags::Warnings>: an Option<std::vector<Warning>>, then an Option<Error>.
struct TryWarnings {
  std::uint32_t warnings_state;
  void* warnings[3];
  abi::Option<std::string> error;
};
static_assert(offsetof(TryWarnings, error) == 32, "layout of Try<flags::Warnings>");

}  // namespace

Outcome run_mesos_containerizer(int argc, const char* const* argv, int* exit_code) {
  DevSymbols api{};
  const Outcome found = find_dev_symbols(&api);
  if (!found.ok()) return found;

  // Never deleted: the process ends, or becomes another program.
  auto* const launch = new ContainerizerLaunch{};
  launch->vtable = api.containerizer_launch_vtable + kVtableHeaderBytes;
  launch->name = "launch";
  api.flags_base_new(launch->subcommand_flags);
  api.containerizer_launch_flags_new(launch->flags);

  void** const functions = *reinterpret_cast<void***>(launch);
  void* const flags = reinterpret_cast<GetFlags>(functions[kGetFlags])(launch);
  const abi::Option<std::string> prefix(std::string("MESOS_CONTAINERIZER_"));
  auto* const loaded = new TryWarnings;
  api.flags_base_load(loaded, flags, prefix, argc, argv, false, false);
  if (loaded->error.is_some()) {
    return Outcome::of(Status::failed, "mesos-containerizer: " + loaded->error.get());
  }
  *exit_code = reinterpret_cast<Execute>(functions[kExecute])(launch);
  return Outcome::at(0);
}

}  // namespace aurora
