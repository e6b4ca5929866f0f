"""Checkpoints: written whole or not at all, read without running any code."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

FORMAT = "ddpm_course training state 1"


class CheckpointError(RuntimeError):
    """A file that is no checkpoint, a damaged one, or that of another run."""


@contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of ``path`` if all went well.

    A crash or a full disk leaves the old file as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write(path: Path | str, content: dict) -> None:
    """Save tensors and plain values, whole or not at all."""
    with replacing(path) as file:
        torch.save(content, file)


def read(path: Path | str, *formats: str) -> dict:
    """The content of a checkpoint, on the CPU. Raises CheckpointError.

    ``formats`` are those that will do, a checkpoint of ``train`` unless given.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint at {path}") from None
    except Exception as error:  # foreign bytes fail in many ways
        raise CheckpointError(
            f"{path} cannot be read ({type(error).__name__}): it is cut off, or not a "
            "checkpoint. Delete it, or give another path"
        ) from error
    formats = formats or (FORMAT,)
    if not isinstance(content, dict) or content.get("format") not in formats:
        raise CheckpointError(
            f"{path} is not a checkpoint of this package, or not one of the right "
            f"kind: expected {' or '.join(formats)}"
        )
    return content


def previous(path: Path | str) -> Path:
    """Where the checkpoint before the last one is kept."""
    path = Path(path)
    return path.with_name(f"{path.stem}.previous{path.suffix}")


@dataclass(frozen=True)
class State:
    """All that decides how training goes on, bit by bit."""

    model: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    losses: Tensor
    settings: Any  # a training.Settings
    about: dict

    def snapshot(self) -> dict:
        """A copy in memory."""
        return copy.deepcopy(
            {
                "model": self.model.state_dict(),
                "ema": self.ema.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            }
        )

    def restore(self, snapshot: dict) -> None:
        """Put the weights of a snapshot back."""
        self.model.load_state_dict(snapshot["model"])
        self.ema.load_state_dict(snapshot["ema"])
        self.optimizer.load_state_dict(snapshot["optimizer"])

    def save(self, path: Path | str, step: int) -> None:
        """Write the state after ``step`` steps; the last file becomes ``previous``."""
        content = self.snapshot() | {
            "format": FORMAT,
            "step": step,
            "settings": asdict(self.settings),
            "about": self.about,
            "losses": self.losses[:step].cpu(),
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),  # dropout draws from these
        }
        if self.losses.is_cuda:
            content["cuda"] = torch.cuda.get_rng_state(self.losses.device)
        aside = Path(path).with_name(f"{Path(path).name}.new")
        write(aside, content)
        if Path(path).exists():
            os.replace(path, previous(path))
        os.replace(aside, path)

    def load(self, path: Path | str) -> int:
        """Take the state of a checkpoint, or of the one before; the steps it has done.

        0 if there is none yet. Raises CheckpointError if there are files, but none
        of them is a whole checkpoint of these settings and this network.
        """
        paths = [p for p in (Path(path), previous(path)) if p.exists()]
        failures = []
        for candidate in paths:
            try:
                step = self._take(read(candidate), candidate)
            except CheckpointError as error:
                failures.append(str(error))
                continue
            if failures:
                warnings.warn(f"{failures[0]}; going on from {candidate}", stacklevel=3)
            return step
        if failures:
            raise CheckpointError("; ".join(failures))
        return 0

    def _take(self, content: dict, path: Path) -> int:
        mine = asdict(self.settings) | self.about
        its = content["settings"] | content["about"]
        differing = [name for name in mine if mine[name] != its.get(name)]
        if differing:
            told = ", ".join(f"{n}={its.get(n)!r} (now {mine[n]!r})" for n in differing)
            raise CheckpointError(
                f"{path} is of a run with {told}: use its settings, or another path"
            )
        try:
            self.generator.set_state(content["generator"])
        except RuntimeError as error:
            raise CheckpointError(
                f"{path} was written on another kind of device than "
                f"{self.generator.device}, which draws other numbers: go on there "
                "(DDPM_DEVICE says where), or give another path"
            ) from error
        try:
            self.restore(content)
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"{path} is of another network: {str(error).splitlines()[0]}"
            ) from error
        step = content["step"]
        self.losses[:step] = content["losses"]
        torch.set_rng_state(content["torch"])
        if self.losses.is_cuda:
            torch.cuda.set_rng_state(content["cuda"], self.losses.device)
        return step
