"""The tables, and how they came to be: each version is the one before it, and a step.

A step that has been released is never changed: files that have taken it are with users. ``{prefix}`` is what stands
before the name of a table, ``{json}`` the type of JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Step: TypeAlias = Sequence[str]

_FIRST: Step = (
    """
    CREATE TABLE {prefix}calls (
        call_id TEXT PRIMARY KEY,
        began BIGINT NOT NULL,
        operation TEXT NOT NULL,
        outcome TEXT NOT NULL,
        provider TEXT,
        model TEXT,
        policy TEXT NOT NULL,
        task TEXT,
        tags {json} NOT NULL,
        finish_reason TEXT,
        ttft BIGINT,
        tpot BIGINT,
        e2e BIGINT,
        input_tokens BIGINT,
        cached_input_tokens BIGINT,
        cache_write_tokens BIGINT,
        output_tokens BIGINT,
        reasoning_tokens BIGINT,
        estimated SMALLINT,
        cost BIGINT NOT NULL,
        cost_exact SMALLINT NOT NULL,
        prompt TEXT,
        answer TEXT
    )
    """,
    "CREATE INDEX calls_began ON {prefix}calls (began, call_id)",
    """
    CREATE TABLE {prefix}attempts (
        call_id TEXT NOT NULL REFERENCES {prefix}calls (call_id) ON DELETE CASCADE,
        attempt BIGINT NOT NULL,
        began BIGINT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        served TEXT,
        outcome TEXT NOT NULL,
        role TEXT NOT NULL,
        probe SMALLINT NOT NULL,
        breaker TEXT,
        error_type TEXT,
        error TEXT,
        first_output BIGINT,
        duration BIGINT,
        server {json},
        input_tokens BIGINT,
        cached_input_tokens BIGINT,
        cache_write_tokens BIGINT,
        output_tokens BIGINT,
        reasoning_tokens BIGINT,
        estimated SMALLINT,
        cost BIGINT NOT NULL,
        cost_exact SMALLINT NOT NULL,
        price {json},
        PRIMARY KEY (call_id, attempt)
    )
    """,
)

_SECOND: Step = (
    "ALTER TABLE {prefix}calls ADD COLUMN propensity BIGINT",
    "ALTER TABLE {prefix}calls ADD COLUMN policy_hash TEXT",
    "ALTER TABLE {prefix}calls ADD COLUMN decision {json}",
    "ALTER TABLE {prefix}calls ADD COLUMN rating BIGINT",
    "ALTER TABLE {prefix}calls ADD COLUMN rated BIGINT",
    "ALTER TABLE {prefix}attempts ADD COLUMN held BIGINT",
    "CREATE INDEX calls_ended ON {prefix}calls ((began + COALESCE(e2e, 0)), call_id) WHERE operation = 'chat'",
    "CREATE INDEX calls_rated ON {prefix}calls (rated, call_id) WHERE rated IS NOT NULL",
)
"""Decisions and ratings, and what it takes to read chat calls in the order in which they ended."""

STEPS: Sequence[Step] = (_FIRST, _SECOND)
"""From each version to the next; version 0 is an empty database."""
