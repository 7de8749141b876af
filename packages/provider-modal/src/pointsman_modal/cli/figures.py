"""Numbers for a person, and what a person writes for one."""

from __future__ import annotations

import re

_UNITS = ("B", "kB", "MB", "GB", "TB")
_LONGEST = 366 * 86_400.0
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """Of ``90``, ``90s``, ``30m``, ``1.5h``, ``1h30m``. Raises `ValueError`."""
    plain = text.strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh]?)", plain)
    bare = len(parts) > 1 and any(not unit for _, unit in parts)  # In "1h30" they are minutes to some.
    if not parts or bare or "".join(number + unit for number, unit in parts) != plain:
        raise ValueError(f'{text!r} is no time: write seconds, or "30m", "1h30m"')
    if (count := sum(float(number) * _SECONDS[unit] for number, unit in parts)) > _LONGEST:
        raise ValueError(f"{text!r} is more than a year")
    return count


def span(count: float) -> str:
    """``12 s``, ``1m 12s``, ``2h 05m``."""
    whole = round(count)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m {rest:02}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02}m"


def size(count: float) -> str:
    """``4.7 GB``: powers of 1000, as Ollama and disks count."""
    amount, unit = float(count), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.{1 if unit and amount < 9.95 else 0}f} {_UNITS[unit]}"


def plural(count: int, noun: str) -> str:
    """``1 container``, ``2 containers``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
