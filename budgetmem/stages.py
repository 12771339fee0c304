"""The stages of a request, by the names under which their work is scheduled."""

from __future__ import annotations

from collections.abc import Mapping

STAGES: Mapping[str, tuple[str, ...]] = {
    "filter": ("filter",),
    "extract": ("entity", "temporal", "topic"),
    "summary": ("summary",),
}
"""The modules by stage, in order; those of one stage read the same chunks and run side by side."""

REQUEST = "request"
"""A whole request, from its arrival on."""

INGEST = "ingest"
"""Embedding new units of a history, or all of them anew."""

RETRIEVE = "retrieve"
"""Embedding a query."""

ANSWER = "answer"
"""Answering from the extracted memory."""
