"""The files of deploy/, read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import yaml

from server.__main__ import serve

DEPLOY = Path(__file__).parents[2] / "deploy"
KUSTOMIZATION = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
POD_OWNERS = ("Deployment", "StatefulSet")

Document = dict[str, Any]


def documents(path: str) -> list[Document]:
    """The YAML documents of a file of deploy/."""
    return list(yaml.safe_load_all((DEPLOY / path).read_text(encoding="utf-8")))


RESOURCES = [each for path in KUSTOMIZATION["resources"] for each in documents(path)]


def resource(kind: str, name: str) -> Document:
    """The one resource of this kind and name."""
    [found] = [r for r in RESOURCES if (r["kind"], r["metadata"]["name"]) == (kind, name)]
    return found


def pods() -> dict[str, Document]:
    """The pod templates, by the names of their owners."""
    owners = [each for each in RESOURCES if each["kind"] in POD_OWNERS]
    return {each["metadata"]["name"]: each["spec"]["template"] for each in owners}


def containers(pod: Document) -> list[Document]:
    """All of a pod's containers, those that come first too."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def environment(container: Document) -> dict[str, str]:
    """A container's variables that are written down."""
    return {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}


def mounted_at(pod: Document, container: Document, path: str) -> str:
    """The claim whose volume a container has at this path."""
    [name] = [each["name"] for each in container["volumeMounts"] if each["mountPath"] == path]
    [volume] = [each for each in pod["spec"]["volumes"] if each["name"] == name]
    return str(volume["persistentVolumeClaim"]["claimName"])


def ports(container: Document) -> dict[str, int]:
    """A container's ports by name."""
    return {each["name"]: each["containerPort"] for each in container.get("ports", ())}


def serve_options() -> set[str]:
    """Every option that `budgetmem serve` has."""
    app = typer.Typer()
    app.command()(serve)
    command = typer.main.get_command(app)
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


def given(arguments: list[str]) -> dict[str, str]:
    """What a `serve` is given, by option."""
    return {name: value for name, _, value in (each.partition("=") for each in arguments[1:])}


def serve_commands() -> Iterator[tuple[str, list[str]]]:
    """Where a server is started, and its arguments."""
    [mesh] = documents("kubernetes/mesh/service.yaml")
    yield "compose", SERVICES["service"]["command"]
    yield "kubernetes", pods()["budgetmem"]["spec"]["containers"][0]["args"]
    yield "mesh", mesh["spec"]["template"]["spec"]["containers"][0]["args"]
