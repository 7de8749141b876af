"""What must hold of whatever is deployed, and what neither Modal's SDK nor, mostly, its server looks at.

A rule is a function of one `Deployed` that yields complaints. Limits are Modal's own, or say what they are for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from .checks import DAY, GPUS, REGIONS
from .deployed import Deployed

Rule: TypeAlias = Callable[[Deployed], Iterator[str]]

LONGEST_STREAM = 3600
"""Seconds: an answer of 32,000 tokens at 10 a second, which is what a slow GPU does when it is shared."""
SLOWEST_START = 300
"""Seconds: a start that also waits for a first pull of some gigabytes."""
SHORTEST_WINDOW = 30
"""Seconds: less than a start takes, so that two questions in a row would pay for two starts."""
LEAST_MEMORY = 4096
"""MiB: less than the model that is read through it. A text in the place of a number arrives as nothing."""
_SECRET = re.compile(r"\b(ak|as|wk|ws|hf|sk)[-_]\w{6,}|\w*(TOKEN|SECRET|PASSWORD|API_KEY)\w*=", re.IGNORECASE)
_TAG = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+")


def audit(functions: Mapping[str, Deployed]) -> list[str]:
    """What is wrong with an app; nothing, if all is well."""
    said = [f"{name}: {complaint}" for name, one in functions.items() for complaint in _of_each(one)]
    surfaces = [surface for one in functions.values() for surface in one.surfaces]
    if len(surfaces) != 1:
        said.append(f"{len(surfaces)} public addresses, not one")
    serving = [one for one in functions.values() if one.definition.is_class]
    pulling = [one for one in functions.values() if not one.definition.is_class and one.volumes]
    if len(serving) != 1 or len(pulling) != 1:
        return [*said, f"{len(serving)} classes that serve, and {len(pulling)} functions that pull, not one of each"]
    said += [f"{serving[0].name}: {complaint}" for rule in SERVING for complaint in rule(serving[0])]
    said += [f"{pulling[0].name}: {complaint}" for complaint in _pulls(pulling[0])]
    if {mount.volume for mount in serving[0].volumes.values()} != {one.volume for one in pulling[0].volumes.values()}:
        said.append("what is pulled goes into another Volume than what is served comes from")
    return said


def _of_each(one: Deployed) -> Iterator[str]:
    definition, settings = one.definition, one.definition.autoscaler_settings
    if not 1 <= settings.max_containers <= 100:
        yield f"{settings.max_containers or 'any number of'} containers at once: there is no lid on the bill"
    if settings.buffer_containers:
        yield "containers are kept in reserve, and billed"
    if definition.HasField("schedule"):
        yield "it runs, and is billed, by a schedule"
    if definition.secret_ids:
        yield "it has secrets, and needs none"
    if found := next(filter(_SECRET.search, one.commands), None):
        yield f"a secret stands in the image: {found}"
    if not one.files or any("/pointsman_modal_app/" not in name for name in one.files):
        yield f"other files than those of pointsman_modal_app are mounted: {sorted(one.files)}"
    if not LEAST_MEMORY / 2 <= definition.resources.memory_mb <= 344_064:
        yield f"it asks for {definition.resources.memory_mb} MiB of memory"
    if not 125 <= definition.resources.milli_cpu <= 64_000:
        yield f"it asks for {definition.resources.milli_cpu} thousandths of a core"
    if definition.scheduler_placement.nonpreemptible:
        yield "it is not preemptible, which costs three times as much"
    for variant in one.variants:
        rest = type(variant).FromString(variant.SerializeToString())
        rest.resources.gpu_config.CopyFrom(definition.resources.gpu_config)
        if rest != definition:
            yield "on one GPU it is another than on the others"
    yield from _image(one)


def _image(one: Deployed) -> Iterator[str]:
    bases = [line.removeprefix("FROM ") for line in one.commands if line.startswith("FROM ")]
    if len(bases) != 1 or not bases[0].startswith("ollama/ollama:") or not _TAG.fullmatch(bases[0]):
        yield f"its image stands on {bases}, not on one version of ollama/ollama"
    if "ENTRYPOINT []" not in one.commands:
        yield "Ollama's own entry point is left, which takes Modal's command for its argument"
    for line in one.commands:
        unpinned = "pip install" in line and "==" not in line
        if unpinned or re.search(r"curl|wget|:latest|apt-get install", line):
            yield f"what this brings may be another thing tomorrow: {line}"


def _serves_at_its_port(one: Deployed) -> Iterator[str]:
    host, _, port = one.environment.get("OLLAMA_HOST", "").partition(":")
    if host != "0.0.0.0":
        yield f"Ollama listens at {host}, where Modal's proxy does not reach it"
    for surface in one.surfaces:
        if not surface.protected:
            yield "anybody may ask: proxy auth is off"
        if str(surface.port) != port:
            yield f"Modal asks port {surface.port}, and Ollama listens at port {port}"
        if not SLOWEST_START <= surface.startup_timeout <= DAY:
            yield f"its web server has to be up after {surface.startup_timeout:g} s"


def _has_a_gpu(one: Deployed) -> Iterator[str]:
    if not one.gpus:
        yield "it has no GPU"
    for gpu in one.gpus:
        kind, _, count = gpu.partition(":")
        if kind not in GPUS:
            yield f"Modal has no GPU {kind}"
        if not 1 <= int(count or 1) <= 8:
            yield f"{count} of a GPU"


def _is_placed(one: Deployed) -> Iterator[str]:
    for region in one.definition.scheduler_placement.regions:
        if region not in REGIONS:
            yield f"Modal has no region {region}"


def _scales(one: Deployed) -> Iterator[str]:
    least, _, window = one.scaling
    if least:
        yield "a container always runs, which costs a GPU all month"
    if not SHORTEST_WINDOW <= window <= 3600:
        yield f"a container stays for {window} s after its last request"
    if one.definition.single_use_containers:
        yield "each request has a container, and a start, of its own"
    parallel = one.environment.get("OLLAMA_NUM_PARALLEL")
    if str(one.definition.max_concurrent_inputs) != parallel:
        yield f"Modal lets {one.definition.max_concurrent_inputs} requests in at once, and Ollama answers {parallel}"


def _has_time(one: Deployed) -> Iterator[str]:
    if not LONGEST_STREAM <= one.definition.timeout_secs <= DAY:
        yield f"an answer may take {one.definition.timeout_secs} s"
    if not SLOWEST_START <= one.definition.startup_timeout_secs <= DAY:
        yield f"a start may take {one.definition.startup_timeout_secs} s"


def _snapshots(one: Deployed) -> Iterator[str]:
    definition = one.definition
    if definition.checkpointing_enabled or definition.enable_gpu_snapshot or dict(definition.experimental_options):
        yield "memory snapshots: the model is in a child process, which they do not keep"


def _keeps_its_model(one: Deployed) -> Iterator[str]:
    environment = one.environment
    if environment.get("OLLAMA_KEEP_ALIVE") != "-1":
        yield "the model leaves the GPU, which is billed on (OLLAMA_KEEP_ALIVE)"
    if environment.get("OLLAMA_MAX_LOADED_MODELS") != "1":
        yield "another model may push it out (OLLAMA_MAX_LOADED_MODELS)"
    if not environment.get("OLLAMA_CONTEXT_LENGTH", "").isdigit():
        yield "its context depends on the GPU (OLLAMA_CONTEXT_LENGTH)"
    if environment.get("OLLAMA_MODELS") not in one.volumes:
        yield f"Ollama looks for models in {environment.get('OLLAMA_MODELS')}, and the Volume is at {list(one.volumes)}"


def _reads_only(one: Deployed) -> Iterator[str]:
    for path, mount in one.volumes.items():
        if not mount.read_only:
            yield f"it may write to {path}, where several containers would overwrite each other"
        if mount.version != 2:
            yield "its Volume is of version 1, which takes five writers at most"
    if one.environment.get("OLLAMA_NOPRUNE") != "1":
        yield "Ollama tidies up at its start, where it may not write (OLLAMA_NOPRUNE)"


def _is_for_batches(one: Deployed) -> Iterator[str]:
    if "answer" not in one.definition.method_definitions:
        yield "it has no method for batches"


def _pulls(one: Deployed) -> Iterator[str]:
    if one.definition.autoscaler_settings.max_containers != 1 or one.definition.max_concurrent_inputs > 1:
        yield "several may write to the Volume at once"
    if one.gpus:
        yield "a GPU is billed while files are copied"
    if any(mount.read_only for mount in one.volumes.values()):
        yield "it cannot write to the Volume"
    if one.definition.timeout_secs < 600:
        yield f"a pull may take {one.definition.timeout_secs} s"
    if one.environment.get("OLLAMA_MODELS") not in one.volumes:
        yield "what it pulls does not go into the Volume"


SERVING: tuple[Rule, ...] = (
    _serves_at_its_port,
    _has_a_gpu,
    _is_placed,
    _scales,
    _has_time,
    _snapshots,
    _keeps_its_model,
    _reads_only,
    _is_for_batches,
)
