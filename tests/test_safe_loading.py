"""Nothing that is read from a file or the network may run code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("budgetmem", "server", "model_repository")
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
"""Loading what these wrote runs whatever is in it."""

CALLS = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "os.system", "tempfile.mktemp"}
METHODS = {"extractall", "unpack_archive"}
"""They write wherever an archive says."""


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def nodes(path, *kinds):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, kinds))


def imported(path):
    for node in nodes(path, ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        else:
            yield (node.module or "").partition(".")[0]


def faults(path):
    for call in nodes(path, ast.Call):
        name = ast.unparse(call.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if name in CALLS or name.rpartition(".")[2] in METHODS:
            yield name
        if name == "torch.load" and given.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
        if name.endswith("from_pretrained") and given.get("use_safetensors") == "False":
            yield "weights that are not safetensors"
        for option in ("allow_pickle", "trust_remote_code", "shell"):
            if given.get(option, "False") != "False":
                yield f"{name}({option}=...)"


def test_the_sources_are_found():
    assert len(sources(*SHIPPED)) > 100


def test_what_is_shipped_imports_nothing_that_unpickles():
    found = {str(path): MODULES & set(imported(path)) for path in sources(*SHIPPED)}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("folder", [*SHIPPED, "training", "benchmarks", "examples"])
def test_nothing_is_loaded_that_could_run_code(folder):
    found = {str(path): list(faults(path)) for path in sources(folder)}
    assert {path: names for path, names in found.items() if names} == {}


def test_the_linter_refuses_them_too():
    """Everywhere, the tests included: exec, archives, pickle, marshal, eval, yaml.load."""
    chosen = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for rule in ("S102", "S202", "S301", "S302", "S307", "S506", "S602", "S605"):
        assert f'"{rule}"' in chosen


@pytest.mark.parametrize(
    "code",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "archive.extractall(folder)",
        "eval(text)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_faults_are_seen(tmp_path, code):
    path = tmp_path / "code.py"
    path.write_text(code)
    assert list(faults(path))
