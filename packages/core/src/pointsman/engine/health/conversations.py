"""Which target has read the beginning of a conversation a moment ago, so that its vendor may still have it at hand.

Only keyed hashes of what was asked are kept, with a key of this process's own, and no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from ...cost import FLOOR_CHARACTERS_PER_TOKEN, floor_characters
from ...types import Message, Target, Text

WARM = 600.0
"""Seconds for which a beginning counts as read a moment ago."""
MOST = 4096
"""Beginnings that are kept: the newest."""


class Beginning(NamedTuple):
    """The messages of a request up to and including one of its user's."""

    key: bytes
    tokens: int
    """About so many are in it: twice as many as there are at least, as policies estimate the whole prompt."""


@dataclass(slots=True, eq=False, repr=False)
class Conversations:
    """What was answered lately. Moments are seconds on the client's clock."""

    salt: bytes
    """Of 64 bytes at most, and of this process only."""
    _answered: dict[bytes, tuple[Target, float]] = field(default_factory=dict[bytes, tuple[Target, float]])
    """Oldest first."""

    def beginnings(self, messages: Sequence[Message]) -> list[Beginning]:
        """One for each message of the user's, shortest first. What the model said does not count for the key: it
        stands in the caller's words, who may have shortened it.
        """
        digest, characters = blake2b(key=self.salt, digest_size=16), 0
        found: list[Beginning] = []
        for message in messages:
            characters += floor_characters(message.text)
            if message.role not in ("system", "user"):
                continue
            digest.update(b"%s %d " % (message.role.encode(), len(message.parts)))
            for part in message.parts:
                said = (part.text if isinstance(part, Text) else part.url).encode("utf-8", "surrogatepass")
                digest.update(b"%s %d " % (type(part).__name__.encode(), len(said)))
                digest.update(said)
            if message.role == "user":
                found.append(Beginning(digest.digest(), 2 * (characters // FLOOR_CHARACTERS_PER_TOKEN)))
        return found

    def warm(self, beginnings: Sequence[Beginning], now: float) -> Mapping[Target, int]:
        """How many tokens of this request each target has read a moment ago."""
        read: dict[Target, int] = {}
        for one in beginnings:
            target, at = self._answered.get(one.key, (None, 0.0))
            if target is not None and now - at <= WARM:
                read[target] = one.tokens  # The longest comes last.
        return read

    def answered(self, beginnings: Sequence[Beginning], target: Target, now: float) -> None:
        """`target` has answered the request that these are the beginnings of."""
        if not beginnings:
            return
        key = beginnings[-1].key
        self._answered.pop(key, None)
        self._answered[key] = target, now
        while len(self._answered) > MOST:
            del self._answered[next(iter(self._answered))]
