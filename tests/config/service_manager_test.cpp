#include "config/service_manager.hpp"

#include <boost/test/unit_test.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

using namespace adtrack::config;

namespace {

// A socket as a service manager binds it, named in the environment while it lives. `name` begins with @ for an abstract one.
class manager {
public:
  explicit manager(const std::string& name) : path_(name[0] == '@' ? "" : name) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, name.data(), name.size());
    if (path_.empty()) at.sun_path[0] = 0;
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (path_.empty() ? 0 : 1));
    BOOST_REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), length) == 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~manager() {
    ::unsetenv("NOTIFY_SOCKET");
    ::close(fd_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  manager(const manager&) = delete;
  manager& operator=(const manager&) = delete;

  // The next datagram, which is there once it was sent; "" when there is none.
  std::string heard() const {
    char buffer[256];
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    return got < 0 ? "" : std::string(buffer, static_cast<size_t>(got));
  }

private:
  std::string path_;
  int fd_ = -1;
};

std::string unique_name() { return "adtrack-notify-" + std::to_string(::getpid()); }

} // namespace

BOOST_AUTO_TEST_SUITE(service_manager_test)

BOOST_AUTO_TEST_CASE(a_state_arrives_as_one_datagram_at_a_path_and_at_an_abstract_name) {
  for (const auto& name : {"/tmp/" + unique_name(), "@" + unique_name()}) {
    const manager listening(name);
    BOOST_TEST(tell_service_manager("READY=1") == "");
    BOOST_TEST(tell_service_manager("STOPPING=1\nEXTEND_TIMEOUT_USEC=5000000") == "");
    BOOST_TEST(listening.heard() == "READY=1");
    BOOST_TEST(listening.heard() == "STOPPING=1\nEXTEND_TIMEOUT_USEC=5000000");
    BOOST_TEST(listening.heard() == "");
  }
}

BOOST_AUTO_TEST_CASE(nobody_asked_is_no_error_and_nobody_there_is_one) {
  ::unsetenv("NOTIFY_SOCKET");
  BOOST_TEST(tell_service_manager("READY=1") == "");
  for (const std::string& name : {std::string("/nowhere/notify"), std::string("relative"), "/" + std::string(200, 'x')}) {
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    BOOST_TEST(tell_service_manager("READY=1").find(name) != std::string::npos);
  }
  ::unsetenv("NOTIFY_SOCKET");
}

BOOST_AUTO_TEST_SUITE_END()
