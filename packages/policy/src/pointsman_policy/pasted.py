"""What a person says, told from what was pasted: code, diffs, tracebacks; line by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

HEAD, TAIL = 1_600, 1_200
"""How many characters of a message are read at its beginning and at its end."""

# Each line is held against these two. `.*` goes before a literal, which is looked for quickly, and what has to look at
# each character comes last, or behind a look at what the line must have.
_CODE = re.compile(
    r"""\s*+(?:
      //|/\*|\*/|\*\s@|\#!|\#\s*(?:include|define|ifdef|ifndef|endif|pragma)\b|--\s
    | <[/!?]?[a-zA-Z][\w-]*(?:\s[^<>]*)?/?>
    | (?:SELECT|INSERT\ INTO|UPDATE|DELETE\ FROM|CREATE\ (?:TABLE|VIEW|INDEX)|ALTER\ TABLE|FROM|WHERE|GROUP\ BY
        |ORDER\ BY|(?:LEFT|INNER)?\s?JOIN)\b
    | (?:\$|>>>|In\s?\[\d+\]:)\s+\S
    | (?=
          (?:def|fn|func|function|class|interface|struct|enum)\s+\w+\s*[({<:\[]
        | (?:public|private|protected|static|const|let|var|val|void|int|double|float|char|bool|string|std::|return|yield
            |await|print|echo|assert|raise|throw|del|using|namespace|package)\b.*[(){}\[\];=<>"']
        | (?:if|for|while|with|elif|switch|catch)\b.*[({:]\s*$ | (?:try|else|finally)\s*[:{]
        | from\s+[\w.]+\s+import\s
        | import\s+(?:[\w.]+(?:\s*,\s*[\w.]+)*(?:\s+as\s+\w+)?|[\w{}*,\s]+from\s.*|[({].*);?\s*$
        | @\w+(?:[.(]|\s*$) | package\s[\w.]+;?\s*$
        | (?:sudo|npm|pip|git|docker|kubectl|curl|cd|apt|yarn|cargo)\s+[-\w./:@=]+(?:\s+[-\w./:@=]+)*\s*$
        | (?=.*=)[\w.\[\]'"*&]+(?:\s+[\w.\[\]*&]+)?(?:\s*:\s*[\w\[\], ]+)?\s*(?:[-+*/|&%:]|<<)?=[^=]
        | [\w.]+\([^()]*(?:\([^()]*\)[^()]*)*\)\s*[;{:,]?\s*$
        | "[\w-]+"\s*:\s
        | .*;\s*$ | .*\{\s*$ | .*\)\s*=> )
      (?![^"'`]*\b[a-z']{2,}\ [a-z']{2,}\ [a-z']{2,}\ [a-z']{2,})  # four words in a row are no code
    | [{}()\[\];,]+\s*$ | \}.*$
    )""",
    re.VERBOSE,
)
_TRACE = re.compile(
    r"""^[ \t]*+(?:Traceback\ \(|File\ "[^"]*",\ line\ \d|at\ [\w.$<>/]+\s?\(.*\)|Caused\ by:|Exception\ in\ |panic:
      |goroutine\ \d|[\w.]*(?:Error|Exception|Warning|Fault)\b\s*:
      |(?:fatal\ |syntax\ |compile\ )?error(?:\[\w+\]|\ [A-Z]+\d+)?\s*:|npm\ ERR|Segmentation\ fault
      |.*:\d+:\d+:\s*(?:fatal\ )?(?:error|warning)|thread\ '.*'\ panicked|Uncaught\b|Unhandled\b
      |(?=.*:\d\d:)(?>.*?\d\d:\d\d:\d\d).*\b(?:ERROR|FATAL|CRITICAL|SEVERE)\b
      |.*undefined(?<=\bundefined)\ reference\ to
      |E\s{2,}\w|FAILED\b|ERROR\b|\[ERROR\])""",
    re.VERBOSE | re.MULTILINE,
)
_ERROR = re.compile(r"\b[A-Z]\w{0,60}(?:Error|Exception)\b|\b(?:error code|Error:)")
_DIFF = re.compile(
    r"diff --git |@@ -\d|\+\+\+ \S|--- \S|[+-](?:\s{2,}|(?=[\w@}<#/{]))(?![a-z]+ [a-z]+ [a-z]+ )\S.*[\w(){};=:,]\s*$"
)
_ITEM = re.compile(r"\s*+(?:[-*•–]\s+|(\d{1,2}|[a-hA-H])[.)]\s+|\(\w\)\s+)(?=\S)")
_SPEAKER = re.compile(r"[A-Z][\w .'-]{0,24}:\s+\S")
_LATEX = re.compile(
    r"\$[^$\s;](?:[^$\n;]{0,200}[^$\s;])?\$|\\(?:frac|sqrt|sum|int|begin|left|cdot|times|le|ge|pi|angle|triangle|boxed)\b|\\\("
)
_CHANGED = ("+", "-", "@", "d")
_GOES_ON = (" ", "\t", "#")
"""With what a line begins that goes on with the code above it, if there is any."""


@dataclass(slots=True)
class Page:
    """A message, sorted into lines of prose, with ``<code>`` where code stood, and lines of code."""

    prose: list[str]
    code: list[str]
    signs: set[str]
    changes: int = 0
    items: int = 0
    speakers: int = 0

    def paste(self, line: str) -> None:
        if line.strip():
            self.code.append(line)
            self.changes += line[0] in _CHANGED and _DIFF.match(line) is not None
        if self.prose[-1:] != ["<code>"]:
            self.prose.append("<code>")

    def say(self, line: str) -> None:
        if not line.strip():
            return
        if _ITEM.match(line):
            self.items += 1
        elif _SPEAKER.match(line):
            self.speakers += 1
        if ("$" in line or "\\" in line) and _LATEX.search(line):
            self.signs.add("math")
        if ("rror" in line or "xception" in line) and _ERROR.search(line):
            self.signs.add("error")
        if len(line) > 250:
            self.signs.add("passage")
        self.prose.append(line)


def divide(text: str, head: int = HEAD, tail: int = TAIL) -> Page:
    """Tell what is said in `text` from what is pasted into it: in its first `head` and last `tail` characters."""
    page = Page([], [], set())
    if len(text) <= head + tail:
        _sort_lines(text, False, page)
    else:
        page.signs.add("long")
        _sort_lines(text[:head], False, page)
        end = text[-tail:]
        # An odd number of fences in the end of a text: it begins inside of one.
        _sort_lines(end, end.count("```") % 2 == 1, page)
    if page.code:
        page.signs.add(_where(page.prose))
        if _TRACE.search("\n".join(page.code)):
            page.signs.add("traceback")
    for sign, found in (("list", page.items > 1), ("dialogue", page.speakers > 2), ("diff", page.changes > 2)):
        if found:
            page.signs.add(sign)
    return page


def _where(prose: Sequence[str]) -> str:
    if len(prose) == 1:
        return "only code"
    return "code first" if prose[0] == "<code>" else "code last" if prose[-1] == "<code>" else "code between"


def _sort_lines(text: str, fenced: bool, page: Page) -> None:
    for line in text.splitlines():
        if "```" in line:
            page.signs.add("fence")
            for place, piece in enumerate(line.split("```")):
                if place:
                    fenced = not fenced
                if fenced:
                    if place and piece[:4] == "diff":
                        page.signs.add("diff")
                    page.paste("" if place and " " not in piece and len(piece) < 12 else piece)  # "" for ```python
                else:
                    page.say(piece)
        elif fenced or (line[:1] in _GOES_ON and page.prose[-1:] == ["<code>"]) or _is_code(line):
            page.paste(line)
        else:
            page.say(line)


def _is_code(line: str) -> bool:
    if _TRACE.match(line) or (line[:1] in _CHANGED and _DIFF.match(line)):
        return True
    return _CODE.match(line) is not None and not (("$" in line or "\\" in line) and _LATEX.search(line))
