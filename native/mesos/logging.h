// What libmesos logs (glog), and its ZooKeeper client (warnings and errors), in a bounded queue for
// one consumer. Nothing goes to stderr and no file is written, except when libmesos decides to end
// the process: then its last lines are written to stderr and the process exits with kFatalExitCode.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace aurora {

constexpr int kFatalExitCode = 70;

struct LibmesosLogLine {
  int severity = 0;  // 0 info, 1 warning, 2 error, 3 fatal
  std::string file;
  int line = 0;
  std::string text;
  std::uint64_t dropped = 0;  // lines lost so far, because nobody took them
};

// Once per process, after load_libmesos() and before libprocess is started.
void start_libmesos_logging();

// Lines less severe than this are not even formatted. May be called before the start.
void set_libmesos_log_level(int minimum_severity);

// While one of these lives, an exit of the process that follows an error line is taken for
// libmesos's doing (it calls exit() where a directory is unusable): its last lines are reported
// then, too.
class LibmesosInUse {
 public:
  LibmesosInUse();
  ~LibmesosInUse();
  LibmesosInUse(const LibmesosInUse&) = delete;
  LibmesosInUse& operator=(const LibmesosInUse&) = delete;
};

// False if none came in time.
bool next_libmesos_log_line(LibmesosLogLine* line, std::chrono::steady_clock::time_point deadline);

}  // namespace aurora
