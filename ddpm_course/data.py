"""Data to learn from: points in the plane, and images.

Images are float32 in [-1, 1], channels first, on the CPU. ``digits`` and ``photo`` come
with scikit-learn; MNIST and Fashion-MNIST are downloaded once, verified and kept.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits, load_sample_image
from torch import Tensor

_TRAIN_AND_TEST = {"train": "train", "test": "t10k"}
_MIRRORS = {
    "mnist": (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    "fashion-mnist": (
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
}
# of the content: the same images are also published with different gzip headers
_SHA256 = {
    "fashion-mnist/train-images-idx3-ubyte.gz": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    "fashion-mnist/train-labels-idx1-ubyte.gz": (
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    "fashion-mnist/t10k-images-idx3-ubyte.gz": (
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
    ),
    "fashion-mnist/t10k-labels-idx1-ubyte.gz": (
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
    ),
}
# of the file: MNIST is published in one form
_SHA256_OF_FILE = {
    "mnist/train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "mnist/train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "mnist/t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "mnist/t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}


def photo(size: int = 128) -> Tensor:
    """A photograph of a tower: a square crop of scikit-learn's ``china.jpg``.

    Args:
        size: Height and width, in 1 … 320 pixels.

    Returns:
        Shape (3, size, size).

    Raises:
        ValueError: If the size is out of range.
    """
    if type(size) is not int or not 1 <= size <= 320:
        raise ValueError(f"size={size}: expected an int in 1 … 320, the crop's pixels")
    pixels = torch.from_numpy(load_sample_image("china.jpg").astype(np.float32))
    crop = pixels.permute(2, 0, 1)[None, :, 40:360, 120:440]
    small = torch.nn.functional.interpolate(crop, size, mode="area")[0]
    return small / 127.5 - 1


def digits() -> Tensor:
    """The 1797 handwritten digits of scikit-learn, shape (1797, 1, 8, 8)."""
    pixels = torch.from_numpy(load_digits().images.astype(np.float32))
    return pixels[:, None] / 8 - 1


def digit_labels() -> Tensor:
    """The digit in each image of ``digits``: int64, shape (1797,)."""
    return torch.from_numpy(load_digits().target.astype(np.int64))


def moons(n: int, generator: torch.Generator, noise: float = 0.05) -> Tensor:
    """Points on two interleaving half circles.

    Args:
        n: Number of points.
        generator: Draws the angles too, so two calls give independent points.
        noise: Standard deviation of the noise added to each coordinate.

    Returns:
        float32, shape (n, 2), on the generator's device.
    """
    with generator.device:
        angle = math.pi * torch.rand(n, generator=generator)
        upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
        side = torch.randint(2, (n, 1), generator=generator) * 2 - 1
        return side * upper + noise * torch.randn(n, 2, generator=generator)


def mnist(
    split: str = "train", folder: Path | str | None = None
) -> tuple[Tensor, Tensor]:
    """MNIST, downloaded if it isn't there.

    Args:
        split: "train" or "test".
        folder: Where the files are kept, in mnist/. By default the folder that the
            environment variable DDPM_DATA names, or else the user's cache.

    Returns:
        Images (N, 1, 28, 28) and labels, int64 (N,).

    Raises:
        ValueError: If there is no such split.
        OSError: If no mirror has the right files.
    """
    return _idx_pair("mnist", split, folder)


def fashion_mnist(
    split: str = "train", folder: Path | str | None = None
) -> tuple[Tensor, Tensor]:
    """Fashion-MNIST, in fashion-mnist/; otherwise like ``mnist``."""
    return _idx_pair("fashion-mnist", split, folder)


def fashion_mnist_held_out() -> Tensor:
    """The first 1000 test images of Fashion-MNIST, shape (1000, 1, 28, 28).

    They come with the package, for measurements and pictures without a download.
    """
    path = Path(__file__).parent / "weights" / "fashion_mnist_held_out.npz"
    with np.load(path, allow_pickle=False) as file:
        return torch.from_numpy(file["images"])[:, None].float() / 127.5 - 1


def _idx_pair(
    name: str, split: str, folder: Path | str | None
) -> tuple[Tensor, Tensor]:
    if split not in _TRAIN_AND_TEST:
        raise ValueError(f"split={split!r}: expected 'train' or 'test'")
    prefix = _TRAIN_AND_TEST[split]
    place = Path(folder or cache()).expanduser() / name
    images, labels = (
        read_idx(fetch(f"{prefix}-{rest}.gz", name, place))
        for rest in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    pixels = torch.from_numpy(images.copy())[:, None].float() / 127.5 - 1
    return pixels, torch.from_numpy(labels.astype(np.int64))


def cache() -> Path:
    """Where downloads are kept: the folder in DDPM_DATA, or else the user's cache."""
    # imported here, since some notebooks show a warning when it is imported
    import pooch

    named = os.environ.get("DDPM_DATA")
    return Path(named or pooch.os_cache("ddpm_course")).expanduser()


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in a gzipped IDX file.

    Raises:
        ValueError: If it is a different file, or incomplete.
    """
    content = gzip.decompress(path.read_bytes())
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path} is not an IDX file of bytes: delete it and try again")
    dims = content[3]
    shape = np.frombuffer(content, ">u4", dims, offset=4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dims)
    if values.size != shape.prod(dtype=np.int64):
        raise ValueError(
            f"{path} has {values.size} values, its header says {shape.tolist()}: "
            "delete it and try again"
        )
    return values.reshape(shape)


def fetch(
    file: str, name: str, folder: Path, mirrors: tuple[str, ...] | None = None
) -> Path:
    """The verified file, from the folder or else from the first mirror that has it.

    A download is written under another name, verified, and then renamed, so a file in
    the folder is always complete.

    Args:
        file: Its name.
        name: "mnist" or "fashion-mnist".
        folder: Where to look for it and keep it.
        mirrors: Addresses of the folders to download it from.

    Raises:
        OSError: If every mirror fails; says how.
    """
    import pooch

    path = folder / file
    if path.exists() and _is_right(path, f"{name}/{file}"):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    for mirror in mirrors or _MIRRORS[name]:
        handle, aside = tempfile.mkstemp(dir=folder, prefix=f".{file}.")
        os.close(handle)
        try:
            pooch.HTTPDownloader(timeout=30)(mirror + file, aside, None)
            if _is_right(Path(aside), f"{name}/{file}"):
                os.chmod(aside, 0o644)  # readable by others, like any file
                os.replace(aside, path)
                return path
            failures.append(f"{mirror}: not the published file (its sha256 differs)")
        except OSError as error:  # those of requests are OSErrors too
            failures.append(f"{mirror}: {type(error).__name__}: {error}")
        finally:
            Path(aside).unlink(missing_ok=True)
    raise OSError(
        f"{file} of {name} is not in {folder} and cannot be downloaded:\n  "
        + "\n  ".join(failures)
        + f"\nPut the file there by hand, or set DDPM_DATA to a folder with "
        f"{name}/{file}. Without a network, use data.digits()."
    )


def _is_right(path: Path, key: str) -> bool:
    content = path.read_bytes()
    if key in _SHA256_OF_FILE:
        return hashlib.sha256(content).hexdigest() == _SHA256_OF_FILE[key]
    try:
        content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):  # cut short, or no gzip at all
        return False
    return hashlib.sha256(content).hexdigest() == _SHA256[key]
