"""Log lines for people, or JSON for collectors; always on stderr.

Every line that is written while a call is worked on names the call and, if there is one, its trace.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone

from opentelemetry.trace import get_current_span

from budgetmem.commands.terminal import printable
from server.observability.calls import current_call


class CallNames(logging.Filter):
    """Lets every record through, with `names`: the request id and the trace id of its call."""

    def filter(self, record: logging.LogRecord) -> bool:
        call = current_call()
        trace = get_current_span().get_span_context()
        names = {
            "request_id": "" if call is None else call.request_id,
            "trace_id": f"{trace.trace_id:032x}" if trace.is_valid else "",
        }
        record.names = {name: value for name, value in names.items() if value}
        return True


class JsonLines(logging.Formatter):
    """One JSON object a record: time (UTC), level, logger, message, names of the call, the record's
    own `fields` and, if any, the trace of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "names", {}),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """A line a record, with the request id of its call behind the message.

    Messages quote what endpoints say and how histories are named: a terminal obeys none of it.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's own name)
        line = super().formatMessage(record)
        request_id = getattr(record, "names", {}).get("request_id")
        return f"{line} [{request_id}]" if request_id else line

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def configure(level: str, *, as_json: bool) -> None:
    """Sends every logger's records from `level` on to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    # The root's level does not bind loggers that libraries set to DEBUG themselves (bm25s does).
    handler.setLevel(level.upper())
    handler.addFilter(CallNames())
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
