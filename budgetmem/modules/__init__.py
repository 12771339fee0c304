"""The five modules of the pipeline, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from budgetmem.modules.base import LocalRung, Module, Tools
from budgetmem.modules.entity import Entity
from budgetmem.modules.filter import Filter
from budgetmem.modules.summary import Summary
from budgetmem.modules.temporal import Temporal
from budgetmem.modules.topic import Topic

_ALL: tuple[Module, ...] = (Filter(), Entity(), Temporal(), Topic(), Summary())

MODULES: Mapping[str, Module] = MappingProxyType({module.name: module for module in _ALL})

__all__ = ["MODULES", "LocalRung", "Module", "Tools"]
