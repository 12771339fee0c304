"""Tenants with keys, and random calls that must never cross from one of them to another.

    python -m benchmarks.isolation --calls 100000 --seed 1

Real doors, gate, store, scheduler and pipeline over scripted models. What every tenant has is kept
beside; each answer is compared with it, and every text tells by a mark whose it is. Prints the
report as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from benchmarks.isolation.run import isolation


def main() -> None:
    """Prints the report as JSON; exits with 1 if anything crossed."""
    parser = argparse.ArgumentParser(
        description="Random calls of many tenants: does anything cross?"
    )
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--tenants", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="budgetmem-isolation-") as folder:
        report = asyncio.run(isolation(args.calls, args.tenants, args.seed, Path(folder)))
    print(json.dumps(vars(report), indent=2))
    raise SystemExit(bool(report.violations))


if __name__ == "__main__":
    main()
