"""Models on a Triton server: a profile's backbones, encoder and tagger, over gRPC.

One channel a server, shared by everything; one stream a generation, so that an error or a
cancellation concerns one request alone. The objects belong to the event loop they were made in.
"""

from budgetmem.triton.backbone import TritonBackbone
from budgetmem.triton.channel import Channel, ServerInfo
from budgetmem.triton.encoder import TritonEncoder
from budgetmem.triton.models import Models, connect, wait_ready
from budgetmem.triton.tagger import TritonTagger

__all__ = [
    "Channel",
    "Models",
    "ServerInfo",
    "TritonBackbone",
    "TritonEncoder",
    "TritonTagger",
    "connect",
    "wait_ready",
]
