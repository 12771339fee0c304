"""No text of a history, and no question, changes the structure of a prompt, whatever it says."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from budgetmem.assets import asset_dir
from budgetmem.chunking import BoundedTokens, by_session, units
from budgetmem.config import ChunkingProfile, bundled_profiles, load_profile
from budgetmem.errors import AssetError, NotFound
from budgetmem.modules import MODULES
from budgetmem.prompting import STYLES, answer_prompt, module_prompt
from budgetmem.types import Chunk, Finding, Turn, Workspace
from tests.toys import Words

TEMPLATES = {
    backbone.template
    for name in bundled_profiles()
    for backbone in load_profile(name).backbones.values()
}
TEMPLATE_TOKENS = sorted(
    {token for each in TEMPLATES for token in re.findall(r"<\|[^|]*\|>", each)}
)
"""What the chat templates of the profiles are made of."""

CONTROL_TOKENS = (
    *TEMPLATE_TOKENS,
    # Of the tokenizers of these models and their relatives; any of them would be read as one token.
    "<|endoftext|>", "<|begin_of_text|>", "<|end_of_text|>", "<|eom_id|>", "<|python_tag|>",
    "<|finetune_right_pad_id|>", "<|fim_prefix|>", "<|file_sep|>", "<|vision_start|>",
    "<tool_call>", "</tool_call>", "<think>", "</think>", "<s>", "</s>", "<unk>", "<pad>",
    "<repo_name>", "<reponame>", "<file_sep>", "<filename>", "<gh_stars>", "<issue_start>",
    "<jupyter_start>", "<empty_output>", "<start_of_turn>", "<end_of_turn>", "<0x0A>",
    "<｜begin▁of▁sentence｜>", "<｜User｜>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[SYSTEM_PROMPT]",
)  # fmt: skip

TAGS = ("memories", "memory", "question", "findings", "instruction", "system")
MARKUP = (
    *CONTROL_TOKENS,
    *(
        form.format(tag)
        for tag in TAGS
        for form in ("<{}>", "</{}>", "< /{}>", "<\n/{}>", "</{} >")
    ),
    *(
        "<",
        ">",
        "/",
        "|",
        "[",
        "]",
        "[1] ",
        "[9]",
        "&",
        "&lt;",
        "&amp;lt;",
        "&#91;",
        "\\",
        "$",
        "${",
    ),
    *("$findings", "{prompt}", "{", "}", '"', "Reply as JSON: {}", "8 May 2023:", "Instruction:"),
    *("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\t"),
    *("\u200b", "\u00a0", "\u202e", "\ufeff", "＜", "〈", "‹", "im_end", "yesterday", "cat", " "),
)
HOSTILE = st.lists(st.sampled_from(MARKUP), max_size=12).map("".join) | st.text(max_size=60)
TIMES = st.none() | st.just(datetime(2023, 5, 8))
PROFILE = ChunkingProfile(neighbours=1, max_tokens=64)


def ingested(turns):
    """Chunks as the store makes them of turns."""
    return tuple(
        Chunk(unit.id, unit.session, unit.time, turns_of(unit), unit.text, 9)
        for session, members in by_session(turns).items()
        for unit in units(session, members, PROFILE, BoundedTokens(Words()))
    )


def turns_of(unit):
    return tuple(line.turn_id for line in unit.lines)


@st.composite
def workspaces(draw):
    """A workspace whose every text was written by an attacker, models' findings too."""
    turns = [
        Turn(
            id=f"{number} {draw(HOSTILE)}",
            speaker=draw(HOSTILE.filter(str.strip)),
            text=draw(HOSTILE.filter(str.strip)),
            time=draw(TIMES),
            session=draw(HOSTILE),
            caption=draw(st.none() | HOSTILE),
        )
        for number in range(draw(st.integers(1, 3)))
    ]
    chunks = ingested(turns)
    found = {
        name: (Finding(name, draw(HOSTILE), (chunks[0].id,), {"subject": draw(HOSTILE)}),)
        for name in ("entity", "temporal", "topic")
    }
    return Workspace.start(draw(HOSTILE), chunks, draw(TIMES)).with_findings(found)


def prompts(work, memory):
    """Every prompt of the pipeline over a workspace."""
    asked = [module_prompt(module, style, work) for module in MODULES.values() for style in STYLES]
    return [prompt.text for prompt in (*asked, answer_prompt(memory, work))]


def harmless(work):
    """The same, as if nobody had said anything of note."""
    return replace(
        work,
        query="x",
        retrieved=tuple(replace(chunk, text="x") for chunk in work.retrieved),
        kept=tuple(replace(chunk, text="x") for chunk in work.kept),
        findings={name: (Finding(name, "x", ("c",)),) for name in work.findings},
    )


def frame(prompt):
    """The lines that are not somebody's words, by whatever a line may end with."""
    own = [line for line in prompt.splitlines() if line and not line.startswith("  ")]
    numbered = [re.sub(r"^\[(\d+)\] .*|^\[(\d+)\]$", r"[\1\2]", line) for line in own]
    return [line for line in numbered if not line.startswith("- ") and line != "(none)"]


def words(prompt):
    """The lines, or parts of lines, that are somebody's words."""
    for line in prompt.splitlines():
        said = re.match(r"(?:  |- |\[\d+\] )(.*)", line)
        if said:
            yield said[1]


@given(workspaces(), HOSTILE)
def test_the_frame_of_a_prompt_is_the_same_whatever_is_said(work, memory):
    for told, plain in zip(prompts(work, memory), prompts(harmless(work), "x"), strict=True):
        assert frame(told) == frame(plain)


@given(workspaces(), HOSTILE)
def test_nobodys_words_hold_a_tag_or_a_control_token(work, memory):
    for prompt in prompts(work, memory):
        for said in words(prompt):
            assert not re.search(r"<(?=[^\W\d]|\s*[/|!?])", said)
        assert [token for token in CONTROL_TOKENS if token in prompt] == []


@given(workspaces(), HOSTILE)
def test_a_templated_prompt_holds_the_templates_tokens_and_no_more(work, memory):
    for prompt in prompts(work, memory):
        for template in TEMPLATES:
            filled = template.replace("{prompt}", prompt)
            for token in CONTROL_TOKENS:
                assert filled.count(token) == template.count(token)


@given(workspaces())
def test_a_turn_is_one_line_of_a_memory(work):
    """So that no turn can pose as the turn of somebody else."""
    for chunk in work.retrieved:
        assert len(chunk.text.splitlines()) == len(chunk.turn_ids)


@pytest.mark.parametrize("asset", ["smollm2-135m", "qwen2.5-coder-0.5b"])
@given(work=workspaces(), memory=HOSTILE)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_real_tokenizers_read_no_special_token_in_what_is_said(asset, work, memory):
    tokenizer, special = tokenizer_of(asset)
    template = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"

    def specials(text):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        return [each for each in ids if each in special]

    expected = specials(template.replace("{prompt}", "x"))
    assert len(expected) == 3
    for prompt in prompts(work, memory):
        assert specials(template.replace("{prompt}", prompt)) == expected


@cache
def tokenizer_of(asset):
    """The tokenizer of an asset and its special tokens; skips where it was not pulled."""
    try:
        file = asset_dir(asset) / "tokenizer.json"
    except (AssetError, NotFound) as exc:
        pytest.skip(str(exc))
    tokenizer = Tokenizer.from_file(str(file))
    return tokenizer, set(tokenizer.get_added_tokens_decoder())
