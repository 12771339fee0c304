import json

import pytest

from budgetmem.errors import InvalidInput
from server.engines.sampling import SamplingParams

SCHEMA = {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "integer"}}}


def test_no_parameters_are_vllms_defaults():
    params = SamplingParams.parse("")
    assert (params.max_tokens, params.temperature, params.top_p) == (16, 1.0, 1.0)


@pytest.mark.parametrize("value", [{"json": SCHEMA}, json.dumps({"json": SCHEMA})])
def test_structured_outputs_as_object_or_text(value):
    params = SamplingParams.parse(json.dumps({"structured_outputs": value}))
    assert params.json_schema is not None
    assert list(json.loads(params.json_schema)["properties"]) == ["z", "a"]


def test_one_stop_string_or_several():
    assert SamplingParams.parse('{"stop": "x"}').stop == ("x",)
    assert SamplingParams.parse('{"stop": ["x", "y"]}').stop == ("x", "y")
    assert SamplingParams.parse('{"stop": null}').stop == ()


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ('{"max_tokens":', "sampling_parameters", "Invalid JSON"),
        ("[1]", "sampling_parameters", "object"),
        ('{"max_token": 5}', "sampling_parameters.max_token", "not permitted"),
        ('{"max_tokens": 0}', "sampling_parameters.max_tokens", "greater than"),
        ('{"temperature": NaN}', "sampling_parameters.temperature", "finite"),
        ('{"top_p": 0}', "sampling_parameters.top_p", "greater than"),
        ('{"stop": [""]}', "sampling_parameters.stop.0", "at least 1"),
        (
            '{"structured_outputs": {"regex": "a"}}',
            "sampling_parameters.structured_outputs",
            "'json'",
        ),
        ('{"structured_outputs": "{"}', "sampling_parameters.structured_outputs", ""),
        (
            '{"structured_outputs": {"json": {"type": "banana"}}}',
            "sampling_parameters.structured_outputs",
            "banana",
        ),
        (
            '{"structured_outputs": {"json": {"$ref": "#/$defs/gone"}}}',
            "sampling_parameters.structured_outputs",
            "#/$defs/gone",
        ),
        (
            '{"structured_outputs": {"json": [1]}}',
            "sampling_parameters.structured_outputs",
            "object",
        ),
    ],
)
def test_bad_parameters_are_named(text, field, reason):
    with pytest.raises(InvalidInput) as caught:
        SamplingParams.parse(text)
    assert caught.value.field == field
    assert reason in str(caught.value)


def test_every_fault_is_in_the_message():
    with pytest.raises(InvalidInput, match=r"top_k.*|min_tokens.*") as caught:
        SamplingParams.parse('{"min_tokens": -1, "top_k": -5}')
    assert "min_tokens" in str(caught.value)
    assert "top_k" in str(caught.value)


def test_references_that_resolve_are_fine():
    schema = {"$defs": {"n/m": {"type": "integer"}}, "items": {"$ref": "#/$defs/n~1m"}}
    params = SamplingParams.parse(json.dumps({"structured_outputs": {"json": schema}}))
    assert params.json_schema == json.dumps(schema)
