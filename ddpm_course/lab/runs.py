"""A training run that loses nothing: checkpoints, resuming, a watch for nan."""

from __future__ import annotations

import hashlib
import math
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from operator import index
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from filelock import FileLock, Timeout
from torch import Tensor, nn
from tqdm import tqdm

from ddpm_course.lab import checkpoints
from ddpm_course.lab.checkpoints import CheckpointError
from ddpm_course.schedules import NoiseSchedule


@dataclass(frozen=True)
class About:
    """What a network was trained on, and how to build it again.

    Attributes:
        data: The name of the data set, or a folder.
        size: Height and width of the pictures of a folder.
        schedule: The name of the noise schedule.
        T: Its number of steps.
        shape: Shape of one image or point.
        channels, blocks, patch: Arguments of ``unet.network_for``.
        reach: The largest absolute value in the data.
        classes: Number of classes of the labels; 0 without labels.
    """

    data: str
    size: int | tuple[int, int]
    schedule: str
    T: int
    shape: tuple[int, ...]
    channels: int
    blocks: int
    patch: int
    reach: float = 1.0
    classes: int = 0

    def __post_init__(self) -> None:
        for name, plain in _PLAIN_ABOUT.items():  # a Path or np.int64 can't be loaded
            object.__setattr__(self, name, plain(getattr(self, name)))


def _size(size: int | tuple[int, int]) -> int | tuple[int, ...]:
    return _shape(size) if isinstance(size, tuple | list) else index(size)


def _shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(index(n) for n in shape)


_PLAIN_ABOUT: dict[str, Callable] = {
    "data": str,
    "size": _size,
    "schedule": str,
    "T": index,
    "shape": _shape,
    "channels": index,
    "blocks": index,
    "patch": index,
    "reach": float,
    "classes": index,
}


@dataclass
class Run:
    """Everything that decides how training goes on, bit by bit.

    Attributes:
        model, ema, optimizer, generator: The state that training changes.
        losses: One a step, shape (steps,).
        settings: A ``training.Settings``.
        about: What is trained.
        identity: Fingerprints of the schedule and the data, so that a run is not
            resumed with others.
    """

    model: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    losses: Tensor
    settings: Any
    about: About | None
    identity: dict
    done: int = field(default=0, init=False)  # steps
    path: Path | None = field(default=None, init=False)
    has_file: bool = field(default=False, init=False)  # path holds this very run
    signals: list[int] = field(default_factory=list, init=False)  # that came

    # --- the loop around the algorithm --------------------------------------------

    @contextmanager
    def kept_in(
        self, checkpoint: Path | str | None, *, resume: bool, overwrite: bool
    ) -> Iterator[None]:
        """Claim the file, load what is there if asked to, and listen for Ctrl-C.

        Under torchrun all processes load, and process 0 writes.
        """
        _check_that_all_agree(asdict(self.settings) | self.identity)
        if not checkpoint:
            yield
            return
        self.path = Path(checkpoint)
        if rank() == 0:
            checkpoints.check_writable(self.path)
        with _claimed(self.path) if rank() == 0 else nullcontext(), self._listening():
            if rank() == 0:
                checkpoints.remove_leftovers(self.path)
                if self.path.exists() and not (resume or overwrite):
                    raise CheckpointError(
                        f"{self.path} exists: resume to go on from it, overwrite to "
                        "replace it, or give another path"
                    )
            if resume:
                self.done = self.load()
            _check_that_all_agree({"steps done": self.done})
            yield

    def steps(self, save_every: int, check_every: int, progress: bool) -> Iterator[int]:
        """The steps that are left; does any checking and saving due after each.

        Raises:
            FloatingPointError: If the loss or the weights are no longer finite.
            KeyboardInterrupt, SystemExit: After a signal, with the state saved.
        """
        total = self.settings.steps
        bar = tqdm(
            range(self.done, total),
            initial=self.done,
            total=total,
            disable=not progress or rank() > 0,
        )
        for step in bar:
            yield step
            self.done = step + 1
            finished = self.done == total
            look = finished or self.done % check_every == 0
            stopped = self._stopped(look)
            save = self.path and (stopped or finished or self.done % save_every == 0)
            if look or save:
                bar.set_postfix(loss=f"{self._finite_loss(check_every):.4f}")
            if save and rank() == 0:
                self.save()
            if stopped and not finished:
                self._stop()

    def _stopped(self, look: bool) -> bool:
        """Whether a signal came; several processes agree on it when they look."""
        if not dist.is_initialized():
            return bool(self.signals)
        if not look:
            return False
        came = torch.tensor(max(self.signals, default=0), device=self.losses.device)
        dist.all_reduce(came, dist.ReduceOp.MAX)
        self.signals += [int(came)] if came and not self.signals else []
        return bool(self.signals)

    def _finite_loss(self, check_every: int) -> float:
        """The mean of the recent losses, once it and the weights are seen finite."""
        mean = self.losses[max(0, self.done - check_every) : self.done].mean()
        # the loss predates this update; the new weights are looked at too
        norm = nn.utils.get_total_norm(self.model.parameters())
        loss, weights = torch.stack([mean, norm]).tolist()  # a GPU waits here, once
        if math.isfinite(loss + weights):
            return loss
        if self.path and self.has_file:
            step = self._take(checkpoints.read(self.path), self.path)
            kept = f"the state of step {step} is restored from {self.path}"
        else:
            kept = "nothing was kept: give a checkpoint, and a smaller save_every"
        raise FloatingPointError(
            f"the loss is {loss} within the {check_every} steps before step "
            f"{self.done}, the norm of the weights {weights}; {kept}. Lower lr "
            f"({self.settings.lr}) or clip ({self.settings.clip})"
        )

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Let Ctrl-C or SIGTERM end the current step; a second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals can only be caught there
            return

        def note(number: int, frame: object) -> None:
            self.signals.append(number)
            signal.signal(number, before[number])

        before: dict[int, Any] = {
            number: signal.getsignal(number)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            for number in before:
                signal.signal(number, note)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        said = f"stopped after step {self.done}, saved in {self.path}; resume to go on"
        if self.signals[0] == signal.SIGTERM:
            print(said, file=sys.stderr)
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt(said)

    # --- the file -----------------------------------------------------------------

    def save(self) -> None:
        """Write the state; the file before becomes ``checkpoints.previous``."""
        assert self.path
        content = {
            "format": checkpoints.FORMAT,
            "step": self.done,
            "settings": asdict(self.settings),
            "about": asdict(self.about) if self.about else {},
            "identity": self.identity,
            "threads": torch.get_num_threads(),
            "losses": self.losses[: self.done].cpu(),
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),  # dropout draws from these
        }
        if self.losses.is_cuda:
            content["cuda"] = torch.cuda.get_rng_state(self.losses.device)
        try:
            checkpoints.write(self.path, content, keep=checkpoints.previous(self.path))
        except OSError as error:
            raise OSError(
                f"{error}. Make room, then resume: the steps after the last checkpoint "
                "are run again"
            ) from error
        self.has_file = True

    def load(self) -> int:
        """Take the state of the checkpoint, or of the one before; the steps it has.

        0 if there is none yet. Raises CheckpointError if all files are damaged, or the
        first whole one is not of this run and this network.
        """
        assert self.path
        paths = [p for p in (self.path, checkpoints.previous(self.path)) if p.exists()]
        failures = []
        for candidate in paths:
            try:
                content = checkpoints.read(candidate)
            except CheckpointError as error:  # damaged: try the one before
                failures.append(str(error))
                continue
            step = self._take(content, candidate)  # that of another run is an error
            if failures:
                warnings.warn(f"{failures[0]}; going on from {candidate}", stacklevel=5)
            return step
        if failures:
            raise CheckpointError("; ".join(failures))
        return 0

    def _take(self, content: dict, path: Path) -> int:
        self._check_same_run(content, path)
        try:
            self.generator.set_state(content["generator"])
        except RuntimeError as error:
            raise CheckpointError(
                f"{path} was written on another kind of device than "
                f"{self.generator.device}, which draws other numbers: go on there "
                "(DDPM_DEVICE says where), or give another path"
            ) from error
        try:
            self.model.load_state_dict(content["model"])
            self.ema.load_state_dict(content["ema"])
            self.optimizer.load_state_dict(content["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"{path} is of another network: {str(error).splitlines()[0]}"
            ) from error
        self.has_file = path == self.path
        step = content["step"]
        self.losses[:step] = content["losses"]
        torch.set_rng_state(content["torch"])
        if self.losses.is_cuda:
            torch.cuda.set_rng_state(content["cuda"], self.losses.device)
        threads = content.get("threads", torch.get_num_threads())
        if threads != torch.get_num_threads():
            warnings.warn(
                f"{path} was written with {threads} threads, this process has "
                f"{torch.get_num_threads()}: the weights may differ in the last digits "
                "from those of an uninterrupted run",
                stacklevel=6,
            )
        return step

    def _check_same_run(self, content: dict, path: Path) -> None:
        """Raise CheckpointError if it is of another run; more steps prolong a run."""
        about = asdict(self.about) if self.about else {}
        about.pop("data", None)  # a folder may move; its pictures are compared below
        mine = asdict(self.settings) | about | self.identity
        its = content["settings"] | content["about"] | content.get("identity", {})
        its |= {"steps": mine["steps"]}
        differing = [name for name in mine if mine[name] != its.get(name, mine[name])]
        if differing == ["data values"]:
            raise CheckpointError(
                f"the data have changed since {path} was written (data values): resume "
                "with those of then, or start a new run from its weights"
            )
        if differing:
            told = ", ".join(f"{n}={its.get(n)!r} (now {mine[n]!r})" for n in differing)
            raise CheckpointError(
                f"{path} is of a run with {told}: use its settings, or another path"
            )
        if content["step"] > self.settings.steps:
            raise CheckpointError(
                f"{path} has done {content['step']} steps, more than "
                f"steps={self.settings.steps}: give at least as many"
            )


def rank() -> int:
    """The number of this process under torchrun; 0 otherwise."""
    return dist.get_rank() if dist.is_initialized() else 0


def share_of_batch(batch_size: int) -> slice:
    """This process's part of a batch. Raises ValueError if it can't be shared."""
    count = dist.get_world_size() if dist.is_initialized() else 1
    if batch_size % count:
        raise ValueError(
            f"batch_size={batch_size} cannot be shared equally by {count} processes: "
            "use a multiple"
        )
    size = batch_size // count
    return slice(rank() * size, (rank() + 1) * size)


def fingerprint(tensor: Tensor) -> str:
    """A short hash of the values, which tells two tensors apart."""
    if tensor.device.type == "meta":  # it has no values
        return "meta"
    values = tensor.detach().cpu().contiguous().numpy()
    return hashlib.sha256(values.data).hexdigest()[:16]


def identity(schedule: NoiseSchedule, data: Tensor) -> dict:
    """What two runs must share besides their settings."""
    noise = torch.tensor(schedule.numbers, dtype=torch.float64, device="cpu")
    return {
        "T": schedule.T,
        "schedule values": fingerprint(noise),
        "data shape": tuple(data.shape),
        "data values": fingerprint(data),
    }


def _check_that_all_agree(what: dict) -> None:
    """Under torchrun: raise ValueError unless every process trains the same."""
    if not dist.is_initialized():
        return
    all_of_them: list = [None] * dist.get_world_size()
    dist.all_gather_object(all_of_them, what)
    for other in all_of_them:
        differing = [name for name in what if what[name] != other[name]]
        if differing:
            raise ValueError(
                f"the processes differ in {', '.join(differing)}: start all of them "
                "with the same settings, schedule and data"
            )


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Hold a lock on ``path``, so that two runs don't write the same file."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise CheckpointError(
            f"{path} is in use by another training run: wait for it, or give another "
            "path"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps an open file
            Path(lock.lock_file).unlink()
        lock.release()
