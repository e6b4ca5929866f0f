"""Your own pictures: a folder of image files, read into one tensor."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

# TGA files have no signature, so every other format gets to look first.
FORMATS = "AVIF BMP GIF HEIF ICO JPEG JPEG2000 MPO PNG PPM PSD QOI SGI TIFF WEBP TGA"
CLUTTER = ("__macosx", "@eadir", "lost+found", "thumbs.db", "desktop.ini")
MAX_PIXELS = 2**28  # 16384 × 16384 pixels take 1 GiB to decode
GRAY_TOLERANCE = 4  # of 255; WebP's rounding moves the channels of gray apart by 2


@dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """A folder of pictures in memory; ``print`` shows a summary."""

    pixels: Tensor  # uint8 (N, C, H, W)
    paths: list[str]  # relative to the folder, separated by /
    classes: list[str]  # names of the subfolders, or []
    labels: Tensor | None  # int64 (N,), indices into classes
    skipped: list[tuple[str, str]]  # pictures we couldn't read: (path, reason)
    others: list[str]  # files that aren't pictures
    fingerprint: str  # sha256 of paths, shape and pixels, in hex

    def __str__(self) -> str:
        n, channels, height, width = self.pixels.shape
        kind = f"{'gray' if channels == 1 else 'color'}, {height} × {width} pixels"
        sizes = [] if self.labels is None else self.labels.bincount().tolist()
        classes = [f"{c} {k}" for c, k in zip(self.classes, sizes, strict=True)]
        skipped = [f"{path} ({reason})" for path, reason in self.skipped]
        text = f"pictures ({n}): {kind}" if n else "pictures (0)"
        text += _some("classes", classes) + _some("skipped", skipped)
        return text + _some("other files", self.others)


def to_images(pixels: Tensor) -> Tensor:
    """Float32 images in [-1, 1] from uint8 ``pixels``; takes four times the memory."""
    return pixels.float().div_(127.5).sub_(1)


def image_folder(
    folder: Path | str, size: int | tuple[int, int], channels: int | None = None
) -> Pictures:
    """Read all pictures of a folder and its subfolders, cropped and resized.

    Each picture is turned upright (EXIF), cropped around its center to the aspect
    ratio of ``size``, and resized, up or down, with an antialiasing Lanczos filter.
    Transparent pixels turn white. 16-bit pixels are reduced to 8 bits; floats must lie
    in 0 … 1. Only the first frame or page is read. Color profiles are ignored.

    Pictures are sorted by path. If all of them lie in subfolders, the first-level
    subfolders are the classes; with a single loose picture there are no classes.
    Hidden files and folders are ignored. Linked folders are read, but only once.

    Args:
        folder: Where the pictures are.
        size: Pixels per side, or (height, width).
        channels: 1 for gray, 3 for color, None to look. The pictures are gray if, once
            resized, the channels of every pixel agree to within 4 of 255.

    Returns:
        Pixels as uint8, a quarter of the memory of float32; see ``to_images``.

    Raises:
        ValueError: ``size`` or ``channels`` makes no sense.
        OSError: There is no such folder, or no picture in it that we can read.
    """
    shape: tuple = tuple(size) if isinstance(size, tuple | list) else (size, size)
    legal = [type(side) is int and 0 < side <= 2**14 for side in shape]
    if len(shape) != 2 or not all(legal):
        raise ValueError(f"size={size!r}: expected 1 … 16384 pixels or (height, width)")
    if channels is not None and (type(channels) is not int or channels not in (1, 3)):
        raise ValueError(
            f"channels={channels!r}: expected 1 for gray, 3 for color, or None to look"
        )
    where, root = f"folder={str(folder)!r}", Path(folder).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"{where} doesn't exist: check the path")
    if not root.is_dir():
        raise NotADirectoryError(f"{where} is a file: expected a folder of pictures")
    with suppress(ImportError):  # teaches Pillow to read HEIC
        from pillow_heif import register_heif_opener

        register_heif_opener()
    formats = Image.registered_extensions()
    suffixes = {suffix for suffix in formats if formats[suffix] in FORMATS.split()}
    suffixes |= {".avif", ".heic", ".heif"}  # pictures even if Pillow can't read them
    files = sorted(_files(root))
    others = [name for name, path in files if path.suffix.lower() not in suffixes]
    images = [pair for pair in files if pair[1].suffix.lower() in suffixes]
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # ours is MAX_PIXELS
    try:
        with warnings.catch_warnings(action="ignore"):  # about metadata
            pixels, paths, skipped = _read_all(images, shape, channels)
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    tops = [path.split("/")[0] for path in paths]
    classes = sorted(set(tops)) if all("/" in path for path in paths) else []
    labels = torch.tensor([classes.index(top) for top in tops]) if classes else None
    digest = hashlib.sha256(repr((paths, pixels.shape)).encode())
    digest.update(pixels.data)
    data = torch.from_numpy(pixels)
    found = Pictures(data, paths, classes, labels, skipped, others, digest.hexdigest())
    if not paths:
        wanted = ".png, .jpg, .tif, …, in the folder or in one subfolder per class"
        raise FileNotFoundError(f"{where}: found {found}; expected {wanted}")
    return found


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Visible files with printable names; follows links, but no folder is twice."""
    seen, folders = set(root.resolve().parents), [root]  # a link may lead back up
    for folder in folders:  # grows while we walk
        paths = [] if folder.resolve() in seen else sorted(folder.iterdir())
        seen.add(folder.resolve())
        for path in paths:
            if path.name.startswith(".") or path.name.lower() in CLUTTER:
                continue
            if path.is_dir():
                folders.append(path)
                continue
            name = os.fsencode(path.relative_to(root).as_posix())
            yield normalize("NFC", name.decode("utf-8", "backslashreplace")), path


def _read_all(
    files: list[tuple[str, Path]], size: tuple[int, int], channels: int | None
) -> tuple[np.ndarray, list[str], list[tuple[str, str]]]:
    """Pixels (N, C, H, W), their paths, and what failed, with the reason."""
    pixels = np.empty((len(files), channels or 1, *size), np.uint8)
    paths, skipped = list[str](), list[tuple[str, str]]()
    for name, path in files:
        try:
            picture = _read(path, size)
        except Exception as error:  # damaged files fail in many ways
            skipped.append((name, str(error) or type(error).__name__))
            continue
        if channels is None and np.ptp(np.asarray(picture), 2).max() > GRAY_TOLERANCE:
            return _read_all(files, size, 3)  # start again
        final = np.asarray(picture.convert("RGB" if channels == 3 else "L"))
        pixels[len(paths)] = final.reshape(*size, -1).transpose(2, 0, 1)
        paths.append(name)
    return pixels[: len(paths)], paths, skipped


def _read(path: Path, size: tuple[int, int]) -> Image.Image:
    """One picture in RGB: upright, cropped, resized, on white."""
    if not path.stat().st_size:  # a pipe is empty too, and would make us wait
        raise OSError("empty file")
    try:
        file = Image.open(path, formats=[f for f in FORMATS.split() if f in Image.OPEN])
    except UnidentifiedImageError:
        heic = path.open("rb").read(8)[4:] == b"ftyp"
        remedy = "; if HEIC, `pip install pillow-heif` or export it as JPEG" * heic
        raise OSError(f"not an image, or damaged{remedy}") from None
    with file:
        if file.width * file.height > MAX_PIXELS:
            raise OSError(f"{file.width} × {file.height} pixels: scale it down first")
        file.draft(None, (2 * max(size), 2 * max(size)))  # JPEG: decode a smaller one
        ImageOps.exif_transpose(file, in_place=True)
        image = _eight_bits(file) if file.mode[0] in "IF" else file
        mode = "L" if image.mode in ("1", "L") else "RGB"
        mode = "RGBA" if image.has_transparency_data else mode
        image = image if image.mode == mode else image.convert(mode)
        image = ImageOps.fit(image, size[::-1], Image.Resampling.LANCZOS)
    if mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Integers of 12 or 16 bits, or floats, as 8-bit gray: Pillow would clip them."""
    values = np.asarray(image, np.float64)  # as they come, old numpy crashes on them
    tags = getattr(image, "tag_v2", {})  # TIFF has tags
    white = 1 if image.mode == "F" else 2 ** tags.get(258, (16,))[0] - 1  # its bits
    low, high = values.min(), values.max()
    if (image.mode == "I" and tags) or not (low >= 0 and high <= white):
        wanted = "8 or 16 bits without a sign, or floats in 0 … 1"
        raise ValueError(f"pixels from {low:g} to {high:g}: expected {wanted}")
    gray = values / np.float32(white)
    gray = 1 - gray if tags.get(262) == 0 else gray  # its photometric: 0 is white
    gray[values == image.info.get("transparency", -1)] = 1
    return Image.fromarray((gray * 255).round().astype(np.uint8))


def _some(what: str, names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"; {what} ({len(names)}): {', '.join(names[:5])}{more}" if names else ""
