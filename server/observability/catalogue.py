"""Every metric of a server, as data: what is collected, documented and drawn is checked against it.

`python -m server.observability.catalogue` prints the table of docs/observability.md.

No label holds what callers choose (tenants, histories, questions, request ids): every value of a
label is a time series for good, and metrics are kept where people look who may not see tenants.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.observability.family import Family

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
USD = (*(float(f"{digit}e{power}") for power in range(-8, 0) for digit in (1, 3)), 1.0)

CALL = ("method",)
PART = ("part",)
QUEUE = ("stage", "model")
MODEL = ("model",)

REQUESTS = Family(
    "budgetmem_requests_total",
    "counter",
    "Calls that ended, by their gRPC status; failed and cancelled ones too.",
    ("method", "code"),
)
REQUEST_DURATION = Family(
    "budgetmem_request_duration_seconds",
    "histogram",
    "From the arrival of a call to its end, however it ended; streams whole.",
    CALL,
)
REQUESTS_IN_FLIGHT = Family(
    "budgetmem_requests_in_flight", "gauge", "Calls that have not ended, waiting ones too.", CALL
)

STEPS = Family(
    "budgetmem_steps_total",
    "counter",
    "Modules that ran, by the tier chosen and the rung that ran in the end.",
    ("strategy", "module", "tier", "rung"),
)
FALLBACKS = Family(
    "budgetmem_fallbacks_total",
    "counter",
    "Rungs that were given up for a lower one, and why.",
    ("module", "rung", "reason"),
)
MASKED_TIERS = Family(
    "budgetmem_masked_tiers_total",
    "counter",
    "Tiers forbidden to a module: by a ceiling, the deadline, its model's context, or an outage.",
    ("module", "tier", "reason"),
)
TOKENS = Family(
    "budgetmem_tokens_total",
    "counter",
    "Tokens that receipts account for; those of ingests too.",
    ("part", "direction"),
)
COST = Family(
    "budgetmem_cost_usd_total",
    "counter",
    "USD that receipts account for; of failed requests, that of the modules that were done.",
    PART,
)
REQUEST_COST = Family(
    "budgetmem_request_cost_usd", "histogram", "USD of one finished request.", ("strategy",)
)
PART_DURATION = Family(
    "budgetmem_part_duration_seconds",
    "histogram",
    "How long retrieval, a module or the answer took, waiting included.",
    PART,
)
CALLS = Family(
    "budgetmem_calls_total", "counter", "Calls of models that receipts account for.", PART
)
FAILED_CALLS = Family(
    "budgetmem_failed_calls_total",
    "counter",
    "Calls of models that were of no use: cut off, broken, or a reply that does not parse.",
    PART,
)
CACHE_HITS = Family(
    "budgetmem_cache_hits_total",
    "counter",
    "Texts whose embedding or annotation was remembered.",
    PART,
)
CHUNKS = Family(
    "budgetmem_chunks_total", "counter", "Chunks that were retrieved, and kept.", ("state",)
)
INGESTED_TURNS = Family(
    "budgetmem_ingested_turns_total",
    "counter",
    "Turns that were ingested, by whether they were new.",
    ("outcome",),
)

MODEL_TOKENS = Family(
    "budgetmem_model_tokens_total",
    "counter",
    "Tokens of finished replies, as the model counts them.",
    ("model", "direction"),
)
TIME_TO_FIRST_TOKEN = Family(
    "budgetmem_time_to_first_token_seconds",
    "histogram",
    "From the sending of a prompt to its first token.",
    MODEL,
)

QUEUE_DEPTH = Family("budgetmem_queue_depth", "gauge", "Items that wait.", QUEUE)
QUEUE_IN_FLIGHT = Family("budgetmem_queue_in_flight", "gauge", "Items that are at work.", QUEUE)
QUEUE_DELAY = Family(
    "budgetmem_queue_delay_seconds", "histogram", "From admission to dispatch.", QUEUE
)
QUEUE_SERVICE = Family(
    "budgetmem_queue_service_seconds", "histogram", "From dispatch to the end.", QUEUE
)
QUEUE_ITEMS = Family(
    "budgetmem_queue_items_total",
    "counter",
    "Items that ended: finished or failed; cancelled, expired or closed while they waited.",
    ("stage", "model", "outcome"),
)
QUEUE_REFUSALS = Family(
    "budgetmem_queue_refusals_total",
    "counter",
    "Items that were not let in: queue full, deadline infeasible, scheduler closed.",
    ("stage", "model", "reason"),
)
CREDITS = Family("budgetmem_credits", "gauge", "Dispatches that may be in flight at once.", MODEL)
CREDITS_IN_USE = Family(
    "budgetmem_credits_in_use", "gauge", "Dispatches that are in flight.", MODEL
)
BATCH_ITEMS = Family(
    "budgetmem_batch_items", "histogram", "Texts of a batch to the encoder or tagger.", MODEL
)
PREFIX_GROUP_CALLS = Family(
    "budgetmem_prefix_group_calls",
    "histogram",
    "Calls of a prefix group, which ends when none of them waits or is at work.",
    MODEL,
)
PREFIX_LEADERS = Family(
    "budgetmem_prefix_leaders_total",
    "counter",
    "Calls that led a prefix group.",
    MODEL,
)
PREFIX_SIBLINGS = Family(
    "budgetmem_prefix_siblings_total",
    "counter",
    "Calls whose prefix had been read by a leader.",
    MODEL,
)
PREFIX_PROMOTIONS = Family(
    "budgetmem_prefix_promotions_total",
    "counter",
    "Leaders that failed before they were read, and left their group to a sibling.",
    MODEL,
)
PREFIX_TIMEOUTS = Family(
    "budgetmem_prefix_timeouts_total",
    "counter",
    "Groups that went on because their leader was slow.",
    MODEL,
)

BUILD_INFO = Family(
    "budgetmem_build_info", "gauge", "1; what runs.", ("version", "profile", "python")
)
READY = Family("budgetmem_ready", "gauge", "1 while health says SERVING, else 0.")
ROUTER_INFO = Family(
    "budgetmem_router_info", "gauge", "1; the router of each strategy.", ("strategy", "version")
)
TRITON_RESTARTS = Family(
    "budgetmem_triton_restarts_total", "counter", "How often the embedded Triton was started anew."
)
BREAKER_STATE = Family(
    "budgetmem_breaker_state",
    "gauge",
    "Circuit breaker of a model: 0 closed, 1 half open, 2 open.",
    ("backbone",),
)

CATALOGUE: Mapping[str, tuple[Family, ...]] = {
    "Calls": (REQUESTS, REQUEST_DURATION, REQUESTS_IN_FLIGHT),
    "Receipts": (
        *(STEPS, FALLBACKS, MASKED_TIERS, TOKENS, COST, REQUEST_COST, PART_DURATION),
        *(CALLS, FAILED_CALLS, CACHE_HITS, CHUNKS, INGESTED_TURNS),
    ),
    "Backbones": (MODEL_TOKENS, TIME_TO_FIRST_TOKEN),
    "Tier scheduler": (
        *(QUEUE_DEPTH, QUEUE_IN_FLIGHT, QUEUE_DELAY, QUEUE_SERVICE, QUEUE_ITEMS, QUEUE_REFUSALS),
        *(CREDITS, CREDITS_IN_USE, BATCH_ITEMS),
        *(PREFIX_GROUP_CALLS, PREFIX_LEADERS, PREFIX_SIBLINGS, PREFIX_PROMOTIONS, PREFIX_TIMEOUTS),
    ),
    "Server": (BUILD_INFO, READY, ROUTER_INFO, TRITON_RESTARTS, BREAKER_STATE),
}
"""By where the numbers come from."""


def table() -> str:
    """The catalogue in Markdown."""
    lines = ["| metric | kind | labels | |", "| --- | --- | --- | --- |"]
    for section, families in CATALOGUE.items():
        lines.append(f"| **{section}** | | | |")
        for each in families:
            labels = ", ".join(f"`{label}`" for label in each.labels)
            lines.append(f"| `{each.name}` | {each.kind} | {labels} | {each.about} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
