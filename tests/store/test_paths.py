"""Names become file names that cannot leave their folder and never collide."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import InvalidInput
from budgetmem.store.paths import Paths, encode

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(name=names)
def test_any_name_stays_in_its_folder(name):
    root = Path("/root")
    path = Paths(root).database(name, name)
    assert path.parent.parent == root
    assert path.resolve().is_relative_to(root)


@given(first=names, second=names)
def test_different_names_differ_even_where_case_does_not_count(first, second):
    same = encode(first, "history").lower() == encode(second, "history").lower()
    assert same == (first == second)


@pytest.mark.parametrize("name", ["..", ".", "../../etc/passwd", "a/b", "a\\b", "%2E%2E"])
def test_names_that_look_like_paths_are_only_names(name):
    encoded = encode(name, "history")
    assert "/" not in encoded
    assert "." not in encoded


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "must not be empty"), ("x" * 300, "too long"), ("\ud800", "not valid Unicode")],
)
def test_unusable_names_are_refused_by_field(name, message):
    with pytest.raises(InvalidInput, match=f"tenant: {message}"):
        encode(name, "tenant")


def test_histories_are_listed_by_their_own_names(tmp_path):
    paths = Paths(tmp_path)
    for name in ["b/1", "Ä", "a"]:
        file = paths.database("t", name)
        file.parent.mkdir(exist_ok=True)
        file.touch()
    assert paths.histories("t") == ["a", "b/1", "Ä"]
    assert paths.histories("u") == []
