"""The data sets by name: what is learned from, what is held out, how fine it is."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ddpm_course import data
from ddpm_course.oracle import GaussianMixture

DATA = ("ring", "moons", "digits", "mnist", "fashion-mnist")
LABELED = ("digits", "mnist", "fashion-mnist")
#: The last 600 of the 1797 digits, by other writers than most, are held out.
DIGITS_TO_TRAIN = 1197


def load_data(name: str, size: int = 32, split: str = "train") -> Tensor:
    """The data of that name, or the images of a folder; every tenth is held out.

    Args:
        name: One of ``DATA``, or a folder.
        size: Height and width for the images of a folder.
        split: "train" or "test".

    Raises:
        ValueError: If there is no such data set or folder, or too few images in it.
    """
    if name in ("ring", "moons"):
        generator = torch.Generator().manual_seed(0 if split == "train" else 1)
        if name == "ring":
            return GaussianMixture.ring().sample(50_000, generator).float()
        return data.moons(50_000, generator)
    if name in LABELED:
        return load_labeled(name, split)[0]
    if Path(name).is_dir():
        images = data.image_folder(name, size)
        if len(images) < 20:
            raise ValueError(
                f"--data {name}: {len(images)} images; expected at least 20, of which "
                "every tenth is held out"
            )
        tenth = torch.arange(len(images)) % 10 == 9
        return images[tenth if split == "test" else ~tenth]
    raise ValueError(
        f"--data {name}: expected {', '.join(DATA)}, or a folder of images"
    )


def load_labeled(name: str, split: str) -> tuple[Tensor, Tensor]:
    """Images and labels of one of ``LABELED``, "train" or "test"."""
    if name == "digits":
        cut = DIGITS_TO_TRAIN
        part = slice(cut) if split == "train" else slice(cut, None)
        return data.digits()[part], data.digit_labels()[part]
    return {"mnist": data.mnist, "fashion-mnist": data.fashion_mnist}[name](split)


def gray_levels(name: str) -> int:
    """How many values a pixel can have: 17 for scikit-learn's digits, else 256."""
    return 17 if name == "digits" else 256
