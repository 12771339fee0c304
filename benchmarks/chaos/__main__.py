"""Faults, made on purpose.

    python -m benchmarks.chaos --json build/chaos.json
    python -m benchmarks.chaos --only store,triton --kills 50
    python -m benchmarks.chaos --only soak --minutes 20
    python -m benchmarks.chaos --only fuzz --inputs 20000

store     a process is killed in the middle of its writes: what was acknowledged must be there
triton    Triton, or the process of one of its models, is killed under load
overload  ten times the load that can be sustained
flood     the largest messages, exports that nobody reads, and erasures of large turns, of several
          tenants
isolation random calls of many tenants: nothing may cross from one to another
soak      a mixed load for many minutes: nothing may grow
fuzz      hostile requests, responses, files, replies and calls of C++ (docs/fuzzing.md)

The exit code is 1 if something that is promised was not kept, or could not be looked at: the fuzz
targets in C++ have to be built before (`make fuzz`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from benchmarks import machine
from benchmarks.chaos import overload, soak, store_flood, store_kills, triton_kills
from benchmarks.chaos.fuzz.suite import FINDINGS, engine_here, fuzz, not_built
from benchmarks.chaos.fuzz.verdict import Verdict
from benchmarks.chaos.fuzz.worker import Job
from benchmarks.isolation.run import isolation
from benchmarks.load.target import serving
from budgetmem.errors import BudgetMemError
from server.child import Served
from training.reporting.results import write_json

T = TypeVar("T")

Found = tuple[bool, Any]
"""Whether what is promised was kept, and the figures."""

Part = Callable[[argparse.Namespace], Found]

TENANTS = 8
"""Of the isolation."""


def main() -> None:
    """Runs the parts that are asked for, one after the other."""
    args = _arguments()
    console = Console(stderr=True)
    found: dict[str, Any] = {"machine": machine.describe()}
    broken = []
    for name in args.only.split(",") if args.only else PARTS:
        console.print(f"{name} ...")
        kept, figures = _outcome(PARTS[name], args)
        found[name] = {"kept": kept, "figures": figures}
        console.print(f"{name}: {'kept' if kept else 'BROKEN'} {json.dumps(figures)}", markup=False)
        broken += [] if kept else [name]
        if args.json is not None:
            write_json(args.json, found)
    sys.exit(1 if broken else 0)


def _outcome(part: Part, args: argparse.Namespace) -> Found:
    try:
        return part(args)
    except BudgetMemError as failure:  # A server that ended: the other parts have their own.
        return False, {"error": str(failure)}


def _store(args: argparse.Namespace) -> Found:
    with tempfile.TemporaryDirectory(prefix="budgetmem-chaos-") as folder:
        verdict = store_kills.run(Path(folder), args.kills, args.seed)
    return verdict.kept, asdict(verdict)


def _triton(args: argparse.Namespace) -> Found:
    kills = [kill for victim in triton_kills.VICTIMS for kill in _kills(args, victim)]
    return all(each.kept for each in kills), [each.report() for each in kills]


def _kills(args: argparse.Namespace, victim: str) -> Sequence[triton_kills.Kill]:
    return _served(args, lambda served: asyncio.run(triton_kills.run(served, victim, args.rounds)))


def _overload(args: argparse.Namespace) -> Found:
    found = _served(args, lambda served: asyncio.run(overload.run(served, args.seed)))
    return found.kept, found.report()


def _flood(args: argparse.Namespace) -> Found:
    found = _served(args, lambda served: asyncio.run(store_flood.run(served)))
    return found.kept, found.report()


def _isolation(args: argparse.Namespace) -> Found:
    with tempfile.TemporaryDirectory(prefix="budgetmem-chaos-") as folder:
        report = asyncio.run(isolation(args.calls, TENANTS, args.seed, Path(folder)))
    done = sum(report.calls.values()) == args.calls
    return done and not report.violations, vars(report)


def _soak(args: argparse.Namespace) -> Found:
    found = _served(args, lambda served: asyncio.run(soak.run(served, args.minutes, args.seed)))
    return found.kept, found.report()


def _fuzz(args: argparse.Namespace) -> Found:
    job = Job("", engine_here(), args.seed, 0, args.inputs, str(FINDINGS.resolve()), "")
    verdicts = fuzz(["*"], job, Console(stderr=True))
    return fuzz_kept(verdicts, args.inputs), {
        "targets": [verdict.report() for verdict in verdicts],
        "not_run": not_built(),
    }


def fuzz_kept(verdicts: Sequence[Verdict], inputs: int) -> bool:
    """Whether all targets ran, each with so many inputs, and nothing was found."""
    whole = all(verdict.inputs >= inputs for verdict in verdicts)
    return whole and not not_built() and not any(verdict.findings for verdict in verdicts)


def _served(args: argparse.Namespace, work: Callable[[Served], T]) -> T:
    with (
        tempfile.TemporaryDirectory(prefix="budgetmem-chaos-") as folder,
        serving(args.profile, Path(folder), errors=subprocess.DEVNULL) as served,
    ):
        return work(served)


PARTS: Mapping[str, Part] = {
    "store": _store,
    "triton": _triton,
    "overload": _overload,
    "flood": _flood,
    "isolation": _isolation,
    "soak": _soak,
    "fuzz": _fuzz,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="NAMES", help=f"some of {', '.join(PARTS)}, with commas")
    parser.add_argument("--profile", default="tiny", help="of the server (default: tiny)")
    parser.add_argument("--kills", type=int, default=200, help="of the store's process")
    most = triton_kills.MOST_ROUNDS
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        choices=range(1, most + 1),
        metavar="ROUNDS",
        help=f"kills of each of Triton's processes, {most} at most (default: 3)",
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="of the soak")
    parser.add_argument("--calls", type=int, default=100_000, help="of all tenants together")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of each fuzz target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    if unknown := set(args.only.split(",") if args.only else ()) - set(PARTS):
        parser.error(f"--only: {sorted(unknown)[0]!r} is not one of {', '.join(PARTS)}")
    return args


if __name__ == "__main__":
    main()
