"""The thread around a runner: admits, steps, turns tokens into events, survives a lost batch."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from budgetmem.errors import BackboneError, BackboneUnavailable, BudgetMemError, InvalidInput
from server.engines.base import (
    Event,
    Failure,
    FinishReason,
    Progress,
    RequestCancelled,
    Runner,
)
from server.engines.deltas import Deltas
from server.engines.sampling import SamplingParams
from server.engines.text import TextStream

log = logging.getLogger(__name__)

BREATH_SECONDS = 0.0005
"""Pause between steps. A library that holds Python's global lock during a step would otherwise
starve the threads that bring in new requests and notice cancellation."""


@dataclass
class _Request:
    sequence: int
    prompt: str
    params: SamplingParams
    on_event: Callable[[Event], None]
    text: TextStream
    deltas: Deltas
    cancelled: threading.Event = field(default_factory=threading.Event)
    input_tokens: int = 0
    output_tokens: int = 0


class _Handle:
    def __init__(self, request: _Request, wake: Callable[[], None]) -> None:
        self._request = request
        self._wake = wake

    def cancel(self) -> None:
        self._request.cancelled.set()
        self._wake()


class ThreadedEngine:
    """Runs a Runner on a thread of its own. See `Engine` for the contract.

    The runner is opened on that thread; the constructor waits for it and raises what it raises.
    If a step loses the batch, every request in it fails with BackboneUnavailable (a retry may
    help) and the runner starts again; if it cannot, the engine refuses everything from then on.
    A request's first token is an event at once, then at least `stream_interval` tokens are.
    """

    def __init__(
        self,
        open_runner: Callable[[], Runner],
        name: str = "engine",
        breath: float = BREATH_SECONDS,
        stream_interval: int = 1,
    ) -> None:
        self._name = name
        self._breath = breath
        self._stream_interval = stream_interval
        self._work = threading.Condition()
        self._inbox: list[_Request] = []
        self._live: dict[int, _Request] = {}
        self._sequences = count(1)
        self._runner: Runner | None = None
        self._refusal: BudgetMemError | None = None
        self._opened = threading.Event()
        self._closing = False
        self._abandoned = False
        self._thread = threading.Thread(target=self._main, args=(open_runner,), name=name)
        self._thread.daemon = True
        self._thread.start()
        self._opened.wait()
        if self._refusal is not None:
            raise self._refusal

    def submit(
        self, prompt: str, params: SamplingParams, on_event: Callable[[Event], None]
    ) -> _Handle:
        if self._runner is None:
            raise BackboneUnavailable(f"{self._name}: not open")
        text = TextStream(self._runner.decode, params.stop)
        deltas = Deltas(self._stream_interval)
        request = _Request(next(self._sequences), prompt, params, on_event, text, deltas)
        with self._work:
            if self._refusal is not None:
                raise self._refusal
            self._inbox.append(request)
            self._work.notify()
        return _Handle(request, self._wake)

    def close(self, timeout: float) -> None:
        with self._work:
            self._refusal = self._refusal or BackboneUnavailable(f"{self._name}: shutting down")
            self._closing = True
            self._work.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._abandoned = True
            self._thread.join(timeout)

    def _wake(self) -> None:
        with self._work:
            self._work.notify()

    def _main(self, open_runner: Callable[[], Runner]) -> None:
        try:
            runner = self._runner = open_runner()
        except BudgetMemError as exc:
            self._refusal = exc
            return
        finally:
            # Set also when opening fails in a way nobody foresaw: the constructor must not hang.
            if self._runner is None and self._refusal is None:
                self._refusal = BackboneUnavailable(f"{self._name}: could not be opened")
            self._opened.set()
        try:
            self._loop(runner)
        finally:
            self._refuse(BackboneUnavailable(f"{self._name}: the engine has stopped"))
            runner.close()

    def _loop(self, runner: Runner) -> None:
        while self._wait_for_work():
            self._admit(runner)
            try:
                self._drop_cancelled(runner)
                self._step(runner)
            except BackboneError as exc:
                if not self._recover(runner, exc):
                    return
            time.sleep(self._breath)

    def _wait_for_work(self) -> bool:
        with self._work:
            while not (self._inbox or self._live or self._closing):
                self._work.wait()
            return bool(self._inbox or self._live) and not self._abandoned

    def _admit(self, runner: Runner) -> None:
        with self._work:
            arrived, self._inbox = self._inbox, []
        for request in arrived:
            self._live[request.sequence] = request
            if request.cancelled.is_set():
                self._fail(request, RequestCancelled("cancelled before it started"))
                continue
            try:
                request.input_tokens = runner.add(request.sequence, request.prompt, request.params)
            except (InvalidInput, BackboneError) as exc:
                self._fail(request, exc)

    def _drop_cancelled(self, runner: Runner) -> None:
        for request in [r for r in self._live.values() if r.cancelled.is_set()]:
            runner.drop(request.sequence)
            self._fail(request, RequestCancelled("cancelled by the client"))

    def _step(self, runner: Runner) -> None:
        if not self._live:
            return
        for progress in runner.step():
            self._report(progress, runner)

    def _report(self, progress: Progress, runner: Runner) -> None:
        request = self._live.get(progress.sequence)
        if request is None:
            return
        if progress.error is not None:
            self._fail(request, progress.error)
            return
        request.output_tokens += len(progress.tokens)
        may_stop = request.output_tokens > request.params.min_tokens
        text = request.text.push(progress.tokens, may_stop=may_stop)
        reason: FinishReason | None = progress.finish_reason
        if reason is not None and not request.text.stopped:
            text += request.text.finish(may_stop=may_stop)
        if request.text.stopped:
            if reason is None:
                runner.drop(request.sequence)
            reason = "stop"
        if reason is not None:
            del self._live[request.sequence]
        request.deltas.add(text, len(progress.tokens), _total(progress, request.params))
        delta = request.deltas.take(request.input_tokens, reason)
        if delta is not None:
            request.on_event(delta)

    def _fail(self, request: _Request, error: BudgetMemError) -> None:
        self._live.pop(request.sequence, None)
        request.on_event(Failure(error))

    def _recover(self, runner: Runner, cause: BackboneError) -> bool:
        log.error("%s: the batch of %d is lost: %s", self._name, len(self._live), cause)
        lost = BackboneUnavailable(f"{self._name}: the batch was lost, try again: {cause}")
        for request in list(self._live.values()):
            self._fail(request, lost)
        try:
            runner.reset()
        except BackboneError as exc:
            log.critical("%s: cannot start again: %s", self._name, exc)
            self._refuse(BackboneUnavailable(f"{self._name}: broken: {exc}"))
            return False
        return True

    def _refuse(self, error: BackboneUnavailable) -> None:
        with self._work:
            self._refusal = self._refusal or error
            waiting, self._inbox = self._inbox, []
        for request in [*self._live.values(), *waiting]:
            self._fail(request, error)


def _total(progress: Progress, params: SamplingParams) -> float:
    if params.logprobs is None or len(progress.logprobs) != len(progress.tokens):
        return math.nan
    return math.fsum(progress.logprobs)
