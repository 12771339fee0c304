// Random operations on a Core, held against a model. Arguments: how many operations (10 million if
// not said), and the seed. Exits with 1 at the first rule that is broken.
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <random>
#include <string>

#include "property_run.hpp"

namespace budgetmem::testing {
namespace {

constexpr std::uint64_t kPerPhase = 5000;    // operations
constexpr std::uint64_t kPerCompare = 500;   // operations
constexpr std::uint64_t kPerDrain = 500000;  // operations

void step(Run& run, std::mt19937_64& random, std::uint64_t number) {
  if (number % kPerPhase == 0) {
    run.flood(random() % 3);
  }
  if (number % kPerDrain == kPerDrain - 1) {
    run.drain();
  }
  run.operate();
  if (number % kPerCompare == 0) {
    run.check();
  }
}

int run(std::uint64_t operations, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Run run([&random](std::uint64_t bound) { return random() % bound; });
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t number = 0;
  try {
    for (; number < operations; ++number) {
      step(run, random, number);
    }
    run.end();
  } catch (const std::exception& error) {
    std::cerr << "seed " << seed << ", operation " << number << ": broken: " << error.what()
              << '\n';
    return 1;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << operations << " operations with seed " << seed << ", "
            << static_cast<std::uint64_t>(static_cast<double>(operations) / seconds.count())
            << " per second with the model\n";
  return 0;
}

}  // namespace
}  // namespace budgetmem::testing

int main(int count, char** arguments) {
  const std::uint64_t operations = count > 1 ? std::stoull(arguments[1]) : 10'000'000;
  const std::uint64_t seed = count > 2 ? std::stoull(arguments[2]) : 1;
  return budgetmem::testing::run(operations, seed);
}
