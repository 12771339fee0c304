"""Every target, by name: what is fuzzed, and what a fuzzer may begin with."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from benchmarks.chaos.fuzz import client, decisions, files, models, native, service
from benchmarks.chaos.fuzz.calls import METHODS
from benchmarks.chaos.fuzz.messages import built
from benchmarks.chaos.fuzz.rules import Target, plain
from benchmarks.chaos.fuzz.source import Source
from budgetmem.importers import IMPORTERS
from budgetmem.modules import MODULES

EXAMPLES = 4
"""Of each kind, drawn once and for all."""

DRAWN_BYTES = 600


def _drawn() -> Iterator[Source]:
    for number in range(EXAMPLES):
        yield Source(random.Random(number).randbytes(DRAWN_BYTES))


def _messages(kinds: Iterable[tuple[int, type]], words: Sequence[str]) -> list[bytes]:
    return [
        bytes([number]) + built(kind, source, words).SerializeToString()
        for number, kind in kinds
        for source in _drawn()
    ]


def _service() -> dict[str, Target]:
    requests = _messages(enumerate(m.request for m in METHODS), service.WORDS)
    responses = _messages(enumerate(client.RESPONSES), client.WORDS)
    return {
        "requests.bytes": Target(
            lambda folder: service.Service(folder).bytes_as_request, requests, service.WORDS
        ),
        "requests.calls": Target(lambda folder: service.Service(folder).conversation),
        "responses.bytes": Target(plain(client.bytes_as_response), responses, client.WORDS),
        "responses.fields": Target(plain(client.response)),
        "failures.bytes": Target(
            plain(client.bytes_as_failure), list(map(client.details, _drawn())), client.FIELDS
        ),
        "failures.fields": Target(plain(client.failure)),
    }


def _importers() -> dict[str, Target]:
    found = {}
    for name in IMPORTERS:
        examples = [b"\0\0" + files.FORMS[name](source).encode() for source in _drawn()]
        found[f"import-{name}.bytes"] = Target(
            partial(files.bytes_as_file, name), examples, files.WORDS, most=8192
        )
        found[f"import-{name}.form"] = Target(partial(files.formed_file, name))
    return found


def _modules() -> dict[str, Target]:
    replies = [b"\0" + models.reply(source).encode("utf-8", "replace") for source in _drawn()]
    found = {"prompts": Target(plain(models.prompts))}
    for name in MODULES:
        found[f"reply-{name}.bytes"] = Target(
            plain(models.bytes_as_reply(name)), replies, models.WORDS
        )
        found[f"reply-{name}.form"] = Target(plain(models.formed_reply(name)))
    return found


NATIVE: Mapping[str, Target] = {
    "core": Target(plain(native.core)),
    "scheduler": Target(plain(native.scheduler)),
    "decisions": Target(plain(decisions.decisions)),
}
"""Those of budgetmem._core."""

TARGETS: Mapping[str, Target] = {**_service(), **_importers(), **_modules(), **NATIVE}
"""By name. Those that end in `.bytes` take the input as it is, the others build of it what they
are about."""
