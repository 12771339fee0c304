"""The parts of the embedded Triton that need no Triton (tests/services has the rest)."""

import pytest

from budgetmem.errors import ConfigError
from server.triton_process import EmbeddedTriton, free_ports, models_in


def test_models_are_the_folders_with_a_config(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / name).mkdir()
    for name in ("b", "a"):
        (tmp_path / name / "config.pbtxt").touch()
    assert models_in(tmp_path) == ("a", "b")


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not a Triton model repository"):
        EmbeddedTriton(tmp_path)


def test_free_ports_differ():
    assert len(set(free_ports(20))) == 20
