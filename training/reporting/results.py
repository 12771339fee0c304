"""What an evaluation keeps: a JSON file a question, in a folder for each way of answering."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from google.protobuf.json_format import MessageToDict
from pydantic import TypeAdapter, ValidationError

from budgetmem.errors import ConfigError, InvalidInput
from budgetmem.types import Receipt
from budgetmem.wire.results import encode_receipt
from training import checkpoints
from training.differences import differences
from training.reporting.trained import Routers, Trained

T = TypeVar("T")

SETTING = "setting.json"
ROUTERS = "routers.json"
BUILDS = "builds.json"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Costs:
    """USD of one request: of retrieval and the modules, and of the answer."""

    query: float
    answer: float

    @property
    def total(self) -> float:
        return self.query + self.answer


@dataclass(frozen=True)
class Build:
    """What ingesting one history takes: tokens that the encoder reads, and their USD."""

    tokens: int
    cost_usd: float


@dataclass(frozen=True)
class Result:
    """One question, answered in one way.

    `score` is the dataset's own, in [0, 1]; `recall` the share of the evidence turns that the
    answer rests on, None where no evidence is known; `verdicts` those of LLMs in [0, 1], by the
    name of the judge, None where its reply could not be read. `answer_tokens` are those of the
    answerer's prompt, `query_tokens` all that was read and written before it. `tiers` has a letter
    for each module, and is empty without modules; `fell` names those that ran on a lower rung than
    the one chosen. `milliseconds` is the wall time, of which replies that were recorded before take
    none. `code` is the hash of the code that answered.
    """

    question: str
    history: str
    category: str
    prediction: str
    score: float
    recall: float | None
    verdicts: Mapping[str, float | None]
    costs_usd: Costs
    query_tokens: int
    answer_tokens: int
    tiers: str
    fell: tuple[str, ...]
    milliseconds: float
    code: str
    receipt: Mapping[str, Any]


_RESULT = TypeAdapter(Result)
_ROUTERS = TypeAdapter(dict[str, list[Trained]])
_BUILDS = TypeAdapter(dict[str, Build])


def receipt_of(receipt: Receipt) -> dict[str, Any]:
    """As `budgetmem answer --json` prints it."""
    return dict(MessageToDict(encode_receipt(receipt), preserving_proto_field_name=True))


class Results:
    """The results in a folder, of one setting. Files are written whole or not at all.

    Raises ConfigError, naming what differs, for a folder of another setting, or one that holds
    something else.
    """

    def __init__(self, folder: Path, setting: Mapping[str, Any]) -> None:
        self.folder = folder
        self.setting = json.loads(json.dumps(setting))
        held = folder / SETTING
        if held.exists():
            if found := differences(_json(held), self.setting):
                raise ConfigError(
                    f"{folder} has results of another setting ({'; '.join(found)}): "
                    "name another folder"
                )
        elif folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty, and has no {SETTING}: name another folder")
        else:
            write_json(held, self.setting)

    def add_routers(self, named: Iterable[tuple[str, Trained]]) -> Routers:
        """Those that have results here from now on, by label, beside the ones that had before.

        Gives all of them. Raises ConfigError as `add_router`.
        """
        file = self.folder / ROUTERS
        held = _read(file, _ROUTERS) if file.exists() else {}
        for label, router in named:
            add_router(held, label, router)
        _write(file, held, _ROUTERS)
        return held

    def builds(self) -> dict[str, Build]:
        """What ingesting takes, of the histories that `add_builds` named."""
        file = self.folder / BUILDS
        return _read(file, _BUILDS) if file.exists() else {}

    def add_builds(self, found: Mapping[str, Build]) -> None:
        """Those of further histories."""
        _write(self.folder / BUILDS, {**self.builds(), **found}, _BUILDS)

    def has(self, arm: str, question: str) -> bool:
        """Whether a question was answered in this way."""
        return self._file(arm, question).exists()

    def put(self, arm: str, result: Result) -> None:
        """Keeps a result."""
        write_json(self._file(arm, result.question), asdict(result))

    def get(self, arm: str, question: str) -> Result:
        """That of a question that was answered in this way."""
        return _read(self._file(arm, question), _RESULT)

    def arms(self) -> list[str]:
        """Every way of answering that has results here, of this run or of another."""
        return sorted(each.name for each in self.folder.iterdir() if each.is_dir())

    def of(self, arm: str, questions: Sequence[str]) -> list[Result]:
        """Those of these questions that are there, in their order."""
        files = [self._file(arm, question) for question in questions]
        return [_read(file, _RESULT) for file in files if file.exists()]

    def _file(self, arm: str, question: str) -> Path:
        return self.folder / arm / f"{quote(question, safe='')}.json"


def add_router(held: dict[str, list[Trained]], label: str, router: Trained) -> None:
    """Puts a router under a label: beside others only if no lambda is theirs too, so that every
    lambda of a label is one router's. Raises ConfigError if one is."""
    there = held.setdefault(label, [])
    for other in there:
        if other.version != router.version and other.shares_lambdas(router):
            raise ConfigError(
                f"{label!r} is the router {other.version} already, which takes lambdas of "
                f"{router.version} too: give one of them another name, NAME=FOLDER"
            )
    if router not in there:
        there.append(router)


def write_json(file: Path, value: object) -> None:
    """Whole or not at all, in a folder that is made. Raises ValueError for infinite numbers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    checkpoints.write(file, f"{text}\n".encode())


def _write(file: Path, value: T, kind: TypeAdapter[T]) -> None:
    write_json(file, kind.dump_python(value, mode="json"))


def _read(file: Path, kind: TypeAdapter[T]) -> T:
    try:
        return kind.validate_json(file.read_bytes())
    except ValidationError as exc:
        raise InvalidInput(str(file), f"is not what is kept here: {exc.errors()[0]}") from exc


def _json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except ValueError as exc:
        raise InvalidInput(str(file), f"is not JSON: {exc}") from exc
