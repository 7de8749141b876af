"""A client whose ledger is in PostgreSQL: what providers saw is there, whatever becomes of the server meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

import pointsman_store_postgres
from pointsman import AsyncClient, Finished, LedgerQuery, Plugins, Settings, StoreError, Unavailable, Usage, open_ledger
from pointsman_testing import ScriptedProvider

DONE = ["Hello", Finished("stop", Usage(input_tokens=5, output_tokens=1))]


async def test_calls_go_on_while_the_server_is_away_and_are_written_when_it_is_back(
    server: Any, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    down = ScriptedProvider("down", default=[Unavailable("no", status=503)])
    up = ScriptedProvider("up", default=DONE)
    plugins = Plugins.of(providers={"down": down, "up": up}, stores={"postgres": pointsman_store_postgres})
    settings = Settings.of({"ledger": {"url": url}})
    async with AsyncClient(settings=settings, plugins=plugins) as client:
        for _ in range(3):
            await client.chat("Say hello", model=["down/scripted-1", "up/scripted-1"])
        await client.flush()
        server.kill()
        try:
            for _ in range(3):
                reply = await client.chat("Say hello", model=["down/scripted-1", "up/scripted-1"])
                assert reply.text == "Hello"
            with pytest.raises(StoreError, match="see that the server runs and can be reached from here"):
                await client.flush()
        finally:
            server.start()
    with open_ledger(url, plugins=plugins) as ledger:
        (total,) = ledger.totals(LedgerQuery())
        assert (total.calls, total.attempts) == (6, len(down.calls) + len(up.calls))
        assert total.failed == len(down.calls)
        assert total.usage == Usage(input_tokens=30, output_tokens=6)
    assert len([one for one in caplog.records if "refused" in one.getMessage()]) == 1, "it is said once"
