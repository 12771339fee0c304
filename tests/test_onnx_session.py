import numpy as np
import pytest

from budgetmem.errors import AssetError, ConfigError, InvalidInput
from budgetmem.onnx_session import CPU, CUDA, open_session

onnx = pytest.importorskip("onnx", reason="needs the `embedded` extra")
ort = pytest.importorskip("onnxruntime", reason="needs the `embedded` extra")


@pytest.fixture(scope="module")
def doubling(tmp_path_factory):
    """y = x + x, x float32 [n, 2]."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", kind, ["n", 2])],
        [helper.make_tensor_value_info("y", kind, ["n", 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    onnx.save(model, path)
    return path


def test_it_runs_and_says_where(doubling):
    session = open_session(doubling, "cpu", intra_op_threads=1)
    assert session.provider == CPU
    assert (session.inputs, session.outputs) == (("x",), ("y",))
    x = np.array([[1, 2]], dtype=np.float32)
    assert session.run(["y"], {"x": x})["y"].tolist() == [[2, 4]]


def test_idle_threads_do_not_spin(doubling):
    options = open_session(doubling).session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.skipif(CUDA in ort.get_available_providers(), reason="this machine has CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_that_is_not_there_is_an_error_and_no_fallback(doubling, device):
    with pytest.raises(ConfigError, match="has only"):
        open_session(doubling, device)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", ""])
def test_unknown_devices(doubling, device):
    with pytest.raises(ConfigError, match="use auto, cpu"):
        open_session(doubling, device)


def test_bad_input_is_the_callers_fault(doubling):
    session = open_session(doubling)
    with pytest.raises(InvalidInput, match="x: is missing"):
        session.run(["y"], {})
    with pytest.raises(InvalidInput, match="refused"):
        session.run(["y"], {"x": np.zeros((1, 3), dtype=np.float32)})
    with pytest.raises(ConfigError, match="no output 'z'"):
        session.run(["z"], {"x": np.zeros((1, 2), dtype=np.float32)})


def test_files_that_are_none(tmp_path):
    with pytest.raises(AssetError, match="no such"):
        open_session(tmp_path / "gone.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(AssetError, match="cannot open"):
        open_session(broken)
