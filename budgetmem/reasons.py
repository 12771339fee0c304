"""Why receipts say that a tier was masked, or a rung given up; metrics count by them."""

from __future__ import annotations

COST = "max_cost_usd"
TIME = "max_latency_ms"
DEADLINE = "deadline"
"""TIME is the request's own ceiling, DEADLINE its caller's patience."""

CONTEXT = "context"
"""The prompt is too long for the backbone. How much too long follows, after a colon."""

REPLY = "reply"
"""The reply is not of the form that was asked for. What is wrong with it follows, after a colon."""

UNAVAILABLE = "unavailable"
"""The model is away."""

REASONS = (COST, TIME, DEADLINE, CONTEXT, REPLY, UNAVAILABLE)
