"""Faults, made on purpose, and what is left when they are over."""
