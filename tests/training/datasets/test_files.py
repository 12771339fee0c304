import hashlib
import warnings

import pytest

from budgetmem.errors import InvalidInput, NotFound
from training.datasets.files import (
    DatasetWarning,
    answer,
    check_official,
    digest,
    existing,
    filled,
    sha256,
)


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "data.json"
    found.write_bytes(b"[]")
    return found


EMPTY_LIST = hashlib.sha256(b"[]").hexdigest()


def test_the_official_file_passes_in_silence(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_official(path, EMPTY_LIST, strict=False)
        check_official(path, EMPTY_LIST, strict=True)


def test_another_file_is_a_warning_or_an_error_that_names_both_hashes(path):
    both = f"data.json: .*{EMPTY_LIST}.*{'0' * 64}"
    with pytest.warns(DatasetWarning, match=both):
        check_official(path, "0" * 64, strict=False)
    with pytest.raises(InvalidInput, match=both):
        check_official(path, "0" * 64, strict=True)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NotFound, match=r"none\.json is not there"):
        existing(tmp_path / "none.json")
    with pytest.raises(NotFound):
        sha256(tmp_path / "none.json")


def test_a_digest_of_several_files_depends_on_names_and_contents_not_on_order(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("1")
    second.write_text("2")
    assert digest([first]) == sha256(first)
    before = digest([first, second])
    assert digest([second, first]) == before
    first.write_text("2")
    second.write_text("1")
    assert digest([first, second]) != before


@pytest.mark.parametrize(("value", "expected"), [("two", "two"), (2, "2"), (2.5, "2.5")])
def test_an_answer_is_a_string_or_a_number(value, expected):
    assert answer(value, "f[0].answer") == expected


@pytest.mark.parametrize("value", ["", "  ", None, True, ["x"]])
def test_no_other_answer_is_taken(value):
    with pytest.raises(InvalidInput, match=r"f\[0\]\.answer"):
        answer(value, "f[0].answer")


def test_a_question_has_text():
    assert filled("Which?", "f") == "Which?"
    with pytest.raises(InvalidInput, match="f: is empty"):
        filled("\n", "f")
