"""Files of other formats as turns: a table from the format's name to its reader."""

from __future__ import annotations

from collections.abc import Mapping

from budgetmem.importers import hotpotqa, jsonl, locomo, longmemeval, transcript
from budgetmem.importers.base import Importer

IMPORTERS: Mapping[str, Importer] = {
    "jsonl": jsonl.read,
    "locomo": locomo.read,
    "longmemeval": longmemeval.read,
    "hotpotqa": hotpotqa.read,
    "transcript": transcript.read,
}

__all__ = ["IMPORTERS", "Importer"]
