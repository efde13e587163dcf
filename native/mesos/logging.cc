#include "mesos/logging.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <unistd.h>

#include "mesos/library.h"

namespace aurora {
namespace {

constexpr std::size_t kQueueLines = 1024;
constexpr std::size_t kLastLines = 12;
constexpr int kWarning = 1;
constexpr int kError = 2;
constexpr int kAboveFatal = 4;  // glog has four severities, 0 to 3

std::atomic<int> level{kWarning};
std::atomic<bool> started{false};
std::atomic<int> users{0};
pid_t owner = 0;  // written once, at the start

[[noreturn]] void report_and_exit();

// The child of a fork may exit as it likes.
bool exit_is_libmesos_doing() { return ::getpid() == owner && users.load() > 0; }

class Queue final : public abi::LogSink {
 public:
  void send(int severity, const char*, const char* file, int line, const std::tm*,
            const char* message, std::size_t size, int) override {
    keep(severity, file, line, message, size);
    // What libmesos logs before it calls exit(), during which other threads log on or crash.
    constexpr char kExit[] = "EXIT with status ";
    if (severity >= kError && std::string(message, size).rfind(kExit, 0) == 0 &&
        exit_is_libmesos_doing()) {
      report_and_exit();
    }
  }

  void send_without_usecs(int severity, const char* path, const char* file, int line,
                          const std::tm* time, const char* message, std::size_t size) override {
    send(severity, path, file, line, time, message, size, 0);
  }

  bool take(LibmesosLogLine* line, std::chrono::steady_clock::time_point deadline) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!arrived_.wait_until(lock, deadline, [this] { return !lines_.empty(); })) return false;
    *line = std::move(lines_.front());
    lines_.pop_front();
    line->dropped = dropped_;
    return true;
  }

  bool last_is_error() {
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    return lock.owns_lock() && !last_.empty() && last_.back().severity >= kError;
  }

  // The last lines as text. Leaves out what happens if another thread holds the lock and is stuck:
  // the process is ending, and must not hang here.
  std::string last_lines() {
    std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    for (int tries = 0; !lock.owns_lock() && tries < 100; ++tries) {
      ::usleep(1000);
      static_cast<void>(lock.try_lock());
    }
    if (!lock.owns_lock()) return "(its last log lines cannot be read)\n";
    std::string text;
    for (const LibmesosLogLine& line : last_) {
      text += "  " + line.file + ":" + std::to_string(line.line) + ": " + line.text + "\n";
    }
    return text;
  }

 private:
  void keep(int severity, const char* file, int line, const char* message, std::size_t size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    LibmesosLogLine entry{severity, file, line, std::string(message, size), 0};
    last_.push_back(entry);
    if (last_.size() > kLastLines) last_.pop_front();
    if (lines_.size() == kQueueLines) {
      lines_.pop_front();
      ++dropped_;
    }
    lines_.push_back(std::move(entry));
    arrived_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<LibmesosLogLine> lines_;  // guarded by mutex_
  std::deque<LibmesosLogLine> last_;   // guarded by mutex_
  std::uint64_t dropped_ = 0;          // guarded by mutex_
};

// Never destroyed: libmesos's threads log until the very end of the process.
Queue& queue() {
  static Queue* const instance = new Queue;
  return *instance;
}

// Runs in place of abort() and must not return.
[[noreturn]] void report_and_exit() {
  const std::string report =
      "libmesos ended this process. Its last log lines:\n" + queue().last_lines();
  for (std::size_t written = 0; written < report.size();) {
    const ssize_t size =
        ::write(STDERR_FILENO, report.data() + written, report.size() - written);
    if (size <= 0) break;
    written += static_cast<std::size_t>(size);
  }
  ::_exit(kFatalExitCode);
}

void report_unexpected_exit() {
  if (exit_is_libmesos_doing() && queue().last_is_error()) report_and_exit();
}

// The ZooKeeper client writes lines like "<time>:<pid>(<thread>):ZOO_WARN@<function>@<line>: ...".
ssize_t write_zookeeper_line(void*, const char* data, std::size_t size) {
  std::string text(data, size);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const bool error = text.find(":ZOO_ERROR@") != std::string::npos;
  const std::size_t level_at = text.find(":ZOO_");
  if (level_at != std::string::npos) text.erase(0, level_at + 1);
  if (!text.empty()) {
    queue().send(error ? kError : kWarning, "zookeeper.c", "zookeeper.c", 0, nullptr, text.data(),
                 text.size(), 0);
  }
  return static_cast<ssize_t>(size);
}

void redirect_zookeeper_client() {
  constexpr int kZooWarnings = 2;
  cookie_io_functions_t functions{};
  functions.write = &write_zookeeper_line;
  std::FILE* stream = ::fopencookie(nullptr, "w", functions);
  if (stream == nullptr) return;
  std::setvbuf(stream, nullptr, _IOLBF, 4096);
  libmesos().zoo_set_log_stream(stream);
  libmesos().zoo_set_debug_level(kZooWarnings);
}

}  // namespace

void start_libmesos_logging() {
  if (started.exchange(true)) return;
  owner = ::getpid();
  const LibmesosSymbols& api = libmesos();
  api.glog_init("aurora-store");
  for (int severity = 0; severity < kAboveFatal; ++severity) {
    api.glog_set_destination(severity, "");
  }
  *api.glog_flag_logtostderr = false;
  *api.glog_flag_stderrthreshold = kAboveFatal;
  *api.glog_flag_minloglevel = level.load();
  api.glog_add_sink(&queue());
  api.glog_install_failure_function(&report_and_exit);
  redirect_zookeeper_client();
  std::atexit(&report_unexpected_exit);
}

LibmesosInUse::LibmesosInUse() { ++users; }
LibmesosInUse::~LibmesosInUse() { --users; }

void set_libmesos_log_level(int minimum_severity) {
  level = std::clamp(minimum_severity, 0, kAboveFatal - 1);
  if (started.load()) *libmesos().glog_flag_minloglevel = level.load();
}

bool next_libmesos_log_line(LibmesosLogLine* line,
                            std::chrono::steady_clock::time_point deadline) {
  return queue().take(line, deadline);
}

}  // namespace aurora
