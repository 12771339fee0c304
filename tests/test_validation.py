"""Every fault of a turn names the path of its field."""

from dataclasses import replace

import pytest

from budgetmem.errors import InvalidInput
from budgetmem.types import Turn
from budgetmem.validation import check_turns

GOOD = Turn("id", "Ana", "hello")


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"id": ""}, "turns[1].id", "empty"),
        ({"speaker": " "}, "turns[1].speaker", "empty"),
        ({"text": "\n"}, "turns[1].text", "empty"),
        ({"id": "x" * 300}, "turns[1].id", "300 characters, 256"),
        ({"speaker": "x" * 300}, "turns[1].speaker", "300 characters"),
        ({"session": "x" * 300}, "turns[1].session", "300 characters"),
        ({"text": "x" * 1_000_001}, "turns[1].text", "1000001 characters"),
        ({"text": "a\0b"}, "turns[1].text", "NUL"),
        ({"caption": "a\0b"}, "turns[1].caption", "NUL"),
        ({"text": "a\ud800"}, "turns[1].text", "character 1"),
        ({"metadata": {"k": "a\0"}}, "turns[1].metadata['k']", "NUL"),
        ({"metadata": {str(n): "" for n in range(65)}}, "turns[1].metadata", "64 entries"),
    ],
)
def test_the_field_is_named(change, field, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        check_turns([GOOD, replace(GOOD, **change)])
    assert caught.value.field == field


def test_no_turns_are_a_fault_of_the_list():
    with pytest.raises(InvalidInput, match="turns: must not be empty"):
        check_turns([])


def test_good_turns_pass():
    check_turns([GOOD, replace(GOOD, caption="a dog", metadata={"k": ""}, session="s")])
