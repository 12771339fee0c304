"""Walks on live models: the options, and a scheduler that waits for leaders."""

import argparse
from pathlib import Path

from budgetmem.config import load_profile
from training.models import PATIENCE_S, add_live_options, live_options, patient_profile


def parsed(*options: str):
    parser = argparse.ArgumentParser()
    add_live_options(parser)
    return live_options(parser.parse_args(options))


def test_replies_and_histories_are_kept_side_by_side():
    usual = parsed()
    assert usual.triton_url is None
    assert usual.recording.parent == usual.data_dir.parent
    given = parsed("--recording", "r.sqlite", "--triton-url", "there:1", "--concurrency", "2")
    assert (given.recording, given.triton_url, given.concurrency) == (
        Path("r.sqlite"),
        "there:1",
        2,
    )


def test_nothing_but_the_patience_of_the_scheduler_differs():
    profile = load_profile("small")
    patient = patient_profile(profile)
    assert patient.scheduling.leader_timeout_s == PATIENCE_S > profile.scheduling.leader_timeout_s
    assert patient.model_copy(update={"scheduling": profile.scheduling}) == profile
