"""Modal's SDK: loaded when it is needed, given a time of ours to answer, and its errors in our words."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from pointsman import AuthFailed, ConfigError, PointsmanError, ProviderError, QuotaExhausted, Unavailable

T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=PointsmanError)

ANSWERS_WITHIN = 15.0
"""Seconds for the control plane to answer. The SDK itself gives up on a host that cannot be reached after 56."""
OLDEST = (1, 6, 4)
"""As the extra `deploy` says."""
INSTALL = "pip install 'pointsman-modal[deploy]'"
SET_UP = (
    "`modal setup` signs you in; or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET to a token of the account (ak-..., "
    "as-...), which https://modal.com/settings/tokens makes"
)


class NotDeployed(ConfigError):
    """There is no such app at Modal."""


class Place(NamedTuple):
    """Where an app is at Modal."""

    app: str
    environment: str | None = None
    """None: the account's default."""

    def __str__(self) -> str:
        return f"{self.app} in the environment {self.environment}" if self.environment else self.app


class NoSdk(PointsmanError):
    """The package `modal` is not there, or too old."""


def sdk() -> Any:
    """The module `modal`. Raises `NoSdk` where it is not installed, `ConfigError` where its file is broken."""
    try:
        with redirect_stdout(io.StringIO()):  # To which it prints a banner before it raises.
            import modal
    except ImportError as error:
        said = "the package modal is not installed" if error.name == "modal" else f"modal cannot be imported: {error}"
        raise advised(NoSdk(f"{said}; it is what talks to Modal's control plane"), INSTALL) from None
    except Exception as error:
        message = f"modal does not load, mostly since {config_file()} is broken: {error}"
        raise advised(ConfigError(message), "mend that file, or move it away and run `modal setup`") from None
    version = tuple(int(part) for part in re.findall(r"\d+", modal.__version__)[:3])
    if version < OLDEST:
        message = f"modal {modal.__version__} is too old: {'.'.join(map(str, OLDEST))} is the oldest that does"
        raise advised(NoSdk(message), INSTALL)
    return modal


def config_file() -> Path:
    """Where the SDK keeps the account's token."""
    return Path(os.environ.get("MODAL_CONFIG_PATH") or Path.home() / ".modal.toml")


def client() -> Any:
    """A client with the account's token. Raises `ConfigError` if there is none, or half of one."""
    modal = sdk()
    from modal.config import config

    halves = {f"MODAL_{name.upper()}": bool(config.get(name)) for name in ("token_id", "token_secret")}
    if any(halves.values()) and not all(halves.values()):
        (has, lacks) = sorted(halves, key=lambda name: not halves[name])
        message = f"of the account's token {has} is set, and {lacks} is not"
        raise advised(ConfigError(message, missing=True), f"set {lacks}, too; or unset {has} and run `modal setup`")

    def connect() -> Any:
        try:
            return modal.Client.from_env()
        except modal.exception.AuthError as error:  # Of the settings: nobody has looked at a token yet.
            if "rofile" in (said := str(error).partition(". ")[0]):
                raise advised(ConfigError(said, missing=True), "`modal profile list` shows which there are") from None
            raise advised(ConfigError("no token of a Modal account is set", missing=True), SET_UP) from None

    return asked("signing in", connect)


def asked(what: str, call: Callable[[], T], place: Place | None = None, *, within: float | None = None) -> T:
    """What `call` returns, which asks the control plane; `what` it is about goes to errors. Blocks.

    It runs in a thread of its own, so that its deadline holds whatever the SDK does, and that no event loop of the
    caller is in its way. Raises what `translated` makes of its errors, and `Unavailable` after `within` seconds, or
    `ANSWERS_WITHIN`.
    """
    within = ANSWERS_WITHIN if within is None else within
    outcome: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:
            outcome.put((None, error))

    threading.Thread(target=run, name="modal", daemon=True).start()
    try:
        value, error = outcome.get(timeout=within)
    except Empty:
        message = f"{what}: Modal's control plane did not answer within {within:g} s"
        raise advised(Unavailable(message), REACH) from None
    if isinstance(error, PointsmanError):
        raise error
    if error is not None:
        raise translated(error, what, place) from error
    return value  # type: ignore[return-value]


REACH = "look at https://status.modal.com, and whether a proxy or a firewall is in the way; then try again"


def translated(error: BaseException, what: str, place: Place | None = None) -> BaseException:
    """`error` of the SDK as one of ours; whatever else it is stays."""
    modal = sdk()
    kinds = modal.exception
    said = str(error).strip() or type(error).__name__
    told = f"{what}: {said}"
    match error:
        case PointsmanError():
            return error
        case kinds.AuthError():
            return advised(AuthFailed(f"{what}: Modal refuses the account's token: {said}"), SET_UP)
        case kinds.PermissionDeniedError():
            return advised(
                AuthFailed(told), "the account's token has no right to do this: use another, or have one given"
            )
        case kinds.NotFoundError() if "nvironment" in said and place and "App" not in said and "ookup" not in said:
            return advised(ConfigError(told), "`modal environment list` shows which there are; --environment names one")
        case kinds.NotFoundError() if place:
            message = f"{what}: no app called {place} is deployed at Modal"
            remedy = (
                "`pointsman modal deploy` deploys it, with its --provider if it has one; `modal app list` shows others"
            )
            return advised(NotDeployed(message), remedy)
        case kinds.ResourceExhaustedError():
            remedy = "wait a little, or raise the limit or the budget on https://modal.com/settings"
            return advised(QuotaExhausted(told), remedy)
        case kinds.ConnectionError() | kinds.ServiceError() | kinds.InternalError() | kinds.TimeoutError():
            return advised(Unavailable(told), REACH)
        case kinds.InvalidError() | kinds.VersionError() | kinds.DeprecationError():
            return advised(ConfigError(f"{what}: Modal refuses it: {said}"), "correct that; --dry-run shows the plan")
        case kinds.Error():
            return ProviderError(told)
        case _:
            return error


def advised(error: ErrorT, remedy: str) -> ErrorT:
    """`error` with what to do about it, which the command shows in the place of its own advice."""
    error.add_note(f"next: {remedy}")
    return error


def remedy_of(error: BaseException) -> str:
    """What `advised` has put there; empty if it has not."""
    notes = getattr(error, "__notes__", ())
    return next((note.removeprefix("next: ") for note in notes if note.startswith("next: ")), "")
