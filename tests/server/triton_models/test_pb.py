import logging

import numpy as np
import pytest

from budgetmem.errors import BackboneError, BackboneUnavailable, ConfigError, InvalidInput
from server.engines.base import RequestCancelled
from tests.server.triton_models.conftest import FakeRequest, TritonModelException


class Sender:
    def __init__(self, broken=False):
        self.sent, self.broken = [], broken

    def send(self, response, flags):
        if self.broken:
            raise TritonModelException("gone")
        self.sent.append((response, flags))

    def is_cancelled(self):
        return True


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("field", "bad"), "INVALID_ARG"),
        (RequestCancelled("x"), "CANCELLED"),
        (BackboneUnavailable("x"), "UNAVAILABLE"),
        (BackboneError("x"), "INTERNAL"),
        (ConfigError("x"), "UNSUPPORTED"),
    ],
)
def test_each_error_has_its_code(pb, error, code):
    translated = pb.error_of(error)
    assert (translated.code, translated.message) == (code, str(error))


def test_absent_tensors_are_absent(pb):
    request = FakeRequest({"a": np.array([1])})
    assert list(pb.tensors_of(request, ["a", "b"])) == ["a"]


def test_the_final_response_carries_the_flag(pb):
    sender = Sender()
    channel = pb.SenderChannel(FakeRequest({}, sender=sender))
    channel.send({"x": np.array([1])}, final=False)
    channel.send({"x": np.array([2])}, final=True)
    assert [flags for _, flags in sender.sent] == [0, 1]
    assert channel.is_cancelled()


def test_an_error_is_final_and_has_no_outputs(pb):
    sender = Sender()
    pb.SenderChannel(FakeRequest({}, sender=sender)).fail(InvalidInput("f", "bad"))
    ((response, flags),) = sender.sent
    assert flags == 1
    assert response.error.code == "INVALID_ARG"
    assert response.outputs == {}


def test_a_client_that_cannot_be_answered_harms_nobody_else(pb, caplog):
    with caplog.at_level(logging.WARNING):
        pb.SenderChannel(FakeRequest({}, sender=Sender(broken=True))).send({}, final=True)
    assert "gone" in caplog.text


def test_logging_goes_to_triton(pb, monkeypatch):
    for name in ("server", "budgetmem"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    pb.log_to_triton()
    logging.getLogger("server.engines.x").error("broken")
    assert pb.pb_utils.logged == [("error", "broken")]
