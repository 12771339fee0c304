"""What is too long to be a reply, and what is not."""

import pytest

from budgetmem import reply_bounds
from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.reply_bounds import MOST_PARTS, SPARE_TOKENS, TOKEN_CHARACTERS, ReplySize

MOST = 2 * 8 + SPARE_TOKENS
LONGEST_TOKEN = " " * 128


def size():
    return ReplySize("low at fake:1", max_tokens=8)


def add(reply, text, tokens, times):
    for _ in range(times):
        reply.add(text, tokens)


@pytest.mark.parametrize(
    ("text", "tokens", "times"),
    [
        ("a", 1, MOST),
        (LONGEST_TOKEN, 1, 8),
        (LONGEST_TOKEN, 1, MOST),
        ("a" * TOKEN_CHARACTERS * MOST, 8, 1),
        ("", 0, MOST_PARTS),
    ],
)
def test_what_is_a_reply_is_not_cut(text, tokens, times):
    reply = size()
    add(reply, text, tokens, times)
    assert (reply.characters, reply.tokens) == (times * len(text), times * tokens)


@pytest.mark.parametrize(
    ("text", "tokens"), [("a", 1), ("a" * 1000, 0), ("", 0), ("", 2**64), ("a" * 2**20, 1)]
)
def test_what_goes_on_and_on_is_an_error_of_its_model(text, tokens, monkeypatch):
    monkeypatch.setattr(reply_bounds, "MOST_PARTS", 5000)
    with pytest.raises(BackboneError, match="low at fake:1 does not stop: asked for 8") as caught:
        add(size(), text, tokens, times=5001)
    assert not isinstance(caught.value, BackboneUnavailable)
