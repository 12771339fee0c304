"""The kustomize base: sound by Kubernetes' own schemas, and tight."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.store_flood import MOST_MORE_BYTES
from tests.deploy.manifests import (
    DEPLOY,
    KUSTOMIZATION,
    RESOURCES,
    containers,
    documents,
    pods,
    ports,
    resource,
)

PODS = pods()
CONTAINERS = [
    pytest.param(pod, each, id=f"{name}-{each['name']}")
    for name, pod in PODS.items()
    for each in containers(pod)
]
each_pod = pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
each_container = pytest.mark.parametrize(("pod", "container"), CONTAINERS)


@pytest.mark.parametrize("version", ["1.32", "1.37"])
def test_every_resource_is_what_kubernetes_takes(version):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for each in RESOURCES:
        kubernetes_validate.validate(each, version, strict=True)


def test_the_schemas_refuse_what_is_wrong():
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    wrong = resource("Service", "triton") | {"spec": {"port": 8001}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


def test_every_file_is_part_of_the_whole():
    named = {DEPLOY / path for path in KUSTOMIZATION["resources"]}
    generated = {
        DEPLOY / path.rpartition("=")[2]
        for each in KUSTOMIZATION["configMapGenerator"]
        for path in each["files"]
    }
    assert all(path.is_file() for path in named | generated)
    values = DEPLOY / "kubernetes" / "adapter-values.yaml"
    assert set((DEPLOY / "kubernetes").glob("*.yaml")) <= named | generated | {values}


def test_names_are_given_once():
    names = [(each["kind"], each["metadata"]["name"]) for each in RESOURCES]
    assert len(names) == len(set(names))


@each_container
def test_no_container_may_do_more_than_it_must(pod, container):
    own, whole = container["securityContext"], pod["spec"]["securityContext"]
    assert own["readOnlyRootFilesystem"] is True
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert whole["runAsNonRoot"] is True
    assert whole["runAsUser"] > 0
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}


@each_container
def test_every_container_says_what_it_needs(pod, container):
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]


def test_a_flood_that_is_withstood_kills_no_server():
    """Beside what it asks for at rest there is room for all that the chaos tests let pass."""
    [server] = PODS["budgetmem"]["spec"]["containers"]
    rest, most = (
        int(server["resources"][name]["memory"].removesuffix("Gi")) * 1024**3
        for name in ("requests", "limits")
    )
    assert rest + MOST_MORE_BYTES <= most


@each_container
def test_mounts_are_of_volumes_that_there_are(pod, container):
    owner = next(each for each in RESOURCES if each.get("spec", {}).get("template") is pod)
    claims = {each["metadata"]["name"] for each in owner["spec"].get("volumeClaimTemplates", ())}
    volumes = {each["name"] for each in pod["spec"].get("volumes", ())} | claims
    assert {each["name"] for each in container.get("volumeMounts", ())} <= volumes


@each_pod
def test_volumes_are_of_maps_and_claims_that_there_are(pod):
    maps = {each["name"] for each in KUSTOMIZATION["configMapGenerator"]}
    claims = {r["metadata"]["name"] for r in RESOURCES if r["kind"] == "PersistentVolumeClaim"}
    for volume in pod["spec"].get("volumes", ()):
        assert volume.get("configMap", {}).get("name") in {None, *maps}
        assert volume.get("persistentVolumeClaim", {}).get("claimName") in {None, *claims}


@each_pod
def test_only_what_asks_kubernetes_has_a_token_for_it(pod):
    spec = pod["spec"]
    assert spec.get("serviceAccountName") == "prometheus" or (
        spec["automountServiceAccountToken"] is False
    )


@each_pod
def test_no_service_sets_variables_of_a_pod(pod):
    """One of the name budgetmem-http would set BUDGETMEM_HTTP_PORT, which is a flag of serve."""
    assert pod["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget"])
def test_selectors_find_a_pod(kind):
    for each in [r for r in RESOURCES if r["kind"] == kind]:
        selector = each["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        found = [
            pod for pod in PODS.values() if wanted.items() <= pod["metadata"]["labels"].items()
        ]
        assert len(found) == 1
        named = ports(found[0]["spec"]["containers"][0])
        for port in each["spec"].get("ports", ()):
            assert named[port["targetPort"]] == port["port"]


def test_probes_ask_ports_that_there_are():
    for pod in PODS.values():
        for container in pod["spec"]["containers"]:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                asked = container.get(probe, {})
                kinds = [asked[kind] for kind in ("httpGet", "tcpSocket", "grpc") if kind in asked]
                assert all(kind["port"] in ports(container) for kind in kinds)


def test_policies_open_ports_of_the_pods_that_they_protect():
    policies = [each for each in RESOURCES if each["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress"]} in [each["spec"] for each in policies]
    for policy in policies:
        for rule in policy["spec"].get("ingress", ()):
            name = policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
            named = ports(PODS[name]["spec"]["containers"][0])
            assert {each["port"] for each in rule["ports"]} <= named.keys()


def test_the_component_for_a_mesh_changes_what_is_there():
    [patch] = documents("kubernetes/mesh/service.yaml")
    base = resource(patch["kind"], patch["metadata"]["name"])
    [container] = patch["spec"]["template"]["spec"]["containers"]
    [there] = base["spec"]["template"]["spec"]["containers"]
    assert container["name"] == there["name"]
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe] == {"httpGet": None, "grpc": {"port": ports(there)["grpc"]}}
    for mount in container["volumeMounts"]:
        assert mount["mountPath"] in {each["mountPath"] for each in there["volumeMounts"]}


def test_no_secret_is_written_down():
    assert not [each for each in RESOURCES if each["kind"] == "Secret"]
    assert not list(Path(DEPLOY).rglob("*.pem"))
