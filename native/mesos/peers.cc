#include "mesos/peers.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace aurora {
namespace {

constexpr std::size_t kLongestAnswer = 1 << 20;

class Socket {
 public:
  Socket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

  bool wait_for(short events, Deadline deadline) const {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wanted{fd_, events, 0};
    return ::poll(&wanted, 1, static_cast<int>(std::clamp<long>(left, 0, 60'000))) == 1;
  }

 private:
  const int fd_;
};

// libprocess lists the actors of a process at /__processes__.
bool is_running(const std::string& ip, std::uint16_t port, const std::string& name,
                Deadline deadline) {
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(port);
  if (::inet_pton(AF_INET, ip.c_str(), &peer.sin_addr) != 1) return false;
  const Socket socket;
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)) != 0 &&
      errno != EINPROGRESS) {
    return false;
  }
  if (!socket.wait_for(POLLOUT, deadline)) return false;
  const std::string request = "GET /__processes__ HTTP/1.1\r\nHost: " + ip +
                              "\r\nConnection: close\r\n\r\n";
  if (::send(socket.fd(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return false;
  }
  const std::string wanted = "\"" + name + "\"";
  std::string answer;
  char buffer[4096];
  while (answer.size() < kLongestAnswer && socket.wait_for(POLLIN, deadline)) {
    const ssize_t size = ::recv(socket.fd(), buffer, sizeof(buffer), 0);
    if (size <= 0) break;
    answer.append(buffer, static_cast<std::size_t>(size));
    if (answer.find(wanted) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

Outcome Peers::parse(const std::string& text, const std::string& own_address) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty()) continue;
    Upid upid(part);
    const std::string resolved = upid.valid() ? upid.text() : "";
    const std::size_t at = resolved.find('@');
    const std::size_t colon = resolved.rfind(':');
    if (at == std::string::npos || colon == std::string::npos || colon < at) {
      return Outcome::of(Status::failed, "peer \"" + part + "\" is not an address like " +
                                             "log-replica(1)@10.0.0.1:5050 that resolves");
    }
    const std::string address = resolved.substr(at + 1);
    if (address != own_address) {
      others_.push_back({upid, resolved.substr(0, at), resolved.substr(at + 1, colon - at - 1),
                         static_cast<std::uint16_t>(std::stoul(resolved.substr(colon + 1)))});
    }
    all_.insert(upid);
  }
  return Outcome::at(0);
}

std::size_t Peers::count_running(Deadline deadline) const {
  return static_cast<std::size_t>(
      std::count_if(others_.begin(), others_.end(), [deadline](const Other& other) {
        return is_running(other.ip, other.port, other.name, deadline);
      }));
}

void Peers::link(void* process_base) const {
  constexpr int kReuse = 0;
  for (const Other& other : others_) {
    abi::UpidMemory linked;
    libmesos().process_link(&linked, process_base, &other.upid, kReuse);
    libmesos().upid_delete(&linked);
  }
}

}  // namespace aurora
