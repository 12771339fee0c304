import asyncio
from collections import Counter
from dataclasses import dataclass

from benchmarks.throughput.layers import Layered, in_series, instructions_first
from budgetmem.backbone import (
    Caller,
    Completion,
    GenerationRequest,
    ModelSet,
    ScriptedBackbone,
)
from tests.benchmarks.throughput.toys import PROFILE

HEAD = "<|im_start|>user\n"


async def test_instructions_go_before_what_is_shared():
    backbone = ScriptedBackbone(lambda prompt: "", name="all")
    changed = Layered(ModelSet({"all": backbone}, None, None), instructions_first(PROFILE))
    text = PROFILE.backbones["all"].template.replace("{prompt}", "MEMORIES\nINSTRUCTION")
    request = GenerationRequest(text, 8, shared=len(f"{HEAD}MEMORIES\n"))
    await changed.backbones["all"].generate(request)
    (sent,) = backbone.requests
    assert sent.prompt == text.replace("MEMORIES\nINSTRUCTION", "INSTRUCTION\nMEMORIES")
    assert sent.prompt[: sent.shared] == f"{HEAD}INSTRUCTION\n"


async def test_in_series_holds_for_one_request_only():
    under_way, most = Counter(), Counter()

    @dataclass
    class Slow:
        name: str = "all"
        tokens: object = None

        async def generate(self, request, on_first_token=None):
            under_way[request.prompt] += 1
            most[request.prompt] = max(most[request.prompt], under_way[request.prompt])
            most["all"] = max(most["all"], under_way.total())
            for _ in range(3):
                await asyncio.sleep(0)
            under_way[request.prompt] -= 1
            return Completion("", 0, 0, "stop")

    changed = Layered(ModelSet({"all": Slow()}, None, None), in_series())
    calls = [
        changed.bound(Caller("ana", "extract", born))
        .backbones["all"]
        .generate(GenerationRequest(str(born), 1))
        for born in (1.0, 2.0)
        for _ in range(3)
    ]
    await asyncio.gather(*calls)
    assert most == {"1.0": 1, "2.0": 1, "all": 2}
