import pytest

from budgetmem.features import State
from budgetmem.router import Decision, FixedRouter, nearest_allowed
from budgetmem.tiers import Tier
from budgetmem.types import Workspace

LOW, MID, HIGH = Tier


@pytest.mark.parametrize(
    ("wanted", "masked", "expected"),
    [
        (HIGH, (), HIGH),
        (HIGH, (HIGH,), MID),
        (HIGH, (HIGH, MID), LOW),
        (LOW, (LOW,), MID),
        (LOW, (LOW, MID), HIGH),
        (MID, (LOW, MID, HIGH), LOW),
    ],
)
def test_nearest_allowed(wanted: Tier, masked: tuple[Tier, ...], expected: Tier):
    assert nearest_allowed(wanted, dict.fromkeys(masked, "max_cost_usd")) == expected


def decision(module: str, **more: object) -> Decision:
    return Decision(module, "extract", State(Workspace.start("q", ())), cost_weight=0.0, **more)


async def test_pins_go_before_the_table_and_the_table_before_the_default():
    router = FixedRouter(default=LOW, tiers={"entity": MID})
    choices = await router.choose(
        [decision("entity", pinned=HIGH), decision("entity"), decision("topic")]
    )
    assert [choice.tier for choice in choices] == [HIGH, MID, LOW]
    assert choices[1].probabilities == (0.0, 1.0, 0.0)


async def test_a_ceiling_goes_before_a_pin():
    masked = {HIGH: "max_cost_usd"}
    (choice,) = await FixedRouter().choose([decision("entity", pinned=HIGH, masked=masked)])
    assert choice.tier == MID
    assert choice.masked == masked
