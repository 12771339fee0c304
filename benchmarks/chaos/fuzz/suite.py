"""All targets that can be run here, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeRemainingColumn

from benchmarks.chaos.fuzz import libfuzzer, processes
from benchmarks.chaos.fuzz.targets import NATIVE, TARGETS
from benchmarks.chaos.fuzz.verdict import ROOT, Tell, Verdict
from benchmarks.chaos.fuzz.worker import Job

FINDINGS = Path("build/findings")
SANITIZED = ROOT / "build" / "bindings" / "csrc" / "bindings"
COLUMNS = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


@dataclass(frozen=True)
class Runner:
    """How the inputs of a target are run, and how one of them again."""

    run: Callable[[Job, Tell], Verdict]
    replay: Callable[[Job, Path], int]


_PLAIN = Runner(processes.run, processes.replay)
_CSRC = Runner(libfuzzer.run, libfuzzer.replay)


def engine_here() -> str:
    """`atheris` where it is installed, else `seeded`."""
    return "atheris" if find_spec("atheris") else "seeded"


def runners() -> Mapping[str, Runner]:
    """Those in Python, and those that `make fuzz` has built: in C++, and the ones that call
    budgetmem._core with it under sanitizers."""
    return {
        **dict.fromkeys(TARGETS, _PLAIN),
        **{f"{name}.sanitized": _sanitized(core) for core in _cores() for name in NATIVE},
        **dict.fromkeys(libfuzzer.built(), _CSRC),
    }


def not_built() -> list[str]:
    """Targets that cannot be run before `make fuzz` has built them, as far as it has not."""
    sanitized = [] if _cores() else [f"{name}.sanitized" for name in NATIVE]
    return [*sanitized, *sorted(libfuzzer.named() - set(libfuzzer.built()))]


def chosen(patterns: Sequence[str]) -> Mapping[str, Runner]:
    """The targets that are meant; names may have wildcards."""
    return {
        name: runner
        for name, runner in runners().items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def fuzz(patterns: Sequence[str], job: Job, console: Console) -> list[Verdict]:
    """A job for each of the targets, one after the other; says how far it is."""
    verdicts = []
    with Progress(*COLUMNS, console=console, transient=True) as progress:
        for name, runner in chosen(patterns).items():
            task = progress.add_task(name, total=job.inputs)
            verdict = runner.run(replace(job, target=name), partial(_advance, progress, task))
            progress.remove_task(task)
            console.print(str(verdict), markup=False, highlight=False, soft_wrap=True)
            verdicts.append(verdict)
    return verdicts


def _advance(progress: Progress, task: TaskID, done: int) -> None:
    progress.update(task, completed=done)


def _cores() -> list[str]:
    return [str(path) for path in SANITIZED.glob("_core.*.so")]


def _sanitized(core: str) -> Runner:
    """Coverage of C++ is not seen by atheris, so the seeded engine does."""

    def job_of(job: Job) -> Job:
        target = job.target.removesuffix(".sanitized")
        return replace(job, target=target, engine="seeded", core=core)

    return Runner(
        run=lambda job, tell: replace(processes.run(job_of(job), tell), target=job.target),
        replay=lambda job, file: processes.replay(job_of(job), file),
    )
