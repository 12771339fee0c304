"""Tokens to text, as they come: whole characters only, and nothing of a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

INCOMPLETE = "\ufffd"


class TextStream:
    """Turns one sequence's tokens into text that never has to be taken back.

    Text is held while its last character is incomplete, and while its end could be the start of a
    stop string. A stop string itself is cut off, with everything after it; then `stopped` is True.

    Only a short window of tokens is decoded again on each push. It starts one emission earlier,
    because tokenizers of the SentencePiece kind decode a token differently at the start.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = tuple(stop)
        self._window: list[int] = []
        self._emitted_tokens = 0
        self._held = ""
        self.stopped = False

    def push(self, tokens: Sequence[int], *, may_stop: bool = True) -> str:
        """Text that is now certain. With `may_stop` False, stop strings are let through."""
        self._window.extend(tokens)
        self._held += self._new_characters()
        return self._release(may_stop)

    def finish(self, *, may_stop: bool = True) -> str:
        """The text still held, less an incomplete character. Nothing may be pushed after it."""
        before = self._decode(self._window[: self._emitted_tokens])
        self._held += self._decode(self._window)[len(before) :].rstrip(INCOMPLETE)
        self._window.clear()
        self._emitted_tokens = 0
        released = self._release(may_stop)
        rest, self._held = self._held, ""
        return released + rest

    def _new_characters(self) -> str:
        before = self._decode(self._window[: self._emitted_tokens])
        now = self._decode(self._window)
        if len(now) <= len(before) or now.endswith(INCOMPLETE):
            return ""
        del self._window[: self._emitted_tokens]
        self._emitted_tokens = len(self._window)
        return now[len(before) :]

    def _release(self, may_stop: bool) -> str:
        cut = self._first_stop() if may_stop else -1
        if cut >= 0:
            self.stopped = True
            text, self._held = self._held[:cut], ""
            return text
        keep = self._possible_stop() if may_stop else 0
        split = len(self._held) - keep
        text, self._held = self._held[:split], self._held[split:]
        return text

    def _first_stop(self) -> int:
        found = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        return min(found, default=-1)

    def _possible_stop(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0
