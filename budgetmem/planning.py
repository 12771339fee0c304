"""What a write to a history changes: units made anew and embedded, units that go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from budgetmem import chunking
from budgetmem.backbone import Encoder, TokenCounter, Vectors
from budgetmem.chunking import Unit
from budgetmem.config import ChunkingProfile
from budgetmem.pieces import in_pieces
from budgetmem.store.base import SessionChange, SessionState
from budgetmem.types import Turn

Progress = Callable[[int, int], None]
"""Called with the number of units embedded so far, and how many there are to embed."""

_EMBED_AT_ONCE = 64


@dataclass(frozen=True)
class Plan:
    """A session to write to: its state, the turns to add, the units it has that may stay, and the
    ids of turns that go."""

    session: str
    state: SessionState
    new: tuple[Turn, ...]
    present: frozenset[str]
    erased: frozenset[str] = frozenset()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What the session has afterwards."""
        kept = tuple(turn for turn in self.state.turns if turn.id not in self.erased)
        return (*kept, *self.new)

    def staying(self, units: Iterable[Unit]) -> frozenset[str]:
        """Ids of those of the units afterwards that the session has already.

        An id does not tell turns of one text apart: from the first turn that goes, a unit of the
        same id may be of other turns.
        """
        before = takewhile(lambda turn: turn.id not in self.erased, self.state.turns)
        untouched = {turn.id for turn in before}
        return self.present.intersection(
            unit.id for unit in units if untouched.issuperset(line.turn_id for line in unit.lines)
        )


class Planner:
    """Works out the changes of one write. Units are embedded once, however often it is retried.

    `tokens_read` are what the encoder has read so far.
    """

    def __init__(
        self,
        encoder: Encoder,
        profile: ChunkingProfile,
        tokens: TokenCounter,
        progress: Progress | None,
    ) -> None:
        self.tokens_read = 0
        self._encoder = encoder
        self._profile = profile
        self._tokens = tokens
        self._progress = progress
        self._vectors: dict[str, Vectors] = {}

    async def changes(self, plans: Sequence[Plan]) -> tuple[SessionChange, ...]:
        """New turns come after those that are there; units that differ are replaced."""
        made = [await self._units(plan) for plan in plans]
        staying = [plan.staying(units) for plan, units in zip(plans, made, strict=True)]
        added = [
            [unit for unit in units if unit.id not in stay]
            for units, stay in zip(made, staying, strict=True)
        ]
        await self._embed([unit for units in added for unit in units])
        return tuple(
            SessionChange(
                session=plan.session,
                version=plan.state.version,
                turns=plan.new,
                added=tuple((unit, self._vectors[unit.id]) for unit in new),
                removed=plan.present - stay,
                erased=plan.erased,
            )
            for plan, stay, new in zip(plans, staying, added, strict=True)
        )

    async def _units(self, plan: Plan) -> Sequence[Unit]:
        profile, tokens = self._profile, self._tokens
        lines = await in_pieces(chunking.lines_of(plan.turns, profile, tokens))
        return await in_pieces(chunking.units_of(plan.session, lines, profile, tokens))

    async def _embed(self, units: Sequence[Unit]) -> None:
        missing = [unit for unit in units if unit.id not in self._vectors]
        for start in range(0, len(missing), _EMBED_AT_ONCE):
            batch = missing[start : start + _EMBED_AT_ONCE]
            found = await self._encoder.embed([unit.text for unit in batch])
            self.tokens_read += sum(unit.tokens for unit in batch)
            self._vectors.update(zip((unit.id for unit in batch), found, strict=True))
            if self._progress is not None:
                self._progress(start + len(batch), len(missing))
