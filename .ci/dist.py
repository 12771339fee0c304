"""Builds the sdist, and the wheel from it, and looks whether each works when it is installed.

`make dist` runs this. Each is installed into an environment of its own in a temporary folder,
without the libraries that it requires: those come from the environment that runs this.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECK = ROOT / "tests" / "packaging" / "installed.py"


def main() -> None:
    """Exits with 1 where something does not work; leaves what was built in dist/."""
    out = ROOT / "dist"
    for old in [*out.glob("budgetmem-*.whl"), *out.glob("budgetmem-*.tar.gz")]:
        old.unlink()
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)], check=True)
    [wheel], [sdist] = out.glob("budgetmem-*.whl"), out.glob("budgetmem-*.tar.gz")
    strays = [*strays_of_wheel(wheel), *strays_of_sdist(sdist)]
    if strays:
        sys.exit("does not belong there: " + ", ".join(strays))
    for artefact in (wheel, sdist):
        print(f"{artefact.name}, {artefact.stat().st_size / 1e6:.2f} MB", flush=True)
        check(artefact)


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


def check(artefact: Path) -> None:
    """Installs it apart and runs the check there. Raises CalledProcessError where that fails."""
    with tempfile.TemporaryDirectory(prefix="budgetmem-dist-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        run = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(artefact)]
        subprocess.run(run, check=True)
        libraries = sysconfig.get_path("purelib")
        major, minor = sys.version_info[:2]
        site = Path(folder) / "lib" / f"python{major}.{minor}" / "site-packages"
        # A path in a .pth is searched after the environment's own, and its .pth files are not read:
        # an editable BudgetMem in it is out of the way.
        (site / "libraries.pth").write_text(f"{libraries}\n", encoding="utf-8")
        subprocess.run([str(python), str(CHECK)], check=True, cwd=folder)


if __name__ == "__main__":
    main()
