"""Who could serve a request at all, and why the others could not."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman import Candidate, ChatRequest, Exclusion, floor_usage


def floor_tokens(request: ChatRequest) -> int:
    """Tokens of input that the request has for certain, whatever the tokenizer."""
    return floor_usage(request, ()).input_tokens


def eligible(
    request: ChatRequest, candidates: Sequence[Candidate], floor: int
) -> tuple[list[Candidate], tuple[Exclusion, ...]]:
    """The candidates that could serve, as they are listed, and the others. `floor`: `floor_tokens` of the request.

    One whose breaker is open could serve later, and is none of the others.
    """
    needs, able, excluded = request.needs, list[Candidate](), list[Exclusion]()
    for one in candidates:
        if fault := _fault(request, needs, one, floor):
            excluded.append(Exclusion(one.target, fault))
        else:
            able.append(one)
    return able, tuple(excluded)


def _fault(request: ChatRequest, needs: frozenset[str], one: Candidate, floor: int) -> str:
    """Why the candidate cannot serve, and what could be done; empty if it can."""
    if lacking := needs - one.capabilities:
        shown = " ".join("".join(c if c.isprintable() else "?" for c in ", ".join(sorted(lacking))).split())
        return f"cannot do {shown[:100]}: the request needs it"
    if one.context_tokens is not None and floor > one.context_tokens:
        return (
            f"the prompt has at least {floor:,} tokens, and its context is {one.context_tokens:,}: "
            "shorten the prompt, or add a target with a larger context"
        )
    longest, wanted = one.max_output_tokens, request.max_tokens
    if longest is not None and wanted is not None and wanted > longest:
        return f"max_tokens is {wanted:,}, and it writes {longest:,} at most: ask for fewer"
    return ""
