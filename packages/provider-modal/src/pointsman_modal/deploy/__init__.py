"""A deployment of one's own on Modal. What talks to Modal needs the extra `deploy`, and imports `modal` by then."""

from .plan import Plan

__all__ = ["Plan"]
