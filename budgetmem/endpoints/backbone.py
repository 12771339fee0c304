"""An LLM behind an endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass

import httpx
from httpx_sse import SSEError

from budgetmem.backbone import Completion, GenerationRequest, TokenCounter
from budgetmem.config import EndpointProfile
from budgetmem.endpoints.chunks import Usage, chunk_of
from budgetmem.endpoints.events import events_of
from budgetmem.endpoints.failures import Telling, reading
from budgetmem.endpoints.reply import FINISHED, Reply
from budgetmem.endpoints.request import body_of
from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.reply_bounds import ReplySize
from budgetmem.timeouts import within
from budgetmem.tracing import trace_headers

logger = logging.getLogger(__name__)

PATH = "/chat/completions"
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures before anything was sent, which nobody bills."""

LONGEST_ERROR = 64 * 1024
"""Bytes that are read of a reply that is none."""

ERROR_S = 10.0
"""How long is waited for them, in seconds: that it is none is known already."""


@dataclass(frozen=True)
class PromptTokens:
    """Counts a text with what the server's chat template may add to it."""

    text: TokenCounter
    template_tokens: int

    def count(self, text: str) -> int:
        return self.text.count(text) + self.template_tokens


class EndpointBackbone:
    """A `budgetmem.backbone.Backbone` over HTTP. `client` sends `key` along; `text_tokens` counts.

    The time limit is the caller's, by cancellation, which closes the connection: servers stop
    generating for a client that is gone.
    """

    def __init__(
        self,
        profile: EndpointProfile,
        client: httpx.AsyncClient,
        text_tokens: TokenCounter,
        key: str = "",
    ) -> None:
        self._profile = profile
        self._client = client
        self._key = key
        self._tokens = PromptTokens(text_tokens, profile.template_tokens)
        self._server = f"{profile.model} at {profile.base_url}"
        self._warned = False

    @property
    def name(self) -> str:
        return self._profile.model

    @property
    def tokens(self) -> TokenCounter:
        return self._tokens

    async def generate(
        self, request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Completion:
        """See `budgetmem.backbone.Backbone`. A reply whose tokens are not known is an error, and so
        is one that does not stop (`budgetmem.reply_bounds`)."""
        reply = Reply(ReplySize(self._server, request.max_tokens))
        telling = Telling(self._server, self._key, request.prompt)
        async with contextlib.aclosing(self._events(request, telling)) as events:
            async for data in events:
                chunk = chunk_of(data, self._server)
                if chunk.error is not None:
                    raise telling.failed_midway(chunk.error)
                if reply.add(chunk) and on_first_token is not None:
                    on_first_token()
        self._check_end(reply)
        usage = self._usage(request, reply)
        self._check_bound(request, usage)
        return reply.completion(usage)

    async def _events(
        self, request: GenerationRequest, telling: Telling
    ) -> AsyncGenerator[str, None]:
        """What each event of the reply says. The stream is read to its end, so that the connection
        can serve again."""
        with self._translated():
            async with self._client.stream(
                "POST",
                f"{self._profile.base_url}{PATH}",
                json=body_of(self._profile, request),
                headers={"Accept": "text/event-stream", **trace_headers()},
            ) as response:
                if response.status_code != httpx.codes.OK:
                    told = await _error_of(response)
                    raise telling.failed_status(response.status_code, response.headers, told)
                with reading(self._server):
                    async with contextlib.aclosing(events_of(response, self._server)) as events:
                        async for data in events:
                            yield data

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Raises BackboneUnavailable for a failure that may pass, BackboneError for the others."""
        try:
            yield
        except SSEError as exc:
            raise BackboneError(
                f"{self._server} did not stream its reply: check that the base_url is one of "
                "OpenAI's chat completions"
            ) from exc
        except httpx.TimeoutException as exc:
            raise BackboneUnavailable(
                f"{self._server} was silent for too long ({type(exc).__name__}): check that it "
                "runs, or raise the profile's silence_s",
                reached=not isinstance(exc, UNSENT),
            ) from exc
        except httpx.TransportError as exc:
            raise BackboneUnavailable(
                f"{self._server} cannot be reached or went away ({type(exc).__name__}: {exc}): "
                "check that it runs there",
                reached=not isinstance(exc, UNSENT),
            ) from exc
        except httpx.HTTPError as exc:
            raise BackboneError(
                f"{self._server} sent what cannot be read ({type(exc).__name__})"
            ) from exc

    def _check_end(self, reply: Reply) -> None:
        reason = reply.finish_reason
        if reason is None:
            raise BackboneUnavailable(f"{self._server} went away in the middle of a reply")
        if reason not in FINISHED:
            raise BackboneError(f"{self._server} ended a reply with the reason {reason[:40]!r}")

    def _usage(self, request: GenerationRequest, reply: Reply) -> Usage:
        if self._profile.usage == "counted":
            return Usage(
                prompt_tokens=request.prompt_tokens or self._tokens.count(request.prompt),
                completion_tokens=self._tokens.text.count(reply.text),
            )
        # No prompt takes none: who says so does not count.
        if reply.usage is None or reply.usage.prompt_tokens == 0:
            raise BackboneError(
                f"{self._server} did not say how many tokens it took, so its price is not known: "
                "set the profile's usage to 'asked', or to 'counted' with a tokenizer"
            )
        return reply.usage

    def _check_bound(self, request: GenerationRequest, usage: Usage) -> None:
        """Warns, once, if ceilings cannot be kept: prompts take more than they are counted for."""
        counted = request.prompt_tokens or self._tokens.count(request.prompt)
        if usage.prompt_tokens <= counted or self._warned:
            return
        self._warned = True
        logger.warning(
            "%s took %d tokens for a prompt that was counted as %d: ceilings rest on that count, "
            "so check the profile's tokenizer, and raise its template_tokens",
            self._server,
            usage.prompt_tokens,
            counted,
        )


async def _error_of(response: httpx.Response) -> str:
    """The beginning of a reply that is none; empty if it takes too long."""
    body = response.aiter_bytes(LONGEST_ERROR)
    try:
        return (await within(ERROR_S, anext(body, b""))).decode(errors="replace")
    except asyncio.TimeoutError:
        return ""
