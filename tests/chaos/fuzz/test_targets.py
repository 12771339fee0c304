"""Every target, with the first inputs of both engines that need no other library."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.chaos.fuzz.calls import METHODS
from benchmarks.chaos.fuzz.client import DECODERS, RESPONSES
from benchmarks.chaos.fuzz.files import FORMS, SUFFIXES
from benchmarks.chaos.fuzz.mutation import Inputs
from benchmarks.chaos.fuzz.targets import TARGETS
from budgetmem.importers import IMPORTERS
from budgetmem.modules import MODULES

INPUTS = 300


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TARGETS)
def test_inputs_of_the_seeded_engine(name, tmp_path):
    target = TARGETS[name]
    function = target.opened(tmp_path)
    inputs = Inputs(0, target.examples, [word.encode() for word in target.words], target.most)
    for number in range(INPUTS):
        function(inputs[number])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TARGETS)
@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.binary(max_size=300))
def test_inputs_of_hypothesis(name, tmp_path, data):
    TARGETS[name].opened(tmp_path)(data)


def test_nothing_is_left_out():
    calls = {method.name for method in METHODS}
    assert calls >= {"Ingest", "Extract", "ExtractStream", "DeleteTenant", "ReloadRouters"}
    assert set(DECODERS) == set(RESPONSES)
    assert set(FORMS) == set(SUFFIXES) == set(IMPORTERS)
    for name in (*(f"import-{each}" for each in IMPORTERS), *(f"reply-{each}" for each in MODULES)):
        assert {f"{name}.bytes", f"{name}.form"} <= set(TARGETS)


def test_examples_are_what_their_targets_read():
    """Not all of them refused at the first byte: fuzzers begin with them."""
    for number, method in enumerate(METHODS):
        examples = [each for each in TARGETS["requests.bytes"].examples if each[0] == number]
        assert all(method.request.FromString(each[1:]) is not None for each in examples)
