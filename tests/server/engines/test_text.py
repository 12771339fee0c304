"""Characters, not bytes; and nothing of a stop string."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.engines.text import TextStream


def bytes_decoder(errors: str):
    """A tokenizer whose tokens are the bytes of UTF-8."""

    def decode(tokens: Sequence[int]) -> str:
        return bytes(tokens).decode(errors=errors)

    return decode


@pytest.mark.parametrize("errors", ["replace", "ignore"])
def test_a_character_comes_whole(errors):
    stream = TextStream(bytes_decoder(errors))
    emitted = [stream.push([byte]) for byte in "a🎉é".encode()]
    assert emitted == ["a", "", "", "", "🎉", "", "é"]


def test_an_incomplete_character_at_the_end_is_dropped():
    stream = TextStream(bytes_decoder("replace"))
    assert stream.push(b"ok\xf0\x9f") == ""
    assert stream.finish() == "ok"


# A replacement character that was meant cannot be told from half a character at the end.
WRITTEN = st.text(st.characters(codec="utf-8", exclude_characters="\ufffd"), max_size=40)


@given(text=WRITTEN, cuts=st.lists(st.integers(1, 5), max_size=60))
def test_any_split_gives_the_same_text(text, cuts):
    tokens = list(text.encode())
    stream = TextStream(bytes_decoder("ignore"))
    pieces = []
    for cut in [*cuts, len(tokens) or 1]:
        pieces.append(stream.push(tokens[:cut]))
        tokens = tokens[cut:]
    assert "".join(pieces) + stream.finish() == text


def test_a_stop_string_across_tokens_is_cut_and_never_seen():
    stream = TextStream(bytes_decoder("ignore"), stop=("STOP", "END"))
    assert [stream.push(piece) for piece in (b"go S", b"TO", b"P on")] == ["go ", "", ""]
    assert stream.stopped


def test_a_false_start_of_a_stop_string_is_released():
    stream = TextStream(bytes_decoder("ignore"), stop=("STOP",))
    assert [stream.push(piece) for piece in (b"ST", b"AY")] == ["", "STAY"]
    assert not stream.stopped


def test_the_earliest_stop_string_wins():
    stream = TextStream(bytes_decoder("ignore"), stop=("c", "b"))
    assert stream.push(b"abc") == "a"


def test_stop_strings_before_the_minimum_are_let_through():
    stream = TextStream(bytes_decoder("ignore"), stop=("b",))
    assert stream.push(b"ab", may_stop=False) == "ab"
    assert stream.push(b"ab") == "a"


def test_finish_releases_what_was_held():
    stream = TextStream(bytes_decoder("ignore"), stop=("STOP",))
    assert stream.push(b"a ST") == "a "
    assert stream.finish() == "ST"
