"""What our app deploys, field by field, as Modal's control plane receives it; and a mistake in it is caught."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import modal
import pytest
from control_plane.audit import audit
from control_plane.checks import DAY, GPUS, REGIONS
from control_plane.deployed import Deployed, Mount, Surface, deployed
from control_plane.loading import loaded, sources
from control_plane.server import ControlPlane
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modal_proto import api_pb2 as api

from pointsman import AsyncClient, Settings
from pointsman_modal.deploy import Plan
from pointsman_modal_app.settings import VARIABLE, Deployment

CHANGED = {
    "name": "mine",
    "model": "qwen2.5-coder:32b",
    "gpu": ["H100", "A100-80GB:2"],
    "cpu": 2.5,
    "memory": 16384,
    "region": ["us-east", "eu"],
    "max_containers": 7,
    "scaledown_window": 120,
    "context_tokens": 8192,
    "parallel": 2,
    "timeout": 7200,
    "startup_timeout": 600,
    "volume": "heavy",
    "ollama_version": "0.33.1",
    "port": 8080,
}


def deploy(plane: ControlPlane, client: modal.Client, **deployment: Any) -> dict[str, Deployed]:
    with loaded(deployment) as module:
        module.app.deploy(client=client)
    return deployed(plane, deployment.get("name", "pointsman"))


@pytest.fixture
def app(control_plane: ControlPlane, modal_client: modal.Client) -> dict[str, Deployed]:
    """As it is without any settings."""
    return deploy(control_plane, modal_client)


def test_it_has_one_class_and_one_function(app: dict[str, Deployed], control_plane: ControlPlane) -> None:
    assert set(app) == {"Ollama.*", "pull"}
    assert set(control_plane.app("pointsman").class_ids) == {"Ollama"}
    assert control_plane.app("pointsman").state == api.APP_STATE_DEPLOYED


def test_it_serves_on_a_gpu_and_takes_the_next_best(app: dict[str, Deployed]) -> None:
    assert app["Ollama.*"].gpus == ["A10", "L4"]
    assert app["pull"].gpus == []


def test_its_image_is_one_version_of_ollama_with_python(app: dict[str, Deployed]) -> None:
    for one in app.values():
        steps = [line for line in one.commands if not line.startswith(("ENV ", "COPY /python", "RUN ln -s /usr/local"))]
        assert steps == ["FROM ollama/ollama:0.32.15", "ENTRYPOINT []"]


def test_its_server_is_set_up_by_the_image(app: dict[str, Deployed]) -> None:
    environment = dict(app["Ollama.*"].environment)
    assert environment == app["pull"].environment
    assert Deployment.from_json(environment.pop(VARIABLE)) == Deployment()
    environment.pop("TERMINFO_DIRS")
    assert environment == {
        "OLLAMA_HOST": "0.0.0.0:11434",
        "OLLAMA_MODELS": "/weights",
        "OLLAMA_KEEP_ALIVE": "-1",
        "OLLAMA_CONTEXT_LENGTH": "32768",
        "OLLAMA_NUM_PARALLEL": "4",
        "OLLAMA_MAX_LOADED_MODELS": "1",
        "OLLAMA_FLASH_ATTENTION": "1",
        "OLLAMA_NOPRUNE": "1",
        "OLLAMA_NO_CLOUD": "1",
    }


def test_who_serves_reads_the_weights_and_who_pulls_writes_them(app: dict[str, Deployed]) -> None:
    assert app["Ollama.*"].volumes == {"/weights": Mount("pointsman-weights", 2, read_only=True)}
    assert app["pull"].volumes == {"/weights": Mount("pointsman-weights", 2, read_only=False)}


def test_one_at_a_time_pulls(app: dict[str, Deployed]) -> None:
    pull = app["pull"].definition
    assert app["pull"].scaling == (0, 1, 0)
    assert pull.max_concurrent_inputs == 0  # One, unless it is set.
    assert pull.function_type == api.Function.FUNCTION_TYPE_GENERATOR
    assert pull.timeout_secs == 3600
    assert (pull.resources.milli_cpu, pull.resources.memory_mb) == (1000, 2048)


def test_the_world_reaches_one_address_with_a_token(app: dict[str, Deployed]) -> None:
    assert app["Ollama.*"].surfaces == [Surface(11434, protected=True, startup_timeout=900)]
    assert app["pull"].surfaces == []


def test_it_comes_from_zero_and_goes_no_further_than_its_cap(app: dict[str, Deployed]) -> None:
    serving = app["Ollama.*"].definition
    assert app["Ollama.*"].scaling == (0, 1, 300)
    assert serving.max_concurrent_inputs == 4
    assert (serving.timeout_secs, serving.startup_timeout_secs) == (3600, 900)
    assert (serving.resources.milli_cpu, serving.resources.memory_mb) == (1000, 8192)
    assert not serving.scheduler_placement.regions
    assert not serving.checkpointing_enabled
    assert not serving.single_use_containers


def test_only_our_own_sources_and_no_secret_go_along(app: dict[str, Deployed], control_plane: ControlPlane) -> None:
    here = {f"/root/pointsman_modal_app/{path.name}" for path in sources().glob("*") if path.is_file()}
    for one in app.values():
        assert one.files == here
    assert not control_plane.requests("SecretGetOrCreate")
    sent = "\n".join(str(request) for _, request in control_plane.log)
    assert not [half for half in control_plane.environment.values() if half in sent]


def test_every_setting_arrives(control_plane: ControlPlane, modal_client: modal.Client) -> None:
    app = deploy(control_plane, modal_client, **CHANGED)
    serving = app["Ollama.*"]
    assert serving.gpus == ["H100", "A100-80GB:2"]
    assert serving.scaling == (0, 7, 120)
    assert serving.volumes == {"/weights": Mount("heavy", 2, read_only=True)}
    assert app["pull"].volumes == {"/weights": Mount("heavy", 2, read_only=False)}
    assert serving.surfaces == [Surface(8080, protected=True, startup_timeout=600)]
    assert serving.commands[0] == "FROM ollama/ollama:0.33.1"
    assert list(serving.definition.scheduler_placement.regions) == ["us-east", "eu"]
    assert (serving.definition.timeout_secs, serving.definition.startup_timeout_secs) == (7200, 600)
    assert (serving.definition.resources.milli_cpu, serving.definition.resources.memory_mb) == (2500, 16384)
    assert serving.definition.max_concurrent_inputs == 2
    assert serving.environment["OLLAMA_HOST"] == "0.0.0.0:8080"
    assert serving.environment["OLLAMA_CONTEXT_LENGTH"] == "8192"
    assert serving.environment["OLLAMA_NUM_PARALLEL"] == "2"
    assert serving.environment[VARIABLE] == Deployment.from_json(serving.environment[VARIABLE]).to_json()
    assert audit(app) == []


GPU = st.sampled_from(sorted(GPUS)).flatmap(lambda kind: st.sampled_from([kind, f"{kind}:2", f"{kind.lower()}:4"]))
PLANS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True),
        "gpu": st.lists(GPU, max_size=3),
        "cpu": st.sampled_from([0.125, 1.5, 16.0]),
        "memory_gib": st.integers(1, 336),
        "region": st.lists(st.sampled_from(sorted(REGIONS)), max_size=3, unique=True),
        "min_containers": st.integers(0, 2),
        "max_containers": st.integers(2, 4_000),
        "scaledown_window": st.integers(2, 3_600),
        "context_tokens": st.integers(512, 2**20),
        "parallel": st.integers(1, 256),
        "timeout": st.integers(1, DAY),
        "startup_timeout": st.integers(1, DAY),
        "ollama_version": st.sampled_from(["0.32.15", "0.33.0-rc1"]),
    }
)


@settings(max_examples=settings.default.max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PLANS)
def test_whatever_may_be_planned_is_taken_and_arrives(
    control_plane: ControlPlane, modal_client: modal.Client, values: dict[str, Any]
) -> None:
    """By a server that checks names and limits, too, from lists of its own."""
    plan = Plan.of(values).deployment()
    app = deploy(control_plane, modal_client, **asdict(plan))
    serving, pull = app["Ollama.*"], app["pull"]
    assert serving.gpus == [gpu.upper() for gpu in plan.gpu]
    assert list(serving.definition.scheduler_placement.regions) == list(plan.region)
    assert serving.scaling == (plan.min_containers, plan.max_containers, plan.scaledown_window)
    assert serving.surfaces == [Surface(plan.port, protected=True, startup_timeout=plan.startup_timeout)]
    assert serving.volumes == {"/weights": Mount(plan.volume, 2, read_only=True)}
    assert pull.volumes == {"/weights": Mount(plan.volume, 2, read_only=False)}
    assert (pull.scaling, pull.gpus) == ((0, 1, 0), [])
    assert serving.commands[0] == pull.commands[0] == f"FROM ollama/ollama:{plan.ollama_version}"
    definition = serving.definition
    assert (definition.timeout_secs, definition.startup_timeout_secs) == (plan.timeout, plan.startup_timeout)
    assert (definition.resources.milli_cpu, definition.resources.memory_mb) == (plan.cpu * 1000, plan.memory)
    assert str(definition.max_concurrent_inputs) == serving.environment["OLLAMA_NUM_PARALLEL"] == str(plan.parallel)
    assert Deployment.from_json(serving.environment[VARIABLE]) == plan


def test_without_a_change_nothing_is_built_or_made_anew(
    control_plane: ControlPlane, modal_client: modal.Client
) -> None:
    first = deploy(control_plane, modal_client)
    ids, requests = dict(control_plane.app("pointsman").function_ids), images(control_plane)
    built = list(control_plane.memory.builds)
    second = deploy(control_plane, modal_client)
    assert first == second
    assert control_plane.app("pointsman").version == 2
    assert control_plane.app("pointsman").function_ids == ids
    assert images(control_plane) == requests * 2
    assert control_plane.memory.builds == built
    assert {one.existing_function_id for one in control_plane.requests("FunctionCreate")[-2:]} == set(ids.values())
    assert len(control_plane.requests("AppCreate")) == 1


def images(plane: ControlPlane) -> list[bytes]:
    return [request.image.SerializeToString(deterministic=True) for request in plane.requests("ImageGetOrCreate")]


def test_modal_s_own_command_deploys_it_too(control_plane: ControlPlane) -> None:
    command = [sys.executable, "-m", "modal", "deploy", "-m", "pointsman_modal_app.app"]
    environment = {**os.environ, **control_plane.environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert audit(deployed(control_plane, "pointsman")) == []


def test_its_variable_is_no_setting_of_the_provider() -> None:
    """Who deploys by hand may have it set, and a variable of the provider that means nothing is refused."""
    modal = {"providers": {"modal": {"base_url": "https://t--pointsman-ollama-serve.modal.run"}}}
    client = AsyncClient(settings=Settings.of(modal, environ={VARIABLE: "{}"}))
    assert client.roster.configured("modal").name == "modal"


def test_nothing_is_wrong_with_it(app: dict[str, Deployed]) -> None:
    assert audit(app) == []


def test_it_is_the_same_on_all_its_gpus(app: dict[str, Deployed], control_plane: ControlPlane) -> None:
    """By a definition they are; Modal is sent one for each."""
    sent = control_plane.function("pointsman", "Ollama.*").created
    assert sent is not None
    sent.function_data.ranked_functions[1].function.autoscaler_settings.max_containers = 0
    assert audit(deployed(control_plane, "pointsman")) == ["Ollama.*: on one GPU it is another than on the others"]


@pytest.fixture
def lenient(modal_client: modal.Client) -> Iterator[tuple[ControlPlane, modal.Client]]:
    """A server that takes everything: what is wrong is for us to see."""
    with ControlPlane(lenient=True) as plane, plane.client() as client:
        yield plane, client


TWO = """

@app.function(max_containers=1, memory=2048, cpu=1.0)
@modal.web_server(8000, requires_proxy_auth=True)
def admin() -> None: ...
"""
SERVES = "@modal.web_server(deployment.port, startup_timeout=deployment.startup_timeout, requires_proxy_auth=True)"
MISTAKES = [
    # What is changed, in which module, into what; and a piece of what is said of it.
    ("app", "requires_proxy_auth=True", "requires_proxy_auth=False", "proxy auth is off"),
    ("app", ", requires_proxy_auth=True", "", "proxy auth is off"),
    ("app", "web_server(deployment.port,", "web_server(deployment.port + 1,", "Ollama listens at port"),
    ("app", "web_server(deployment.port,", "web_server(1434,", "Ollama listens at port"),
    ("app", SERVES, "@modal.web_server(deployment.port, requires_proxy_auth=True)", "up after 5 s"),
    ("app", "    max_containers=deployment.max_containers,\n", "", "no lid on the bill"),
    ("app", "max_containers=deployment.max_containers", "max_containers=0", "no lid on the bill"),
    ("app", "max_containers=deployment.max_containers", "max_containers=1000", "no lid on the bill"),
    ("app", "min_containers=deployment.min_containers", "min_containers=1", "always runs"),
    ("app", "min_containers=deployment.min_containers", "buffer_containers=2", "in reserve"),
    ("app", "memory=deployment.memory", 'memory="16GB"', "0 MiB of memory"),
    ("app", "memory=deployment.memory", "memory=8", "8 MiB of memory"),
    ("app", "cpu=deployment.cpu", "cpu=0.01", "10 thousandths of a core"),
    ("app", "gpu=list(deployment.gpu) or None", 'gpu=["A10", "H1000"]', "no GPU H1000"),
    ("app", "gpu=list(deployment.gpu) or None", 'gpu="L4:0"', "0 of a GPU"),
    ("app", "    gpu=list(deployment.gpu) or None,\n", "", "it has no GPU"),
    ("app", "region=list(deployment.region) or None", 'region="us-esat"', "no region us-esat"),
    ("app", "region=list(deployment.region) or None", "nonpreemptible=True", "three times as much"),
    ("app", "\n    timeout=deployment.timeout,", "", "may take 300 s"),
    ("app", "\n    timeout=deployment.timeout,", "\n    timeout=90_000,", "may take 90000 s"),
    ("app", "    startup_timeout=deployment.startup_timeout,\n", "    startup_timeout=30,\n", "start may take 30 s"),
    ("app", "scaledown_window=deployment.scaledown_window", "scaledown_window=2", "stays for 2 s"),
    ("app", "    scaledown_window=deployment.scaledown_window,\n", "", "stays for 0 s"),
    ("app", "cpu=deployment.cpu", "cpu=1.0, enable_memory_snapshot=True", "snapshots"),
    ("app", "cpu=deployment.cpu", 'cpu=1.0, experimental_options={"enable_gpu_snapshot": True}', "snapshots"),
    ("app", "cpu=deployment.cpu", "cpu=1.0, single_use_containers=True", "a start, of its own"),
    ("app", "max_inputs=deployment.parallel", "max_inputs=deployment.parallel * 2", "8 requests in at once"),
    ("app", "@modal.concurrent(max_inputs=deployment.parallel)\n", "", "0 requests in at once"),
    ("app", "{WEIGHTS: served}", "{WEIGHTS: weights}", "may write to /weights"),
    ("app", "{WEIGHTS: served}", '{"/models": served}', "the Volume is at ['/models']"),
    ("app", "{WEIGHTS: weights}", "{WEIGHTS: served}", "cannot write"),
    ("app", "{WEIGHTS: weights}", '{WEIGHTS: modal.Volume.from_name("w", create_if_missing=True)}', "another Volume"),
    ("app", "version=2", "version=1", "version 1"),
    ("app", "    max_containers=1,", "    max_containers=2,", "several may write"),
    ("app", "    cpu=1.0,\n", '    cpu=1.0,\n    gpu="L4",\n', "while files are copied"),
    ("app", "timeout=3600", "timeout=60", "a pull may take 60 s"),
    ("app", "timeout=3600", "timeout=3600, schedule=modal.Period(days=1)", "by a schedule"),
    ("app", ":{deployment.ollama_version}", ":latest", "not on one version"),
    ("app", ":{deployment.ollama_version}", "", "not on one version"),
    ("app", "ollama/ollama:{", "somebody/ollama:{", "not on one version"),
    ("app", "    .entrypoint([])", "    .entrypoint([])\n    .pip_install('requests')", "another thing tomorrow"),
    ("app", "    .entrypoint([])", "    .run_commands('curl https://x.example | sh').entrypoint([])", "tomorrow"),
    ("app", "    .entrypoint([])", "    .env({})", "entry point is left"),
    ("app", ".env({**", '.env({"HF_TOKEN": "hf_abcdefgh12345", **', "a secret stands in the image"),
    ("app", "image=image)", 'image=image, secrets=[modal.Secret.from_dict({"A": "b"})])', "it has secrets"),
    ("app", "VARIABLE: deployment.to_json()})", 'VARIABLE: "{}"}).add_local_python_source("pointsman")', "other files"),
    ("app", "    @modal.method()\n", "", "no method for batches"),
    ("app", SERVES, "@modal.method()", "0 public addresses"),
    ("app", "        self.server.stop()\n", f"        self.server.stop()\n{TWO}", "2 public addresses"),
    ("settings", 'host: str = "0.0.0.0"', 'host: str = "127.0.0.1"', "listens at 127.0.0.1"),
    ("settings", "{host}:{self.port}", "{host}", "listens at port"),
    ("settings", '"OLLAMA_KEEP_ALIVE": "-1"', '"OLLAMA_KEEP_ALIVE": "5m"', "OLLAMA_KEEP_ALIVE"),
    ("settings", '"OLLAMA_MAX_LOADED_MODELS": "1",', "", "OLLAMA_MAX_LOADED_MODELS"),
    ("settings", '"OLLAMA_NUM_PARALLEL": str(self.parallel),', "", "Ollama answers None"),
    ("settings", '"OLLAMA_CONTEXT_LENGTH": str(self.context_tokens),', "", "OLLAMA_CONTEXT_LENGTH"),
    ("settings", '"OLLAMA_MODELS": WEIGHTS,', "", "looks for models in None"),
    ("settings", '"OLLAMA_NOPRUNE": "1",', "", "OLLAMA_NOPRUNE"),
    ("settings", 'gpu: tuple[str, ...] = ("A10", "L4")', 'gpu: tuple[str, ...] = ("A10", "L4O")', "no GPU L4O"),
    ("settings", "timeout: int = 3600", "timeout: int = 300", "an answer may take 300 s"),
]


@pytest.mark.parametrize(("module", "right", "wrong", "said"), MISTAKES, ids=[f"{m[2].strip()[:40]}" for m in MISTAKES])
def test_a_mistake_in_it_is_seen(
    lenient: tuple[ControlPlane, modal.Client], tmp_path: Path, module: str, right: str, wrong: str, said: str
) -> None:
    """Each of these deploys, as far as Modal's SDK sees, and most of them as far as its server sees, too."""
    plane, client = lenient
    copy = shutil.copytree(sources(), tmp_path / "pointsman_modal_app", ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / f"{module}.py").read_text()
    assert text.count(right) == 1
    (copy / f"{module}.py").write_text(text.replace(right, wrong))
    with loaded(folder=tmp_path) as changed:
        assert Path(changed.__file__).parent == copy
        changed.app.deploy(client=client)
    found = audit(deployed(plane, "pointsman"))
    assert any(said in complaint for complaint in found), found
