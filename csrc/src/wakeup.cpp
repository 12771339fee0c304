#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "budgetmem/scheduler.hpp"

namespace budgetmem {

Wakeup::Wakeup() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (fd_ < 0) {
    throw std::system_error(errno, std::generic_category(), "eventfd");
  }
}

Wakeup::~Wakeup() { ::close(fd_); }

void Wakeup::signal() noexcept {
  const std::uint64_t one = 1;
  // It can only fail where the counter is full, and then the descriptor is readable anyway.
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

void Wakeup::clear() noexcept {
  std::uint64_t count = 0;
  // It can only fail where the counter is 0, which is what is wanted.
  [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
}

}  // namespace budgetmem
