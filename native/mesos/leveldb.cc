#include "mesos/leveldb.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <limits>
#include <link.h>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

#include "mesos/library.h"

namespace aurora {
namespace {

constexpr std::uint64_t kSliceBytes = 8 << 20;  // a few files

struct Slice {  // leveldb::Slice
  const char* data;
  std::size_t size;
};
struct Range {  // leveldb::Range
  Slice start;
  Slice limit;
};
using GetApproximateSizes = void (*)(void* database, const Range* ranges, int count,
                                     std::uint64_t* sizes);
using CompactRange = void (*)(void* database, const Slice* begin, const Slice* end);
using Slot = std::atomic<CompactRange>;
static_assert(sizeof(Slot) == sizeof(void*) && Slot::is_always_lock_free,
              "a slot of a virtual table is one word");

// The slot of CompactRange in the virtual table of DBImpl.
struct Hook {
  CompactRange original = nullptr;
  GetApproximateSizes sizes = nullptr;
  Slot* slot = nullptr;     // null: not found
  bool read_only = false;
};

std::mutex hook_mutex;
int finders = 0;                         // guarded by hook_mutex
thread_local void** wanted = nullptr;    // where this thread's finder wants the database

std::uintptr_t page_of(std::uintptr_t address) {
  static const auto size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return address & ~(size - 1);
}

// Whether the dynamic linker has made its page so (RELRO): it does so with whole pages.
bool is_read_only(std::uintptr_t address) {
  return ::dl_iterate_phdr(
             [](dl_phdr_info* library, std::size_t, void* wanted_address) {
               const auto page = page_of(*static_cast<std::uintptr_t*>(wanted_address));
               for (int i = 0; i < library->dlpi_phnum; ++i) {
                 const ElfW(Phdr)& part = library->dlpi_phdr[i];
                 if (part.p_type != PT_GNU_RELRO) continue;
                 const std::uintptr_t begin = library->dlpi_addr + part.p_vaddr;
                 if (page >= page_of(begin) && page < page_of(begin + part.p_memsz)) return 1;
               }
               return 0;
             },
             &address) != 0;
}

Hook find_hook() {
  Hook hook;
  struct {
#define SYMBOL(name, mangled) void* name = find_in_libmesos(mangled);
#include "mesos/leveldb_symbols.txt"
#undef SYMBOL
  } found;
  if (found.virtual_table == nullptr || found.compact_range == nullptr || found.sizes == nullptr) {
    return hook;
  }
  Dl_info info{};
  ElfW(Sym)* symbol = nullptr;
  if (::dladdr1(found.virtual_table, &info, reinterpret_cast<void**>(&symbol), RTLD_DL_SYMENT) == 0 ||
      symbol == nullptr || info.dli_saddr != found.virtual_table) {
    return hook;
  }
  void** const words = static_cast<void**>(found.virtual_table);
  for (std::size_t i = 0; i < symbol->st_size / sizeof(void*); ++i) {
    if (words[i] != found.compact_range) continue;
    hook.slot = reinterpret_cast<Slot*>(&words[i]);
    hook.original = reinterpret_cast<CompactRange>(found.compact_range);
    hook.sizes = reinterpret_cast<GetApproximateSizes>(found.sizes);
    hook.read_only = is_read_only(reinterpret_cast<std::uintptr_t>(hook.slot));
    return hook;
  }
  return hook;
}

// Only after libmesos is loaded.
const Hook& hook() {
  static const Hook found = find_hook();
  return found;
}

void note_and_compact(void* database, const Slice* begin, const Slice* end) {
  if (wanted != nullptr) *wanted = database;
  hook().original(database, begin, end);
}

bool protect(int protection) {
  if (!hook().read_only) return true;
  const std::uintptr_t page = page_of(reinterpret_cast<std::uintptr_t>(hook().slot));
  return ::mprotect(reinterpret_cast<void*>(page), sizeof(Slot), protection) == 0;
}

void set_slot(CompactRange function) {
  if (hook().slot == nullptr || !protect(PROT_READ | PROT_WRITE)) return;
  hook().slot->store(function);
  protect(PROT_READ);
}

// The key of a position, as libmesos writes it: the one after it in ten decimal digits.
struct Key {
  explicit Key(Position position) {
    std::snprintf(text, sizeof(text), "%010" PRIu64, position + 1);
  }
  Slice slice() const { return {text, std::strlen(text)}; }

  char text[24];
};

// [from, to), which is not empty.
void compact_positions(void* database, Position from, Position to,
                       const std::atomic<bool>& stop) {
  if (stop) return;
  if (to - from > 1 && leveldb_bytes(database, from, to) > kSliceBytes) {
    const Position middle = from + (to - from) / 2;
    compact_positions(database, from, middle, stop);
    compact_positions(database, middle, to, stop);
    return;
  }
  const Key first(from);
  const Key last(to - 1);
  const Slice begin = first.slice();
  const Slice end = last.slice();
  const Deadline began = Clock::now();
  hook().original(database, &begin, &end);
  std::this_thread::sleep_for(Clock::now() - began);
}

}  // namespace

LevelDbFinder::LevelDbFinder() {
  const std::lock_guard<std::mutex> lock(hook_mutex);
  wanted = &found_;
  if (finders++ == 0) set_slot(note_and_compact);
}

LevelDbFinder::~LevelDbFinder() {
  const std::lock_guard<std::mutex> lock(hook_mutex);
  wanted = nullptr;
  if (--finders == 0) set_slot(hook().original);
}

std::uint64_t leveldb_bytes(void* database, Position from, Position to) {
  const Key first(from);
  const Key limit(to);
  const Range range{first.slice(), limit.slice()};
  std::uint64_t bytes = 0;
  hook().sizes(database, &range, 1, &bytes);
  return bytes;
}

void compact_leveldb(void* database, Position to, const std::atomic<bool>& stop) {
  if (to == 0) return;
  // Later positions overflow an int of libmesos 1.11.0, and their keys do not sort: take them all.
  if (to > static_cast<Position>(std::numeric_limits<int>::max())) {
    hook().original(database, nullptr, nullptr);
    return;
  }
  compact_positions(database, 0, to, stop);
}

}  // namespace aurora
