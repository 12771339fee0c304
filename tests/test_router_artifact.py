import re
from dataclasses import replace

import numpy as np
import pytest

from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from budgetmem.modules import MODULES
from budgetmem.router_artifact import PACKAGES, check_for, encoder_sha256, load
from tests.toy_router import DIMENSION, ENCODER, Toy, onnx, write_card, write_router


@pytest.fixture
def folder(tmp_path):
    return write_router(tmp_path / "router")


def refused(folder, message: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){message}") as error:
        load(folder)
    assert str(folder) in str(error.value)


def test_a_sound_artifact(folder):
    artifact = load(folder)
    assert artifact.onnx == folder / "router.onnx"
    assert artifact.card.modules == tuple(MODULES)
    assert artifact.card.version == f"capacity-{artifact.card.onnx_sha256[:8]}"
    assert artifact.session.session.get_session_options().intra_op_num_threads == 1


def test_what_is_not_there(folder):
    refused(folder / "nowhere", "no such folder: name one")
    (folder / "router.onnx").unlink()
    refused(folder, re.escape("router.onnx: no such file: a router's folder has"))
    (folder / "router.json").unlink()
    refused(folder, re.escape("router.json: no such file"))
    (folder / "router.json").mkdir()
    refused(folder, re.escape("router.json: cannot be read"))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"{} {}", b"[" * 100_000])
def test_a_card_that_is_no_json(folder, content):
    (folder / "router.json").write_bytes(content)
    refused(folder, "router.json: not valid JSON, or cut off")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["router.json", "router.onnx"])
def test_truncated_files(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    refused(folder, f"{name}: .*cut off")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": 2, "news": 1}, "format 2 is unknown, this version reads 1"),
        ({"format": None}, "format: Field required"),
        ({"news": 1}, "news: Extra inputs"),
        ({"onnx_sha256": "0" * 64}, "but router.json says 0000.*copy the whole folder"),
        ({"onnx_sha256": "none"}, "onnx_sha256: String should match"),
        ({"opset": 99}, "opset: 99 is not supported, use 13 to"),
        ({"strategy": "thrift"}, "strategy: 'thrift' is not one of implementation"),
        ({"modules": ["filter", "entity"]}, "modules: the router is for filter, entity, but"),
        ({"modules": list(reversed(MODULES))}, "modules: the router is for summary"),
        (
            {"features": ["question.words", "moon.phase", "a.b"]},
            "unknown router features: a.b, moon.phase: use a newer budgetmem",
        ),
        ({"features": ["question.words"] * 3}, "features: a name comes twice"),
        ({"features": []}, "features: Tuple should have at least 1"),
        ({"features": ["question.words"]}, r"'features' is tensor\(float\) \[n, 3\], .* \[n, 1\]"),
        ({"encoder": ENCODER | {"dimension": 8}}, r"'query' is .*\[n, 4\], but .*\[n, 8\]"),
        ({"encoder": ENCODER | {"dimension": 0}}, "encoder.dimension: "),
        ({"encoder": ENCODER | {"sha256": "none"}}, "encoder.sha256: String should match"),
        ({"encoder": {"name": "e", "dimension": 4}}, "encoder.sha256: Field required"),
        ({"cost_weight": {"min": 1, "max": 0.5}}, "cost_weight: .*`min` is above `max`"),
        ({"cost_weight": {"min": -1, "max": 0.5}}, "cost_weight.min: "),
        ({"cost_weight": {"min": 0, "max": float("inf")}}, "cost_weight.max: |not valid JSON"),
        ({"version": "two words"}, "version: String should match"),
    ],
)
def test_faulty_cards(folder, fields, message):
    write_card(folder, **fields)
    refused(folder, message)


def test_a_card_that_is_a_list(folder):
    (folder / "router.json").write_text("[1]")
    refused(folder, "the card: ")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"output": "tiers"}, "not a router: it maps query, .* to tiers, a router"),
        ({"rows": 1}, r"'query' is tensor\(float\) \[1, 4\], but .* \[n, 4\]"),
        (
            {"module_type": onnx.TensorProto.INT32},
            r"'module' is tensor\(int32\) \[n\], but .*int64",
        ),
    ],
)
def test_graphs_of_another_form(folder, form, message):
    Toy.make().write(folder / "router.onnx", **form)
    write_card(folder)
    refused(folder, message)


def test_an_onnx_file_that_is_no_router(folder):
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", number, ["n", 2])],
        [helper.make_tensor_value_info("y", number, ["n", 2])],
    )
    imports = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    onnx.save(model, folder / "router.onnx")
    write_card(folder)
    refused(folder, "not a router: it maps x to y")


def test_a_file_that_is_no_graph(folder):
    (folder / "router.onnx").write_bytes(b"not a graph")
    write_card(folder)
    refused(folder, "router.onnx: not an ONNX file: export the router again")


def test_an_opset_that_is_not_the_cards(folder):
    Toy.make().write(folder / "router.onnx", opset=99)
    write_card(folder)
    refused(folder, "its operator sets are ai.onnx 99, its card says 17")


def spoil(folder, change) -> None:
    """Writes the toy router's file anew after `change(model)`, with the card that fits."""
    model = onnx.load(folder / "router.onnx")
    change(model)
    onnx.save(model, folder / "router.onnx")
    write_card(folder)


def test_a_graph_whose_parts_do_not_fit(folder):
    spoil(folder, lambda model: model.graph.node.pop(0))
    refused(folder, "ONNX Runtime cannot open it.*export the router again")


def test_a_graph_that_would_end_the_process_is_never_opened(folder, monkeypatch):
    def random(model):
        model.graph.node[-1].output[0] = "sum"
        more = onnx.helper.make_node("RandomNormalLike", ["sum"], ["logits"], scale=0.0)
        model.graph.node.append(more)

    spoil(folder, random)
    monkeypatch.setattr("budgetmem.router_artifact.open_session", None)
    refused(folder, "no router may have the operators RandomNormalLike")


def test_another_number_of_tiers(folder):
    Toy.make(tiers=4).write(folder / "router.onnx")
    write_card(folder)
    refused(folder, r"logits are float32 \[1, 4\], not float32 \[1, 3\], one of low, mid, high")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["weights", "bias", "slope"])
def test_weights_that_are_not_finite(folder, part, value):
    toy = Toy.make()
    spoilt = getattr(toy, part).copy()
    spoilt[-1, 1] = value
    replace(toy, **{part: spoilt}).write(folder / "router.onnx")
    write_card(folder)
    refused(folder, f"{part}' are not finite: the training failed")


def test_numbers_that_overflow(folder):
    toy = Toy.make()
    replace(toy, weights=np.full_like(toy.weights, 3e38)).write(folder / "router.onnx")
    write_card(folder)
    refused(folder, "its logits are not finite: the training failed")


@pytest.mark.parametrize("absent", [PACKAGES, PACKAGES[:1], PACKAGES[1:]])
def test_without_the_packages(folder, monkeypatch, absent):
    monkeypatch.setattr(
        "budgetmem.router_artifact.find_spec", lambda name: None if name in absent else name
    )
    refused(folder, f"needs {' and '.join(absent)}: pip install {' '.join(absent)} ")


def profile(name: str = "small", **encoder: object):
    loaded = load_profile("small")
    changed = loaded.encoder.model_copy(update={"dimension": DIMENSION} | encoder)
    return loaded.model_copy(update={"encoder": changed, "name": name})


def test_the_profile_it_was_trained_on(folder):
    assert check_for(load(folder), profile()) is None


def test_another_profile_is_a_warning(folder):
    warning = check_for(load(folder), profile("mine"))
    assert warning is not None
    assert "was trained on the profile 'small' and serves 'mine'" in warning


@pytest.mark.parametrize("encoder", [{"dimension": 8}, {"asset": "other"}])
def test_another_encoder_is_an_error(folder, encoder):
    with pytest.raises(ConfigError, match=r"'minilm-l6-v2' \(4 dimensions\).*'small' has"):
        check_for(load(folder), profile(**encoder))


def test_an_encoder_of_other_weights_is_an_error(folder):
    write_card(folder, encoder=ENCODER | {"sha256": "0" * 64})
    with pytest.raises(ConfigError) as error:
        check_for(load(folder), profile())
    for part in (
        str(folder),
        "other weights of the encoder 'minilm-l6-v2': SHA-256 0000",
        encoder_sha256("minilm-l6-v2"),
        "train it again",
    ):
        assert part in str(error.value)


def test_an_encoder_that_the_catalogue_lacks_is_an_error(folder):
    write_card(folder, encoder=ENCODER | {"name": "mine"})
    with pytest.raises(ConfigError, match="the asset catalogue has no encoder 'mine'"):
        check_for(load(folder), profile(asset="mine"))


@pytest.mark.parametrize("asset", ["mine", "en-core-web-sm"])
def test_the_hash_of_what_is_no_encoder(asset):
    with pytest.raises(ConfigError, match=f"no encoder '{asset}'"):
        encoder_sha256(asset)


def test_the_card_keeps_what_nobody_reads(folder):
    write_card(folder, training={"config": {"hidden": [64, 64]}}, metrics={})
    assert load(folder).card.training == {"config": {"hidden": [64, 64]}}
