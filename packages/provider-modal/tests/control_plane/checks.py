"""What Modal's server refuses of a definition and its SDK does not: the documented names and limits.

GPUs, regions and seconds as Modal's guide lists them (2026-08-22); the words of a refusal are not known, and ours. The
lists are written out here again, so that they judge those of the package.
"""

from __future__ import annotations

from collections.abc import Iterator

from modal_proto import api_pb2 as api

GPUS = {"T4", "L4", "A10", "A10G", "L40S", "A100", "A100-40GB", "A100-80GB", "RTX-PRO-6000"}
GPUS |= {"H100", "H100!", "H200", "B200", "B200+", "B300"}
REGIONS = {"us", "eu", "ap", "uk", "ca", "me", "sa", "af", "mx", "jp", "au"}
REGIONS |= {"us-east", "us-central", "us-south", "us-west", "eu-west", "eu-north", "eu-south"}
REGIONS |= {"ap-northeast", "ap-southeast", "ap-south", "ap-melbourne"}
DAY = 24 * 60 * 60


def complaint(request: api.FunctionCreateRequest) -> str:
    """The first thing that is wrong; nothing if all is well."""
    ranked = [entry.function for entry in request.function_data.ranked_functions]
    return next((said for function in ranked or [request.function] for said in _complaints(function)), "")


def _complaints(function: api.Function) -> Iterator[str]:
    gpu, resources = function.resources.gpu_config, function.resources
    if gpu.gpu_type and gpu.gpu_type not in GPUS:
        yield f"Unknown GPU type: {gpu.gpu_type}"
    if gpu.gpu_type and not 1 <= gpu.count <= (4 if gpu.gpu_type.startswith("A10") and len(gpu.gpu_type) < 5 else 8):
        yield f"Invalid GPU count: {gpu.count}"
    for region in function.scheduler_placement.regions:
        if region not in REGIONS:
            yield f"Unknown region: {region}"
    if not 1 <= function.timeout_secs <= DAY:
        yield f"Invalid timeout: {function.timeout_secs}"
    if function.startup_timeout_secs > DAY:
        yield f"Invalid startup timeout: {function.startup_timeout_secs}"
    if gpu.gpu_type and function.scheduler_placement.nonpreemptible:
        yield "Functions with a GPU cannot be nonpreemptible"
    if resources.memory_mb > 344_064:
        yield f"Invalid memory: {resources.memory_mb} MiB"
