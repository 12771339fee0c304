"""Types of arguments."""

from argparse import ArgumentTypeError

import pytest

from training.arguments import positive


def test_a_positive_number():
    assert positive("12") == 12


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "", "many"])
def test_what_is_none(text):
    with pytest.raises(ArgumentTypeError, match="must be a whole number above 0, not"):
        positive(text)
