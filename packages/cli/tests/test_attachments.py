"""Files that go with a prompt: known by what is in them; what cannot be sent is refused before anybody is asked."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from pointsman import Image
from pointsman_cli.chat import attachments
from pointsman_cli.chat.attachments import as_message, read_attachment
from pointsman_testing import Vendor

Invoke = Callable[..., Result]
PICTURES = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0",
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "gif": b"GIF89a\1\0",
    "webp": b"RIFF\x24\0\0\0WEBPVP8 ",
}


@pytest.mark.parametrize("kind", PICTURES)
def test_picture_is_known_by_its_bytes(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "named.txt"
    path.write_bytes(PICTURES[kind])
    encoded = base64.b64encode(PICTURES[kind]).decode()
    assert read_attachment(str(path)).part == Image(f"data:image/{kind};base64,{encoded}")


def test_text_is_a_block_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_bytes(b"\xef\xbb\xbfna\xc3\xafve\n")
    message = as_message("Sum up.", [read_attachment(str(path))])
    assert message.text == '<file name="notes.png">\nnaïve\n</file>\n\nSum up.'


def test_files_precede_the_question_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(PICTURES["png"])
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "b.txt").write_text("B")
    message = as_message("?", [read_attachment(str(tmp_path / name)) for name in ("a.txt", "p.png", "b.txt")])
    assert len(message.images) == 1
    assert message.text.index("A\n") < message.text.index("B\n") < message.text.index("?")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file"),
        (b"", "the file is empty"),
        (b"\0\1\2", "neither a picture (PNG, JPEG, GIF, WebP) nor UTF-8 text; convert it"),
        (b"\xff\xfea\0", "neither a picture"),
        (b"%PDF-1.7\n\xff", "pdftotext"),
    ],
)
def test_what_cannot_be_sent_is_refused(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(click.UsageError) as caught:
        read_attachment(str(path))
    assert str(path) in caught.value.message
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("given", "says"),
    [("-", "stdin is the prompt"), (".", "this is a folder"), ("/dev/null", "device"), ("a\0b", "a\0b")],
)
def test_what_is_no_file_is_refused(given: str, says: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        read_attachment(given)
    assert says in caught.value.message


def test_what_is_too_large_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MOST", 1_000_000)
    path = tmp_path / "large"
    path.write_bytes(b"a" * 1_000_001)
    with pytest.raises(click.UsageError, match="larger than 1 MB"):
        read_attachment(str(path))
    path.write_bytes(b"a" * 1_000_000)
    assert read_attachment(str(path)).part


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_output_of_a_command_can_be_attached(tmp_path: Path) -> None:
    """As in ``-a <(git diff)``."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("from a command",))
    writer.start()
    assert read_attachment(str(path)).part == "from a command"
    writer.join()


@pytest.mark.usefixtures("place")
def test_vendor_gets_pictures_and_texts(invoke: Invoke, a: Vendor, place: Path) -> None:
    (place / "p.png").write_bytes(PICTURES["png"])
    (place / "notes.md").write_text("some notes")
    done = invoke("chat", "What is this?", "-a", "p.png", "--attach", "notes.md", "-m", "a/m1")
    assert done.exit_code == 0, done.output
    (message,) = a.requests[-1].json["messages"]
    picture, text = message["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    assert text["text"] == '<file name="notes.md">\nsome notes\n</file>\n\nWhat is this?'


@pytest.mark.usefixtures("place")
def test_missing_file_is_wrong_usage(invoke: Invoke, a: Vendor) -> None:
    done = invoke("chat", "hi", "-a", "no.png")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "-a no.png: there is no such file" in done.stderr
    assert not a.requests
