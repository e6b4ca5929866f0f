"""The files that the commands write; nothing of yours is replaced unasked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm_course import plotting
from ddpm_course.lab import checkpoints


def check_free(path: Path, overwrite: bool) -> None:
    """Raise OSError if ``path`` can't be written, or exists and is to stay."""
    checkpoints.check_writable(path)
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists: give --overwrite to replace it, or another --out"
        )


class Folder:
    """A folder of results with a record, ``samples.json`` say, that lists the files.

    What an earlier call wrote, and nobody has changed since, may be replaced, and is
    removed if the new call does not write it. Any other file of those names is yours.
    """

    def __init__(self, path: Path, record: str, overwrite: bool) -> None:
        self.path, self.record, self.overwrite = path, path / record, overwrite
        checkpoints.check_writable(self.record)

    @contextmanager
    def replacing(self, names: list[str]) -> Iterator[Callable[[str], Path]]:
        """Raise FileExistsError before the work if a file is in the way."""
        ours = self._listed()
        foreign = [
            name for name in names if name not in ours and (self.path / name).exists()
        ]
        if self.record.exists() and not ours:
            foreign.append(self.record.name)
        if foreign and not self.overwrite:
            raise FileExistsError(
                f"{self.path} already contains {', '.join(foreign[:5])}, not written "
                "by this command, or changed since: give --overwrite to replace them, "
                "or another --out"
            )
        yield lambda name: self.path / name
        for name in set(ours) - set(names):
            (self.path / name).unlink(missing_ok=True)

    def write_record(self, report: dict, names: list[str]) -> None:
        sums = {name: checkpoints.sha256(self.path / name) for name in names}
        text = json.dumps(report | {"files": sums}, indent=1, allow_nan=False)
        with checkpoints.replacing(self.record) as file:
            file.write(text.encode())

    def _listed(self) -> list[str]:
        """The files of an earlier call as they were then; only plain names count."""
        try:
            text = self.record.read_text(encoding="utf-8")
            listed = dict(json.loads(text)["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return []
        files = {n: self.path / n for n in listed if Path(n).name == n}
        return [
            name
            for name, path in files.items()
            if not path.exists() or checkpoints.sha256(path) == listed[name]
        ]


def write_grid(x: Tensor, path: Path) -> None:
    """All samples as one picture: a grid of images, or points in the plane."""
    if x.ndim > 2:
        write_image(_tiled(x), path)
        return
    figure, ax = plt.subplots()
    ax.plot(*x[:, :2].T, ".", markersize=2)
    ax.set_aspect("equal")
    _save_figure(figure, path)


def write_image(image: Tensor, path: Path) -> None:
    """One image (C, H, W) in [-1, 1] as a PNG."""
    with checkpoints.replacing(path) as file:
        _picture(image).save(file, format="png")


def write_points(x: Tensor, path: Path) -> None:
    """Points (n, D), a line each."""
    with checkpoints.replacing(path) as file:
        np.savetxt(file, x.numpy(), delimiter=",")


def write_gif(frames: list[Tensor], path: Path) -> None:
    """The states of a chain (n, …) as an animation that rests on the last.

    At most 64 images are shown, arranged as in the grid.
    """
    pictures = [_frame(x[:64] if x.ndim > 2 else x) for x in frames]
    with checkpoints.replacing(path) as file:
        pictures[0].save(
            file,
            format="gif",
            save_all=True,
            append_images=pictures[1:],
            duration=[80] * (len(pictures) - 1) + [2000],
            loop=0,
        )


def loss_files(checkpoint: Path) -> tuple[Path, Path]:
    """Where the losses of a run go, as CSV and as a picture."""
    table = checkpoint.with_name(f"{checkpoint.stem}.loss.csv")
    return table, table.with_suffix(".png")


def write_losses(checkpoint: Path) -> str | None:
    """The losses of a run as CSV and as a picture beside it; the picture's path."""
    if not checkpoint.exists():
        return None
    losses = checkpoints.read(checkpoint)["losses"]
    steps = torch.arange(1, len(losses) + 1)
    table, picture = loss_files(checkpoint)
    with checkpoints.replacing(table) as file:
        file.write(b"step,loss\n")
        for step, loss in zip(steps.tolist(), losses.tolist(), strict=True):
            file.write(f"{step},{loss:.6g}\n".encode())
    figure, ax = plt.subplots(figsize=(7, 4))
    ax.plot(steps, losses, alpha=0.3, label="each step")
    window = max(1, len(losses) // 50)
    mean = losses.unfold(0, window, 1).mean(1)
    ax.plot(steps[window - 1 :], mean, label=f"mean of {window} steps")
    ax.set(xlabel="step", ylabel="loss", yscale="log")
    ax.legend()
    _save_figure(figure, picture)
    return str(picture)


def _frame(x: Tensor) -> Any:
    if x.ndim > 2:
        picture = _picture(_tiled(x))
        scale = max(1, 400 // picture.width)
        size = (scale * picture.width, scale * picture.height)
        return picture.resize(size, Image.Resampling.NEAREST)
    figure, ax = plt.subplots(figsize=(4, 4))
    ax.plot(*x[:, :2].T, ".", markersize=3)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    plt.close(figure)
    return Image.open(drawn).convert("RGB")


def _tiled(x: Tensor) -> Tensor:
    return plotting.tiled(x, columns=math.ceil(len(x) ** 0.5))


def _picture(image: Tensor) -> Any:
    pixels = (plotting.to_pixels(image) * 255).round().byte().squeeze(-1)
    return Image.fromarray(pixels.numpy())


def _save_figure(figure: Any, path: Path) -> None:
    with checkpoints.replacing(path) as file:
        figure.savefig(file, format="png")
    plt.close(figure)
