"""Loaded by Triton's Python backend."""

# First: in an embedded Triton it has the paths by which the rest is found.
import triton_python_backend_utils  # noqa: F401

from server.triton_models.tagger import TaggerModel as TritonPythonModel  # noqa: F401
