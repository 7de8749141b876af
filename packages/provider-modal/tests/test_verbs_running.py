"""`pointsman modal status`, `warm`, `logs` and `stop`: looking starts nothing, and what is kept is always let go."""

from __future__ import annotations
