"""What the paths through the pipeline came to, in numbers: what routers are trained from.

A file (compressed where its name ends in `.gz`) has a header, and then a JSON line a question. Its
tree has a node for each state in which modules wait for their tiers, named by the tiers chosen
before (`""`, `L`, `LMHL`), and a leaf for each path that was walked. It quotes no text of the
dataset.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from budgetmem.errors import ConfigError, InvalidInput
from training.differences import differences
from training.rollouts.paths import DEPTHS, LETTERS, MODULE_COUNT

COSTS = MODULE_COUNT + 2
"""Of a leaf: those of the modules, and of retrieval and the answer."""


@dataclass(frozen=True)
class Node:
    """A state. `features` are those of `budgetmem.features`, in the order of the file's names;
    `chunks` are the ids of the chunks whose mean vector stands for the state."""

    features: tuple[float, ...]
    chunks: tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """The end of a path.

    `score` is the answer's by the dataset's own metric, in [0, 1]. `costs_usd` are those of
    retrieval, of the modules in order, and of the answer. `answer_tokens` is what the answerer
    read. `fell` are the modules that ran on a lower rung than the one chosen.
    """

    score: float
    costs_usd: tuple[float, ...]
    answer_tokens: int
    fell: tuple[str, ...] = ()

    @property
    def cost_usd(self) -> float:
        """Of the whole path, the answer included."""
        return sum(self.costs_usd)


@dataclass(frozen=True)
class Outcomes:
    """One question: its states and what the recorded paths came to.

    `recall` is, for each way in which the filter was run, the share of the gold evidence turns that
    it kept; None if no evidence is known.
    """

    question: str
    history: str
    category: str
    nodes: Mapping[str, Node]
    leaves: Mapping[str, Leaf]
    recall: Mapping[str, float | None]


_LINE = TypeAdapter(Outcomes)


@dataclass(frozen=True)
class OutcomeFile:
    """Outcomes of many questions, and what they were made with.

    `setting` says what changes the figures: dataset and its hash, profile, strategy, retrieval
    budget, models. `features` are the names of the nodes' features, in order.
    """

    setting: Mapping[str, Any]
    features: tuple[str, ...]
    outcomes: tuple[Outcomes, ...]

    def __post_init__(self) -> None:
        for number, each in enumerate(self.outcomes):
            _check(each, len(self.features), f"outcomes[{number}]")

    def with_groups(self, groups: Sequence[str]) -> OutcomeFile:
        """The same outcomes, their nodes with the features of these groups alone; of all, for none.

        Raises ConfigError for a group that none of the features is of.
        """
        group_of = [name.partition(".")[0] for name in self.features]
        if unknown := sorted(set(groups) - set(group_of)):
            known = ", ".join(dict.fromkeys(group_of))
            raise ConfigError(f"feature_groups: no {', '.join(unknown)} among {known}")
        taken = [place for place, group in enumerate(group_of) if group in (groups or group_of)]

        def narrowed(each: Outcomes) -> Outcomes:
            nodes = {
                name: replace(node, features=tuple(node.features[place] for place in taken))
                for name, node in each.nodes.items()
            }
            return replace(each, nodes=nodes)

        return OutcomeFile(
            setting=self.setting,
            features=tuple(self.features[place] for place in taken),
            outcomes=tuple(map(narrowed, self.outcomes)),
        )


@dataclass(frozen=True)
class _Held:
    """What a file holds: the text of its finished lines, how many bytes they take, whether more
    follows them, and what can be read of that: the beginning of a line whose writer was killed."""

    text: str
    size: int
    cut_off: bool
    rest: str


def _held(path: Path) -> _Held:
    """Of a compressed file every line is a gzip member of its own. A file that is not there is as
    an empty one.

    Raises InvalidInput for a file that is damaged or no text, ConfigError for a folder.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file of outcomes")
    held = path.read_bytes() if path.exists() else b""
    text, size, rest = (_members if path.suffix == ".gz" else _lines)(held, path)
    try:
        return _Held(text.decode(), size, size < len(held), rest.decode())
    except UnicodeDecodeError as exc:
        raise InvalidInput(str(path), f"is no text in UTF-8: {exc}") from exc


def _lines(held: bytes, path: Path) -> tuple[bytes, int, bytes]:
    size = held.rfind(b"\n") + 1
    return held[:size], size, held[size:]


def _members(held: bytes, path: Path) -> tuple[bytes, int, bytes]:
    text, size = b"", 0
    while size < len(held):
        member = zlib.decompressobj(wbits=31)
        try:
            line = member.decompress(held[size:])
        except zlib.error as exc:
            raise InvalidInput(str(path), f"is no gzip file, or damaged: {exc}") from exc
        if not member.eof:
            return text, size, line
        text += line
        size = len(held) - len(member.unused_data)
    return text, size, b""


def read(path: Path) -> OutcomeFile:
    """Reads a file; lines of one question are joined, since more paths of it may have been walked.

    Raises InvalidInput naming the line that is malformed, or that was cut off.
    """
    held = _held(path)
    lines = held.text.splitlines()
    if held.cut_off:
        wrong = "is cut off" if lines else "is not the header of outcomes, or cut off"
        raise InvalidInput(f"{path}:{len(lines) + 1}", f"{wrong}: recording on mends it")
    if not lines:
        raise InvalidInput(str(path), "is empty")
    header = _header(lines[0], f"{path}:1")
    found: dict[str, Outcomes] = {}
    for number, line in enumerate(lines[1:], start=2):
        at = f"{path}:{number}"
        each = _outcomes(line, len(header.features), at)
        earlier = found.get(each.question)
        found[each.question] = each if earlier is None else _joined(earlier, each, at)
    return OutcomeFile(header.setting, header.features, tuple(found.values()))


class Writer:
    """Appends outcomes to a file, a line each, which begins with a header.

    The last line of a file that is there may be unfinished, if its writer was killed: it goes.
    Raises InvalidInput for a file that is something else, or of another setting, ConfigError for a
    folder.
    """

    def __init__(self, path: Path, setting: Mapping[str, Any], features: Sequence[str]) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        header = _line({"setting": setting, "features": features})
        held = _held(path)
        if not held.text and header.startswith(held.rest):
            path.write_bytes(b"")
            self._append(header)
        elif found := _differences(_header(held.text.partition("\n")[0], f"{path}:1"), header):
            raise InvalidInput(
                str(path),
                f"holds outcomes of another setting ({'; '.join(found)}): name another file",
            )
        else:
            os.truncate(path, held.size)

    def write(self, outcomes: Outcomes) -> None:
        """Raises ValueError for a number that is not finite."""
        self._append(_line(asdict(outcomes)))

    def _append(self, line: str) -> None:
        written = line.encode()
        with self._path.open("ab") as file:
            file.write(gzip.compress(written) if self._path.suffix == ".gz" else written)


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, separators=(",", ":"), allow_nan=False) + "\n"


@dataclass(frozen=True)
class _Header:
    setting: Mapping[str, Any]
    features: tuple[str, ...]


_HEADER = TypeAdapter(_Header)


def _header(line: str, at: str) -> _Header:
    try:
        return _HEADER.validate_json(line)
    except ValidationError as exc:
        raise InvalidInput(at, f"is not the header of outcomes: {exc.errors()[0]}") from exc


def _differences(held: _Header, given: str) -> list[str]:
    return differences(asdict(held), asdict(_header(given, "header")))


def _outcomes(line: str, features: int, at: str) -> Outcomes:
    try:
        outcomes = _LINE.validate_json(line)
    except ValidationError as exc:
        raise InvalidInput(at, f"is not a line of outcomes: {exc.errors()[0]}") from exc
    _check(outcomes, features, at)
    return outcomes


def _joined(earlier: Outcomes, later: Outcomes, at: str) -> Outcomes:
    """The paths of both; of a path that is in both, what the later line says."""
    if (earlier.history, earlier.category) != (later.history, later.category):
        raise InvalidInput(at, f"has another {later.question!r} than an earlier line")
    return replace(
        later,
        nodes={**earlier.nodes, **later.nodes},
        leaves={**earlier.leaves, **later.leaves},
        recall={**earlier.recall, **later.recall},
    )


def _check(outcomes: Outcomes, features: int, at: str) -> None:
    """Raises InvalidInput unless every leaf can be walked to and has its costs, and every node has
    its features."""
    if not outcomes.leaves:
        raise InvalidInput(f"{at}.leaves", "is empty")
    for name, leaf in outcomes.leaves.items():
        way = {name[:depth] for depth in DEPTHS.values()}
        if not set(name) <= set(LETTERS):
            raise InvalidInput(f"{at}.leaves", f"{name!r} is not spelled in {LETTERS}")
        if len(name) != MODULE_COUNT or not way <= set(outcomes.nodes):
            raise InvalidInput(f"{at}.leaves", f"{name!r} has no nodes on its way")
        if len(leaf.costs_usd) != COSTS:
            raise InvalidInput(f"{at}.leaves[{name!r}].costs_usd", f"must be {COSTS} costs")
    for name, node in outcomes.nodes.items():
        if len(node.features) != features:
            raise InvalidInput(f"{at}.nodes[{name!r}]", f"must have {features} features")
