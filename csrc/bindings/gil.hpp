// Calls without the GIL.
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

namespace budgetmem::bindings {

// Gives up the GIL for as long as it lives, as py::gil_scoped_release does, except when the
// interpreter exits meanwhile. Up to Python 3.13 a daemon thread that wants the GIL back is then
// unwound, out of a destructor, which would abort the process. Here it sleeps until the process has
// ended, as it does from Python 3.14 on.
class ReleasedGil {
 public:
  ReleasedGil() : thread_(PyEval_SaveThread()) {}
  ReleasedGil(const ReleasedGil&) = delete;
  ReleasedGil& operator=(const ReleasedGil&) = delete;
  ~ReleasedGil() {
    try {
      PyEval_RestoreThread(thread_);
    } catch (...) {
      for (;;) {
        pause();
      }
    }
  }

 private:
  PyThreadState* thread_;
};

// The call must not touch anything of Python.
template <typename Call>
auto without_gil(Call call) {
  const ReleasedGil released;
  return call();
}

}  // namespace budgetmem::bindings
