"""Finding the Triton of nvidia-pytriton, and what is said where something is missing."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest

from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from server import triton_install
from server.triton_install import (
    PYTHON,
    UTILITIES,
    check_backends,
    find_install,
    import_paths,
    libpython_folder,
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An nvidia-pytriton of empty files."""
    root = tmp_path / "site-packages" / "pytriton"
    for file in (
        "tritonserver/bin/tritonserver",
        "tritonserver/backends/python/libtriton_python.so",
        f"tritonserver/backends/python/{UTILITIES}",
        f"tritonserver/python_backend_stubs/{PYTHON}/triton_python_backend_stub",
    ):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("'a file'\n")
    (root.parent / "nvidia_pytriton.libs").mkdir()
    spec = SimpleNamespace(submodule_search_locations=[str(root)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    return root


def test_the_package_is_found_without_being_imported(package):
    install = find_install()
    assert install.binary == package / "tritonserver" / "bin" / "tritonserver"
    assert install.libraries == package.parent / "nvidia_pytriton.libs"
    assert "pytriton" not in sys.modules


def test_a_missing_package_is_a_config_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'budgetmem\[embedded\]'"):
        find_install()


def test_a_broken_package_is_named(package):
    (package / "tritonserver" / "bin" / "tritonserver").unlink()
    with pytest.raises(ConfigError, match=r"lacks .*bin/tritonserver: reinstall"):
        find_install()


@pytest.mark.parametrize(
    ("engine", "platform", "lacking"),
    [
        ("vllm", "python", "no vLLM, which"),
        ("tensorrtllm", "python", "no TensorRT-LLM, which"),
        ("openvino", "onnxruntime", "no ONNX Runtime, which"),
        ("vllm", "onnxruntime", "no vLLM and no ONNX Runtime, which"),
    ],
)
def test_models_without_a_backend_need_another_triton(engine, platform, lacking):
    with pytest.raises(ConfigError, match=f"{lacking} profile 'tiny' .*--triton-url HOST:PORT"):
        check_backends(tiny(engine, platform))


@pytest.mark.parametrize("engine", ["openvino", "transformers"])
def test_models_of_its_python_backend_can_be_embedded(engine):
    check_backends(tiny(engine, "python"))


def tiny(engine, platform):
    """The profile of that name, but for what runs its models."""
    profile = load_profile("tiny")
    backbones = {
        key: each.model_copy(update={"engine": engine}) for key, each in profile.backbones.items()
    }
    encoder = profile.encoder.model_copy(update={"platform": platform})
    return profile.model_copy(update={"backbones": backbones, "encoder": encoder})


def test_numpy_2_is_refused(package, monkeypatch):
    monkeypatch.setattr(triton_install, "version", lambda name: "2.4.6")
    with pytest.raises(ConfigError, match="pip install 'numpy<2'"):
        find_install()


def test_a_python_without_stub_is_told_which_have_one(package):
    stubs = package / "tritonserver" / "python_backend_stubs"
    (stubs / PYTHON).rename(stubs / "3.8")
    with pytest.raises(ConfigError, match=f"for Python {PYTHON}, only for 3.8"):
        find_install()


def test_a_python_without_shared_library_is_told_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(triton_install.sysconfig, "get_config_var", lambda name: str(tmp_path))
    monkeypatch.setattr(triton_install.sys, "base_prefix", str(tmp_path))

    def no_library(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(triton_install.ctypes, "CDLL", no_library)
    with pytest.raises(ConfigError, match=f"apt-get install libpython{PYTHON}"):
        libpython_folder()


def test_the_private_backend_has_the_stub_and_this_interpreters_paths(package, tmp_path):
    folder = find_install().backend_directory(tmp_path / "backends")
    names = {file.name for file in (folder / "python").iterdir()}
    assert names == {"libtriton_python.so", UTILITIES, "triton_python_backend_stub"}
    utilities = (folder / "python" / UTILITIES).read_text()
    assert utilities == f"import sys\nsys.path[:0] = {import_paths()!r}\n'a file'\n"
    assert (
        package / "tritonserver" / "backends" / "python" / UTILITIES
    ).read_text() == "'a file'\n"


def test_the_stub_finds_this_python_first(package):
    environment = find_install().environment()
    assert environment["PATH"].split(":")[0] == str(triton_install.Path(sys.executable).parent)
    assert environment["LD_LIBRARY_PATH"].split(":")[0] == str(find_install().libraries)
