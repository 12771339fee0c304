"""One target in a process of its own, which may die. Its argument is a Job as JSON.

The engine `seeded` makes its inputs from a seed. `atheris` is libFuzzer: it looks for inputs that
reach code which none reached before.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import os
import pkgutil
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.fuzz.mutation import Inputs
from benchmarks.chaos.fuzz.recorder import Recorder
from benchmarks.chaos.fuzz.rules import Target

COVERED = ("benchmarks", "budgetmem", "json_repair", "server", "tests")
"""Packages whose branches libFuzzer watches."""

ADDRESS_SPACE = 16 << 30
"""Bytes: whoever asks for more gets a MemoryError, and the machine lives on."""

WORD_BYTES = 64
"""Longer ones are not for libFuzzer's dictionary."""


@dataclass(frozen=True)
class Job:
    """`inputs` of a target from number `first` on. `target` is one of TARGETS, or `module:name`.

    Findings go to `folder`; `scratch` outlives the process. `core` is a build of budgetmem._core
    with sanitizers, to be fuzzed in place of the package's; "" for none. The engine `replay` runs
    the one input that is in the file `folder`.
    """

    target: str
    engine: str
    seed: int
    first: int
    inputs: int
    folder: str
    scratch: str
    core: str = ""


def main() -> None:
    """Runs the inputs, and reports (`benchmarks.chaos.fuzz.recorder.Report`)."""
    job = Job(**json.loads(sys.argv[1]))
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if job.core:
        _load(job.core)
    else:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    ENGINES[job.engine](job)


def _seeded(job: Job) -> None:
    target = _target(job.target)
    recorder = _recorder(job, target)
    inputs = Inputs(job.seed, target.examples, _words(target), target.most)
    for number in range(job.first, job.first + job.inputs):
        recorder.run(inputs[number])
    recorder.report()


def _atheris(job: Job) -> None:
    import atheris  # noqa: PLC0415 - an optional dependency

    with atheris.instrument_imports(include=list(COVERED)):
        target = _target(job.target)
    recorder = _recorder(job, target)

    def run(data: bytes) -> None:
        recorder.run(data)
        if recorder.done >= job.inputs:
            # libFuzzer itself ends the process some inputs later.
            recorder.report()
            os._exit(0)

    atheris.Setup([sys.argv[0], *_options(job, target)], run)
    atheris.Fuzz()


def _replay(job: Job) -> None:
    _target(job.target).opened(Path(job.scratch))(Path(job.folder).read_bytes())


ENGINES = {"seeded": _seeded, "atheris": _atheris, "replay": _replay}


def _options(job: Job, target: Target) -> list[str]:
    """Of libFuzzer. A process that follows one that died goes on with its corpus."""
    scratch = Path(job.scratch)
    corpus, words = scratch / "corpus", scratch / "words"
    corpus.mkdir(exist_ok=True)
    for number, example in enumerate(target.examples):
        (corpus / f"example{number}").write_bytes(example)
    entries = ["".join(f"\\x{byte:02x}" for byte in word[:WORD_BYTES]) for word in _words(target)]
    words.write_text("".join(f'"{entry}"\n' for entry in entries if entry), encoding="ascii")
    return [
        f"-seed={job.seed + job.first + 1}",  # 0 would be the time
        f"-max_len={target.most}",
        *([f"-dict={words}"] if target.words else []),
        f"-artifact_prefix={scratch}/",
        "-len_control=0",
        "-rss_limit_mb=0",
        "-verbosity=0",
        str(corpus),
    ]


def _target(name: str) -> Target:
    if ":" not in name:
        # Imports the code that is fuzzed: atheris has to be there before.
        from benchmarks.chaos.fuzz.targets import TARGETS  # noqa: PLC0415

        return TARGETS[name]
    found = pkgutil.resolve_name(name)
    assert isinstance(found, Target)
    return found


def _recorder(job: Job, target: Target) -> Recorder:
    scratch = Path(job.scratch)
    return Recorder(job.target, target.opened(scratch), Path(job.folder), scratch)


def _words(target: Target) -> list[bytes]:
    return [word.encode() for word in target.words]


def _load(core: str) -> None:
    """Imports this file as budgetmem._core."""
    spec = importlib.util.spec_from_file_location("budgetmem._core", core)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["budgetmem._core"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    main()
