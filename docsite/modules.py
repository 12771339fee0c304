"""The Python reference: which modules are public, and on which page they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

PAGES: Mapping[str, tuple[str, ...]] = {
    "client": ("budgetmem.client",),
    "types": ("budgetmem.types", "budgetmem.tiers", "budgetmem.stages"),
    "errors": ("budgetmem.errors",),
    "integrations": (
        "budgetmem.integrations.langchain",
        "budgetmem.integrations.langgraph",
        "budgetmem.integrations.llama_index",
    ),
    "pipeline": ("budgetmem.pipeline", "budgetmem.history", "budgetmem.router"),
    "models": ("budgetmem.backbone", "budgetmem.modules.base"),
    "profiles": ("budgetmem.config", "budgetmem.backbone_config"),
    "store": ("budgetmem.store.base", "budgetmem.store.opening"),
    "importers": ("budgetmem.importers", "budgetmem.importers.base"),
    "datasets": ("training.datasets", "training.datasets.base"),
}
"""Modules by page: what a caller uses first, then what one extends."""

DATA = {"budgetmem.client", "budgetmem.types", "budgetmem.store.base", "budgetmem.pipeline"}
"""Modules whose members all have a docstring, or are fields, which the signature has."""


def pages() -> Iterator[tuple[str, str]]:
    """Names and texts of the pages; the docstrings are put in when the site is built."""
    for name, modules in PAGES.items():
        blocks = [f"::: {module}{_options(module)}" for module in modules]
        yield f"{name}.md", "\n\n".join([f"# Python: {name}", *blocks]) + "\n"


def _options(module: str) -> str:
    return "\n    options:\n      show_if_no_docstring: false" if module in DATA else ""
