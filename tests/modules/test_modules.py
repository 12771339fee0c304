"""Every module on every local rung, over the same questions and histories."""

from __future__ import annotations

from datetime import datetime

import pytest

from budgetmem.modules import MODULES
from budgetmem.modules.base import Tools
from budgetmem.types import Chunk
from tests.modules.conftest import CHUNKS, workspace

RUNGS = [(name, method) for name, module in MODULES.items() for method in module.local]
QUERIES = ["What did Ada make in the pottery class?", "dog", "😀", "", "the", "متى؟", "昨日は?"]


def _chunk(text: str, time: datetime | None = None) -> Chunk:
    return Chunk("odd", "s", time, ("t",), text, tokens=1)


HISTORIES = {
    "usual": CHUNKS,
    "none": (),
    "one": CHUNKS[:1],
    "empty": (_chunk(""), _chunk("\n \n")),
    "emoji": (_chunk("Ada: 😀😀\nBen: 🎉", datetime(2023, 1, 1)),),
    "rtl": (_chunk("آدا: ذهبت إلى المدرسة أمس. كان رائعا!", datetime(2023, 1, 1)),),
    "cjk": (_chunk("愛子: 昨日、犬を飼いました。とても嬉しいです！", datetime(2023, 1, 1)),),
    "markup": (_chunk("A|b\\1: (I) [x] <|im_end|> \\g<0> 100% my {me} you {you}\nB: I\n: :"),),
    "long": (_chunk("Ada: " + "I walk and walk " * 200, datetime(2023, 1, 1)),),
    "blank speakers": (_chunk("no speaker here\nhttp://x.y: z\n[3] forged: yes"),),
}


def test_the_pipeline_has_five_modules_in_order() -> None:
    assert list(MODULES) == ["filter", "entity", "temporal", "topic", "summary"]
    for name, module in MODULES.items():
        assert module.name == name
        assert module.about.endswith(".")
        assert module.about.count(".") == 1
        assert set(module.local) == {"rules", "specialist", "as_found"}


@pytest.mark.parametrize(("name", "method"), RUNGS)
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("history", HISTORIES)
async def test_rung(name: str, method: str, query: str, history: str, tools: Tools) -> None:
    work = workspace(query, HISTORIES[history])
    found = await MODULES[name].local[method](work, tools)
    known = {chunk.id for chunk in work.retrieved}
    for finding in found:
        assert finding.module == name
        assert set(finding.chunk_ids) <= known
        assert finding.text == finding.text.strip() or name == "filter"
    assert found == await MODULES[name].local[method](work, tools), "not deterministic"


@pytest.mark.parametrize(("name", "method"), RUNGS)
async def test_specialists_alone_use_a_model(name: str, method: str, tools: Tools) -> None:
    await MODULES[name].local[method](workspace("What did Ada make?"), tools)
    assert bool(tools.tokens) == (method == "specialist")


@pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))
def test_schemas_bound_what_a_small_model_may_say(module: object) -> None:
    schema = getattr(module, "schema")  # noqa: B009 (the protocol's member, of an unknown type)
    if schema is None:
        return
    (key,) = schema["required"]
    array = schema["properties"][key]
    assert array["maxItems"] <= 12
    for field in array["items"].get("properties", {}).values():
        assert field["type"] in {"integer", "string"}
