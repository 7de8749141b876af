"""Files that go with a prompt: pictures as pictures, text as text, by what is in them and not by their names."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from pointsman import Image, Message, user

MOST = 20_000_000
"""Bytes of one file. Vendors refuse larger requests (the largest take 20 to 50 MB, and a picture grows by a third on
its way), and that after all of it has been sent."""

_KINDS = (("png", b"\x89PNG\r\n\x1a\n"), ("jpeg", b"\xff\xd8\xff"), ("gif", b"GIF87a"), ("gif", b"GIF89a"))


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as it is sent."""

    name: str
    part: Image | str

    def __str__(self) -> str:
        return f"{self.name} ({'picture' if isinstance(self.part, Image) else 'text'})"


def read_attachment(given: str) -> Attachment:
    """The file at the path `given`. Raises `click.UsageError` that says what to do instead."""
    if given == "-":
        raise click.UsageError("-a -: stdin is the prompt, so pipe text in without -a; a picture must be in a file")
    path = Path(given).expanduser()
    data = _read(path)
    if not data:
        raise click.UsageError(f"-a {given}: the file is empty; leave it out, or name another")
    kind = _picture(data)
    if kind:
        return Attachment(path.name, Image(f"data:image/{kind};base64,{base64.b64encode(data).decode()}"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        remedy = (
            f"pdftotext {path.name} - makes text of it" if data.startswith(b"%PDF") else "convert it to one of these"
        )
        raise click.UsageError(f"-a {given}: neither a picture (PNG, JPEG, GIF, WebP) nor UTF-8 text; {remedy}")
    return Attachment(path.name, text)


def as_message(text: str, attachments: Sequence[Attachment]) -> Message:
    """What the person said, files first."""
    pictures = [one.part for one in attachments if isinstance(one.part, Image)]
    texts = [_block(one.name, one.part) for one in attachments if isinstance(one.part, str)]
    return user(*pictures, "\n\n".join([*texts, text]))


def _block(name: str, text: str) -> str:
    shown = name.translate({ord('"'): "'"})
    return f'<file name="{shown}">\n{text.rstrip()}\n</file>'


def _picture(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((kind for kind, magic in _KINDS if data.startswith(magic)), None)


def _read(path: Path) -> bytes:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise click.UsageError(f"-a {path}: this is a folder; name the files in it, each with -a")
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):  # <(a command) is a pipe.
            raise click.UsageError(f"-a {path}: this is a device; name a file")
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except FileNotFoundError:
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise click.UsageError(f"-a {path}: there is no such file{where}; name one that exists") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise click.UsageError(f"-a {path}: it cannot be read ({why}); mend that, or name another file") from None
    if len(data) > MOST:
        raise click.UsageError(
            f"-a {path}: larger than {MOST // 1_000_000} MB, which vendors refuse; make it smaller, or send a part"
        )
    return data
