// The address of an actor, "log-replica(1)@ip:port", as a value: process::UPID.
#pragma once

#include <set>
#include <string>

#include "mesos/library.h"

namespace aurora {

// libmesos resolves a host name when the value is made, which may block.
class Upid {
 public:
  explicit Upid(const std::string& text) { libmesos().upid_new(&memory_, text); }
  Upid(const Upid& other) { libmesos().upid_copy(&memory_, &other.memory_); }
  ~Upid() { libmesos().upid_delete(&memory_); }
  Upid& operator=(const Upid&) = delete;

  // False if the text could not be parsed or its host not be resolved.
  bool valid() const { return libmesos().upid_is_valid(&memory_); }
  std::string text() const { return libmesos().upid_to_string(&memory_); }
  bool operator<(const Upid& other) const { return libmesos().upid_less(&memory_, &other.memory_); }

 private:
  abi::UpidMemory memory_;
};
static_assert(sizeof(Upid) == sizeof(abi::UpidMemory), "libmesos reads std::set<Upid> directly");

using Upids = std::set<Upid>;

}  // namespace aurora
