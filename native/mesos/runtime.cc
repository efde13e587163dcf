#include "mesos/runtime.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "mesos/library.h"
#include "mesos/logging.h"

namespace aurora {
namespace {

std::mutex start_mutex;
std::optional<LibprocessOptions> started;  // guarded by start_mutex
std::string address;                       // guarded by start_mutex

Outcome failed(const std::string& reason) { return Outcome::of(Status::failed, reason); }

// Sets variables for the time that libprocess reads them, and then puts back what was there: a
// child process with libprocess in it must not inherit our port.
class ScopedEnvironment {
 public:
  ~ScopedEnvironment() {
    for (const auto& [name, before] : before_) {
      if (before) {
        ::setenv(name.c_str(), before->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  void set(const std::string& name, const std::string& value) {
    const char* before = std::getenv(name.c_str());
    before_.emplace_back(name, before != nullptr ? std::optional<std::string>(before)
                                                 : std::nullopt);
    ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

// Binds as libprocess will and lets go again.
Outcome check_port(const std::string& ip, std::uint16_t port) {
  sockaddr_in wanted{};
  wanted.sin_family = AF_INET;
  wanted.sin_port = htons(port);
  if (::inet_pton(AF_INET, ip.c_str(), &wanted.sin_addr) != 1) {
    return failed("\"" + ip + "\" is not an IPv4 address");
  }
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return failed(std::string("cannot make a socket: ") + std::strerror(errno));
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool usable =
      ::bind(socket, reinterpret_cast<const sockaddr*>(&wanted), sizeof(wanted)) == 0 &&
      ::listen(socket, 1) == 0;
  const int cause = errno;
  ::close(socket);
  if (usable) return Outcome::at(0);
  return failed("cannot listen on " + ip + ":" + std::to_string(port) + ": " +
                std::strerror(cause));
}

bool same(const LibprocessOptions& wanted, const LibprocessOptions& running) {
  return wanted.ip == running.ip && (wanted.port == 0 || wanted.port == running.port) &&
         wanted.advertise_ip == running.advertise_ip &&
         wanted.advertise_port == running.advertise_port && wanted.delegate == running.delegate &&
         (wanted.worker_threads == 0 || wanted.worker_threads == running.worker_threads);
}

}  // namespace

Outcome start_libprocess(const LibprocessOptions& options) {
  const std::lock_guard<std::mutex> lock(start_mutex);
  if (!libmesos_is_loaded()) return failed("libmesos is not loaded");
  if (started) {
    if (same(options, *started)) return Outcome::at(0);
    return failed("libprocess listens on " + address +
                  " already and cannot be started a second time with other options");
  }
  if (options.worker_threads < 0 || options.worker_threads > 1024) {
    return failed("worker_threads must be between 0 and 1024");
  }
  const Outcome port = check_port(options.ip, options.port);
  if (!port.ok()) return port;

  LibprocessOptions running = options;
  if (running.worker_threads == 0) running.worker_threads = kDefaultWorkerThreads;
  start_libmesos_logging();
  {
    ScopedEnvironment environment;
    environment.set("LIBPROCESS_IP", running.ip);
    environment.set("LIBPROCESS_PORT", std::to_string(running.port));
    environment.set("LIBPROCESS_NUM_WORKER_THREADS", std::to_string(running.worker_threads));
    if (!running.advertise_ip.empty()) {
      environment.set("LIBPROCESS_ADVERTISE_IP", running.advertise_ip);
    }
    if (running.advertise_port != 0) {
      environment.set("LIBPROCESS_ADVERTISE_PORT", std::to_string(running.advertise_port));
    }
    const abi::Option<std::string> none;
    const abi::Option<std::string> delegate(running.delegate);
    libmesos().process_initialize(running.delegate.empty() ? none : delegate, none, none);
  }
  const abi::Address listening = libmesos().process_address();
  char ip[INET_ADDRSTRLEN] = "";
  ::inet_ntop(AF_INET, listening.ip, ip, sizeof(ip));
  address = std::string(ip) + ":" + std::to_string(listening.port);
  if (running.port == 0 && running.advertise_port == 0) running.port = listening.port;
  started = running;
  return Outcome::at(0);
}

std::string libprocess_address() {
  const std::lock_guard<std::mutex> lock(start_mutex);
  return address;
}

}  // namespace aurora
