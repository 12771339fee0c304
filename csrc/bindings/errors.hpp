// What C++ raises, as the exceptions of budgetmem/errors.py. InvalidArgument is InvalidInput there.
#pragma once

#include <stdexcept>

namespace budgetmem::bindings {

class Overloaded : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace budgetmem::bindings
