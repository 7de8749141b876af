"""What pydantic finds wrong with a setting, for whoever wrote it: what it has to be, what it is, what to write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..asking import kind_of
from ..errors import did_you_mean

LONGEST = 40
"""Characters of a value that are shown of it."""
_SECONDS = re.compile(r"([\d.]+) ?(?:s|secs?|seconds?)")
_OTHER_TIME = re.compile(r"[\d.]+ ?(?:ms|m|mins?|minutes?|h|hours?)")


def complaint(problem: Mapping[str, Any], *, otherwise: str = "the default") -> str:
    """The end of a sentence that begins with the setting. It shows the value, so it is not for what may be a key.

    `problem` is one of pydantic's, with its context and input; `otherwise` is what holds if the setting is left out.
    """
    kind, value, context = str(problem["type"]), problem["input"], problem.get("ctx", {})
    match kind:
        case "greater_than":
            return f"is more than {context['gt']:g}, not {_shown(value)}: leave it out for {otherwise}"
        case "greater_than_equal":
            return f"is {context['ge']:g} or more, not {_shown(value)}"
        case "less_than":
            return f"is less than {context['lt']:g}, not {_shown(value)}"
        case "less_than_equal":
            return f"is {context['le']:g} or less, not {_shown(value)}"
        case "literal_error":
            words = re.findall(r"'([^']*)'", context["expected"])
            meant = did_you_mean(value, words) if isinstance(value, str) else ""
            return f"is one of {', '.join(words)}, not {_shown(value)}{meant}"
        case "float_type" | "float_parsing":
            return f"is a number{_instead(value)}"
        case "finite_number":
            return f"is a finite number, not {_shown(value)}"
        case "int_type" | "int_parsing" | "int_parsing_size" | "int_from_float":
            return f"is a whole number{_instead(value)}"
        case "tuple_type" if isinstance(value, str) and len(value) <= LONGEST * 2:
            return f"is a list: {json.dumps([part.strip() for part in value.split(',')], ensure_ascii=False)}"
        case "tuple_type":
            return f"is a list, not {_shown(value)}"
        case "dict_type" | "mapping_type" | "model_type" | "model_attributes_type":
            return f"is a table, not {_shown(value)}"
        case "string_type" if isinstance(problem["loc"][-1], int):
            return f"is a list of texts: {_shown(value)} is none"
        case "string_type":
            return f"is a text, not {_shown(value)}"
        case _:
            return without_label(str(problem["msg"]))


def without_label(message: str) -> str:
    """What a validator said, without what pydantic puts before it."""
    return message.removeprefix("Value error, ")


def _instead(value: object) -> str:
    """`, not ...`, and what to write if it is a time with its unit."""
    text = value.strip() if isinstance(value, str) else ""
    if found := _SECONDS.fullmatch(text):
        return f" without a unit, not {_shown(value)}: write {found[1]}"
    return f", not {_shown(value)}{'; times are in seconds' if _OTHER_TIME.fullmatch(text) else ''}"


def _shown(value: object) -> str:
    if isinstance(value, str | int | float):
        text = repr(value)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return "a table" if isinstance(value, Mapping) else kind_of(value)
