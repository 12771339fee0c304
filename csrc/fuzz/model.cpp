// Operations that bytes choose, held against the model of the property test.
#include <cstddef>
#include <cstdint>

#include "bytes.hpp"
#include "property_run.hpp"

namespace {

constexpr int kPerCheck = 16;  // operations

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  budgetmem::fuzzing::Bytes bytes({data, size});
  budgetmem::testing::Run run([&bytes](std::uint64_t bound) { return bytes.below(bound); });
  run.flood(bytes.below(3));
  for (int number = 1; !bytes.empty(); ++number) {
    run.operate();
    if (number % kPerCheck == 0) {
      run.check();
    }
  }
  run.drain();
  run.end();
  return 0;
}
