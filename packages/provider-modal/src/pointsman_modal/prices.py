"""What Modal charges for a second of a container, as of `AS_OF`: data. `modal billing rates` prints what holds today.

USD for a second at list price, collected on 2026-07-01 by github.com/api-evangelist/modal-labs (``plans/``, commit
f1f9656); T4, L4, L40S, A100-80GB and H100 agree with a reading of techbytes.app of 2026-05-07.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

AS_OF = date(2026, 7, 1)
SOURCE = "Modal's price page, in github.com/api-evangelist/modal-labs"

GPUS: Mapping[str, Decimal | None] = {
    "T4": Decimal("0.000164"),
    "L4": Decimal("0.000222"),
    "A10": Decimal("0.000306"),
    "L40S": Decimal("0.000542"),
    "A100-40GB": Decimal("0.000583"),
    "A100-80GB": Decimal("0.000694"),
    "RTX-PRO-6000": Decimal("0.000842"),
    "H100": Decimal("0.001097"),
    "H200": Decimal("0.001261"),
    "B200": Decimal("0.001736"),
    "B300": None,
}
"""One GPU. None: on offer, at a price that was not found."""

ALIASES: Mapping[str, str] = {
    "A10G": "A10",  # As it was called before.
    "A100": "A100-40GB",  # Where Modal gives the larger one for it, or an H200 for an H100, the price stays.
    "H100!": "H100",
    "B200+": "B200",  # May be a B300, at the price of a B200.
}
"""Other spellings -> the one that has a price."""

MOST_GPUS: Mapping[str, int] = {"A10": 4}
"""How many one container may have, where that is not 8."""

CORE = Decimal("0.0000131")
"""One physical CPU core."""
GIB = Decimal("0.00000222")
"""One GiB of memory."""

BROAD = frozenset({"us", "eu", "ap", "uk", "ca", "me", "sa", "af", "mx"})
NARROW = frozenset(
    {
        *("us-east", "us-central", "us-south", "us-west", "eu-west", "eu-north", "eu-south"),
        *("ap-northeast", "ap-southeast", "ap-south", "ap-melbourne", "jp", "au"),
    }
)
BROAD_TIMES, NARROW_TIMES = Decimal("1.5"), Decimal("1.75")
"""What a container costs that must be in a region; of several regions the cheapest counts (guide, "Region selection",
2026-08-22; an older text says 1.25 and 2.5)."""

VOLUME_GIB, VOLUME_FREE_GIB = Decimal("0.09"), Decimal(1024)
"""A GiB of Volumes for a month, and how many of all that a workspace has are free (the same collection)."""
