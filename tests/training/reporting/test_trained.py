"""What a router that has results was trained for, and on what."""

import pytest

from budgetmem.bundled_routers import bundled_routers
from budgetmem.router_artifact import read_card
from tests.router_folders import write_router
from training.reporting.trained import Trained, of_card, of_recording


def test_a_card_says_what_it_was_trained_on(tmp_path):
    told = {"dataset": "locomo", "sha256": "ab", "split": "train"}
    blind = {"config": {"policy": {"blind": True}}}
    write_router(tmp_path, training={**told, **blind}, cost_weight={"min": 0.1, "max": 0.9})
    card = read_card(tmp_path)
    assert of_card(card) == Trained(
        card.version, (0.1, 0.9), "locomo", "ab", "train", "small", blind=True
    )


@pytest.mark.parametrize("training", [{}, {"config": "none"}, {"config": {"policy": {}}}])
def test_a_card_may_say_little(tmp_path, training):
    version = write_router(tmp_path, training=training)
    assert of_card(read_card(tmp_path)) == Trained(version, (0.0, 1.0), profile="small")


def test_the_routers_that_come_with_the_package_say_all():
    for folder in bundled_routers().values():
        told = of_card(read_card(folder))
        assert "" not in {told.dataset, told.sha256, told.profile}
        assert told.split == "train"
        assert not told.blind


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ((0.0, 0.3), (0.3, 0.9), True),
        ((0.0, 0.2), (0.3, 0.9), False),
        ((0.1, 0.1), (0.1, 0.1), True),
        ((0.1, 0.1), (0.3, 0.3), False),
        ((0.1, 0.1), None, True),
    ],
)
def test_lambdas_of_two_routers_meet_or_do_not(one, other, shared):
    assert Trained("a", one).shares_lambdas(Trained("b", other)) is shared
    assert Trained("b", other).shares_lambdas(Trained("a", one)) is shared


def test_it_tells_whether_it_learned_from_what_is_evaluated():
    found = of_recording("nearest-1", {"dataset": "locomo", "sha256": "ab", "split": "train"})
    assert found.learned_from("ab", "train")
    assert not found.learned_from("ab", "test")
    assert not found.learned_from("cd", "train")
    assert str(found) == "nearest-1 (trained on locomo, train, SHA-256 ab)"
    assert str(Trained("v1", blind=True)) == "v1, blind"
