"""The real engine on the real 135M model."""

import json
import math
import threading
import time

import pytest

from budgetmem.errors import BackboneError, BackboneUnavailable, ConfigError, InvalidInput
from server.engines import open_engine
from server.engines.base import RequestCancelled
from server.engines.sampling import SamplingParams
from tests.server.engines.toys import Listener

genai = pytest.importorskip("openvino_genai", reason="needs the `embedded` extra")

BLOCKS = 40
CAPACITY = BLOCKS * 32
TEMPLATE = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def engine(opened):
    return opened("openvino", {"num_kv_blocks": str(BLOCKS), "max_num_batched_tokens": "64"})


def ask(engine, prompt, **params):
    listener = Listener()
    text = json.dumps({"temperature": 0, **params})
    handle = engine.submit(TEMPLATE.format(prompt), SamplingParams.parse(text), listener)
    return handle, listener


def says_hello(engine):
    """Whether it does. What comes after the word hangs on the processor, and on what of the prompt
    comes from the cache: of two tokens that are nearly as good, either may come out ahead."""
    _, heard = ask(engine, "Say hello.", max_tokens=12)
    return heard.wait().text.startswith("Hello")


@pytest.fixture
def fails_once(monkeypatch):
    """Lets the next call of a method of the library fail."""

    def arrange(kind, method):
        def fail(*_):
            monkeypatch.undo()
            raise RuntimeError("no memory")

        monkeypatch.setattr(kind, method, fail)

    return arrange


def test_greedy_output_streams_and_repeats(engine):
    assert says_hello(engine)  # from now on the cache has the prompt
    first, second = (
        ask(engine, "Say hello.", max_tokens=3, ignore_eos=True, logprobs=0)[1].wait()
        for _ in range(2)
    )
    assert first.text == second.text
    assert [d.output_tokens for d in first.deltas] == [1, 1, 1]
    assert first.deltas[0].input_tokens == 12
    assert all(-20 < d.logprob < 0 for d in first.deltas)


def test_logprobs_only_on_request(engine):
    _, heard = ask(engine, "Say hello.", max_tokens=2)
    assert all(math.isnan(d.logprob) for d in heard.wait().deltas)
    assert heard.deltas[-1].finish_reason == "length"


def test_emoji_come_whole(engine):
    _, heard = ask(engine, "Say hello 🎉.", max_tokens=12)
    assert len(heard.wait().text) < 12
    assert "�" not in heard.text
    assert any(ord(c) > 0xFFFF for c in heard.text)


def test_a_seed_repeats_the_sample(engine):
    texts = [
        ask(engine, "a", temperature=0.8, seed=7, max_tokens=10)[1].wait().text for _ in range(2)
    ]
    assert texts[0] == texts[1]


def test_a_reply_follows_its_schema(engine):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}, "n": {"type": "integer"}},
        "required": ["name", "n"],
        "additionalProperties": False,
    }
    _, heard = ask(engine, "JSON for Bob, 3", max_tokens=80, structured_outputs={"json": schema})
    assert set(json.loads(heard.wait().text)) == {"name", "n"}
    assert heard.deltas[-1].finish_reason == "stop"


def test_requests_run_side_by_side(engine):
    heard = [ask(engine, f"Number {i}", max_tokens=16, ignore_eos=True)[1] for i in range(8)]
    firsts = [h.first.wait(30) for h in heard]
    unfinished = sum(not h.ended.is_set() for h in heard)
    assert all(firsts)
    assert unfinished >= 4
    assert [sum(d.output_tokens for d in h.wait().deltas) for h in heard] == [16] * 8


def test_cancelling_frees_the_cache(engine):
    """Each request may fill the cache by itself, so that leftovers would end the later ones."""
    for _ in range(3):
        handle, heard = ask(engine, "Tell a story.", max_tokens=CAPACITY, ignore_eos=True)
        heard.first.wait(30)
        handle.cancel()
        assert isinstance(heard.wait().error, RequestCancelled)
    assert says_hello(engine)


def test_a_prompt_beyond_the_cache_is_refused_by_its_limits_and_alone(engine):
    _, long = ask(engine, "word " * CAPACITY)
    _, short = ask(engine, "Say hello.", max_tokens=12)
    assert isinstance(long.wait().error, InvalidInput)
    assert f"KV cache {CAPACITY} tokens" in str(long.error)
    assert short.wait().text.startswith("Hello")


def test_output_ends_where_the_cache_ends(engine):
    _, heard = ask(engine, "word " * (CAPACITY - 40), max_tokens=500, ignore_eos=True)
    last = heard.wait().deltas[-1]
    assert last.finish_reason == "length"
    total = last.input_tokens + sum(d.output_tokens for d in heard.deltas)
    assert total == CAPACITY


def test_a_schema_the_engine_cannot_follow_costs_one_batch_once(engine):
    """Lookbehind is valid JSON schema, but the grammar compiler has no such thing."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "(?<=x)y"}},
        "required": ["a"],
    }
    _, first = ask(engine, "x", max_tokens=20, structured_outputs={"json": schema})
    assert isinstance(first.wait().error, BackboneUnavailable)
    _, again = ask(engine, "x", max_tokens=20, structured_outputs={"json": schema})
    assert isinstance(again.wait().error, InvalidInput)
    assert says_hello(engine)


def test_want_of_memory_says_nothing_about_schemas(engine, fails_once):
    schema = {"type": "object", "properties": {"b": {"type": "boolean"}}, "required": ["b"]}
    fails_once(genai.ContinuousBatchingPipeline, "step")
    _, first = ask(engine, "x", max_tokens=20, structured_outputs={"json": schema})
    assert isinstance(first.wait().error, BackboneUnavailable)
    _, again = ask(engine, "x", max_tokens=20, structured_outputs={"json": schema})
    assert again.wait().error is None


def test_a_prompt_that_the_tokenizer_fails_at_fails_alone(engine, fails_once):
    fails_once(genai.Tokenizer, "encode")
    _, bad = ask(engine, "x")
    assert isinstance(bad.wait().error, BackboneError)
    assert says_hello(engine)


def test_an_idle_engine_uses_no_processor(engine):
    ask(engine, "Say hello.", max_tokens=2)[1].wait()
    time.sleep(0.3)
    used = time.process_time()
    threading.Event().wait(0.3)
    assert time.process_time() - used < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache_size": "much"}, "cache_size"),
        ({"cach_size": "1"}, "known: .*cache_size"),
        ({"device": "cuda:0"}, "device"),
    ],
)
def test_bad_options_are_named(smallest_weights, options, message):
    with pytest.raises(ConfigError, match=message):
        open_engine("openvino", smallest_weights, options, "test")


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"model\.gguf"):
        open_engine("openvino", tmp_path, {}, "test")


def test_unknown_engines_are_named(tmp_path):
    with pytest.raises(ConfigError, match="openvino, transformers"):
        open_engine("magic", tmp_path, {}, "test")
