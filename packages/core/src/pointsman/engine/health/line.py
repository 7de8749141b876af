"""Who waits at a place for what other calls take of it, in order of arrival at the client.

Rule 1: nobody is overtaken there by who came later, even one who would fit in sooner: a long prompt would else wait for
        as long as short ones come.
Rule 2: who still waits for something else besides, once this place has room, steps out and comes back to his place in
        the line, so that those behind him do not wait for what they do not need.
Rule 3: whoever goes tells the next.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

Wake: TypeAlias = Callable[[], None]


@dataclass(slots=True, eq=False, repr=False)
class Line:
    """The numbers of calls, in order, and how each is told to look again."""

    _orders: list[float] = field(default_factory=list[float])
    _wakes: dict[float, Wake] = field(default_factory=dict[float, Wake])
    _telling: bool = False

    def __len__(self) -> int:
        return len(self._orders)

    def before(self, order: float) -> bool:
        """Whether somebody stands before the call number `order`."""
        return bool(self._orders) and self._orders[0] < order

    def join(self, order: float, wake: Wake) -> None:
        """Stand where `order` belongs; who stands there already stays."""
        if order not in self._wakes:
            self._orders.insert(bisect_left(self._orders, order), order)
            self._wakes[order] = wake

    def leave(self, order: float) -> None:
        """Stand there no more, if the call did."""
        if self._wakes.pop(order, None) is not None:
            del self._orders[bisect_left(self._orders, order)]

    def tell(self, *, unless: Callable[[], bool]) -> None:
        """Wake one after another, until `unless` holds or somebody stays, for whom the others then wait."""
        if self._telling:  # Somebody who was told has gone: who tells goes on with the next.
            return
        self._telling = True
        try:
            while self._orders and not unless():
                first = self._orders[0]
                self._wakes[first]()
                if self._orders and self._orders[0] == first:
                    return
        finally:
            self._telling = False
