"""Small records in the datasets' forms, and where the real files lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.toys import shared_file
from training.datasets import DATASETS, Dataset, open_dataset

Json = dict[str, Any]


def talk(name: str = "conv-1", **qa: Any) -> Json:
    """A LoCoMo conversation with one question, some of whose fields are replaced."""
    asked = {"question": "Which?", "answer": "this", "category": 4, "evidence": ["D1:1"], **qa}
    return {
        "sample_id": name,
        "conversation": {
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [{"speaker": "Ana", "dia_id": "D1:1", "text": "hello"}],
        },
        "qa": [asked],
    }


def instance(name: str = "q0", filler: bool = False, **fields: Any) -> Json:
    """A LongMemEval instance; with `filler` of the form S, else of the oracle's."""
    sessions = [
        [
            {"role": "user", "content": "I have a dog.", "has_answer": True},
            {"role": "assistant", "content": "Nice.", "has_answer": False},
        ],
        [{"role": "user", "content": "A recipe, please."}],
    ]
    count = 2 if filler else 1
    return {
        "question_id": name,
        "question_type": "multi-session",
        "question": "How many dogs?",
        "answer": 1,
        "question_date": "2023/05/30 (Tue) 23:40",
        "haystack_session_ids": ["a", "b"][:count],
        "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/21 (Sun) 10:00"][:count],
        "haystack_sessions": sessions[:count],
        "answer_session_ids": ["a"],
        **fields,
    }


def paragraphs(name: str = "h0", **fields: Any) -> Json:
    """A HotpotQA record of the distractor form."""
    return {
        "_id": name,
        "question": f"What purrs in {name}?",
        "answer": "a cat",
        "type": "bridge",
        "supporting_facts": [["Cat", 0], ["Elk", 0]],
        "context": [["Dog", ["It barks."]], ["Cat", ["It purrs.", " It eats."]]],
        **fields,
    }


def written(path: Path, content: object) -> Path:
    """The file, with JSON in it; JSON lines if it is called so."""
    lines = content if path.suffix == ".jsonl" else [content]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


def real(name: str) -> Dataset:
    """A dataset of the evaluation data; skips the test where they are absent."""
    places = {
        "locomo": ("locomo/locomo10.json", {}),
        "longmemeval-oracle": ("longmemeval/longmemeval_oracle.json", {}),
        "longmemeval-s": ("longmemeval/s", {}),
        "hotpotqa": (
            "hotpotqa",
            {"train": "rpt_train.jsonl", "validation": "rpt_dev.jsonl", "test": "rpt_test.jsonl"},
        ),
    }
    path, options = places[name]
    if name.startswith("longmemeval"):
        options = {
            "split_file": shared_file("data/longmemeval/longmemeval_s_splits.json"),
            "order_file": shared_file("data/longmemeval/s_index.tsv"),
        }
    return open_dataset(name, shared_file(f"data/{path}"), **options)


NAMES = sorted(DATASETS)
