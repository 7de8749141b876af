"""Blaxel's SDK, as a program of its own: what it makes of the server at the address in `argv[1]`, as JSON.

It takes over the root logger and reads the folder that it is started in, so it shares no process with a test.
`argv[2]` is a JSON list of calls, each ``[name, *arguments]``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from blaxel.core import bl_agent, bl_model, client, settings
from blaxel.core.client.api.agents import list_agents
from blaxel.core.client.api.models import get_model, list_models

BASE = sys.argv[1]


def shown(parsed: Any) -> Any:
    """What the SDK made of an answer of the control plane."""
    kind = type(parsed).__name__
    if kind in ("AgentList", "ModelList"):
        return [kind, [one.metadata.name for one in parsed.data], bool(parsed.meta and parsed.meta.has_more)]
    if kind == "Error":
        return [kind, parsed.error]
    return [kind, parsed.metadata.name, parsed.spec.runtime.model] if kind == "Model" else [kind]


def answer(name: str, *arguments: Any) -> Any:
    match name:
        case "agents":
            return shown(list_agents.sync_detailed(client=client).parsed)
        case "models":
            return shown(list_models.sync_detailed(client=client).parsed)
        case "model":
            return shown(get_model.sync_detailed(arguments[0], client=client).parsed)
        case "parameters":
            return asyncio.run(bl_model(arguments[0]).get_parameters())
        case "run":
            return bl_agent(arguments[0]).run(arguments[1])
        case "arun":
            return asyncio.run(bl_agent(arguments[0]).arun(arguments[1]))
        case _:
            raise AssertionError(name)


def main() -> None:
    client.with_base_url(f"{BASE}/v0")
    type(settings).run_url = property(lambda self: BASE)  # There is no setting for it.
    settings.auth.base_url = f"{BASE}/v0"
    outcomes: list[dict[str, Any]] = []
    for name, *arguments in json.loads(sys.argv[2]):
        try:
            outcomes.append({"answer": answer(name, *arguments)})
        except Exception as error:
            outcomes.append({"raised": type(error).__name__, "said": str(error)[:500]})
    print(json.dumps(outcomes))


main()
