"""Datasets of questions about histories, behind one protocol."""
