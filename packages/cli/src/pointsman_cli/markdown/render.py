"""A whole block of Markdown as lines for a terminal. Imports Rich, so it is imported only where a block is shown."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, HorizontalRule, Markdown, MarkdownElement
from rich.rule import Rule
from rich.syntax import ANSI_LIGHT, ANSISyntaxTheme, Syntax
from rich.text import Text
from rich.theme import Theme

from .blocks import Block

# Neither black nor white, bright or not: they vanish on one of the two kinds of screen.
_STYLES = {
    "markdown.code": "cyan",
    "markdown.code_block": "none",
    "markdown.h1": "bold underline",
    "markdown.h2": "bold",
    "markdown.h3": "bold",
    "markdown.h4": "bold italic",
    "markdown.h5": "italic",
    "markdown.block_quote": "italic",
    "markdown.link": "cyan",
    "markdown.link_url": "blue underline",
    "markdown.table.border": "dim",
    "markdown.table.header": "bold",
}


def _colours() -> ANSISyntaxTheme:
    """The terminal's own colours, without a background, and without those that vanish on one kind of screen."""
    named = {kind: style.color.name if style.color else "" for kind, style in ANSI_LIGHT.items()}
    kept = {kind: style for kind, style in ANSI_LIGHT.items() if not named[kind].startswith(("white", "bright"))}
    return ANSISyntaxTheme(kept)


_COLOURS = _colours()
CONTEXT = 100
"""Lines of code that are highlighted again, so that a text that goes over several is known as one."""
_OPENS = re.compile(r"[ \t]*(?:`{3,}|~{3,})[ \t]*([\w+#.-]*)")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_PADDING = re.compile(r"(?: |\x1b\[[0-9;]*m)+$")


def parser() -> MarkdownIt:
    """Without what would make text vanish: tags (``List<String>``), pictures, and the addresses of references."""
    made = MarkdownIt().enable(["strikethrough", "table"])
    return made.disable(["html_block", "html_inline", "image", "reference"])


class _Heading(Heading):
    """At the left, and in no frame."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Code(CodeBlock):
    """Code inside of a list or a quotation: without a background and without padding, so that it can be copied."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _highlighted(str(self.text).rstrip(), self.lexer_name)


class _Rule(HorizontalRule):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Rule(style="dim")


class _Prose(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "hr": _Rule,
    }

    def __init__(self, text: str) -> None:
        super().__init__("", hyperlinks=False)  # A link shows where it leads.
        self.markup = text
        self.parsed = _PARSER.parse(text)


_PARSER = parser()


def _highlighted(code: str, language: str) -> Text:
    text = Syntax("", language or "text", theme=_COLOURS).highlight(code)
    text.no_wrap = False
    text.overflow = "fold"
    text.rstrip()
    return text


def _unpadded(line: str) -> str:
    return _PADDING.sub(lambda end: "".join(_STYLE.findall(end[0])), line)


def _is_empty(line: str) -> bool:
    return not _STYLE.sub("", line).strip()


class Renderer:
    """Renders for a terminal that is `columns` wide."""

    def __init__(self, columns: int) -> None:
        options: dict[str, Any] = {"force_terminal": True, "highlight": False, "emoji": False, "markup": False}
        self._console = Console(width=columns, theme=Theme(_STYLES), **options)

    def lines(self, block: Block, done: int = 0) -> list[str]:
        """What is to be shown, without the empty lines around it and the first `done`."""
        return self.code(block.body, done) if block.kind == "fence" else self._prose(block.body)[done:]

    def code(self, fenced: str, done: int = 0) -> list[str]:
        """Fenced code, its fences dim, and no line of it broken: it may be copied. Its end may be missing."""
        lines = fenced.split("\n")
        opened = _OPENS.match(lines[0])
        mark = lines[0].strip()[:3]
        closed = len(lines) > 1 and lines[-1].strip().startswith(mark) and not lines[-1].strip().strip(mark[0])
        skipped = max(done - CONTEXT, 0)
        inside = lines[1 + skipped : -1 if closed else None]
        shown = self._printed(_highlighted("\n".join(inside), opened[1] if opened else ""), soft_wrap=True)
        shown += [""] * (len(inside) - len(shown))
        if len(shown) != len(inside):  # The highlighter counts lines in a way of its own: colour is not worth it.
            shown = inside
        ends = [self._printed(Text(line, style="dim"), soft_wrap=True)[0] for line in (lines[0], lines[-1])]
        return [ends[0], *lines[1 : 1 + skipped], *shown, *(ends[1:] if closed else [])][done:]

    def _prose(self, text: str) -> list[str]:
        lines = [_unpadded(line) for line in self._printed(_Prose(text))]
        while lines and _is_empty(lines[0]):
            del lines[0]
        while lines and _is_empty(lines[-1]):
            del lines[-1]
        return lines or text.split("\n")  # A block of nothing but syntax, such as ``#``: shown as it is.

    def _printed(self, what: Any, *, soft_wrap: bool = False) -> list[str]:
        with self._console.capture() as captured:
            self._console.print(what, soft_wrap=soft_wrap)
        return captured.get().removesuffix("\n").split("\n")
