from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.observability.calls import REQUEST_ID_KEY, request_id_of


@pytest.mark.parametrize("given_id", ["7", "Root=1-67891233-abcdef", "a/b:c.d_e@f+g", "x" * 128])
def test_a_sane_request_id_is_kept(given_id):
    assert request_id_of([("other", "1"), (REQUEST_ID_KEY, given_id)]) == given_id


@pytest.mark.parametrize("given_id", ["", " ", "a b", "a\nb", "\x1b[31m", "ü", "x" * 129, '"'])
def test_any_other_is_replaced(given_id):
    made = request_id_of([(REQUEST_ID_KEY, given_id)])
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert made != request_id_of([(REQUEST_ID_KEY, given_id)])


@given(st.text() | st.binary())
def test_an_id_never_breaks_a_line_of_log(given_id):
    made = request_id_of([(REQUEST_ID_KEY, given_id)])
    assert made.isascii()
    assert made.isprintable()
    assert made.split() == [made]
