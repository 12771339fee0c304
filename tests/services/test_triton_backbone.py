"""The client against a Triton that serves a fake under the vLLM backend's contract."""

import asyncio
import json
import time

import pytest

from budgetmem.backbone import GenerationRequest
from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.tokens import ByteCounter
from budgetmem.triton import TritonBackbone, wait_ready
from tests.services.conftest import FAKE_MODEL

pytestmark = [pytest.mark.services, pytest.mark.asyncio(loop_scope="session")]

SCHEMA = {"type": "object", "properties": {"keep": {"type": "array"}}}


def ask(prompt: str, **options) -> GenerationRequest:
    return GenerationRequest(prompt, max_tokens=options.pop("max_tokens", 50), **options)


async def test_deltas_become_one_completion(backbone):
    completion = await backbone.generate(ask("three little words"))
    assert completion.text == "three little words "
    assert (completion.input_tokens, completion.output_tokens) == (3, 3)
    assert completion.finish_reason == "stop"
    assert completion.cumulative_logprob == pytest.approx(-1.5)
    assert completion.mean_logprob == pytest.approx(-0.5)
    assert 0 < completion.first_token_ms <= completion.milliseconds


async def test_text_beyond_ascii_arrives_whole(backbone):
    completion = await backbone.generate(ask("año 東京 🎉"))
    assert completion.text == "año 東京 🎉 "


async def test_the_token_limit_is_sent_and_its_finish_reason_kept(backbone):
    completion = await backbone.generate(ask("one two three", max_tokens=2))
    assert (completion.text, completion.finish_reason) == ("one two ", "length")


async def test_what_is_sent_is_what_the_vllm_backend_reads(backbone):
    request = ask("#inputs", schema=SCHEMA, temperature=0.5, stop=("END",))
    sent = json.loads((await backbone.generate(request)).text)
    parameters = json.loads(sent.pop("sampling_parameters"))
    assert sent.pop("text_input") == "#inputs"
    assert sent == {
        "stream": True,
        "exclude_input_in_output": True,
        "return_finish_reason": True,
        "return_cumulative_logprob": True,
        "return_num_input_tokens": True,
        "return_num_output_tokens": True,
    }
    assert json.loads(parameters.pop("structured_outputs")) == {"json": SCHEMA}
    assert parameters == {"max_tokens": 50, "temperature": 0.5, "stop": ["END"], "logprobs": 0}


async def test_first_token_is_announced_once(backbone):
    announced = []
    await backbone.generate(ask("one two three"), lambda: announced.append(True))
    assert announced == [True]


async def test_first_token_is_announced_before_the_end(backbone):
    first = asyncio.Event()
    task = asyncio.create_task(backbone.generate(ask("#hang"), first.set))
    await asyncio.wait_for(first.wait(), 5)
    assert not task.done()
    await cancel(task)


async def test_a_logprob_of_nan_is_none(backbone):
    completion = await backbone.generate(ask("#no-logprob"))
    assert completion.cumulative_logprob is None


async def test_an_empty_final_response_only_ends_the_stream(backbone):
    completion = await backbone.generate(ask("#empty-final"))
    assert (completion.text, completion.output_tokens) == ("one", 1)


@pytest.mark.parametrize("prompt", ["#error-now", "#error-later"])
async def test_an_error_of_the_model_is_a_backbone_error(backbone, prompt):
    with pytest.raises(BackboneError, match="fake failure") as caught:
        await backbone.generate(ask(prompt))
    assert not isinstance(caught.value, BackboneUnavailable)


async def test_a_dead_engine_is_unavailable(backbone):
    with pytest.raises(BackboneUnavailable, match="unhealthy"):
        await backbone.generate(ask("#unavailable"))


async def test_an_error_concerns_its_own_request_only(backbone):
    prompts = [f"request {i}" for i in range(8)]
    results = await asyncio.gather(
        *(backbone.generate(ask(p)) for p in [*prompts, "#error-later"]), return_exceptions=True
    )
    assert [r.text.strip() for r in results[:-1]] == prompts
    assert isinstance(results[-1], BackboneError)


async def test_sixteen_requests_run_side_by_side(backbone):
    hanging = [asyncio.Event() for _ in range(16)]
    tasks = [asyncio.create_task(backbone.generate(ask("#hang"), e.set)) for e in hanging]
    await asyncio.wait_for(asyncio.gather(*(e.wait() for e in hanging)), 10)
    echoed = await asyncio.gather(*(backbone.generate(ask(f"number {i}")) for i in range(16)))
    assert [c.text for c in echoed] == [f"number {i} " for i in range(16)]
    assert not any(task.done() for task in tasks)
    for task in tasks:
        await cancel(task)


async def test_cancelling_the_task_cancels_the_request_in_triton(backbone):
    before = await cancelled_so_far(backbone)
    first = asyncio.Event()
    task = asyncio.create_task(backbone.generate(ask("#hang"), first.set))
    await asyncio.wait_for(first.wait(), 5)
    await cancel(task)
    deadline = time.monotonic() + 5
    while await cancelled_so_far(backbone) == before:
        assert time.monotonic() < deadline, "the request went on in Triton"
        await asyncio.sleep(0.05)


async def test_a_silent_but_living_model_is_waited_for(backbone):
    task = asyncio.create_task(backbone.generate(ask("#hang")))
    await asyncio.wait((task,), timeout=2.5)
    assert not task.done()
    await cancel(task)


async def test_an_unknown_model_is_named(channel):
    with pytest.raises(BackboneError, match="no_such_model"):
        await TritonBackbone(channel, "no_such_model", ByteCounter()).generate(ask("hello"))


async def test_wait_ready_names_what_is_not_ready(fake_triton):
    progress = []
    with pytest.raises(BackboneUnavailable, match="no_such_model") as caught:
        await wait_ready(
            fake_triton.url,
            [FAKE_MODEL, "no_such_model"],
            timeout_s=0.5,
            on_progress=lambda ready, _: progress.append(list(ready)),
        )
    assert FAKE_MODEL not in str(caught.value)
    assert progress == [[FAKE_MODEL]]


async def test_the_server_tells_its_version(channel):
    info = await channel.server_info()
    assert info.name == "triton"
    assert info.version.startswith("2.")


async def cancel(task: asyncio.Task) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_so_far(backbone: TritonBackbone) -> int:
    return int((await backbone.generate(ask("#cancelled"))).text)
