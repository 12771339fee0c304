"""Tokens leave an engine in Deltas of a few at a time: each one costs a response on its way out."""

from __future__ import annotations

from server.engines.base import Delta, FinishReason


class Deltas:
    """Gathers the output of one request: the first token goes at once, as do the last ones.

    What is between goes when it is at least `interval` tokens, of which text may still be held.
    """

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._due = 1
        self._text = ""
        self._tokens = 0
        self._logprob = 0.0

    def add(self, text: str, tokens: int, logprob: float) -> None:
        """New output; `logprob` is the sum over the tokens, NaN where it is not known."""
        self._text += text
        self._tokens += tokens
        self._logprob += logprob

    def take(self, input_tokens: int, finish_reason: FinishReason | None) -> Delta | None:
        """Everything gathered since the last Delta, or None while it is too little to send."""
        if finish_reason is None and self._tokens < self._due:
            return None
        delta = Delta(self._text, input_tokens, self._tokens, self._logprob, finish_reason)
        self._text, self._tokens, self._logprob = "", 0, 0.0
        self._due = self._interval
        return delta
