"""Images to learn from. All tensors are float32 in [-1, 1], channels first."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits, load_sample_image
from torch import Tensor


def photo(size: int = 128) -> Tensor:
    """A photograph of a temple roof, shape (3, size, size); size 1 … 320.

    A square crop of scikit-learn's ``china.jpg``; no download. Raises ValueError
    for another size.
    """
    if not 1 <= size <= 320:
        raise ValueError(f"size={size}: expected 1 … 320 pixels, the size of the crop")
    pixels = torch.tensor(load_sample_image("china.jpg"), dtype=torch.float32)
    crop = pixels.permute(2, 0, 1)[None, :, 40:360, 120:440]
    small = torch.nn.functional.interpolate(crop, size, mode="area")[0]
    return small / 127.5 - 1


def digits() -> Tensor:
    """The 1797 handwritten digits of scikit-learn, shape (1797, 1, 8, 8)."""
    pixels = torch.tensor(load_digits().images, dtype=torch.float32)
    return pixels[:, None] / 8 - 1
