// The containers of the core: nothing of what has died stays for long.
#include <doctest/doctest.h>

#include <set>

#include "../src/lazy_heap.hpp"
#include "../src/slots.hpp"

namespace budgetmem {
namespace {

TEST_CASE("a slot map finds what is there, and nothing else") {
  SlotMap<int> map;
  const ItemId first = map.insert(1);
  const ItemId second = map.insert(2);
  REQUIRE(map.find(first) != nullptr);
  CHECK(*map.find(first) == 1);
  CHECK(map[second] == 2);
  map.erase(first);
  CHECK(map.find(first) == nullptr);
  CHECK(map.find(first + (ItemId{1} << 32U)) == nullptr);  // the generation of an empty slot
  CHECK(map.find(ItemId{1} << 32U | 2U) == nullptr);
  const ItemId third = map.insert(3);
  CHECK(third != first);
  CHECK(static_cast<std::uint32_t>(third) == static_cast<std::uint32_t>(first));  // used again
  std::set<ItemId> there;
  map.for_each([&](ItemId id, int) { there.insert(id); });
  CHECK(there == std::set<ItemId>{second, third});
}

TEST_CASE("a heap passes over the dead, and sweeps them when they outnumber the living") {
  LazyHeap<int> heap;
  const auto odd = [](int value) { return value % 2 == 1; };
  for (int value = 1000; value > 0; --value) {
    heap.push(value);
  }
  REQUIRE(heap.top(odd) != nullptr);
  CHECK(*heap.top(odd) == 1);
  const auto large = [](int value) { return value > 900; };
  heap.sweep(100, large);
  CHECK(heap.size() == 100);
  CHECK(*heap.top(large) == 901);
  const auto none = [](int) { return false; };
  CHECK(heap.top(none) == nullptr);
  CHECK(heap.size() == 0);
}

}  // namespace
}  // namespace budgetmem
