"""Levels of Triton's log lines."""

import logging

import pytest

from server.triton_log import graded


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ('I1122 21:56:48.656 11 a.cc:8] "loaded"', logging.INFO, 'a.cc:8] "loaded"'),
        ("W1122 21:56:48.656421 11 a.cc:8] odd", logging.WARNING, "a.cc:8] odd"),
        ("E1122 21:56:48.656421 11 a.cc:8] bad", logging.ERROR, "a.cc:8] bad"),
        ("F1122 21:56:48.656421 11 a.cc:8] end", logging.CRITICAL, "a.cc:8] end"),
        ("Information of a model", logging.INFO, "Information of a model"),
        ("| fake_vllm | 1 | READY |", logging.DEBUG, "| fake_vllm | 1 | READY |"),
    ],
)
def test_levels_follow_tritons_prefix(line, level, message):
    assert graded(line) == (level, message)


def test_a_machine_without_gpu_is_no_error():
    line = 'E1122 21:56:48.658219 13295 server.cc:241] "CudaDriverHelper has not been initialized."'
    assert graded(line)[0] == logging.DEBUG
