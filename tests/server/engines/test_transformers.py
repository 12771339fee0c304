"""The real engine on a tiny random model, made here; its contract, not its prose."""

import pytest

from budgetmem.errors import BackboneError, InvalidInput
from server.engines import open_engine
from server.engines.base import RequestCancelled
from server.engines.sampling import SamplingParams
from tests.server.engines.toys import Listener

torch = pytest.importorskip("torch", reason="needs the `train` or `gpu` extra")
transformers = pytest.importorskip("transformers", reason="needs the `train` or `gpu` extra")
tokenizers = pytest.importorskip("tokenizers")

CONTEXT = 64


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    words = ["<unk>", "<eos>", *"abcdefghijklmnopqrstuvwxyz "]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = tokenizers.decoders.Fuse()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>"
    ).save_pretrained(folder)
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        eos_token_id=1,
        initializer_range=0.5,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    engine = open_engine("transformers", folder, {"max_num_seqs": "3"}, "tiny")
    yield engine
    engine.close(5)


def ask(engine, prompt, **params):
    listener = Listener()
    chosen = SamplingParams.model_validate({"temperature": 0, "ignore_eos": True, **params})
    return engine.submit(prompt, chosen, listener), listener


def outcome(heard):
    heard.wait()
    return heard.text, sum(d.output_tokens for d in heard.deltas), heard.deltas[-1].finish_reason


def test_a_padded_batch_says_what_each_says_alone(engine):
    prompts = {"a": 4, "some longer words": 9, "in between": 6}
    alone = [outcome(ask(engine, p, max_tokens=n, logprobs=0)[1]) for p, n in prompts.items()]
    together = [ask(engine, p, max_tokens=n, logprobs=0)[1] for p, n in prompts.items()]
    assert [outcome(heard) for heard in together] == alone
    assert [tokens for _, tokens, _ in alone] == list(prompts.values())


def test_logprobs_are_of_the_model(engine):
    _, heard = ask(engine, "abc", max_tokens=5, logprobs=0)
    assert all(-10 < d.logprob < 0 for d in heard.wait().deltas)


def test_the_end_token_ends(engine):
    """Sampled at a high temperature, 28 tokens are about equally likely, one of them the end."""
    _, heard = ask(
        engine, "abc", temperature=50, seed=1, max_tokens=CONTEXT, ignore_eos=False, min_tokens=2
    )
    _, tokens, reason = outcome(heard)
    assert reason == "stop" or tokens == CONTEXT - 3
    assert tokens > 2


def test_a_seed_repeats_the_sample(engine):
    texts = {
        ask(engine, "abc", temperature=5, seed=9, max_tokens=12)[1].wait().text for _ in range(2)
    }
    assert len(texts) == 1


def test_more_requests_than_rows_all_end(engine):
    heard = [ask(engine, "abc"[: 1 + i % 3], max_tokens=3 + i)[1] for i in range(7)]
    assert [outcome(h)[1] for h in heard] == [3 + i for i in range(7)]


def test_cancelling_spares_the_rest_of_the_batch(engine):
    handle, cancelled = ask(engine, "abc", max_tokens=60)
    _, other = ask(engine, "de", max_tokens=20)
    handle.cancel()
    assert isinstance(cancelled.wait().error, RequestCancelled)
    assert outcome(other)[1] == 20


def test_long_prompts_are_refused_and_long_outputs_cut(engine):
    _, refused = ask(engine, "a" * CONTEXT)
    assert isinstance(refused.wait().error, InvalidInput)
    assert f"context {CONTEXT}" in str(refused.error)
    _, cut = ask(engine, "a" * 60, max_tokens=50)
    assert outcome(cut)[1:] == (4, "length")


def test_what_does_not_load_says_so(tmp_path):
    with pytest.raises(BackboneError, match="cannot load"):
        open_engine("transformers", tmp_path, {}, "test")
