"""Loaded by Triton's Python backend."""

from server.triton_models.tagger import TaggerModel as TritonPythonModel  # noqa: F401
