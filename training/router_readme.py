"""A router's card for people: Markdown, written from the fields of its `router.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from budgetmem.router_artifact import RouterCard


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
        _table("metric", card.metrics),
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
    return "\n\n".join(parts) + "\n"


def _table(heading: str, values: Mapping[str, JsonValue]) -> str:
    if not values:
        return "Nothing was recorded."
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in _flat(values)]
    return "\n".join([f"| {heading} | value |", "| --- | --- |", *rows])


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
