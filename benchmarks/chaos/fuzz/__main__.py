"""Inputs by the million, and what must not come of them.

    python -m benchmarks.chaos.fuzz --inputs 20000
    python -m benchmarks.chaos.fuzz 'import-*' core --engine seeded --seed 7
    python -m benchmarks.chaos.fuzz prompts --replay build/findings/prompts-0123456789ab.input

Every finding is written to a file, with what is known of it in a .txt beside it. The exit code is 1
if there is one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.chaos.fuzz.suite import FINDINGS, chosen, engine_here, fuzz
from benchmarks.chaos.fuzz.worker import Job
from training.reporting.results import write_json


def main() -> None:
    """Fuzzes the targets, or replays an input."""
    args = _arguments()
    job = Job("", args.engine, args.seed, 0, args.inputs, str(args.findings.resolve()), "")
    if args.replay is not None:
        ((name, runner),) = chosen(args.targets).items()
        sys.exit(runner.replay(Job(**{**vars(job), "target": name}), args.replay))
    verdicts = fuzz(args.targets, job, Console(stderr=True))
    if args.json is not None:
        found = [verdict.report() for verdict in verdicts]
        write_json(args.json, {"machine": machine.describe(), "fuzz": found})
    sys.exit(1 if any(verdict.findings for verdict in verdicts) else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "targets", nargs="*", default=["*"], help="names, with wildcards (default: all)"
    )
    parser.add_argument("--inputs", type=int, default=20_000, help="for each target")
    parser.add_argument(
        "--engine",
        choices=("atheris", "seeded"),
        default=engine_here(),
        help="atheris is guided by coverage, and the default where it is installed",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=FINDINGS, metavar="FOLDER")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run this input of one target")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    if unknown := [name for name in args.targets if not chosen([name])]:
        parser.error(f"no target is called {unknown[0]!r}: there are {', '.join(chosen('*'))}")
    if args.replay is not None and len(chosen(args.targets)) != 1:
        parser.error("--replay: say which target the input is of")
    return args


if __name__ == "__main__":
    main()
