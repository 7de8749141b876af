"""What has been said in a conversation, and what holds for the next question."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import click

from pointsman import Image, Message, Text, assistant

from ..chat.attachments import Attachment, as_message

if TYPE_CHECKING:
    from pointsman.client import AsyncClient, Options


class Talk:
    """Messages, and the options of calls. `options` is ours to change."""

    def __init__(self, options: dict[str, Any], attached: Sequence[Attachment] = ()) -> None:
        self.options = options
        self._begin(dict(options.get("tags", {})))
        self.attached = list(attached)
        """Goes with what is said next."""
        self.messages: list[Message] = []
        self._last: Message | None = None
        """What was asked last, whether it was answered or not."""

    def _begin(self, tags: Mapping[str, str]) -> None:
        """A conversation. An agent that remembers what came before knows it by its thread, if `tags` do not say one."""
        self.options["tags"] = {"thread": uuid4().hex, **tags}

    def decided(self, client: AsyncClient) -> tuple[str, bool]:
        """Who would be asked now, and whether another question may go to others.

        Raises `ConfigError`, `PluginError` or `NoCandidates`.
        """
        decision = client.decide("?", **cast("Options", self.options))
        return str(decision.order[0]), decision.task is not None

    def say(self, text: str) -> Message:
        """The next question, as it is asked; `heard` says whether it stays."""
        message = as_message(text, self.attached)
        self.attached.clear()
        self.messages.append(message)
        self._last = message
        return message

    def again(self) -> str:
        """The last question, without its answer. Raises `click.UsageError` if there was none."""
        if self._last is None:
            raise click.UsageError("nothing has been asked yet: type a question")
        message, text = self._last, self._last.parts[-1]
        if message in self.messages:
            del self.messages[self.messages.index(message) :]
        self.attached = [Attachment("what was attached", part) for part in message.images]
        return text.text if isinstance(text, Text) else ""

    def heard(self, message: Message, answer: str) -> str:
        """Keep a question and its answer, if any of it has come. Says which.

        A question alone is not kept: two in a row are refused by many vendors, and one that was refused would be
        refused with each that follows.
        """
        if not answer.strip():
            self.messages.remove(message)
            return "The question is not kept; /retry asks it again."
        self.messages.append(assistant(answer))
        return "What has come is kept as the answer; /retry asks again."

    def clear(self) -> None:
        """Forget what has been said."""
        self.messages.clear()
        self.attached.clear()
        self._last = None
        self._begin({name: value for name, value in self.options["tags"].items() if name != "thread"})

    def misfit(self) -> str | None:
        """Why the last answer does not fit the schema; None if it does, or if there is none."""
        if "response_schema" not in self.options or not self.messages:
            return None
        from ..chat.schema import misfit

        return misfit(self.messages[-1].text, self.options["response_schema"])

    def save(self, given: str) -> Path:
        """Write the messages as JSON, in the form of the OpenAI API. Raises `click.UsageError`."""
        path = Path(given).expanduser()
        said = [{"role": one.role, "content": _content(one)} for one in self.messages]
        if system := self.options.get("system"):
            said.insert(0, {"role": "system", "content": system})
        try:
            with path.open("x", encoding="utf-8") as file:
                json.dump({"messages": said}, file, ensure_ascii=False, indent=2)
                file.write("\n")
        except FileExistsError:
            raise click.UsageError(f"{path} is there already, and is left as it is; name a new file") from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise click.UsageError(f"{path} cannot be written ({why}); name another file") from None
        return path


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.text
    return [
        {"type": "image_url", "image_url": {"url": part.url}}
        if isinstance(part, Image)
        else {"type": "text", "text": part.text}
        for part in message.parts
    ]
