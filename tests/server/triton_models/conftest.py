"""A fake `triton_python_backend_utils`: the few names that our adapter uses of it."""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import pytest


class TritonError:
    """Codes are objects, as in Triton."""

    INVALID_ARG = "INVALID_ARG"
    CANCELLED = "CANCELLED"
    UNAVAILABLE = "UNAVAILABLE"
    NOT_FOUND = "NOT_FOUND"
    UNSUPPORTED = "UNSUPPORTED"
    INTERNAL = "INTERNAL"

    def __init__(self, message, code):
        self.message, self.code = message, code


class Tensor:
    def __init__(self, name, array):
        self.name, self.array = name, array

    def as_numpy(self):
        return self.array


class TritonModelException(Exception):
    pass


class FakeRequest:
    def __init__(self, tensors, parameters="", sender=None):
        self.tensors, self._parameters, self._sender = tensors, parameters, sender

    def get_response_sender(self):
        return self._sender

    def parameters(self):
        return self._parameters


@pytest.fixture
def pb(monkeypatch):
    fake = ModuleType("triton_python_backend_utils")
    fake.TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
    fake.TritonModelException = TritonModelException
    fake.Tensor = Tensor
    fake.TritonError = TritonError
    fake.InferenceResponse = lambda output_tensors, error=None: SimpleNamespace(
        outputs={t.name: t.array for t in output_tensors}, error=error
    )
    fake.get_input_tensor_by_name = lambda request, name: (
        Tensor(name, request.tensors[name]) if name in request.tensors else None
    )
    logged = []
    fake.Logger = SimpleNamespace(
        log_info=lambda text: logged.append(("info", text)),
        log_warn=lambda text: logged.append(("warn", text)),
        log_error=lambda text: logged.append(("error", text)),
    )
    fake.logged = logged
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", fake)
    for name in ("pb", "backbone", "encoder", "tagger"):
        monkeypatch.delitem(sys.modules, f"server.triton_models.{name}", raising=False)
    module = importlib.import_module("server.triton_models.pb")
    yield module
    for name in ("pb", "backbone", "encoder", "tagger"):
        sys.modules.pop(f"server.triton_models.{name}", None)
