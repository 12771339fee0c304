"""A router's card for people: Markdown, written from the fields of its `router.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel, JsonValue, TypeAdapter

from budgetmem.router_artifact import RouterCard
from training.reporting.tables import Table

BY_COST_WEIGHT = "by_cost_weight"
"""Of the metrics, a list of what `training.evaluation.Walked.report` gives."""


class _Interval(BaseModel):
    mean: float
    low: float
    high: float


class _Result(BaseModel):
    """What is shown of a `Walked.report`."""

    cost_weight: float
    score: _Interval
    cost_usd: _Interval
    tiers: Mapping[str, Mapping[str, float]]


_RESULTS = TypeAdapter(tuple[_Result, ...])


def readme(card: RouterCard) -> str:
    """What the router is, what it was trained on, how good it is, and where it may not be used."""
    weights, dimension = card.cost_weight, card.encoder.dimension
    parts = [
        f"# Router `{card.version}`",
        "Chooses a tier (low, mid or high) for each of BudgetMem's modules "
        f"({', '.join(card.modules)}), strategy `{card.strategy}`. One policy covers every cost "
        f"weight (lambda) from {weights.min:g} to {weights.max:g}.",
        f"    budgetmem serve --profile {card.profile} --router FOLDER",
        "## Training",
        _table("what", card.training),
        "## Metrics",
        _table("metric", {k: v for k, v in card.metrics.items() if k != BY_COST_WEIGHT}),
        _results(_RESULTS.validate_python(card.metrics.get(BY_COST_WEIGHT, []))),
        "## Limits",
        f"- It reads vectors of the encoder `{card.encoder.name}` ({dimension} dimensions, SHA-256 "
        f"of its model `{card.encoder.sha256}`); any other encoder is refused.\n"
        f"- It learned from the models and prices of the profile `{card.profile}`; under others "
        "its choices may be poor.\n"
        "- Cost weights outside the range above are refused.\n"
        "- Measure it before use on questions or histories unlike those it was trained on.\n"
        "- A request's ceilings are kept by the server, whatever the router prefers.",
        "## Inputs",
        f"The vectors of the query and of the state ({dimension} each), the module, the cost "
        "weight, and these features (`budgetmem/features.py`):",
        "\n".join(f"- `{name}`" for name in card.features),
        "## File",
        f"`router.onnx`: opset {card.opset}, SHA-256 `{card.onnx_sha256}`.",
        "## Licence",
        card.licence,
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(heading: str, values: Mapping[str, JsonValue]) -> str:
    if not values:
        return "Nothing was recorded."
    rows = [(_cell(name), _cell(value)) for name, value in _flat(values)]
    return Table((heading, "value"), rows).markdown()


def _results(results: Sequence[_Result]) -> str:
    """The score and the cost at each lambda, and how often each module got which tier."""
    if not results:
        return ""
    modules = tuple(results[0].tiers)
    heads = ("lambda", "score (95%)", "1e-6 USD", *(f"{name} L/M/H, %" for name in modules))
    rows = [
        (
            f"{each.cost_weight:g}",
            f"{each.score.mean:.3f} ({each.score.low:.3f} to {each.score.high:.3f})",
            f"{1e6 * each.cost_usd.mean:.2f}",
            *("/".join(f"{100 * share:.0f}" for share in each.tiers[m].values()) for m in modules),
        )
        for each in results
    ]
    return Table(heads, rows).markdown()


def _flat(values: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names, with those of the tables around them, and values in words."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _spell(value)


def _spell(value: JsonValue) -> str:
    """Numbers with four digits, lists as JSON."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    """One line, without what would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")
