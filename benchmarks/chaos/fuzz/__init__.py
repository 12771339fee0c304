"""Inputs by the million that nobody meant to send, and what must not come of them."""
