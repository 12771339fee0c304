"""Sampling parameters, as the vLLM backend of Triton names them (input `sampling_parameters`)."""

from __future__ import annotations

import json
from typing import Annotated, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from budgetmem.errors import InvalidInput

FIELD = "sampling_parameters"


class SamplingParams(BaseModel):
    """How to generate. Names, meaning and defaults are vLLM's; unknown names are refused.

    `temperature` 0 is greedy decoding. `top_k` 0 or -1 keeps all tokens. `structured_outputs` is
    an object with a JSON schema under `json`, or the same object as a JSON string. `logprobs` asks
    for log-probabilities of the chosen tokens, which cost time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: Annotated[int, Field(ge=1)] = 16
    min_tokens: Annotated[int, Field(ge=0)] = 0
    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=-1)] = 0
    repetition_penalty: Annotated[float, Field(gt=0, le=100)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    ignore_eos: bool = False
    logprobs: Annotated[int, Field(ge=0, le=1)] | None = None
    structured_outputs: dict[str, Any] | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        if value is None:
            return ()
        return (value,) if isinstance(value, str) else value

    @field_validator("structured_outputs", mode="before")
    @classmethod
    def _object_or_text(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("structured_outputs")
    @classmethod
    def _holds_a_schema(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is None:
            return None
        if set(value) != {"json"}:
            raise ValueError(f"only the key 'json' is supported, got {sorted(value)}")
        schema = json.loads(value["json"]) if isinstance(value["json"], str) else value["json"]
        _check_schema(schema)
        return {"json": schema}

    @property
    def json_schema(self) -> str | None:
        """The schema as JSON text, keys in the order given (it is the order of the reply)."""
        if self.structured_outputs is None:
            return None
        return json.dumps(self.structured_outputs["json"])

    @classmethod
    def parse(cls, text: str) -> SamplingParams:
        """Reads the JSON of `sampling_parameters`; empty text means the defaults.

        Raises InvalidInput naming the first wrong field, all of them in its message.
        """
        if not text.strip():
            return cls()
        try:
            return cls.model_validate_json(text)
        except ValidationError as exc:
            faults = [
                (".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, "))
                for error in exc.errors()
            ]
            (name, reason), *more = faults
            message = "; ".join([reason, *(f"{other}: {why}" for other, why in more)])
            raise InvalidInput(".".join(filter(None, [FIELD, name])), message) from exc


def _check_schema(schema: object) -> None:
    if not isinstance(schema, dict):
        raise ValueError("`json` must be a JSON schema object")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as exc:
        raise ValueError(f"not a JSON schema: {exc.message} at {exc.json_path}") from exc
    missing = [ref for ref in _references(schema) if not _resolves(schema, ref)]
    if missing:
        raise ValueError(f"unresolved $ref {missing[0]!r}")


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for child in node.values() for ref in _references(child)]
    if isinstance(node, list):
        return [ref for child in node for ref in _references(child)]
    return []


def _resolves(schema: dict[str, Any], ref: str) -> bool:
    if ref == "#":
        return True
    if not ref.startswith("#/"):
        return False
    node: object = schema
    for part in ref[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True
