"""The classes that Triton loads, driven as Triton drives them."""

import importlib
import json
import runpy
import threading
from pathlib import Path

import numpy as np
import pytest

from budgetmem import assets
from budgetmem.errors import AssetError
from server.engines.threaded import ThreadedEngine
from tests.server.engines.toys import EchoRunner
from tests.server.triton_models.conftest import FakeRequest

REPOSITORY = Path(__file__).parents[3] / "model_repository"
MODELS = sorted(
    folder.name for folder in REPOSITORY.iterdir() if (folder / "config.pbtxt").exists()
)


def args(name, **parameters):
    config = {"parameters": {k: {"string_value": v} for k, v in parameters.items()}}
    return {"model_name": name, "model_config": json.dumps(config), "model_instance_kind": "CPU"}


def installed(name):
    try:
        return assets.asset_dir(name)
    except AssetError as exc:
        pytest.skip(f"asset {name} is not installed: {exc}")


class Sender:
    def __init__(self):
        self.sent, self.ended = [], threading.Event()

    def send(self, response, flags):
        self.sent.append(response)
        if flags:
            self.ended.set()

    def is_cancelled(self):
        return False


def test_a_backbone_answers_by_itself_after_execute(pb, monkeypatch, tmp_path):
    module = importlib.import_module("server.triton_models.backbone")
    opened = []

    def open_engine(engine, weights, options, name):
        opened.append((engine, weights, options, name))
        return ThreadedEngine(EchoRunner, name, breath=0)

    monkeypatch.setattr(module, "open_engine", open_engine)
    model = module.BackboneModel()
    model.initialize(args("backbone_low", engine="", model=str(tmp_path), cache_size="2"))
    assert opened == [("openvino", tmp_path, {"cache_size": "2"}, "backbone_low")]

    good, bad = Sender(), Sender()
    text = np.array([b"hey"], dtype=np.object_)
    answer = model.execute(
        [
            FakeRequest(
                {"text_input": text, "exclude_input_in_output": np.array([True])}, "{}", good
            ),
            FakeRequest({"text_input": text}, '{"nonsense": 1}', bad),
        ]
    )
    assert answer is None
    assert good.ended.wait(5)
    assert good.sent[0].outputs["text_output"].tolist() == [b"hey"]
    assert bad.sent[0].error.code == "INVALID_ARG"
    model.finalize()


def test_the_encoder_embeds_the_asset(pb):
    model = importlib.import_module("server.triton_models.encoder").EncoderModel()
    model.initialize(args("encoder", model=str(installed("minilm-l6-v2")), intra_op_threads="1"))
    ids = np.array([[101, 7592, 102], [101, 2088, 102]], dtype=np.int64)
    inputs = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    good, bad = model.execute([FakeRequest(inputs), FakeRequest({"input_ids": ids})])
    rows = good.outputs["sentence_embedding"]
    assert (rows.shape, rows.dtype) == ((2, 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    assert bad.error.code == "INVALID_ARG"
    assert "attention_mask" in bad.error.message


def test_the_tagger_annotates_as_the_client_reads(pb):
    from budgetmem.triton.tagger import annotation_from_json

    model = importlib.import_module("server.triton_models.tagger").TaggerModel()
    model.initialize(args("tagger", model=str(installed("en-core-web-sm"))))
    good, bad, empty = model.execute(
        [
            FakeRequest({"text": np.array([b"Tom moved to Berlin.", b""], dtype=np.object_)}),
            FakeRequest({"text": np.array([b"ok", b"\xff"], dtype=np.object_)}),
            FakeRequest({"text": np.array([], dtype=np.object_)}),
        ]
    )
    first, second = map(annotation_from_json, good.outputs["annotations"])
    assert [(r.subject, r.verb, r.object) for r in first.relations] == [
        ("Tom", "moved to", "Berlin")
    ]
    assert second.tokens == 0
    assert (bad.error.code, bad.error.message[:8]) == ("INVALID_ARG", "text[1]:")
    assert empty.outputs["annotations"].shape == (0,)


@pytest.mark.parametrize("name", MODELS)
def test_each_model_of_the_repository_loads_its_class(pb, name):
    found = runpy.run_path(str(REPOSITORY / name / "1" / "model.py"))
    assert {"initialize", "execute"} <= set(dir(found["TritonPythonModel"]))


def test_the_repository_is_whole():
    assert MODELS == ["backbone_high", "backbone_low", "backbone_mid", "encoder", "tagger"]
