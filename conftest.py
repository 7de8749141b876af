"""What all tests share: how hard Hypothesis tries, and that nothing of the machine they run on leaks in.

Async tests need no mark and run twice, on asyncio and on trio: that is anyio's own `anyio_backend` fixture.
"""

from __future__ import annotations

import gc
import ipaddress
import os
import re
import signal
import sys
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No deadlines: a busy machine is no bug. `ci` draws the same examples each time, so that it is never red by luck.
settings.register_profile("dev", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("few", max_examples=10, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("deep", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


LIVE = bool(os.environ.get("POINTSMAN_LIVE"))
"""``nox -s live`` asks real vendors, with the keys of whoever runs it."""


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Two a core: a third of the time that tests take, they wait for a timer or for a process that they started."""
    return 2 * (yield)


def pytest_configure() -> None:
    if not LIVE:
        sys.addaudithook(_refuse_the_network)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background by a shell. What our tests start would inherit it, and not hear Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """No collection looks through what was there before the first test: in some tests that took most of the time."""
    gc.collect()
    gc.freeze()


def _refuse_the_network(event: str, args: tuple[Any, ...]) -> None:
    """Tests are offline: reaching for another host than this one is an error where it happens, not a hang later."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if not _is_this_machine(host):
        raise AssertionError(f"a test tried to reach {host!r}; tests use loopback servers only")


def _is_this_machine(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    try:
        return name is None or name == "localhost" or ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


FOREIGN = re.compile(
    r"(POINTSMAN|OPENAI)_.*|.*_(API_KEY|TOKEN|PROXY|proxy)"  # what would change an answer
    r"|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|PYTHONWARNINGS|UV"  # what would change how it looks
    r"|PYTHON(DONTWRITEBYTECODE|UNBUFFERED)"  # what would change how fast it is, and what leaves a buffer when
)


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No key, setting or file of whoever runs the tests is seen by them."""
    if LIVE:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if FOREIGN.fullmatch(name):
                patch.delenv(name)
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("home")))
        if sys.dont_write_bytecode:
            # A fresh environment has no bytecode, and hundreds of processes would each compile all that they import.
            patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        yield
