"""A profile as a Triton model repository."""

import json

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup
from typer.testing import CliRunner

from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from server.render import app, render
from tests.endpoints.fakes import endpoint

KIND_GPU = ModelInstanceGroup.Kind.KIND_GPU
GPU_ENGINES = {
    "backbone_low": {
        "model": "meta-llama/Llama-3.2-3B-Instruct",
        "max_model_len": 16384,
        "tensor_parallel_size": 1,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "gpu_memory_utilization": 0.2,
    },
    "backbone_mid": {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "max_model_len": 16384,
        "tensor_parallel_size": 1,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "gpu_memory_utilization": 0.5,
    },
    "backbone_high": {
        "model": "meta-llama/Llama-3.3-70B-Instruct",
        "max_model_len": 16384,
        "tensor_parallel_size": 4,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "gpu_memory_utilization": 0.9,
    },
}


@pytest.fixture
def assets(tmp_path):
    folder = tmp_path / "assets"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"an ONNX model")
    return lambda name: folder


def configs(repository):
    return {
        file.parent.name: text_format.Parse(file.read_text(), ModelConfig())
        for file in repository.glob("*/config.pbtxt")
    }


@pytest.mark.parametrize(
    ("profile", "models"),
    [
        ("tiny", {"backbone_low", "encoder", "tagger"}),
        ("small", {"backbone_low", "backbone_mid", "backbone_high", "encoder", "tagger"}),
        ("gpu", {"backbone_low", "backbone_mid", "backbone_high", "encoder", "tagger"}),
    ],
)
def test_every_model_of_a_profile_has_a_config_that_parses(profile, models, assets, tmp_path):
    written = render(load_profile(profile), tmp_path / "out", assets)
    found = configs(tmp_path / "out")
    assert {model.name for model in written} == set(found) == models
    assert {name: config.name for name, config in found.items()} == {name: name for name in models}
    assert all(any((model.path / "1").iterdir()) for model in written)


def test_cpu_backbones_carry_engine_and_asset(assets, tmp_path):
    render(load_profile("small"), tmp_path / "out", assets)
    found = configs(tmp_path / "out")
    parameters = {
        name: (c.parameters["engine"].string_value, c.parameters["asset"].string_value)
        for name, c in found.items()
        if name.startswith("backbone")
    }
    assert parameters == {
        "backbone_low": ("openvino", "smollm2-135m"),
        "backbone_mid": ("openvino", "qwen2.5-coder-0.5b"),
        "backbone_high": ("openvino", "qwen2.5-coder-1.5b"),
    }
    assert found["encoder"].parameters["asset"].string_value == "minilm-l6-v2"
    assert (tmp_path / "out" / "backbone_low" / "1" / "model.py").is_file()
    assert found["backbone_low"].model_transaction_policy.decoupled


def test_vllm_models_have_their_engine_arguments(assets, tmp_path):
    written = render(load_profile("gpu"), tmp_path / "out", assets)
    engines = {
        file.parents[1].name: json.loads(file.read_text())
        for file in (tmp_path / "out").glob("*/1/model.json")
    }
    assert engines == GPU_ENGINES
    assert {configs(tmp_path / "out")[name].backend for name in engines} == {"vllm"}
    notes = {model.name: model.note for model in written}
    assert "not been run on a GPU" in notes["backbone_high"]
    assert notes["tagger"] == ""


def test_the_onnxruntime_encoder_batches_and_carries_its_weights(assets, tmp_path):
    render(load_profile("gpu"), tmp_path / "out", assets)
    config = configs(tmp_path / "out")["encoder"]
    assert (config.platform, config.backend) == ("onnxruntime_onnx", "onnxruntime")
    assert config.max_batch_size == max(config.dynamic_batching.preferred_batch_size)
    assert {t.name: list(t.dims) for t in config.input} == {
        "input_ids": [-1],
        "attention_mask": [-1],
        "token_type_ids": [-1],
    }
    assert {t.name: list(t.dims) for t in config.output} == {"sentence_embedding": [384]}
    assert (config.instance_group[0].kind, list(config.instance_group[0].gpus)) == (KIND_GPU, [0])
    weights = tmp_path / "out" / "encoder" / "1" / "model.onnx"
    assert weights.read_bytes() == b"an ONNX model"


def sharing(**changes):
    """The tiny profile with a second key for its only Triton model."""
    tiny = load_profile("tiny")
    first = tiny.backbones["all"]
    second = first.model_copy(update=changes)
    return tiny.model_copy(update={"backbones": {"all": first, "other": second}})


def test_backbones_may_share_a_triton_model(assets, tmp_path):
    render(sharing(), tmp_path / "out", assets)
    assert set(configs(tmp_path / "out")) == {"backbone_low", "encoder", "tagger"}


def test_endpoints_have_no_place_in_a_repository(assets, tmp_path):
    profile = load_profile("tiny").model_copy(update={"backbones": {"all": endpoint()}})
    render(profile, tmp_path / "out", assets)
    assert set(configs(tmp_path / "out")) == {"encoder", "tagger"}


def test_tensorrt_llm_models_are_made_elsewhere(assets, tmp_path):
    tiny = load_profile("tiny")
    only = tiny.backbones["all"].model_copy(update={"engine": "tensorrtllm"})
    profile = tiny.model_copy(update={"backbones": {"all": only}})
    with pytest.raises(ConfigError, match=r"backbone_low: TensorRT-LLM.*--triton-url"):
        render(profile, tmp_path / "out", assets)


def test_a_shared_triton_model_cannot_be_two_models(assets, tmp_path):
    with pytest.raises(ConfigError, match="'all' and 'other' share the Triton model"):
        render(sharing(asset="qwen2.5-coder-0.5b"), tmp_path / "out", assets)


def test_an_unknown_bundled_model_is_named(assets, tmp_path):
    tiny = load_profile("tiny")
    renamed = tiny.backbones["all"].model_copy(update={"triton_model": "backbone_huge"})
    profile = tiny.model_copy(update={"backbones": {"all": renamed}})
    with pytest.raises(ConfigError, match="'backbone_huge': there are backbone_high, backbone_low"):
        render(profile, tmp_path / "out", assets)


def run(*arguments):
    return CliRunner().invoke(app, ["render", "--profile", "tiny", *map(str, arguments)])


def test_the_command_lists_what_it_wrote(tmp_path):
    result = run("--out", tmp_path / "out")
    assert result.exit_code == 0
    assert f"{tmp_path / 'out' / 'backbone_low'} (python)" in result.output


def test_the_command_prints_json(tmp_path):
    report = json.loads(run("--out", tmp_path / "out", "--json").output)
    assert report["profile"] == "tiny"
    assert [model["name"] for model in report["models"]] == ["backbone_low", "encoder", "tagger"]


def test_a_folder_in_use_is_refused_without_force(tmp_path):
    out = tmp_path / "out"
    run("--out", out)
    (out / "old_model").mkdir()
    (out / "old_model" / "config.pbtxt").write_text("")
    assert "is not empty" in str(run("--out", out).exception)
    assert (out / "old_model").exists()
    assert run("--out", out, "--force").exit_code == 0
    assert not (out / "old_model").exists()


@pytest.mark.parametrize("left", ["backbone_low", "backbone_low/1", "encoder/1/__pycache__"])
def test_force_goes_on_where_a_run_was_cut_off(tmp_path, left):
    (tmp_path / left).mkdir(parents=True)
    (tmp_path / "tagger" / "1").mkdir(parents=True)
    (tmp_path / "tagger" / "1" / "model.py").write_text("# cut of")
    assert run("--out", tmp_path, "--force").exit_code == 0
    assert (tmp_path / "backbone_low" / "config.pbtxt").is_file()


@pytest.mark.parametrize(
    "name", ["thesis.txt", "thesis/1.txt", "thesis/1/draft.txt", ".thesis/2", "encoder/1/thesis"]
)
def test_force_never_deletes_what_is_no_model(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("years of work")
    assert "no Triton models" in str(run("--out", tmp_path, "--force").exception)
    assert (tmp_path / name).exists()
