"""The tier scheduler: all work for backbones, encoder and tagger waits here for its credit.

`interface` says what a scheduler is; the C++ core is `budgetmem._core`, and `reference` is the
same in plain Python. `tier_scheduler` is the asyncio face, `models` puts a profile's models behind
it. The rules are in docs/scheduling.md.
"""
