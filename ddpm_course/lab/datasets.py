"""The data sets by name: what is learned from, what is held out, how fine it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ddpm_course import data
from ddpm_course.lab.pictures import image_folder, to_images
from ddpm_course.oracle import GaussianMixture

DATA = ("ring", "moons", "digits", "mnist", "fashion-mnist")
LABELED = ("digits", "mnist", "fashion-mnist")
#: The last 600 of the 1797 digits, by other writers than most, are held out.
DIGITS_TO_TRAIN = 1197
#: Of a folder every tenth picture is held out, so it takes some.
LEAST_PICTURES = 20


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set in two parts.

    Attributes:
        train: What is learned from, shape (N, …), float32; images are in [-1, 1].
        test: What is held out, shape (M, …).
        train_labels: int64 (N,), if there are labels.
        test_labels: int64 (M,), if there are labels.
        levels: How many values a pixel can have: 17 for scikit-learn's digits, else
            256.
        summary: What was found in a folder, to be shown.
    """

    train: Tensor
    test: Tensor
    train_labels: Tensor | None = None
    test_labels: Tensor | None = None
    levels: int = 256
    summary: str = ""


def load_data(
    name: str, size: int | tuple[int, int] = 32, channels: int | None = None
) -> DataSet:
    """The data of that name, or the pictures of a folder.

    Args:
        name: One of ``DATA``, or a folder; its subfolders are classes.
        size: Side, or height and width, of the pictures of a folder.
        channels: 1 makes the pictures of a folder gray, 3 colored; None looks.

    Raises:
        ValueError: If there is no such data set or folder, or too few pictures in it.
        OSError: If the files can't be read or downloaded.
    """
    if name == "ring":
        draw = GaussianMixture.ring().sample
        return DataSet(
            draw(50_000, _seeded(0)).float(), draw(50_000, _seeded(1)).float()
        )
    if name == "moons":
        return DataSet(data.moons(50_000, _seeded(0)), data.moons(50_000, _seeded(1)))
    if name == "digits":
        images, labels, n = data.digits(), data.digit_labels(), DIGITS_TO_TRAIN
        return DataSet(images[:n], images[n:], labels[:n], labels[n:], levels=17)
    if name in ("mnist", "fashion-mnist"):
        load = {"mnist": data.mnist, "fashion-mnist": data.fashion_mnist}[name]
        (train, train_labels), (test, test_labels) = load("train"), load("test")
        return DataSet(train, test, train_labels, test_labels)
    if Path(name).expanduser().is_dir():
        return _of_folder(name, size, channels)
    what = "is a file" if Path(name).is_file() else "there is no such folder"
    raise ValueError(
        f"--data {name}: {what}; expected {', '.join(DATA)}, or a folder of pictures"
    )


def _of_folder(name: str, size: int | tuple[int, int], channels: int | None) -> DataSet:
    found = image_folder(name, size, channels)
    if len(found.paths) < LEAST_PICTURES:
        raise ValueError(
            f"--data {name}: {found}; expected at least {LEAST_PICTURES} pictures, "
            "of which every tenth is held out"
        )
    images, labels = to_images(found.pixels), found.labels
    held_out = torch.arange(len(images)) % 10 == 9
    return DataSet(
        images[~held_out],
        images[held_out],
        None if labels is None else labels[~held_out],
        None if labels is None else labels[held_out],
        summary=str(found),
    )


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)
