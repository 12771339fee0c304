"""What an evaluation keeps: a JSON file a question, in a folder for each way of answering."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from google.protobuf.json_format import MessageToDict
from pydantic import TypeAdapter, ValidationError

import budgetmem
from budgetmem.errors import ConfigError, InvalidInput
from budgetmem.types import Receipt
from budgetmem.wire.results import encode_receipt
from training import checkpoints
from training.differences import differences

SETTING = "setting.json"
ROUTERS = "routers.json"
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
class Result:
    """One question, answered in one way.

    `score` is the dataset's own, in [0, 1]; `recall` the share of the evidence turns that the
    answer rests on, None where no evidence is known; `judge` an LLM's verdict in [0, 1], None
    without one. `answer_tokens` are those of the answerer's prompt, `query_tokens` all that was
    read and written before it. `tiers` has a letter for each module, and is empty without modules;
    `fell` names those that ran on a lower rung than the one chosen. `milliseconds` is the wall
    time, of which replies that were recorded before take none.
    """

    question: str
    history: str
    category: str
    prediction: str
    score: float
    recall: float | None
    judge: float | None
    costs_usd: Costs
    query_tokens: int
    answer_tokens: int
    tiers: str
    fell: tuple[str, ...]
    milliseconds: float
    receipt: Mapping[str, Any]


_RESULT = TypeAdapter(Result)


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

    def add_routers(self, versions: Mapping[str, str]) -> Mapping[str, str]:
        """Those that have results here from now on, by label, beside the ones that had before.

        Gives all of them. Raises ConfigError for a label that was another router's.
        """
        file = self.folder / ROUTERS
        held = _json(file) if file.exists() else {}
        for label, version in versions.items():
            if held.get(label, version) != version:
                raise ConfigError(
                    f"{self.folder} has results of the router {held[label]} as {label!r}: give "
                    f"{version} another name, NAME=FOLDER"
                )
        write_json(file, {**held, **versions})
        return {**held, **versions}

    def has(self, arm: str, question: str) -> bool:
        """Whether a question was answered in this way."""
        return self._file(arm, question).exists()

    def put(self, arm: str, result: Result) -> None:
        """Keeps a result."""
        write_json(self._file(arm, result.question), asdict(result))

    def arms(self) -> list[str]:
        """Every way of answering that has results here, of this run or of another."""
        return sorted(each.name for each in self.folder.iterdir() if each.is_dir())

    def of(self, arm: str, questions: Sequence[str]) -> list[Result]:
        """Those of these questions that are there, in their order."""
        files = [self._file(arm, question) for question in questions]
        return [_read(file) for file in files if file.exists()]

    def _file(self, arm: str, question: str) -> Path:
        return self.folder / arm / f"{quote(question, safe='')}.json"


def code_hash() -> str:
    """16 hex digits of SHA-256 over the sources of the package that answers, in order of name."""
    package = Path(budgetmem.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def write_json(file: Path, value: object) -> None:
    """Whole or not at all, in a folder that is made. Raises ValueError for infinite numbers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    checkpoints.write(file, f"{text}\n".encode())


def _read(file: Path) -> Result:
    try:
        return _RESULT.validate_json(file.read_bytes())
    except ValidationError as exc:
        raise InvalidInput(str(file), f"is no result: {exc.errors()[0]}") from exc


def _json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except ValueError as exc:
        raise InvalidInput(str(file), f"is not JSON: {exc}") from exc
