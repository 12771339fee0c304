"""Backbones behind OpenAI-compatible endpoints: vLLM, llama.cpp, Ollama, hosted ones.

One HTTP client an endpoint; one streamed reply a generation, whose connection is closed when the
generation is cancelled. The objects belong to the event loop they were made in.
"""

from budgetmem.endpoints.backbone import EndpointBackbone
from budgetmem.endpoints.connecting import connected

__all__ = ["EndpointBackbone", "connected"]
