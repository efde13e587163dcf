#include "mesos/library.h"

#include <climits>
#include <cstdlib>
#include <dlfcn.h>
#include <mutex>

namespace aurora {
namespace {

#define SYMBOL(name, mangled) +1
constexpr std::size_t kSymbolCount = 0
#include "mesos/symbols.txt"
    ;
#undef SYMBOL
static_assert(sizeof(LibmesosSymbols) == kSymbolCount * sizeof(void*),
              "LibmesosSymbols and symbols.txt list the same symbols");

std::mutex load_mutex;
bool loaded = false;        // guarded by load_mutex
void* handle = nullptr;     // guarded by load_mutex
std::string loaded_path;    // guarded by load_mutex
LibmesosSymbols symbols{};  // written once, before `loaded` is set

std::string canonical(const std::string& path) {
  char resolved[PATH_MAX];
  return ::realpath(path.c_str(), resolved) != nullptr ? resolved : path;
}

template <class T>
bool resolve(void* library, const char* mangled, T* pointer) {
  void* address = ::dlsym(library, mangled);
  *pointer = reinterpret_cast<T>(address);
  return address != nullptr;
}

}  // namespace

Outcome load_libmesos(const std::string& path) {
  const std::lock_guard<std::mutex> lock(load_mutex);
  const std::string wanted = canonical(path);
  if (loaded) {
    if (wanted == loaded_path) return Outcome::at(0);
    return Outcome::of(Status::failed, "libmesos is loaded from " + loaded_path +
                                           " already; a process cannot load " + path + " too");
  }
  void* library = ::dlopen(wanted.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* cause = ::dlerror();
    return Outcome::of(Status::failed,
                       "cannot load " + path + ": " + (cause != nullptr ? cause : "unknown cause"));
  }
  LibmesosSymbols found{};
  std::string missing;
#define SYMBOL(name, mangled) \
  if (!resolve(library, mangled, &found.name) && missing.empty()) missing = #name " (" mangled ")";
#include "mesos/symbols.txt"
#undef SYMBOL
  if (!missing.empty()) {
    ::dlclose(library);
    return Outcome::of(Status::failed, path + " is not a libmesos of release 1.9.0 to 1.11.0: it "
                                              "lacks " + missing);
  }
  symbols = found;
  handle = library;
  loaded_path = wanted;
  loaded = true;
  return Outcome::at(0);
}

bool libmesos_is_loaded() {
  const std::lock_guard<std::mutex> lock(load_mutex);
  return loaded;
}

const LibmesosSymbols& libmesos() { return symbols; }

void* find_in_libmesos(const char* mangled) {
  const std::lock_guard<std::mutex> lock(load_mutex);
  return loaded ? ::dlsym(handle, mangled) : nullptr;
}

}  // namespace aurora
