"""A request as a person sees it: what it says, apart from what was pasted; and which signs it bears.

However long it is, only so much of its beginning and of its end is looked at: the request stands there, and the work is
bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pointsman import ChatRequest

from .language import language_of
from .pasted import divide

FIRST, LAST = 480, 360
"""How many characters of its prose are taken apart into words, at its beginning and at its end."""
SAMPLE = 600
"""How many characters of code are looked at for which language it is in."""
MESSAGES = 8
"""How many messages before the last are looked at for code, errors and tools."""
GLANCE = 500
"""How many characters of each of these, at its beginning and at its end: else each would cost what the last does."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One message of a person, the last, and what the conversation before it bears on it."""

    words: tuple[str, ...]
    """Its prose, in lower case and without accents. ``<code>``, ``<number>``, ``<name>``, ``<file>``, ``<url>`` and
    ``<math>`` stand for what is not prose; ``?`` and ``:`` are words, too."""
    starts: tuple[int, ...]
    """Where in `words` a sentence or line begins."""
    signs: frozenset[str]
    """What it looks like: ``code``, ``fence``, ``diff``, ``traceback``, ``list``, ``question`` and others. What an
    earlier message bears is named ``earlier code`` and so on."""
    code: str
    """What was pasted, as far as it was read."""
    language: str
    """ISO 639-1, or ``other``; of the prose."""
    characters: int
    """How long the message is, whole."""
    prose_characters: int
    """How much of what was read is prose."""
    before: Reading | None = None
    """What the person said the time before, itself without a `before`."""


def read(request: ChatRequest | str) -> Reading:
    """Read what `request` asks. Never raises on any text."""
    if isinstance(request, str):
        return _message(request)
    said = [index for index, message in enumerate(request.messages) if message.role == "user"]
    if not said:
        return _message(request.messages[-1].text if request.messages else "")
    last = said[-1]
    oldest = max(0, last - MESSAGES)
    earlier: set[str] = set()
    for message in request.messages[oldest:last]:
        if message.tool_calls or message.role == "tool":
            earlier.add("earlier tools")
        elif message.role in {"user", "assistant"}:
            earlier |= {f"earlier {sign}" for sign in _glance(message.text) & _LASTING}
    former = next((index for index in reversed(said[:-1]) if index >= oldest), None)
    before = None if former is None else _message(request.messages[former].text)
    return _message(request.messages[last].text, earlier, before)


_LASTING = frozenset({"code", "diff", "traceback", "passage", "tests"})
_FILE = re.compile(
    r"[\w./~\\-]*\.(?:py|js|jsx|ts|tsx|java|go|rs|rb|php|c|cc|cpp|h|cs|kt|swift|sql|sh|html|css|json|ya?ml|toml|ini|csv|"
    r"txt|md|log|xml|pdf|docx?|xlsx?|ipynb|zip|gz|png|jpe?g|lock|env)$|(?:~|\.{0,2})/[\w.~-]+(?:/[\w.*~-]*)*$|[A-Z]:\\\S+$"
)
_NAME = re.compile(
    r"\w+_\w[\w.]*(?:\(.*\))?$|[\w.]+\(.*\)?$|[a-z]+[A-Z]\w*$|[A-Z][a-z]+[A-Z]\w*$|\w+(?:\.\w+)+$|`.+`$|--?\w[\w-]*$"
)
_MATH = re.compile(r"\\[a-zA-Z]+|\$[^$\s]|\^|[=<>≤≥±√∫∑π]|\d\s*[-+*/×÷]\s*\d|[a-z]\d?[-+*/]\d")
_PARTS = re.compile(r"[^\W\d_]+")
_WIDE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")  # these scripts do not part words: a character is one
_STRIP = ".,;!\"'()[]{}*_“”‘’«»¿¡…#|>-=+~`、。，！？；：（）「」"
_ACCENTS = str.maketrans(
    "áàâãäåéèêëíìîïóòôõöúùûüçñýÁÀÂÃÄÅÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜÇÑÝ’", "aaaaaaeeeeiiiiooooouuuucnyAAAAAAEEEEIIIIOOOOOUUUUCNY'"
)
_COMPILED = "|".join(
    rf"{word}(?<=\b{word})"  # By its letters first: to ask at each of them for a boundary takes thrice the time.
    for word in ("public", "private", "void", "int", "func", "fn", "std::", "#include", "struct", "package")
)
_SYNTAXES = (
    (
        "python",
        ("def ", "from ", "elif ", "import ", "@", ">>> "),
        re.compile(r"^\s*(?:def \w+\(.*:|from \w[\w.]* import|elif .*:|import \w+$|@\w+$|>>> )", re.MULTILINE),
    ),
    (
        "sql",
        ("select", "insert into", "create table", "alter table"),
        re.compile(r"\b(?:SELECT|INSERT INTO|CREATE TABLE|ALTER TABLE)\b", re.IGNORECASE),
    ),
    (
        "markup",
        ("<", "{"),
        re.compile(r"</?(?:div|html|body|p|span|a|table|button|script)\b|\{\{|^\s*[.#]?[\w-]+\s*\{\s*$", re.MULTILINE),
    ),
    (
        "script",
        ("const ", "let ", "var ", "=> ", "function", "console.", "document.", "require("),
        re.compile(r"\b(?:const|let|var) \w+|=> |function\s*\w*\(|console\.|document\.|require\("),
    ),
    (
        "shell",
        ("$ ", "#!/bin", "sudo ", "echo ", "export ", "apt", "docker ", "git ", "npm ", "pip "),
        re.compile(r"^\s*(?:\$ |#!/bin|sudo |echo |export \w+=|apt|docker |git |npm |pip )", re.MULTILINE),
    ),
    (
        "compiled",
        (";", "{", "("),
        re.compile(rf"(?:{_COMPILED})\b.*[;{{(]"),
    ),
)
"""Each with what a text has that it may be found in, in lower case: to look for that takes a tenth of the time."""
_TESTED = ("@Test", "def test_", "unittest", "pytest", "describe(", "assert", "it('", 'it("', "expect(")
_TESTS = re.compile(
    r"@Test\b|\bdef test_|\bunittest\b|\bpytest\b|\bdescribe\(|\bassert(?:Equal|True|That)?\b|\bit\(['\"]|\bexpect\("
)
_STUB = re.compile(
    r"(?:\"\"\"|'''|\bpass|\.\.\.|TODO.*|#\s*(?:your|write|complete|implement|fill)\b.*|//\s*(?:your|todo|write)\b.*)\s*\}?\s*$",
    re.IGNORECASE,
)


def _glance(text: str) -> set[str]:
    """What lasts of a message that is no more the last."""
    page = divide(text.strip(), GLANCE, GLANCE)
    if page.code:
        page.signs.add("code")
        if _holds_tests("\n".join(page.code)[:SAMPLE]):
            page.signs.add("tests")
    return page.signs


def _holds_tests(sample: str) -> bool:
    return any(hint in sample for hint in _TESTED) and _TESTS.search(sample) is not None


def _message(text: str, earlier: Iterable[str] = (), before: Reading | None = None) -> Reading:
    text = text.strip()
    page = divide(text)
    prose = "\n".join(page.prose)
    code = "\n".join(page.code)
    signs = page.signs
    signs.update(earlier)
    if code:
        signs |= {"code", f"code {_size(len(code), (80, 300, 900))}"}
        sample = code[:SAMPLE]
        lower = sample.lower()
        signs.update(
            f"syntax {name}"
            for name, hints, pattern in _SYNTAXES
            if any(hint in lower for hint in hints) and pattern.search(sample)
        )
        if _holds_tests(sample):
            signs.add("tests")
        if _STUB.search(code[-100:]):
            signs.add("stub")
    words: list[str] = []
    starts: list[int] = []
    if len(prose) <= FIRST + LAST:
        _take(prose, words, starts)
    else:
        _take(prose[:FIRST], words, starts)
        _take(prose[-LAST:], words, starts)
    said = [word for word in words if word[0] not in "<?:"]
    signs.add(f"words {_size(len(said), (1, 4, 9, 20, 45, 100))}")
    if "?" in words:
        signs.add("question last" if "?" in words[-2:] else "question")
    if (numbers := words.count("<number>")) > 1:
        signs.add("numbers" if numbers < 4 else "many numbers")
    if said and text[:1].islower():
        signs.add("lower case")
    language = language_of(prose, said)
    return Reading(tuple(words), tuple(starts), frozenset(signs), code, language, len(text), len(prose), before)


def _size(number: int, steps: Sequence[int]) -> int:
    return sum(number >= step for step in steps)


def _take(prose: str, words: list[str], starts: list[int]) -> None:
    """Add the words of `prose`, and where sentences begin."""
    if not prose.isascii():
        prose = _WIDE.sub(r" \g<0> ", prose.translate(_ACCENTS))
    for line in prose.split("\n"):
        begins = True
        for raw in line.split():
            if raw.isalpha():  # Most are letters alone, with nothing to take off.
                if begins:
                    starts.append(len(words))
                    begins = False
                words.append(_word(raw))
                continue
            bare = raw.strip(_STRIP)
            if not bare and raw != "<code>" and raw[-1] not in "?:":
                continue
            if begins and raw != "<code>":
                starts.append(len(words))
            last = raw[-1]
            begins = last in ".?!:。？！"
            word = bare.rstrip("?:")
            if raw == "<code>":
                words.append(raw)
            elif word.isalpha():
                words.append(_word(word))
            elif word:
                _shape(word, words)
            if last in "?:" or raw[-2:-1] == "?":
                words.append("?" if "?" in raw[-2:] else ":")


def _word(word: str) -> str:
    """One of letters alone; such as ``readFile`` is a name."""
    if word.islower():
        return word
    mixed = word.isascii() and not (word.isupper() or word[1:].islower())
    return "<name>" if mixed else word.lower()


def _shape(word: str, words: list[str]) -> None:
    """A token that is not letters alone."""
    word = word[:80]
    if word[0].isdigit() or (word[0] in "$€£" and word[1:2].isdigit()):
        words.append("<math>" if _MATH.search(word) else "<number>")
    elif "://" in word or word.startswith("www."):
        words.append("<url>")
    elif _FILE.match(word):
        words.append("<file>")
    elif "'" in word and word.replace("'", "").isalpha():
        words.append(word.lower())
    elif _NAME.match(word):
        words.append("<name>")
    elif _MATH.search(word):
        words.append("<math>")
    else:
        words.extend(part.lower() for part in _PARTS.findall(word))
