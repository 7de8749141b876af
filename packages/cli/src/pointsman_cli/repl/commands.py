"""What can be told to a conversation, besides what is asked in it."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from pointsman import PointsmanError, Target

from ..chat.attachments import read_attachment
from ..chat.prompt import checked
from ..listing import say, wrapped
from ..report import Means
from ..terminal import note, width
from .talk import Talk

if TYPE_CHECKING:
    from pointsman.client import AsyncClient

HELP = "/help lists commands"

COMMANDS = {
    "/help": ("", "This list."),
    "/model": ("[PROVIDER/MODEL ...|auto]", "Who is asked from now on; several are the order, auto lets us choose."),
    "/system": ("[TEXT|none]", "The instruction that precedes the conversation."),
    "/attach": ("[FILE]", "A picture or a text goes with what you say next."),
    "/retry": ("", "Ask the last question again, without its answer."),
    "/clear": ("", "Forget what has been said; model and instruction stay."),
    "/save": ("FILE", "Write what has been said to a new file, as JSON."),
    "/exit": ("", "Leave, like Ctrl-D."),
}
KEYS = (
    'A line that ends with \\ goes on in the next. Several lines stand between """ and """, or are pasted at once. '
    "Ctrl-C stops an answer, and what has come of it is kept. // begins a question that begins with /. "
    "What you type is kept in memory only, unless POINTSMAN_HISTORY names a file for it; a line that begins with a "
    "space is in neither."
)
MEANS = Means(
    several="/model with several targets, and the next one is asked when one fails",
    others="/model with a target of another provider, too",
    model="/model with another one",
    this_model="/model {target}",
    listing="pointsman models {provider} lists what is there",
    again="/retry asks again",
    keys="; then start the conversation anew",
    restart="/retry; or start with --on-break restart, which begins such an answer anew",
    deadline="/retry; or start with a longer --deadline, or /model with a faster target",
    shorter="a shorter question, /clear, or /model with one that has a larger context",
    debug="start it again with --debug, and report what it shows",
)
_COMMAND = re.compile(r"/([a-zA-Z?]*)(?:\s|$)")


def remark(text: str) -> None:
    """Something by the way."""
    say(text, dim=True)


class Commands:
    """Obeys them."""

    def __init__(self, talk: Talk, client: AsyncClient) -> None:
        self._talk = talk
        self._client = client
        self.leaving = False

    def obey(self, text: str) -> str | None:
        """The question that `text` is, or that it asks to repeat; None if it was a command, which has been obeyed.

        Raises `click.UsageError`, and what a wrong target raises.
        """
        if text.startswith("//"):
            return text[1:]
        found = _COMMAND.match(text)
        if not found:
            return text  # Also a path, such as /etc/hosts.
        name, rest = found[0].strip().lower(), text[found.end() :].strip()
        if name in ("/quit", "/bye", "/q"):
            name = "/exit"
        match name:
            case "/help" | "/?":
                self._help()
            case "/model":
                self._model(rest.split())
            case "/system":
                self._system(rest)
            case "/attach":
                self._attach(rest)
            case "/retry":
                return self._talk.again()
            case "/clear":
                self._talk.clear()
                remark("Cleared.")
            case "/save":
                if not rest:
                    raise click.UsageError("/save FILE: name a new file")
                remark(f"Saved to {self._talk.save(_unquoted(rest))}.")
            case "/exit":
                self.leaving = True
            case _:
                near = get_close_matches(name, COMMANDS, n=1)
                hint = f"did you mean {near[0]}?" if near else "/help lists what there is;"
                raise click.UsageError(f"there is no command {name}: {hint} To ask this, begin with //")
        return None

    def completions(self, line: str, word: str) -> list[str]:
        """What `word`, the last of `line`, may become."""
        name, space, _ = line.partition(" ")
        if not space:
            return [f"{one} " for one in COMMANDS if word and one.startswith(word)]
        if name == "/model":
            return [f"{one} " for one in ("auto", *self._targets()) if one.startswith(word)]
        if name in ("/attach", "/save"):
            paths = glob.glob(glob.escape(os.path.expanduser(word)) + "*")
            return [path + (os.sep if os.path.isdir(path) else "") for path in sorted(paths)]
        return []

    def _help(self) -> None:
        rows = [(f"{name} {what}".strip(), about) for name, (what, about) in COMMANDS.items()]
        first = max(len(usage) for usage, _ in rows)
        for usage, about in rows:
            if width() < 70:
                note(usage)
                note(wrapped(about, "    "))
            else:
                note(wrapped(about, f"{usage:<{first}}  ", " " * (first + 2)))
        note(wrapped(KEYS))

    def _model(self, names: list[str]) -> None:
        options = self._talk.options
        if not names:
            model = options.get("model", "auto")
            note(model if isinstance(model, str) else " > ".join(model))
            if known := self._targets():
                note(wrapped(", ".join(known), "known: ", "       "), dim=True)
            return
        before = options.pop("model", None)
        if names != ["auto"]:
            options["model"] = names[0] if len(names) == 1 else names
        try:
            first, by_question = self._talk.decided(self._client)
        except BaseException as error:
            options.pop("model", None)
            if before is not None:
                options["model"] = before
            if isinstance(error, PointsmanError):
                self._suggest(names)
            raise
        if names != ["auto"]:
            remark(f"{first} is asked from now on.")
        else:
            remark("We choose, by what you ask." if by_question else f"We choose; now {first}.")
        self._doubt(names)

    def _suggest(self, names: Iterable[str]) -> None:
        known = self._targets()
        for name in names:
            same = [one for one in known if one.partition("/")[2] == name]
            near = same[:1] or get_close_matches(name, known, n=1)
            if near and name not in known:
                say(f"{name}: did you mean {near[0]}?")

    def _doubt(self, names: Iterable[str]) -> None:
        """A model that its provider's package does not list may be there all the same: it is asked."""
        known = self._targets()
        for name in names:
            listed = [one for one in known if one.partition("/")[0] == name.partition("/")[0]]
            near = get_close_matches(name, listed, n=1)
            if near and name not in listed:
                say(f"{name} is not one that we know of; did you mean {near[0]}?")

    def _targets(self) -> list[str]:
        roster = self._client.roster
        targets = dict.fromkeys(str(one) for one in roster.settings.routing.targets)
        for name in roster.names:
            with suppress(PointsmanError):
                targets |= dict.fromkeys(map(str, roster.default_targets(name)))
                targets |= dict.fromkeys(str(Target(name, one.id)) for one in roster.declared(name).spec.models)
        return list(targets)

    def _system(self, text: str) -> None:
        options = self._talk.options
        if not text:
            note(options.get("system") or "There is no instruction: /system TEXT gives one.")
        elif text == "none":
            options.pop("system", None)
            remark("No instruction from now on.")
        else:
            options["system"] = checked(text, "the instruction")
            remark("This holds from now on.")

    def _attach(self, rest: str) -> None:
        if rest:
            try:
                self._talk.attached.append(read_attachment(_unquoted(rest)))
            except click.UsageError as error:
                raise click.UsageError(error.message.replace("-a ", "/attach ", 1)) from None
        if not self._talk.attached:
            note("Nothing is attached: /attach FILE")
        for attachment in self._talk.attached:
            remark(f"{attachment} goes with what you say next")


def _unquoted(path: str) -> str:
    """As a terminal writes a file that is dropped onto it."""
    return path[1:-1] if len(path) > 1 and path[0] == path[-1] and path[0] in "'\"" else path
