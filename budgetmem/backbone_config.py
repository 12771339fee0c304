"""The backbones of a profile: models on Triton, and endpoints that speak OpenAI's HTTP API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from budgetmem.hosts import is_loopback

PROFILE_FOLDER = "folder"
"""The validation context's key of the folder that relative paths of a profile start from."""

Positive = Annotated[int, Field(gt=0)]
Credits = Annotated[int, Field(gt=0, le=2**16)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class Table(BaseModel):
    """A table of a profile: frozen, and strict about what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(Table):
    """USD per million tokens, and where the figure comes from."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    source: str
    cached: Annotated[float, Field(ge=0)] | None = None
    """Of input tokens that the reply says were cached; None: as any others."""

    @model_validator(mode="after")
    def _bounds_hold(self) -> Price:
        if self.cached is not None and self.cached > self.input:
            raise ValueError("`cached` may not be more than `input`, which calls are bounded by")
        return self


class Speed(Table):
    """Tokens per second of one request by itself; latency ceilings are estimated with it."""

    prefill: Annotated[float, Field(gt=0)]
    decode: Annotated[float, Field(gt=0)]


class _Backbone(Table):
    """What every backbone has. `context` is in tokens."""

    context: Positive
    price: Price
    speed: Speed
    credits: Credits = 16
    """Requests in flight at most, over all instances; near the engine's max_num_seqs."""
    device: str | None = None
    """Backbones that name the same device take turns on it (docs/scheduling.md, rule 11)."""


class BackboneProfile(_Backbone):
    """One LLM on Triton.

    `asset` (local weights, by catalogue name) or `hub` (a hub id, for vLLM and TensorRT-LLM) says
    what it is. `template` is the chat format, with `{prompt}` in it.
    """

    kind: Literal["triton"] = "triton"
    triton_model: str
    engine: Literal["openvino", "transformers", "vllm", "tensorrtllm"]
    asset: str | None = None
    hub: str | None = None
    template: str
    engine_options: Mapping[str, str | int | float | bool] = Field(default_factory=dict)
    instances: Positive = 1
    """Triton instances (model replicas) of this backbone."""
    gpus: tuple[int, ...] = ()
    """GPU ids of its instance group; empty lets the engine decide."""

    @model_validator(mode="after")
    def _has_weights(self) -> BackboneProfile:
        of_hub = self.engine in {"vllm", "tensorrtllm"}
        if of_hub and self.hub is None:
            raise ValueError(f"engine {self.engine!r} needs a hub id in `hub`")
        if not of_hub and self.asset is None:
            raise ValueError(f"engine {self.engine!r} needs a catalogue name in `asset`")
        if "{prompt}" not in self.template:
            raise ValueError("`template` must contain {prompt}")
        return self

    @property
    def weights(self) -> str:
        """What answers: a name of the catalogue, or a hub id."""
        return self.asset or self.hub or ""

    @property
    def identity(self) -> str:
        """What its replies depend on, besides the engine."""
        return self.weights


FIELDS_OF_OUR_OWN = frozenset(
    {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n"}
    | {"temperature", "seed", "stop", "logprobs", "response_format"}
)
"""Fields of a request that `body` may not set: they have settings of their own, or are fixed."""


class EndpointProfile(_Backbone):
    """One LLM behind an endpoint that speaks OpenAI's chat completions (docs/backbones.md)."""

    kind: Literal["openai"]
    base_url: str
    """Up to and with the version, for example https://llm.example/v1."""
    model: str
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The environment variable that has the key; the key itself is never in a profile."""
    insecure: bool = False
    """Allows a key to travel to another machine without TLS."""
    tokenizer: str | None = None
    """A tokenizer.json, from the profile's folder, or a hub id; without one, bytes are counted."""
    template_tokens: Annotated[int, Field(ge=0)] = 100
    """Tokens that the server's chat template adds to a prompt at most."""
    replies: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    """What holds replies to their form: the schema, any JSON, or the prompt alone."""
    usage: Literal["asked", "unasked", "counted"] = "asked"
    """How tokens are known: by asking the server for them, by what it sends without being asked,
    or by counting with `tokenizer` what was sent and received."""
    logprobs: bool = True
    """Whether log-probabilities are asked for: a router feature, which is then missing."""
    temperature: bool = True
    """Whether a temperature (0) is sent: some models take no other than theirs."""
    seed: int | None = None
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The field that limits a reply's tokens."""
    body: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Further fields of every request, as the server calls them."""
    silence_s: Seconds = 120.0
    """A server that sends nothing for so long is taken for dead."""

    @field_validator("base_url")
    @classmethod
    def _is_a_plain_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            raise ValueError("must be http://HOST[:PORT]/v1 or https://HOST[:PORT]/v1")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("may have no user, query or fragment: a key belongs in `api_key_env`")
        return url.rstrip("/")

    @field_validator("tokenizer")
    @classmethod
    def _from_the_profiles_folder(cls, name: str | None, info: ValidationInfo) -> str | None:
        folder = (info.context or {}).get(PROFILE_FOLDER)
        if name is None or not name.endswith(".json") or not isinstance(folder, Path):
            return name
        return str(folder / name)

    @field_validator("body")
    @classmethod
    def _adds_only(cls, body: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        if taken := sorted(FIELDS_OF_OUR_OWN & set(body)):
            raise ValueError(f"may not set {', '.join(taken)}: see docs/backbones.md")
        return body

    @model_validator(mode="after")
    def _can_work(self) -> EndpointProfile:
        parts = urlsplit(self.base_url)
        in_clear = parts.scheme == "http" and not is_loopback(parts.hostname or "")
        if in_clear and self.api_key_env is not None and not self.insecure:
            raise ValueError("a key goes over https:// alone, or with insecure = true")
        if self.usage == "counted" and self.tokenizer is None:
            raise ValueError("usage 'counted' needs a `tokenizer` to count with")
        return self

    @property
    def template(self) -> str:
        """The prompt as it is: the server puts it into its own chat template."""
        return "{prompt}"

    @property
    def engine(self) -> str:
        """What runs it, as far as is known here."""
        return self.kind

    @property
    def weights(self) -> str:
        """What answers: the model's name at its server."""
        return self.model

    @property
    def identity(self) -> str:
        """What its replies depend on: the model, where it is, and how it is asked."""
        asked = {"temperature", "seed", "body", "replies"}
        how = json.dumps(self.model_dump(mode="json", include=asked), sort_keys=True)
        return f"{self.model} at {self.base_url} {how}"


def _kind(table: object) -> str:
    """Tables without a kind are models on Triton, as all were before there were others."""
    kind = table.get("kind", "triton") if isinstance(table, Mapping) else table.kind  # type: ignore[attr-defined]
    return str(kind)


AnyBackbone = Annotated[
    Annotated[BackboneProfile, Tag("triton")] | Annotated[EndpointProfile, Tag("openai")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="`kind` must be 'triton' or 'openai'",
    ),
]
