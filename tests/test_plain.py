from __future__ import annotations

import json
from datetime import datetime, timezone

from budgetmem.plain import plain
from tests.server.fake_engine import MEMORY


def test_a_memory_becomes_json():
    found = json.loads(json.dumps(plain(MEMORY)))
    assert found["text"] == MEMORY.text
    assert found["chunks"][0]["time"] == "2023-05-08T13:56:00"
    assert found["chunks"][0]["turn_ids"] == ["t1", "t2"]
    assert found["receipt"]["steps"][0]["choice"]["tier"] == "low"
    assert found["receipt"]["steps"][0]["choice"]["masked"] == {"high": "too dear"}
    assert found["receipt"]["answer"] is None


def test_a_time_keeps_its_offset():
    assert plain(datetime(2024, 1, 2, tzinfo=timezone.utc)) == "2024-01-02T00:00:00+00:00"
