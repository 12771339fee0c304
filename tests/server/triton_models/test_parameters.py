import json

import pytest

from budgetmem.errors import AssetError, ConfigError, NotFound
from server.triton_models.parameters import ModelParameters


def args(kind="CPU", **parameters):
    config = {"parameters": {k: {"string_value": v} for k, v in parameters.items()}}
    return {
        "model_name": "m",
        "model_config": json.dumps(config),
        "model_instance_kind": kind,
        "model_instance_device_id": "1",
    }


def test_empty_values_are_not_given():
    read = ModelParameters.from_triton(args(engine="", cache_size="2"))
    assert read.text("engine", "openvino") == "openvino"
    assert read.integer("cache_size", 1) == 2
    assert read.others("engine") == {"cache_size": "2"}


def test_tritons_own_parameters_are_left_out():
    assert not ModelParameters.from_triton(args(EXECUTION_ENV_PATH="x")).values


@pytest.mark.parametrize(
    ("kind", "device"),
    [("CPU", "cpu"), ("GPU", "cuda:1"), ("MODEL", "cpu"), ("KIND_GPU", "cuda:1")],
)
def test_the_device_is_where_triton_put_the_instance(kind, device):
    assert ModelParameters.from_triton(args(kind)).device == device


def test_weights_by_path(tmp_path):
    assert ModelParameters.from_triton(args(model=str(tmp_path))).weights() == tmp_path


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({}, ConfigError),
        ({"model": "/nowhere/at/all"}, AssetError),
        ({"asset": "no-such-asset"}, NotFound),
    ],
)
def test_weights_that_are_not_there(parameters, error):
    with pytest.raises(error):
        ModelParameters.from_triton(args(**parameters)).weights()


def test_numbers_are_checked():
    with pytest.raises(ConfigError, match="drain_seconds"):
        ModelParameters.from_triton(args(drain_seconds="soon")).integer("drain_seconds", 5)
