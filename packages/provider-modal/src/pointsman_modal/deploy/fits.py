"""Whether a model and its contexts fit into a GPU's memory: an estimate, from what is known of the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..prices import ALIASES

GPU_BYTES: Mapping[str, float] = {
    "T4": 16e9,
    "L4": 24e9,
    "A10": 24e9,
    "L40S": 48e9,
    "A100-40GB": 40e9,
    "A100-80GB": 80e9,
    "RTX-PRO-6000": 96e9,
    "H100": 80e9,
    "H200": 141e9,
    "B200": 180e9,
    "B300": 288e9,
}
"""Memory of one GPU, as NVIDIA's data sheets have it; B300: 2,304 GB for eight (Modal's guide, "GPU acceleration")."""
OVERHEAD = 1.5e9
"""Bytes for the driver and for what is computed with: an allowance, not measured."""
_BYTES_A_PARAMETER = 0.62
"""Q4_K_M: the 7.61 billion of Qwen2.5-Coder 7B are 4,683,087,561 bytes."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides how much memory a model takes."""

    parameters: float
    layers: int
    kv_heads: int
    head_size: int
    trained: int = 32_768
    """The longest context, in tokens."""

    @property
    def weights(self) -> float:
        return self.parameters * _BYTES_A_PARAMETER

    @property
    def token(self) -> int:
        """Bytes that a token of context takes: a key and a value in each layer, of 16 bits a number."""
        return 2 * self.layers * self.kv_heads * self.head_size * 2


SHAPES: Mapping[str, Shape] = {
    "qwen2.5-coder:0.5b": Shape(0.49e9, 24, 2, 64),
    "qwen2.5-coder:1.5b": Shape(1.54e9, 28, 2, 128),
    "qwen2.5-coder:3b": Shape(3.09e9, 36, 2, 128),
    "qwen2.5-coder:7b": Shape(7.61e9, 28, 4, 128),
    "qwen2.5-coder:14b": Shape(14.7e9, 48, 8, 128),
    "qwen2.5-coder:32b": Shape(32.5e9, 64, 8, 128),
}
"""From the model cards of Qwen2.5-Coder. Of other models nothing is known here."""


def needed(model: str, context_tokens: int, parallel: int) -> float | None:
    """Bytes of GPU memory that `model` takes with `parallel` contexts; None if nobody knows."""
    if (shape := SHAPES.get(model)) is None:
        return None
    return shape.weights + shape.token * min(context_tokens, shape.trained) * parallel + OVERHEAD


def weights(model: str) -> float | None:
    """Bytes of its weights in 4 bits, by the billions that its name tells (``llama3.3:70b``, ``mixtral:8x7b``); None
    if it tells none.
    """
    told = re.search(r"(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,3})?)b(?![a-z])", model.rpartition(":")[2], re.IGNORECASE)
    return float(told[2]) * int(told[1] or 1) * 1e9 * _BYTES_A_PARAMETER if told else None


def memory_of(gpu: str) -> float:
    """Bytes of ``L4``, or of ``H100:2`` together. `gpu` is one that `cost.gpu_price` takes."""
    kind, _, count = gpu.upper().partition(":")
    return GPU_BYTES[ALIASES.get(kind, kind)] * int(count or 1)
