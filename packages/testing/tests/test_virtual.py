"""Time that jumps, on both event loops."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_testing import VIRTUAL_BACKENDS, VirtualBackend, VirtualDeadlock, virtual_backend, virtual_run

both = pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


async def nap(seconds: float) -> float:
    begun = anyio.current_time()
    await anyio.sleep(seconds)
    return anyio.current_time() - begun


@both
@pytest.mark.parametrize("seconds", [1e-9, 1e-3, 0.1, 3600, 86_400 * 365])
def test_a_sleep_lasts_as_long_as_it_says_and_costs_nothing(backend: VirtualBackend, seconds: float) -> None:
    begun = time.monotonic()
    assert virtual_run(nap, seconds, backend=backend) == pytest.approx(seconds, abs=1e-6)
    assert time.monotonic() - begun < 30


async def test_the_fixture_gives_virtual_time_to_tests() -> None:
    assert await nap(3600) == pytest.approx(3600)


@pytest.mark.parametrize("_run", range(2))
async def test_each_test_has_a_clock_of_its_own(_run: int) -> None:
    assert anyio.current_time() == pytest.approx(0, abs=1e-3)
    await anyio.sleep(1000)


@both
@given(delays=st.lists(st.integers(0, 10**6), unique=True, max_size=8))
def test_timers_go_off_in_order_and_on_time(backend: VirtualBackend, delays: list[int]) -> None:
    async def scenario() -> list[tuple[int, float]]:
        rung = []

        async def ring(delay: int) -> None:
            await anyio.sleep(delay)
            rung.append((delay, anyio.current_time() - begun))

        begun = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for delay in delays:
                tasks.start_soon(ring, delay)
        return rung

    rung = virtual_run(scenario, backend=backend)
    assert [delay for delay, _ in rung] == sorted(delays)
    assert all(at == pytest.approx(delay, abs=1e-3) for delay, at in rung)


@both
def test_what_is_ready_comes_before_what_is_due(backend: VirtualBackend) -> None:
    async def scenario() -> list[str]:
        order = []

        async def busy() -> None:
            for _ in range(50):
                await anyio.sleep(0)
            order.append("busy")

        async def due() -> None:
            await anyio.sleep(1e-6)
            order.append("due")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(due)
            tasks.start_soon(busy)
        return order

    assert virtual_run(scenario, backend=backend) == ["busy", "due"]


@both
def test_deadlines_strike_in_virtual_time(backend: VirtualBackend) -> None:
    async def scenario() -> tuple[bool, float]:
        begun = anyio.current_time()
        with anyio.move_on_after(30) as scope:
            await anyio.sleep_forever()
        return scope.cancelled_caught, anyio.current_time() - begun

    struck, after = virtual_run(scenario, backend=backend)
    assert struck
    assert after == pytest.approx(30)


@both
def test_a_shielded_clean_up_gets_its_time(backend: VirtualBackend) -> None:
    async def scenario() -> float:
        async def stubborn() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(5)

        begun = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stubborn)
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        return anyio.current_time() - begun

    assert virtual_run(scenario, backend=backend) == pytest.approx(6)


async def shielded() -> None:
    with anyio.CancelScope(shield=True):
        await anyio.Event().wait()


async def never(kind: str) -> None:
    if kind == "event":
        await anyio.Event().wait()
    elif kind == "forever":
        await anyio.sleep_forever()
    else:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shielded if kind == "shielded" else anyio.sleep_forever)
            tasks.start_soon(anyio.Event().wait)


@both
@pytest.mark.parametrize("kind", ["event", "forever", "group", "shielded"])
def test_a_deadlock_is_an_error(backend: VirtualBackend, kind: str) -> None:
    with pytest.raises(VirtualDeadlock, match="no timer is set"):
        virtual_run(never, kind, backend=backend)


@both
def test_a_deadlock_after_time_has_passed(backend: VirtualBackend) -> None:
    async def scenario() -> None:
        await anyio.sleep(100)
        await anyio.Event().wait()

    with pytest.raises(VirtualDeadlock):
        virtual_run(scenario, backend=backend)


@both
def test_a_swallowed_deadlock_is_an_error_still(backend: VirtualBackend) -> None:
    async def scenario() -> str:
        try:
            await anyio.Event().wait()
        except BaseException:
            return "fine"
        return "odd"

    with pytest.raises(VirtualDeadlock):
        virtual_run(scenario, backend=backend)


@both
def test_errors_and_results_pass_through(backend: VirtualBackend) -> None:
    async def fails() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        virtual_run(fails, backend=backend)


@both
def test_waiting_until_all_are_blocked_is_no_deadlock(backend: VirtualBackend) -> None:
    async def scenario() -> bool:
        event = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(event.wait)
            await anyio.wait_all_tasks_blocked()
            event.set()
        return True

    assert virtual_run(scenario, backend=backend)


@both
def test_a_thread_is_heard(backend: VirtualBackend) -> None:
    async def scenario() -> str:
        def work() -> str:
            time.sleep(0.1)
            anyio.from_thread.run_sync(order.append, "thread")
            return "done"

        order: list[str] = []
        result = await anyio.to_thread.run_sync(work)
        return f"{order[0]} {result}"

    assert virtual_run(scenario, backend=backend) == "thread done"


def test_a_thread_that_never_calls_is_a_deadlock_in_the_end() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        for backend in VIRTUAL_BACKENDS:
            with pytest.raises(VirtualDeadlock):
                virtual_run(never, "event", backend=backend)
    finally:
        release.set()
        thread.join()


def test_a_socket_is_an_error_at_once() -> None:
    async def scenario() -> None:
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            await asyncio.get_running_loop().sock_recv(left, 1)

    with pytest.raises(RuntimeError, match="has no sockets"):
        virtual_run(scenario)


def test_trio_is_imported_only_when_asked_for() -> None:
    code = (
        "import sys, anyio, pointsman_testing as t; t.virtual_run(anyio.sleep, 3600); t.Lab; t.ScriptedProvider;"
        "assert 'trio' not in sys.modules and 'pytest' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
