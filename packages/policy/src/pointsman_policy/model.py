"""A linear model over named features, in a file that the standard library reads in milliseconds.

The file is zlib over: a line of JSON (`Header`), a line for each feature, in the order of the groups, and for each
feature one signed byte an output. A score is ``bias + sum over groups of scale x sum of weights / sqrt(features)``.

The weights of a feature are twelve numbers in one, which is added up in one step: see `lanes`.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Self, TypedDict

from .features import SPELT, pieces_of
from .lanes import BYTES, packed, unpacked
from .lexicon import Words


class Header(TypedDict):
    """What stands in the first line of the file."""

    outputs: list[str]
    bias: list[float]
    scales: list[float]
    """Of each group: what one step of a byte is worth."""
    sizes: list[int]
    """How many features each group has."""
    temperature: float
    """By what scores are divided before they become probabilities."""


class Model:
    """Scores and probabilities of outputs."""

    def __init__(self, header: Header, tables: Sequence[Mapping[str, int]]) -> None:
        self.header = header
        self._tables = tables
        self._spelt = Words(self._spell)

    @classmethod
    def loads(cls, data: bytes) -> Self:
        """Read what `dumps` wrote."""
        unpacked = zlib.decompress(data)
        end = unpacked.index(b"\n")
        header: Header = json.loads(unpacked[:end])
        outputs, total = len(header["outputs"]), sum(header["sizes"])
        weights = unpacked[len(unpacked) - outputs * total :]
        names = unpacked[end + 1 : len(unpacked) - outputs * total].decode().split("\n")
        lanes = bytearray(len(weights) * BYTES)
        lanes[::BYTES] = weights
        width, zeros = outputs * BYTES, packed([128] * outputs)
        rows = [int.from_bytes(lanes[at : at + width], "little") - zeros for at in range(0, len(lanes), width)]
        tables: list[dict[str, int]] = []
        at = 0
        for size in header["sizes"]:
            tables.append(dict(zip(names[at : at + size], rows[at : at + size], strict=True)))
            at += size
        return cls(header, tables)

    @staticmethod
    def dumps(header: Header, groups: Sequence[Mapping[str, Sequence[int]]]) -> bytes:
        """The file of a model whose weights, from -127 to 127, are given for each feature of each group."""
        names = "\n".join(name for group in groups for name in group)
        weights = bytes(weight + 128 for group in groups for row in group.values() for weight in row)
        return zlib.compress(json.dumps(header).encode() + b"\n" + names.encode() + weights, 9)

    def scores(self, groups: Iterable[Collection[str]]) -> list[float]:
        """One number an output. `groups` are the features of one message."""
        scores = list(self.header["bias"])
        for place, (table, scale, found) in enumerate(zip(self._tables, self.header["scales"], groups, strict=True)):
            if place == SPELT:
                spelt = zip(*map(self._spelt.__getitem__, found), strict=True)
                total, size = map(sum, spelt) if found else (0, 0)
            else:
                total, size = sum(filter(None, map(table.get, found))), len(found)
            if total:
                step = scale / math.sqrt(size)
                sums = unpacked(total, len(scores))
                scores = [score + of * step for score, of in zip(scores, sums, strict=True)]
        return scores

    def _spell(self, word: str) -> tuple[int, int]:
        """The sum of the rows of a word's pieces, and how many pieces it has."""
        pieces = pieces_of(word)
        return sum(filter(None, map(self._tables[SPELT].get, pieces))), len(pieces)

    def probabilities(self, scores: Sequence[float]) -> dict[str, float]:
        """Calibrated, by output; they add up to 1."""
        most = max(scores)
        parts = [math.exp((score - most) / self.header["temperature"]) for score in scores]
        whole = sum(parts)
        return {name: part / whole for name, part in zip(self.header["outputs"], parts, strict=True)}
