#include "dev/symbols.h"

#include "mesos/library.h"

namespace aurora {
namespace {

#define SYMBOL(name, mangled) +1
constexpr std::size_t kSymbolCount = 0
#include "dev/symbols.txt"
    ;
#undef SYMBOL
static_assert(sizeof(DevSymbols) == kSymbolCount * sizeof(void*),
              "DevSymbols and symbols.txt list the same symbols");

template <class T>
void find(const char* name, const char* mangled, T* pointer, std::string* missing) {
  void* const address = find_in_libmesos(mangled);
  *pointer = reinterpret_cast<T>(address);
  if (address == nullptr && missing->empty()) *missing = std::string(name) + " (" + mangled + ")";
}

}  // namespace

Outcome find_dev_symbols(DevSymbols* symbols) {
  if (!libmesos_is_loaded()) return Outcome::of(Status::failed, "libmesos is not loaded");
  std::string missing;
#define SYMBOL(name, mangled) find(#name, mangled, &symbols->name, &missing);
#include "dev/symbols.txt"
#undef SYMBOL
  if (missing.empty()) return Outcome::at(0);
  return Outcome::of(Status::failed,
                     "this libmesos has no master and agents for development: it lacks " + missing);
}

}  // namespace aurora
