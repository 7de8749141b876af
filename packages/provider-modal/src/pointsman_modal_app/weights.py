"""The weights in the Volume: whether a model is there whole, and how it gets there.

A receipt, written last, lists the files that a pull has left, with their sizes. Ollama's own manifest would do as well,
if its place did not depend on Ollama's version.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

from .container import Server, ServerFailed
from .settings import Deployment

SILENCE = 600.0
"""Seconds without a word after which a pull is given up. Checking the sum of a large file takes its time."""
EVERY = 1.0
"""Seconds between two lines of progress: Ollama writes one every 60 ms, and each is a call to Modal."""
_OURS = "pointsman"


class Progress(TypedDict):
    """What a pull is at; bytes of one file, 0 of 0 where it is about none."""

    status: str
    completed: int
    total: int


def is_whole(models: Path, model: str) -> bool:
    """Whether all that a pull of `model` has left in the folder `models` is still there."""
    try:
        files: Any = json.loads(_receipt(models, model).read_bytes())["files"]
        return bool(files) and all((models / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # none yet, or one that says nothing


def fetched(deployment: Deployment, model: str, models: Path) -> Iterator[Progress]:
    """Pull `model` into the folder `models`, unless it is there. One that was killed goes on where it was.

    Raises `ServerFailed`. Nobody else may write to the folder meanwhile.
    """
    if is_whole(models, model):
        yield Progress(status=f"{model} is there", completed=0, total=0)
        return
    _receipt(models, model).unlink(missing_ok=True)
    _remove_torn(models)
    server = Server(deployment, models, host="127.0.0.1")
    server.start()
    try:
        try:
            yield from _pull(server, model)
        except _Retry as error:
            yield Progress(status=f"{error}; once more", completed=0, total=0)
            yield from _pull(server, model)
        _settle(server, models)
    finally:
        server.stop()
    if torn := _torn(models):
        raise ServerFailed(f"{model} was pulled, but {', '.join(path.name for path in torn)} is not as long as it says")
    _write_receipt(models, model)
    yield Progress(status=f"{model} is there", completed=0, total=0)


def ensure(models: Path, model: str, pull: Callable[[str], Iterable[Progress]], reload: Callable[[], None]) -> None:
    """Return once `model` is whole in `models`: it is pulled by somebody else, who may write, and then looked for anew.

    Raises `ServerFailed` if it is not there even then.
    """
    if is_whole(models, model):
        return
    print(f"{model} is not in the Volume yet: it is pulled now", flush=True)
    for progress in pull(model):
        print(describe(progress), flush=True)
    reload()  # nothing has been opened yet; that would fail it
    if not is_whole(models, model):
        raise ServerFailed(f"{model} was pulled, but this container does not find it in {models}")


def describe(progress: Progress) -> str:
    """A line about it."""
    if not progress["total"]:
        return progress["status"]
    return f"{progress['status']}: {progress['completed'] / 1e9:.2f} of {progress['total'] / 1e9:.2f} GB"


class _Retry(ServerFailed):
    """What another try may mend: it goes on with what is there."""


def _pull(server: Server, model: str) -> Iterator[Progress]:
    status, due = "", 0.0
    try:
        for said in server.http.lines("/api/pull", {"model": model, "stream": True}, timeout=SILENCE):
            if error := said.get("error"):
                raise _refused(server, model, error)
            if said.get("status") != status or time.monotonic() >= due:
                status, due = said.get("status", ""), time.monotonic() + EVERY
                yield Progress(status=status, completed=said.get("completed", 0), total=said.get("total", 0))
    except (OSError, HTTPException, ValueError) as error:
        raise _Retry(str(server.failed(f"the pull of {model} broke off: {type(error).__name__}: {error}"))) from error
    if status != "success":
        raise _Retry(str(server.failed(f"the pull of {model} ended without success, after {status!r}")))


def _settle(server: Server, models: Path) -> None:
    """Have Ollama create all folders that it looks into: where it only reads, one that is missing is an error to it."""
    status, said = server.http.ask("/api/tags", timeout=60.0)
    if status != 200:
        raise server.failed(f"Ollama cannot list what was pulled: it says {status}: {said}")
    for folder in models.iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            (folder / ".keep").touch()  # whether a Volume keeps an empty folder is not documented


def _refused(server: Server, model: str, error: str) -> ServerFailed:
    if "file does not exist" in error:
        return ServerFailed(f"Ollama's library has no {model}: its models and their tags are at ollama.com/library")
    return _Retry(str(server.failed(f"Ollama could not pull {model}: {error}")))


def _receipt(models: Path, model: str) -> Path:
    return models / _OURS / f"{quote(model, safe='')}.json"


def _write_receipt(models: Path, model: str) -> None:
    receipt = _receipt(models, model)
    found = [path for path in sorted(models.rglob("*")) if path.is_file() and path.parent != receipt.parent]
    files = {str(path.relative_to(models)): path.stat().st_size for path in found if "-partial" not in path.name}
    receipt.parent.mkdir(exist_ok=True)
    draft = receipt.with_suffix(".draft")
    draft.write_text(json.dumps({"model": model, "files": files}))
    os.replace(draft, receipt)


def _remove_torn(models: Path) -> None:
    """What a container left that was killed between two writes, and that Ollama would stumble over.

    It takes a file of the right name for whole, and ends at a note about a part that is no JSON, each time again.
    """
    for path in _torn(models):
        path.unlink()
    torn = {note.name.partition("-partial")[0] for note in models.glob("blobs/*-partial-*") if not _is_json(note)}
    for blob in torn:
        for path in models.glob(f"blobs/{blob}-partial*"):
            path.unlink()


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return False
    return True


def _torn(models: Path) -> set[Path]:
    """Files that are not as long as a manifest says."""
    torn: set[Path] = set()
    for path in models.glob("manifests*/**/*"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            manifest: Any = json.loads(path.read_bytes())
            for layer in (manifest["config"], *manifest["layers"]):
                blob = models / "blobs" / layer["digest"].replace(":", "-")
                if blob.exists() and blob.stat().st_size != layer["size"]:
                    torn.add(blob)
    return torn
