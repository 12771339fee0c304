"""Loaded by Triton's Python backend."""

from server.triton_models.backbone import BackboneModel as TritonPythonModel  # noqa: F401
