"""A recording of what models replied, so that the same work is never done twice.

Replies are found by their content: the model, its parameters, and what it read. A pipeline over
`RecordedModels` behaves as over the models themselves; what was asked before is answered from the
file. Without models behind it, what is not in the file is an error: a replay.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from budgetmem.backbone import (
    Annotation,
    Backbone,
    Caller,
    Completion,
    Encoder,
    Entity,
    GenerationRequest,
    Models,
    Relation,
    Tagger,
    TokenCounter,
    Vectors,
)
from budgetmem.config import BackboneProfile, Profile
from budgetmem.errors import BackboneUnavailable, ConfigError
from training.rollouts.setting import identity

ATTEMPTS = 7
"""How often a call is tried before its failure is the caller's."""

FIRST_WAIT_S, LONGEST_WAIT_S = 8.0, 60.0
"""Waits between attempts double. Together they are four minutes: on a slow machine an embedded
Triton needs one or two to be there again."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    key BLOB PRIMARY KEY,
    model TEXT NOT NULL,
    reply BLOB NOT NULL
) WITHOUT ROWID
"""


class Recording:
    """Replies in an SQLite file, by key. Raises ConfigError for a file that is none of these."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _opened(path)
        except (OSError, sqlite3.DatabaseError) as exc:
            raise ConfigError(f"{path} is not a recording: {exc}") from exc

    def get(self, key: bytes) -> bytes | None:
        """The reply, None if it is not there."""
        row = self._db.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, key: bytes, model: str, reply: bytes) -> None:
        """Keeps a reply; it is durable against a crash of the process when this returns."""
        self._db.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", (key, model, reply))

    def counts(self) -> Mapping[str, int]:
        """Replies by model."""
        found = self._db.execute(
            "SELECT model, COUNT(*) FROM replies GROUP BY model ORDER BY model"
        )
        return dict(found.fetchall())

    def close(self) -> None:
        self._db.close()


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(_SCHEMA)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


@dataclass
class Tally:
    """How replies were come by: from the file, by doing the work, by waiting for the same work."""

    recorded: int = 0
    made: int = 0
    shared: int = 0
    retries: int = 0

    @property
    def known(self) -> int:
        """Replies that cost nothing."""
        return self.recorded + self.shared


Work = Callable[[], Coroutine[Any, Any, bytes]]


@dataclass
class _Desk:
    """Looks replies up, and has the missing ones made, each once at a time."""

    recording: Recording
    tally: Tally = field(default_factory=Tally)
    _making: dict[bytes, asyncio.Task[bytes]] = field(default_factory=dict)

    async def reply(self, key: bytes, model: str, work: Work) -> bytes:
        found = self.recording.get(key)
        if found is not None:
            self.tally.recorded += 1
            return found
        task = self._making.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, model, work))
            self._making[key] = task
            task.add_done_callback(lambda done: self._making.pop(key, None))
        else:
            self.tally.shared += 1
        # A caller that gives up must not take the reply from the others.
        return await asyncio.shield(task)

    async def _make(self, key: bytes, model: str, work: Work) -> bytes:
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(BackboneUnavailable),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
            before_sleep=self._count_retry,
            reraise=True,
        )
        reply: bytes = await attempts(work)
        self.tally.made += 1
        self.recording.put(key, model, reply)
        return reply

    def _count_retry(self, state: object) -> None:
        self.tally.retries += 1


@dataclass(frozen=True)
class RecordedBackbone:
    """A backbone whose completions are kept. `identity` says which weights answer."""

    backbone: Backbone
    identity: str
    desk: _Desk

    @property
    def name(self) -> str:
        return self.backbone.name

    @property
    def tokens(self) -> TokenCounter:
        return self.backbone.tokens

    async def generate(
        self, request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Completion:
        async def work() -> bytes:
            return _written(await self.backbone.generate(request))

        key = key_of(
            self.identity,
            prompt=request.prompt,
            max_tokens=request.max_tokens,
            # As text: the order of its properties is that of the reply.
            schema=json.dumps(request.schema),
            temperature=request.temperature,
            stop=list(request.stop),
        )
        reply = await self.desk.reply(key, self.identity, work)
        if on_first_token is not None:
            on_first_token()
        return Completion(**json.loads(reply))


@dataclass(frozen=True)
class RecordedEncoder:
    """An encoder whose vectors are kept, text by text.

    `identity` says which weights answer, `max_tokens` how much of a text they read.
    """

    encoder: Encoder
    identity: str
    max_tokens: int
    desk: _Desk

    @property
    def name(self) -> str:
        return self.encoder.name

    @property
    def dimension(self) -> int:
        return self.encoder.dimension

    @property
    def tokens(self) -> TokenCounter:
        return self.encoder.tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        rows = await asyncio.gather(*(self._embed(text) for text in texts))
        return np.array(rows, dtype=np.float32).reshape(len(texts), self.dimension)

    async def _embed(self, text: str) -> Vectors:
        async def work() -> bytes:
            return bytes((await self.encoder.embed([text])).astype("<f4").tobytes())

        key = key_of(self.identity, text=text, max_tokens=self.max_tokens)
        reply = await self.desk.reply(key, self.identity, work)
        return np.frombuffer(reply, dtype="<f4")

    def remembered(self, texts: Sequence[str]) -> int:
        """What is counted is the work of a service that has not seen the texts."""
        return 0


@dataclass(frozen=True)
class RecordedTagger:
    """A tagger whose annotations are kept, text by text. `identity` says which weights answer."""

    tagger: Tagger
    identity: str
    desk: _Desk

    @property
    def name(self) -> str:
        return self.tagger.name

    async def annotate(self, texts: Sequence[str]) -> tuple[Annotation, ...]:
        return tuple(await asyncio.gather(*(self._annotate(text) for text in texts)))

    async def _annotate(self, text: str) -> Annotation:
        async def work() -> bytes:
            return json.dumps(asdict((await self.tagger.annotate([text]))[0])).encode()

        reply = await self.desk.reply(key_of(self.identity, text=text), self.identity, work)
        fields = json.loads(reply)
        return Annotation(
            entities=tuple(Entity(**each) for each in fields["entities"]),
            relations=tuple(Relation(**each) for each in fields["relations"]),
            noun_phrases=tuple(fields["noun_phrases"]),
            tokens=fields["tokens"],
        )

    def remembered(self, texts: Sequence[str]) -> int:
        """As for the encoder."""
        return 0


@dataclass(frozen=True)
class RecordedModels:
    """The models of a profile in front of a recording."""

    backbones: Mapping[str, Backbone]
    encoder: Encoder
    tagger: Tagger
    tally: Tally
    _models: Models
    _profile: Profile
    _desk: _Desk

    def bound(self, caller: Caller) -> RecordedModels:
        """The same recording, in front of models that work on the caller's account."""
        return _in_front(self._models.bound(caller), self._models, self._profile, self._desk)


def recorded(models: Models, profile: Profile, recording: Recording) -> RecordedModels:
    """`models` as they are, except that nothing that `recording` holds is asked of them."""
    return _in_front(models, models, profile, _Desk(recording))


def _in_front(models: Models, unbound: Models, profile: Profile, desk: _Desk) -> RecordedModels:
    return RecordedModels(
        backbones={
            key: RecordedBackbone(backbone, _weights(profile, key), desk)
            for key, backbone in models.backbones.items()
        },
        encoder=RecordedEncoder(
            models.encoder, identity(profile.encoder.asset), profile.encoder.max_tokens, desk
        ),
        tagger=RecordedTagger(models.tagger, identity(profile.tagger.asset), desk),
        tally=desk.tally,
        _models=unbound,
        _profile=profile,
        _desk=desk,
    )


def _written(completion: Completion) -> bytes:
    """As JSON; what only some backbones tell is left out where it is not told."""
    told = asdict(completion)
    if not completion.cached_tokens:
        del told["cached_tokens"]
    return json.dumps(told).encode()


def _weights(profile: Profile, key: str) -> str:
    entry = profile.backbones[key]
    of_catalogue = isinstance(entry, BackboneProfile) and entry.asset is not None
    name = identity(entry.weights) if of_catalogue else entry.identity
    return f"{entry.engine}:{name}"


def key_of(model: str, **read: object) -> bytes:
    """SHA-256 of the model and everything that its reply depends on."""
    text = json.dumps([model, read], sort_keys=True, ensure_ascii=False)
    # A reply may hold half of a surrogate pair, and be read by the next module.
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
