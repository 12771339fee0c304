"""Finds the Triton binary that the pip package nvidia-pytriton carries, and what it needs to run.

The package is never imported: only its files are used.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import budgetmem
from budgetmem.config import Profile
from budgetmem.errors import ConfigError

UTILITIES = "triton_python_backend_utils.py"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

LACKING: Mapping[str, str] = {
    "vllm": "vLLM",
    "tensorrtllm": "TensorRT-LLM",
    "onnxruntime": "ONNX Runtime",
}
"""What a profile may want and this Triton has no backend for: it has that of Python alone."""


@dataclass(frozen=True)
class TritonInstall:
    """Paths of a Triton: its binary, its Python backend, the backend's stub, its libraries."""

    binary: Path
    python_backend: Path
    stub: Path
    libraries: Path

    def backend_directory(self, folder: Path) -> Path:
        """Writes a backend directory with the stub for this Python into `folder`.

        The stub starts an isolated interpreter, which ignores PYTHONPATH. But the bundled models
        import this copy of its utilities first, which gives them this interpreter's packages.
        """
        backend = folder / "python"
        backend.mkdir(parents=True)
        for file in (*self.python_backend.iterdir(), self.stub):
            if file.is_file():
                shutil.copy2(file, backend)
        utilities = backend / UTILITIES
        source = utilities.read_text(encoding="utf-8")
        utilities.write_text(f"import sys\nsys.path[:0] = {import_paths()!r}\n{source}")
        return folder

    def environment(self) -> dict[str, str]:
        """Variables for Triton. The stub takes the first `python3` of PATH for its own."""
        libraries = [str(self.libraries), str(libpython_folder() or "")]
        inherited = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
        programs = os.environ.get("PATH", os.defpath).split(os.pathsep)
        return {
            "LD_LIBRARY_PATH": _joined([*libraries, *inherited]),
            "PATH": _joined([str(Path(sys.executable).parent), *programs]),
            "PYTHONUNBUFFERED": "1",
        }


def import_paths() -> list[str]:
    """Where this interpreter finds modules, this project's roots first."""
    roots = [str(Path(budgetmem.__file__).parents[1]), str(Path(__file__).parents[1])]
    return list(dict.fromkeys([*roots, *(p for p in sys.path if p and Path(p).exists())]))


def find_install() -> TritonInstall:
    """The installed Triton. Raises ConfigError that says what to install."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "the embedded Triton is not installed: run pip install 'budgetmem[embedded]', "
            "or point BudgetMem at a Triton server of your own"
        )
    package = Path(spec.submodule_search_locations[0])
    triton = package / "tritonserver"
    install = TritonInstall(
        binary=triton / "bin" / "tritonserver",
        python_backend=triton / "backends" / "python",
        stub=triton / "python_backend_stubs" / PYTHON / "triton_python_backend_stub",
        libraries=package.parent / "nvidia_pytriton.libs",
    )
    _check(install)
    return install


def check_backends(profile: Profile) -> None:
    """Raises ConfigError for a profile with models that this Triton cannot serve."""
    wanted = {each.engine for each in profile.on_triton.values()} | {profile.encoder.platform}
    lacking = [name for key, name in LACKING.items() if key in wanted]
    if lacking:
        raise ConfigError(
            f"the embedded Triton has no {' and no '.join(lacking)}, which profile "
            f"{profile.name!r} needs: serve its models by a Triton of yours, and name that by "
            "--triton-url HOST:PORT"
        )


def libpython_folder() -> Path | None:
    """The folder of this Python's shared library; None if only the dynamic loader knows it."""
    name = f"libpython{PYTHON}.so.1.0"
    folders = [sysconfig.get_config_var("LIBDIR"), os.path.join(sys.base_prefix, "lib")]
    for folder in (Path(f) for f in folders if f):
        if (folder / name).is_file():
            return folder
    try:
        ctypes.CDLL(name)
    except OSError as exc:
        raise ConfigError(
            f"{sys.executable} has no shared {name}, which Triton's Python backend loads: on "
            f"Debian or Ubuntu run apt-get install libpython{PYTHON}, or use a Python built "
            "with --enable-shared"
        ) from exc
    return None


def _check(install: TritonInstall) -> None:
    if int(version("numpy").partition(".")[0]) >= 2:
        raise ConfigError(
            f"numpy {version('numpy')} is installed, with which this Triton's Python backend "
            "misreads texts and dies: run pip install 'numpy<2'"
        )
    for path in (install.binary, install.python_backend, install.libraries):
        if not path.exists():
            raise ConfigError(
                f"the installed nvidia-pytriton lacks {path}: reinstall it with "
                "pip install --force-reinstall --no-deps nvidia-pytriton==0.7.0"
            )
    if not install.stub.is_file():
        known = sorted(p.name for p in install.stub.parents[1].iterdir())
        raise ConfigError(
            f"the installed Triton has no Python backend for Python {PYTHON}, only for "
            f"{', '.join(known)}: use one of those"
        )


def _joined(paths: Iterable[str]) -> str:
    return os.pathsep.join(dict.fromkeys(path for path in paths if path))
