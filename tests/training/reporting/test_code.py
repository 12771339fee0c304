"""The hash of the code that answers and scores: of all of its sources, and of nothing else."""

import pytest

from training.reporting.code import PACKAGES, code_hash, sources


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    for name in ("a.py", "prompts/judge.txt", "profiles/small.toml", "http/openapi.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("name", ["a.py", "prompts/judge.txt", "profiles/small.toml", "new.py"])
def test_it_changes_with_every_source(package, name):
    before = code_hash([package])
    (package / name).write_text("changed")
    assert code_hash([package]) != before


def test_a_source_that_moves_changes_it(package):
    before = code_hash([package])
    (package / "a.py").rename(package / "b.py")
    assert code_hash([package]) != before


@pytest.mark.parametrize("name", ["__pycache__/a.pyc", "data.jsonl.gz", "routers/x/router.json"])
def test_what_is_no_source_leaves_it(package, name):
    before = code_hash([package])
    (package / name).parent.mkdir(parents=True, exist_ok=True)
    (package / name).write_text("anything")
    assert code_hash([package]) == before


def test_what_answers_and_what_scores_is_in_it():
    found = {
        f"{package.name}/{file.relative_to(package).as_posix()}"
        for package in PACKAGES
        for file in sources(package)
    }
    assert {
        "budgetmem/pipeline.py",
        "budgetmem/prompts/answer/direct.txt",
        "budgetmem/profiles/small.toml",
        "budgetmem/schemas.py",
        "server/assembly.py",
        "training/arms.py",
        "training/datasets/metrics.py",
        "training/prompts/judge.txt",
    } <= found
