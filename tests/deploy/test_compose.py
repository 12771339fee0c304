"""The Compose file: sound by the specification's schema, and without a password that works."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import jsonschema
import pytest

from tests.deploy.manifests import COMPOSE, DEPLOY, SERVICES


def schema():
    pytest.importorskip("check_jsonschema")
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    return json.loads(vendored.read_text(encoding="utf-8"))


def test_it_is_what_the_specification_takes():
    jsonschema.validate(COMPOSE, schema())


def test_the_schema_refuses_what_is_wrong():
    wrong = COMPOSE | {"services": {"service": {"comand": ["serve"]}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name):
    service = SERVICES[name]
    assert service.get("depends_on", {}).keys() <= SERVICES.keys()
    assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        if source.startswith("./") and source != "./secrets":
            assert (DEPLOY / source).exists()
        elif not source.startswith("./"):
            assert source in COMPOSE["volumes"]
    if "build" in service:
        assert (DEPLOY.parent / service["build"]["dockerfile"]).is_file()


def test_who_waits_for_health_waits_for_something_that_tells_it():
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name]


def test_passwords_are_given_or_nothing_starts():
    """A variable without a default, or a file that is not in the repository."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    for name, value in re.findall(r"^\s+(\w*(?:PASSWORD|TOKEN)\w*): (.+)$", text, re.MULTILINE):
        assert re.match(r"\$\{\w+:\?", value) or value.startswith("/run/secrets/"), name
    ignored = (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"deploy/.env", "deploy/secrets/"} <= set(ignored)


def test_only_the_service_is_for_other_machines():
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert published.pop("service") == ["50051:50051"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
