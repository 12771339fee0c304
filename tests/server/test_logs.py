from __future__ import annotations

import json
import logging
import sys

from server.logs import JsonLines


def test_a_json_line_holds_message_level_time_and_trace():
    try:
        raise ValueError("broken")
    except ValueError:
        trace = sys.exc_info()
    record = logging.LogRecord("server.x", logging.ERROR, "x.py", 1, "%s ü", ("late",), trace)
    record.created = 0.0
    line = json.loads(JsonLines().format(record))
    assert line["trace"].endswith("ValueError: broken")
    del line["trace"]
    assert line == {
        "time": "1970-01-01T00:00:00+00:00",
        "level": "error",
        "logger": "server.x",
        "message": "late ü",
    }
