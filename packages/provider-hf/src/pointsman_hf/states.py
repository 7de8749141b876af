"""What the state of an endpoint means: for its health, and for a request. Pure.

States as in `huggingface_hub.InferenceEndpointStatus` of 2.4: pending, initializing, updating, updateFailed, running,
paused, failed, scaledToZero. Another is taken for one that may answer.
"""

from __future__ import annotations

from pointsman import Health, HealthState, ModelGone, PointsmanError, Target, Unavailable

WAKING = frozenset({"pending", "initializing", "updating"})
"""On the way to running."""
ASLEEP = "scaledToZero"

_HEALTH = {
    "running": HealthState.UP,
    "updateFailed": HealthState.DEGRADED,  # What ran before the update goes on.
    ASLEEP: HealthState.COLD,
    "paused": HealthState.DOWN,
    "failed": HealthState.DOWN,
} | dict.fromkeys(WAKING, HealthState.WARMING)


def refusal(name: str, state: str, target: Target) -> PointsmanError | None:
    """Why an endpoint in this state will not answer, also if it is asked again; None if it may."""
    match state:
        case "paused":
            return Unavailable(
                f"the endpoint {name} is paused, and costs nothing. Its owner can start it, at "
                "https://endpoints.huggingface.co or by `resume` of `pointsman_hf.open_endpoints()`; since it costs "
                "money then, Pointsman never does it by itself",
                target=target,
                retryable=False,
                begun=False,
            )
        case "failed":
            return Unavailable(
                f"the endpoint {name} has failed to start; its logs at https://endpoints.huggingface.co say why",
                target=target,
                retryable=False,
                begun=False,
            )
        case _:
            return None


def health(name: str, state: str) -> Health:
    """The health of an endpoint in this state."""
    found = _HEALTH.get(state, HealthState.UNKNOWN)
    error = refusal(name, state, Target("hf", f"endpoint:{name}")) if found is HealthState.DOWN else None
    return Health(found, f"the endpoint {name} is {state}", error=error)


def gone(name: str, namespace: str, target: Target) -> PointsmanError:
    """There is no such endpoint."""
    message = (
        f"there is no endpoint called {name} in the namespace {namespace}; endpoint:NAMESPACE/NAME asks in another"
    )
    return ModelGone(message, target=target, status=404)
