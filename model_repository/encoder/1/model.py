"""Loaded by Triton's Python backend."""

from server.triton_models.encoder import EncoderModel as TritonPythonModel  # noqa: F401
