"""Prints what hardware should carry."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from benchmarks.capacity.growth import Operation
from benchmarks.capacity.hardware import CAUTIOUS, H100, HOPEFUL, MODELS
from benchmarks.capacity.tables import TABLES, gpu_seconds, growth
from benchmarks.capacity.workload import EXTRACTION, LIMITS, MEASURED, MIXES, REPLIES, Tenant


def main() -> None:
    """Tables, or with --json the assumptions and what follows from them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    if parser.parse_args().json:
        print(json.dumps(document(), indent=2))
        return
    print("\n".join(table() for table in TABLES.values()), end="")


def document() -> dict[str, object]:
    """Everything that is assumed, and what follows."""
    seconds = {name: gpu_seconds(dict(shares), EXTRACTION) for name, shares in MIXES.items()}
    return {
        "run_on_a_gpu": False,
        "assumed": {
            "gpu": asdict(H100),
            "models": {name: asdict(model) for name, model in MODELS.items()},
            "efficiency": {"cautious": asdict(CAUTIOUS), "hopeful": asdict(HOPEFUL)},
            "tokens": {"measured": MEASURED, "replies": REPLIES, "limits": LIMITS},
            "tenant": asdict(Tenant()),
            "operation": asdict(Operation()),
        },
        "gpu_seconds_a_question": {name: asdict(each) for name, each in seconds.items()},
        "growth": [
            {
                "tenants": tenants,
                "questions_a_day": questions,
                "cautious": asdict(one),
                "hopeful": asdict(other),
            }
            for tenants, questions, one, other in growth()
        ],
    }


if __name__ == "__main__":
    main()
