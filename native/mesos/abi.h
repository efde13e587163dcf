// The types of libmesos that cross its boundary, declared by hand (x86-64, GCC, new std::string).
//
// No Mesos header is needed to build and no library to link: functions are looked up by their
// mangled names (library.h). What is declared here is laid out as in releases 1.9.0 to 1.11.0; the
// assertions say what the code relies on. A member function that returns a class by value is
// called as a free function with `this` as its first parameter, which is the same call in the
// Itanium C++ ABI.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <list>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "log/replicated_log.h"

static_assert(sizeof(void*) == 8, "the declared layouts are those of a 64-bit library");
static_assert(sizeof(std::string) == 32, "libmesos is built with the new std::string (cxx11)");

namespace aurora::abi {

// mesos::log::Log, Log::Reader and Log::Writer: a pointer to an actor each, not polymorphic.
struct Log {
  void* process = nullptr;
};
struct Reader {
  void* process = nullptr;
};
struct Writer {
  void* process = nullptr;
};

// What operator new is asked for in Log::Log: the size of mesos::internal::log::LogProcess.
constexpr std::size_t kLogProcessSize = 656;

// mesos::log::Log::Position.
struct LogPosition {
  std::uint64_t value;
};

// mesos::log::Log::Entry is our own Entry, so a list that libmesos made becomes ours by splicing.
using Entries = std::list<Entry>;
static_assert(sizeof(Entry) == 40 && offsetof(Entry, data) == 8, "layout of Log::Entry");
static_assert(sizeof(Entries) == 24, "layout of std::list (cxx11)");

// Option<T> of stout.
template <class T>
class Option {
 public:
  Option() : state_(kNone) {}
  Option(T value) : state_(kSome) { new (&value_) T(std::move(value)); }
  ~Option() {
    if (is_some()) value_.~T();
  }
  Option(const Option&) = delete;
  Option& operator=(const Option&) = delete;

  bool is_some() const { return state_ == kSome; }
  const T& get() const { return value_; }

 private:
  static constexpr std::uint32_t kSome = 0;
  static constexpr std::uint32_t kNone = 1;
  std::uint32_t state_;
  union {
    T value_;
  };
};
static_assert(sizeof(Option<LogPosition>) == 16, "layout of Option<Log::Position>");
static_assert(sizeof(Option<std::string>) == 40, "layout of Option<std::string>");

// zookeeper::Authentication.
struct Authentication {
  std::string scheme;
  std::string credentials;
};
static_assert(sizeof(Authentication) == 64, "layout of zookeeper::Authentication");
static_assert(sizeof(Option<Authentication>) == 72, "layout of Option<zookeeper::Authentication>");

// Duration of stout.
struct Duration {
  std::int64_t nanoseconds;
};

// process::network::inet::Address, as process::address() returns it.
struct Address {
  std::int32_t family;
  std::uint8_t ip[16];  // network byte order
  std::uint16_t port;   // host byte order
};
static_assert(sizeof(Address) == 24 && offsetof(Address, port) == 20, "layout of inet::Address");

// process::UPID as raw memory; upid.h makes a value of it.
struct UpidMemory {
  alignas(8) unsigned char bytes[136];
};

// process::Future<T>: a shared pointer to its state.
enum class FutureState : std::int32_t { pending = 0, ready = 1, failed = 2, discarded = 3 };
struct FutureData {
  std::uint8_t lock;
  FutureState state;
  bool discard;
  bool associated;
  bool abandoned;
  // the result and the callbacks follow
};
static_assert(offsetof(FutureData, state) == 4 && offsetof(FutureData, abandoned) == 10,
              "layout of Future<T>::Data");

template <class T>
struct Future {
  std::shared_ptr<FutureData> data;
};
static_assert(sizeof(Future<LogPosition>) == 16 &&
                  !std::is_trivially_copyable<Future<LogPosition>>::value,
              "a Future is returned through a hidden pointer");

// lambda::CallableOnce<void(const Future<T>&)>: owns an object with this virtual table. libmesos
// calls it at most once and deletes it.
struct Callable {
  virtual ~Callable() = default;
  virtual void operator()(const void* future) = 0;
};
using CallableOnce = std::unique_ptr<Callable>;
static_assert(sizeof(CallableOnce) == 8, "layout of lambda::CallableOnce");

// google::LogSink: the order of the virtual functions is the contract.
struct LogSink {
  virtual ~LogSink() = default;
  virtual void send(int severity, const char* full_filename, const char* base_filename, int line,
                    const std::tm* time, const char* message, std::size_t size, int usecs) = 0;
  virtual void send_without_usecs(int severity, const char* full_filename,
                                  const char* base_filename, int line, const std::tm* time,
                                  const char* message, std::size_t size) = 0;
  virtual void WaitTillSent() {}
};

}  // namespace aurora::abi
