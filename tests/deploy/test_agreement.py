"""What the files of deploy/ say of one thing agrees, with each other, the code and the docs."""

from __future__ import annotations

import re
from itertools import chain

import pytest
import yaml

import budgetmem
from budgetmem.config import PIPELINE, load_profile
from budgetmem.stages import REQUEST
from server.render import bundled_repository
from tests.deploy.manifests import (
    DEPLOY,
    KUSTOMIZATION,
    SERVICES,
    containers,
    documents,
    environment,
    given,
    mounted_at,
    pods,
    ports,
    resource,
    serve_commands,
    serve_options,
)
from tests.deploy.queries import LABELS, series_of, unknown_labels

ROOT = DEPLOY.parent
DOCS = ROOT / "docs"
PODS = pods()
COMMANDS = dict(serve_commands())
each_command = pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
POD_LABELS = {"namespace", "pod"}
"""What the relabelling of kubernetes/prometheus-config.yaml adds to every series."""


def text(path):
    return path.read_text(encoding="utf-8")


@each_command
def test_servers_are_given_options_that_there_are(arguments):
    assert arguments[0] == "serve"
    assert given(arguments).keys() <= serve_options()


@each_command
def test_servers_find_triton_and_the_database_where_they_are(arguments):
    options = given(arguments)
    assert options["--triton-url"] == "triton:8001"
    assert options["--store"] == "postgresql://budgetmem@postgres/budgetmem"
    assert options["--profile"] == "gpu"


@each_command
def test_servers_ask_for_credentials(arguments):
    options = given(arguments)
    assert options["--keys-file"].endswith("/keys.json")
    assert ("--tls-cert" in options) != ("--insecure" in options)


def test_ports_are_those_that_are_listened_on():
    for arguments in COMMANDS.values():
        options = given(arguments)
        named = [int(options[name]) for name in ("--port", "--http-port", "--metrics-port")]
        assert named == [50051, 8080, 9464]
    assert ports(PODS["budgetmem"]["spec"]["containers"][0]) == {
        "grpc": 50051,
        "https": 8080,
        "metrics": 9464,
    }
    assert "EXPOSE 50051 8080 9464" in text(DEPLOY / "Dockerfile")


def test_triton_is_asked_where_it_listens():
    in_kubernetes = PODS["triton"]["spec"]["containers"][0]
    for arguments in (in_kubernetes["args"], SERVICES["triton"]["command"]):
        options = given(arguments)
        listens = [int(options[f"--{name}-port"]) for name in ("http", "grpc", "metrics")]
        assert listens == [8000, 8001, 8002]
    assert sorted(ports(in_kubernetes).values()) == [8000, 8001, 8002]
    image = text(DEPLOY / "triton.Dockerfile")
    assert "EXPOSE 8000 8001 8002" in image
    assert not re.search("^CMD", image, re.M), "a third place that says how it is begun"


def test_prometheus_scrapes_where_metrics_are():
    compose = {job["job_name"]: job for [config] in [documents("compose.prometheus.yaml")]
               for job in config["scrape_configs"]}  # fmt: skip
    assert compose["budgetmem"]["dns_sd_configs"][0]["port"] == 9464
    assert compose["budgetmem"]["dns_sd_configs"][0]["names"] == ["service"]
    assert compose["triton"]["static_configs"] == [{"targets": ["triton:8002"]}]
    [cluster] = documents("kubernetes/prometheus-config.yaml")
    for job in cluster["scrape_configs"]:
        keep, *labels = job["relabel_configs"]
        app, _, port = keep["regex"].partition(";")
        assert port in ports(PODS[app]["spec"]["containers"][0])
        assert {each["target_label"] for each in labels} == POD_LABELS


def test_alerts_are_of_the_jobs_that_are_scraped():
    jobs = set(re.findall(r'job="(\w+)"', text(DEPLOY / "alerts.yaml")))
    for path in ("prometheus.yaml", "compose.prometheus.yaml", "kubernetes/prometheus-config.yaml"):
        [config] = documents(path)
        assert jobs <= {job["job_name"] for job in config["scrape_configs"]}
        assert config["rule_files"] == ["alerts.yaml"]


def test_replicas_are_scaled_by_how_long_requests_wait():
    [values] = documents("kubernetes/adapter-values.yaml")
    [rule] = values["rules"]["custom"]
    [pods_metric, _cpu] = resource("HorizontalPodAutoscaler", "budgetmem")["spec"]["metrics"]
    assert rule["name"]["as"] == pods_metric["pods"]["metric"]["name"]
    query = rule["metricsQuery"].replace("<<.LabelMatchers>>", 'pod="a"')
    query = query.replace("<<.GroupBy>>", "pod")
    for expression in (query, rule["seriesQuery"]):
        assert series_of(expression) == {"budgetmem_queue_delay_seconds_bucket"} & LABELS.keys()
        assert set(unknown_labels(expression)) <= POD_LABELS
    assert f'stage="{REQUEST}",model="{PIPELINE}"' in query
    assert rule["name"]["matches"].strip("^$") in LABELS


def test_the_database_has_room_for_all_replicas():
    replicas = resource("HorizontalPodAutoscaler", "budgetmem")["spec"]["maxReplicas"]
    [argument] = [a for a in containers(PODS["postgres"])[0]["args"] if "max_connections" in a]
    each = re.search(r"(\d+) for calls and one that listens", text(DOCS / "scaling.md"))
    # A rollout adds a replica; a few are for people.
    assert int(argument.partition("=")[2]) >= (replicas + 1) * (int(each[1]) + 1) + 20


def test_a_pod_has_the_gpus_of_the_profile():
    profile = load_profile("gpu")
    placed = (entry.gpus for entry in (*profile.backbones.values(), profile.encoder))
    count = len(set(chain.from_iterable(placed)))
    [triton] = PODS["triton"]["spec"]["containers"]
    assert triton["resources"]["limits"]["nvidia.com/gpu"] == str(count)
    [device] = SERVICES["triton"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["count"] == count


def test_the_service_has_the_tokenizers_of_its_models():
    """Else it counts prompts in bytes, and a ceiling forbids tiers at a quarter of what it says."""
    compose = SERVICES["service"]
    hub = compose["environment"]["HF_HOME"]
    assert f"hub:{hub}:ro" in compose["volumes"]
    assert f"hub:{SERVICES['triton']['environment']['HF_HOME']}" in SERVICES["triton"]["volumes"]

    [service] = PODS["budgetmem"]["spec"]["containers"]
    [filling] = [c for c in containers(PODS["triton"]) if c["name"] == "tokenizers"]
    claims = [
        mounted_at(pod, container, environment(container)["HF_HOME"])
        for pod, container in ((PODS["budgetmem"], service), (PODS["triton"], filling))
    ]
    assert claims == ["tokenizers", "tokenizers"]
    assert resource("PersistentVolumeClaim", "tokenizers")["spec"]["accessModes"] == [
        "ReadWriteMany"
    ]
    models = {each.hub for each in load_profile("gpu").on_triton.values()}
    assert set(re.findall(r"[\w-]+/[\w.-]+-Instruct", filling["args"][0])) == models


def test_replicas_wait_for_triton_where_they_will_ask_it():
    [waiting] = PODS["budgetmem"]["spec"]["initContainers"]
    host, _, port = given(COMMANDS["kubernetes"])["--triton-url"].partition(":")
    assert f'("{host}", {port})' in waiting["args"][0]
    compile(waiting["args"][0], "service.yaml", "exec")


def test_tritons_release_is_the_one_of_the_documentation():
    stated = re.search(r"Triton's release (\d\d\.\d\d)", text(DOCS / "profiles.md"))[1]
    assert f"ARG TRITON={stated}\n" in text(DEPLOY / "triton.Dockerfile")
    assert SERVICES["triton"]["build"]["args"] == {"TRITON": stated}
    # Since then replies of its vLLM backend have counts of tokens and reasons why they end.
    assert stated >= "24.12"


def test_postgresql_is_the_one_that_was_tested():
    tested = re.search(r"PostgreSQL (\d+)[\d.]*, pgvector ([\d.]+\d),", text(DOCS / "scaling.md"))
    image = f"pgvector/pgvector:{tested[2]}-pg{tested[1]}"
    assert SERVICES["postgres"]["image"] == image
    assert containers(PODS["postgres"])[0]["image"] == image


def test_other_images_are_the_same_everywhere():
    prometheus = containers(PODS["prometheus"])[0]["image"]
    assert SERVICES["prometheus"]["image"] == prometheus


def test_images_have_the_version_of_the_package():
    stated = re.search(r'^version = "(.+)"$', text(ROOT / "pyproject.toml"), re.MULTILINE)[1]
    assert budgetmem.__version__ in {stated, "0+source"}
    assert {each["newTag"] for each in KUSTOMIZATION["images"]} == {stated}
    for name in ("service", "models", "triton"):
        assert SERVICES[name]["image"].endswith(f":{stated}")


def test_the_triton_image_has_every_backend_of_the_profile():
    dockerfile = text(DEPLOY / "triton.Dockerfile")
    assert load_profile("gpu").encoder.platform == "onnxruntime"
    assert "backends/onnxruntime" in dockerfile
    assert (bundled_repository() / "tagger" / "1" / "model.py").is_file()


def test_images_are_built_of_what_the_wheel_needs():
    pyproject = text(ROOT / "pyproject.toml")
    kept = text(DEPLOY / "Dockerfile.dockerignore")
    assert text(DEPLOY / "triton.Dockerfile.dockerignore") == kept
    for source in re.findall(
        r'^"?[\w/]+"? = "(budgetmem|server|model_repository)"$', pyproject, re.M
    ):
        assert f"!{source}\n" in kept


def test_grafana_shows_the_dashboard_of_this_folder():
    [provider] = documents("grafana/provisioning/dashboards/budgetmem.yaml")
    folder = provider["providers"][0]["options"]["path"]
    assert any(
        each.endswith(f":{folder}/budgetmem.json:ro") for each in SERVICES["grafana"]["volumes"]
    )
    [source] = documents("grafana/provisioning/datasources/prometheus.yaml")
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert yaml.safe_load(text(DEPLOY / "kustomization.yaml"))["namespace"] in text(
        DEPLOY / "kubernetes" / "adapter-values.yaml"
    )
