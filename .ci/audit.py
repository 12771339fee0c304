"""What is installed, as an SBOM, and whether any of it has a known vulnerability: `make audit`.

Exits with 0 if nothing was found, 1 if something was, 3 if the database of vulnerabilities could
not be asked. pip-audit itself tells the last two no better apart than the last and the first:
where an index answers that it knows no package at all, it finds nothing and is content.

Other arguments go to pip-audit, for example `--ignore-vuln ID`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOUND = 1
NOT_ASKED = 3
OURS = "budgetmem"


@dataclass(frozen=True)
class Verdict:
    """The exit code, and what to say."""

    code: int
    lines: tuple[str, ...]


def verdict(report: Mapping[str, Any] | None) -> Verdict:
    """What pip-audit's JSON report comes to; None where there is no report."""
    packages = [] if report is None else report["dependencies"]
    foreign = [package for package in packages if package["name"] != OURS]
    skipped = [package["name"] for package in foreign if "skip_reason" in package]
    audited = len(foreign) - len(skipped)
    faults = [
        f"{package['name']} {package['version']}: {fault['id']}, fixed in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}"
        for package in foreign
        for fault in package.get("vulns", ())
    ]
    passed_over = (f"not looked up: {', '.join(skipped)}",) if skipped else ()
    if faults:
        return Verdict(FOUND, (*faults, *passed_over))
    if not audited:
        return Verdict(
            NOT_ASKED,
            ("NOT AUDITED: the database of vulnerabilities could not be reached from here",),
        )
    return Verdict(0, (f"no known vulnerability in {audited} packages", *passed_over))


def run_audit(arguments: Sequence[str]) -> Mapping[str, Any] | None:
    """pip-audit's report on the environment of this interpreter; None where it gave none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        options = ("--format", "json", "--progress-spinner", "off", "--output", str(path))
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", *options, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if not path.exists() or not path.stat().st_size:
            print((done.stderr.strip().splitlines() or [""])[-1], file=sys.stderr)
            return None
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def write_sbom(path: Path) -> None:
    """Writes what is installed for this interpreter as CycloneDX JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Validating what it has just written takes it half a minute and more.
    options = ("--no-validate", "--pyproject", str(ROOT / "pyproject.toml"))
    command = [sys.executable, "-m", "cyclonedx_py", "environment", *options, sys.executable]
    subprocess.run([*command, "--output-file", str(path)], check=True)
    print(f"SBOM: {path}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the SBOM, audits, and returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sbom", type=Path, default=ROOT / "build" / "sbom.json")
    parser.add_argument(
        "--unreachable-ok", action="store_true", help="exit with 0 where the database is away"
    )
    options, others = parser.parse_known_args(arguments)
    write_sbom(options.sbom)
    result = verdict(run_audit(others))
    print("\n".join(result.lines))
    return 0 if options.unreachable_ok and result.code == NOT_ASKED else result.code


if __name__ == "__main__":
    sys.exit(main())
