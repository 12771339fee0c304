"""Routers by name, at the lambdas that they take; nearest neighbours of other histories alone."""

import pytest

from budgetmem.errors import ConfigError
from budgetmem.router import FixedRouter
from training.entrants import BUNDLED, Entrant, named_folder
from training.reporting.trained import Trained

WANTED = (0.0, 0.1, 0.3, 0.9)


def entrant(ends, **learned):
    return Entrant("mine", Trained("v1", ends, **learned), FixedRouter())


def test_a_folder_is_called_as_it_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "seed=1" / "my-router"
    folder.mkdir(parents=True)
    assert named_folder(str(folder)) == ("my-router", folder)
    assert named_folder(f"blind={folder}") == ("blind", folder)
    monkeypatch.chdir(folder)
    assert named_folder(".")[0] == "my-router"


def test_what_is_no_folder_is_one_that_comes_with_the_package():
    label, folder = named_folder("small/implementation")
    assert (label, folder.as_posix()) == (BUNDLED, "small/implementation")
    assert named_folder("a=small/implementation")[0] == "a"


@pytest.mark.parametrize("label", ["a/b", "a@b", "", "two words", "x" * 65])
def test_what_cannot_be_a_name_is_refused(label):
    with pytest.raises(ConfigError, match="cannot be a name"):
        named_folder(f"{label}=small/implementation")


def test_a_router_is_asked_at_the_lambdas_that_it_takes():
    some = entrant((0.1, 0.3))
    assert [arm.name for arm in some.arms(WANTED)] == ["mine@0.1", "mine@0.3"]
    assert list(some.notes(WANTED, "ab", "test")) == [
        "mine is asked at lambda 0.1, 0.3: it does not take 0, 0.9"
    ]
    assert [arm.name for arm in entrant(None).arms((0.3, 0.3, 7))] == ["mine@0.3", "mine@7"]
    assert list(entrant((0.0, 0.9)).notes(WANTED, "ab", "test")) == []


def test_a_router_for_one_lambda_is_asked_at_that():
    assert [arm.name for arm in entrant((0.7, 0.7)).arms(WANTED)] == ["mine@0.7"]


def test_a_router_that_takes_none_of_them_is_refused():
    with pytest.raises(ConfigError, match="mine takes lambdas from 2 to 3, and --cost-weights"):
        entrant((2, 3)).arms(WANTED)


def test_one_that_learned_from_these_very_questions_is_told():
    learned = entrant((0.0, 0.9), sha256="ab", split="train")
    (told,) = learned.notes(WANTED, "ab", "train")
    assert told == "warning: mine was trained on the train split of these very data"
    assert list(learned.notes(WANTED, "ab", "test")) == []
