"""The tools: one call of the client each. Their docstrings are the descriptions a model reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mcp.types import ToolAnnotations
from pydantic import Field

from budgetmem.client import AsyncClient, QueryOptions
from budgetmem.errors import InvalidInput
from budgetmem.mcp_server.failures import told
from budgetmem.mcp_server.inputs import AskedAt, BudgetInput, History, Question, TurnInput
from budgetmem.mcp_server.results import (
    AnswerResult,
    ForgetResult,
    HistoriesResult,
    HistoryResult,
    IngestResult,
    MemoryResult,
)
from budgetmem.types import Budget

INSTRUCTIONS = """\
BudgetMem keeps conversations word for word and makes the memory that a question needs when it is \
asked, for a budget. `histories` lists what is stored. Before you answer what may rest on earlier \
conversations, call `extract` with the question. After a conversation, or when something is worth \
keeping, call `ingest` with its turns as they were said. A memory has a receipt of what it cost.
"""

# None of them reaches beyond the one server: openWorldHint is false.
READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
DELETES = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)

TOOLS = {
    "histories": ("List histories", READS),
    "ingest": ("Remember a conversation", ADDS),
    "extract": ("Recall what a question needs", READS),
    "answer": ("Answer from memory", READS),
    "forget": ("Forget a history or turns", DELETES),
}
"""Title and hints of each method of `Tools` that is a tool."""


@dataclass(frozen=True)
class Tools:
    """The tools over one client. No call spends more than `ceilings`."""

    client: AsyncClient
    ceilings: Budget

    async def histories(self) -> HistoriesResult:
        """Lists the stored histories: name, number of turns, first and last time.

        Call it when you do not know which history a question is about. Costs nothing.
        """
        with told():
            found = await self.client.histories()
        return HistoriesResult(histories=[HistoryResult.of(info) for info in found])

    async def ingest(
        self,
        history: History,
        turns: Annotated[list[TurnInput], Field(min_length=1, description="In order.")],
    ) -> IngestResult:
        """Adds turns of a conversation to a history, which is made on first use.

        Call it to remember: pass what was said word for word, with its time, and do not summarise;
        what matters is worked out when it is asked for. No language model reads it now, so it is
        cheap. Harmless to repeat: turns that are there already are left as they are.
        """
        with told():
            return IngestResult.of(
                await self.client.ingest(history, [each.turn() for each in turns])
            )

    async def extract(
        self,
        history: History,
        question: Question,
        budget: BudgetInput | None = None,
        asked_at: AskedAt = None,
    ) -> MemoryResult:
        """Makes the memory that a question needs from a history: a short text to answer from.

        Call it before you answer anything that may rest on earlier conversations: people, dates,
        preferences, decisions. One call a question; split a question that is several. The budget is
        what the call may spend; leave it out at first. If the memory misses what you need, call
        once more with the tier "high"; if it still does, the history does not say it: say so, do
        not guess. `evidence` has the turns that it was made from, with their ids and words.
        """
        with told():
            options = self._options(budget, asked_at)
            return MemoryResult.of(await self.client.extract(history, question, **options))

    async def answer(
        self,
        history: History,
        question: Question,
        budget: BudgetInput | None = None,
        asked_at: AskedAt = None,
    ) -> AnswerResult:
        """Extracts the memory and has the server's own model answer from it alone.

        Prefer `extract` and answer yourself; call this when a short answer that rests on the
        history alone is wanted. One budget covers both.
        """
        with told():
            options = self._options(budget, asked_at)
            return AnswerResult.of(await self.client.answer(history, question, **options))

    async def forget(
        self,
        history: History,
        turn_ids: Annotated[
            list[str] | None,
            Field(description="Only these turns: ids of `evidence` whose text is to go."),
        ] = None,
        whole_history: Annotated[bool, Field(description="Every turn of the history.")] = False,
    ) -> ForgetResult:
        """Deletes turns of a history, or all of it, for good, and returns the proof.

        Call it only when the user asked for it: it cannot be undone. Pass either turn_ids or
        whole_history=true. For single turns call `extract` first, and pass only ids whose text in
        `evidence` is what the user wants gone, never all of them unread; where one entry has
        several ids and its text more than that, ask the user. Afterwards `extract` once more:
        other turns may say the same.
        """
        with told():
            if whole_history == (turn_ids is not None):
                raise InvalidInput("turn_ids", "give either turn_ids, or whole_history=true")
            if turn_ids is None:
                return ForgetResult.of(await self.client.delete(history))
            return ForgetResult.of(await self.client.delete_turns(history, turn_ids))

    def _options(self, budget: BudgetInput | None, asked_at: AskedAt) -> QueryOptions:
        asked = budget or BudgetInput()
        return {
            "budget": asked.within(self.ceilings),
            "tier": asked.pinned(),
            "asked_at": asked_at,
        }
