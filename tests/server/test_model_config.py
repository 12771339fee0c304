"""Model configs are made by Triton's protobuf."""

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from server.model_config import (
    parameter_text,
    python_config,
    read_config,
    vllm_config,
    vllm_engine,
    write_config,
)

HIGH = load_profile("gpu").backbones["high"]
Kind = ModelInstanceGroup.Kind


def changed(**changes):
    return HIGH.model_copy(update=changes)


def test_one_gpu_is_kind_gpu():
    [group] = vllm_config(changed(engine_options={}, gpus=(2,), instances=3)).instance_group
    assert (group.kind, list(group.gpus), group.count) == (Kind.KIND_GPU, [2], 3)


def test_several_gpus_are_kind_model_with_their_ids_as_a_parameter():
    config = vllm_config(HIGH)
    [group] = config.instance_group
    assert (group.kind, list(group.gpus)) == (Kind.KIND_MODEL, [])
    assert config.parameters["GPU_DEVICE_IDS"].string_value == "1,2,3,4"


def test_no_gpus_leave_placement_to_vllm():
    config = vllm_config(changed(gpus=()))
    assert config.instance_group[0].kind == Kind.KIND_MODEL
    assert not config.parameters


def test_gpus_must_be_as_many_as_the_engine_spans():
    options = {"tensor_parallel_size": 2, "pipeline_parallel_size": 3}
    with pytest.raises(ConfigError, match=r"backbone_high: 6 GPUs .* lists 4"):
        vllm_config(changed(engine_options=options))


def test_engine_options_win_over_defaults():
    engine = vllm_engine(changed(engine_options={"enable_prefix_caching": False}, context=4096))
    assert engine == {
        "model": HIGH.hub,
        "max_model_len": 4096,
        "tensor_parallel_size": 1,
        "enable_prefix_caching": False,
        "disable_log_stats": True,
    }


def test_a_bundled_config_keeps_what_the_profile_does_not_say():
    bundled = ModelConfig(name="low", backend="python")
    bundled.parameters["cache_size"].string_value = "1"
    bundled.instance_group.add(kind=Kind.KIND_MODEL, count=1)
    config = python_config(bundled, {"engine": "openvino", "cache_size": 4}, 2, ())
    assert config.parameters["engine"].string_value == "openvino"
    assert config.parameters["cache_size"].string_value == "4"
    assert (config.instance_group[0].kind, config.instance_group[0].count) == (Kind.KIND_MODEL, 2)
    assert bundled.parameters["cache_size"].string_value == "1"


def test_a_bundled_model_on_gpus():
    [group] = python_config(ModelConfig(name="low"), {}, 1, (0, 1)).instance_group
    assert (group.kind, list(group.gpus)) == (Kind.KIND_GPU, [0, 1])


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (4, "4"), (0.5, "0.5"), ("u8", "u8")]
)
def test_parameters_are_strings(value, text):
    assert parameter_text(value) == text


def test_any_text_survives_writing(tmp_path):
    config = ModelConfig(name='quote " and \\ and\nline')
    write_config(config, tmp_path / "config.pbtxt")
    assert text_format.Parse((tmp_path / "config.pbtxt").read_text(), ModelConfig()) == config


def test_what_is_no_config_is_named(tmp_path):
    file = tmp_path / "config.pbtxt"
    file.write_text("max_batch_sise: 4")
    with pytest.raises(ConfigError, match=r"config\.pbtxt is no Triton model config.*sise"):
        read_config(file)
