"""What refusals of the router, of the Hub and of endpoints mean besides what every vendor of the dialect means by them.

Texts are those that people have met with in public (docs/providers/hf.md says where and when); Hugging Face documents
no error body.
"""

from __future__ import annotations

import re

from pointsman import AuthFailed, InvalidRequest, ModelGone, PointsmanError, QuotaExhausted, RateLimited, Scope
from pointsman_openai import Refusal

from .config import FAMILY, pinned

TOKENS_PAGE = (
    "https://huggingface.co/settings/tokens/new?ownUserPermissions=inference.serverless.write&tokenType=fineGrained"
)
PERMISSION_HELP = f'make a fine-grained token with "Make calls to Inference Providers" at {TOKENS_PAGE}'

_TOKEN = re.compile(r"authorization header|username or password|\btoken\b|authentication method", re.IGNORECASE)
_PERMISSION = re.compile(r"sufficient permissions|inference providers", re.IGNORECASE)
_CREDITS = re.compile(r"included credits|pre-?paid credits|inference providers", re.IGNORECASE)
_CANNOT = re.compile(r"(\bnot|n['’]t) (currently )?support|unsupported", re.IGNORECASE)
_HUB_LIMIT = re.compile(r'"[^"]+"\s*;\s*r=0\b')
_SUPPORTED_BY = re.compile(r"not supported by", re.IGNORECASE)


def refine(error: PointsmanError, refusal: Refusal) -> PointsmanError:
    """`error` as Hugging Face means it: how much is broken, and what to do.

    The router hands on what providers say. Where a target names its provider, what that one refuses is about this
    target alone, unless the words are the router's own.
    """
    target = error.target
    if target is None or target.model.startswith(FAMILY):
        return error
    provider = pinned(target.model)
    said = error.message
    match error:
        case AuthFailed() if _PERMISSION.search(said):
            return _with(error, f"{said}: {PERMISSION_HELP}")
        case AuthFailed() if provider is not None and not _TOKEN.search(said):
            return _with(error, f"{said} (said by {provider})", Scope.TARGET)
        case AuthFailed() if error.status == 401:
            return _with(error, f"{said}: set HF_TOKEN to a token that is valid; {PERMISSION_HELP}")
        case QuotaExhausted() if provider is not None and not _CREDITS.search(said):
            return _with(error, f"{said} (said by {provider})", Scope.TARGET)
        case QuotaExhausted():
            where = (
                "buy credits at https://huggingface.co/settings/billing, or set bill_to to an organization that pays"
            )
            return _with(error, f"{said} ({where})")
        case RateLimited() if _HUB_LIMIT.search(refusal.headers.get("ratelimit", "")):
            error.scope = Scope.PROVIDER  # The Hub counts an account's requests, whatever they ask for.
        case ModelGone() if error.status == 400 and _SUPPORTED_BY.search(said):
            return _with(
                error, f"{said.rstrip('.')}. Who serves it: https://huggingface.co/{target.model.partition(':')[0]}"
            )
        case InvalidRequest() if _CANNOT.search(said):
            error.scope = Scope.TARGET  # Nothing is wrong with the request: one that can will answer it.
        case _:
            pass
    return error


def _with(error: PointsmanError, message: str, scope: Scope | None = None) -> PointsmanError:
    error.args = (message, *error.args[1:])
    if scope is not None:
        error.scope = scope
    return error
