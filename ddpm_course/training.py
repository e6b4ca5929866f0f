"""Training: a noisy image in, a guess out, the squared error, a step downhill."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from ddpm_course.checks import check_network
from ddpm_course.forward import q_sample
from ddpm_course.lab import checkpoints
from ddpm_course.parameterization import check_kind, v_from_x0_eps
from ddpm_course.schedules import NoiseSchedule


@dataclass(frozen=True)
class Settings:
    """How to train. ``batch_size`` is that of all processes together.

    ``lr`` is reached after ``warmup`` steps and falls on a cosine to 0 at ``steps``.
    ``ema`` is the decay of the averaged weights, ``clip`` the largest norm of the
    gradient, ``amp`` runs the network in bfloat16, ``compile`` compiles it. Raises
    ValueError for a value out of range.
    """

    steps: int = 1000
    batch_size: int = 128
    lr: float = 2e-3
    warmup: int = 100
    kind: str = "eps"
    ema: float = 0.999
    clip: float = 1.0
    amp: bool = False
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "lr", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected a number > 0")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema={self.ema}: expected 0 <= ema < 1, such as 0.999")
        check_kind(self.kind)


@dataclass(frozen=True)
class Trained:
    """The trained network, its averaged copy for sampling, and every step's loss."""

    model: nn.Module
    ema: nn.Module
    losses: Tensor


def device() -> torch.device:
    """What DDPM_DEVICE names, else a GPU where there is one, else the CPU."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(os.environ.get("DDPM_DEVICE") or found)


def squared_errors(
    model: Callable[[Tensor, Tensor], Tensor],
    schedule: NoiseSchedule,
    x0: Tensor,
    t: Tensor,
    eps: Tensor,
    kind: str = "eps",
) -> Tensor:
    """Mean squared error of each image's prediction, shape (batch,).

    ``model(x_t, t)`` predicts what ``kind`` says, "eps", "x0" or "v"; ``x0`` and the
    standard normal ``eps`` have one shape (batch, …), ``t`` is int64 (batch,) in
    1 … T. Raises ValueError for another kind.
    """
    check_kind(kind)
    x_t = q_sample(schedule, x0, t, eps)
    if kind == "v":
        target = v_from_x0_eps(schedule, x0, t, eps)
    else:
        target = eps if kind == "eps" else x0
    # under autocast the network answers in 16 bits; the loss is taken in x_t's
    error = model(x_t, t).to(x_t.dtype) - target
    return error.square().flatten(1).mean(1)


def simple_loss(
    model: Callable[[Tensor, Tensor], Tensor],
    schedule: NoiseSchedule,
    x0: Tensor,
    t: Tensor,
    eps: Tensor,
    kind: str = "eps",
) -> Tensor:
    """L_simple: the mean of ``squared_errors`` over the batch, a scalar.

    Slides, reverse process 14; training, step 4. A mean over the coordinates too, so
    that a learning rate means the same for images of any size.
    """
    return squared_errors(model, schedule, x0, t, eps, kind).mean()


def learning_rate(step: int, settings: Settings) -> float:
    """The learning rate of a step 0, 1, …: a linear warm-up, then a half cosine."""
    if step < settings.warmup:
        return settings.lr * (step + 1) / settings.warmup
    rest = max(1, settings.steps - settings.warmup)
    progress = min(1.0, (step - settings.warmup) / rest)
    return settings.lr * (1 + math.cos(math.pi * progress)) / 2


@torch.no_grad()
def update_ema(ema: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Move the averaged weights towards the model's, after step 0, 1, ….

    Early on the decay is smaller, (1 + step) / (10 + step): an average that began
    with noise would keep it for long.
    """
    weight = 1 - min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), weight)
    for averaged, current in zip(ema.buffers(), model.buffers(), strict=True):
        averaged.copy_(current)


def train(
    model: nn.Module,
    schedule: NoiseSchedule,
    data: Tensor,
    settings: Settings | None = None,
    *,
    checkpoint: Path | str | None = None,
    save_every: int = 500,
    resume: bool = False,
    progress: bool = True,
    check_every: int = 50,
    about: dict | None = None,
) -> Trained:
    """Train the network on ``data`` (N, …), in place, and return it with its average.

    All runs on the device of the model. The same settings and data give the same
    weights, on a CPU to the last bit; with ``checkpoint`` the state is saved every
    ``save_every`` steps, and ``resume=True`` goes on from there as if nothing had
    happened. ``about`` is kept in it, plain values that say what was trained. Under
    torchrun every process takes its share of each batch.

    Raises FloatingPointError when the loss or the weights are no longer finite (looked
    at every ``check_every`` steps, so that a GPU need not wait); model and checkpoint
    then hold the last good state. Raises CheckpointError for a checkpoint of another
    run, ValueError for a folder in its place.
    """
    if checkpoint and Path(checkpoint).is_dir():
        raise ValueError(f"checkpoint={checkpoint} is a folder: give a file in it")
    if save_every < 1 or check_every < 1:
        raise ValueError(
            f"save_every={save_every}, check_every={check_every}: expected steps, >= 1"
        )
    settings = settings or Settings()
    place = next(model.parameters()).device
    share = _share(settings.batch_size)
    data, schedule = data.to(place), schedule.to(place)
    check_network(model, schedule)
    generator = torch.Generator(place).manual_seed(settings.seed)
    ema = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr)
    losses = torch.zeros(settings.steps, device=place)
    state = checkpoints.State(
        model, ema, optimizer, generator, losses, settings, about or {}
    )
    start = state.load(checkpoint) if resume and checkpoint else 0

    network = _network(model.train(), settings, place)
    good = state.snapshot()
    bar = tqdm(
        range(start, settings.steps),
        initial=start,
        total=settings.steps,
        disable=not progress or _rank() > 0,
    )
    for step in bar:
        # every process draws the whole batch and takes its share: n processes make
        # the very step that one would
        index = torch.randint(
            len(data), (settings.batch_size,), generator=generator, device=place
        )
        t = torch.randint(
            1, schedule.T + 1, index.shape, generator=generator, device=place
        )
        x0 = data[index]
        eps = torch.empty_like(x0).normal_(generator=generator)
        loss = simple_loss(
            network, schedule, x0[share], t[share], eps[share], settings.kind
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings)
        optimizer.step()
        update_ema(ema, model, step, settings.ema)
        losses[step] = loss.detach()

        done, save = step + 1, checkpoint and (step + 1) % save_every == 0
        if save or done % check_every == 0 or done == settings.steps:
            # a loss tells of the weights before its step: look at those behind it too
            norms = torch.stack(torch._foreach_norm(list(model.parameters())))
            mean = losses[max(0, done - check_every) : done].mean()
            recent, size = torch.stack([mean, norms.sum()]).tolist()  # one wait
            if not math.isfinite(recent + size):
                state.restore(good)
                raise FloatingPointError(
                    f"the loss is {recent} within the {check_every} steps before step "
                    f"{done}, the size of the weights {size}; the last good state is "
                    f"restored. Lower lr ({settings.lr}) or clip ({settings.clip}), "
                    "and look for nan in the data"
                )
            good = state.snapshot()
            bar.set_postfix(loss=f"{recent:.4f}")
        if checkpoint and (save or done == settings.steps) and _rank() == 0:
            state.save(checkpoint, done)
    return Trained(model.eval(), ema, losses.cpu())


def _network(model: nn.Module, settings: Settings, place: torch.device):
    """The model as the loop calls it: compiled, spread and in 16 bits as asked."""
    network = torch.compile(model) if settings.compile else model
    if dist.is_initialized():
        # the time table is the only buffer, and the same everywhere
        network = DistributedDataParallel(network, broadcast_buffers=False)
    if not settings.amp:
        return network

    def in_16_bits(x_t: Tensor, t: Tensor) -> Tensor:
        with torch.autocast(place.type, torch.bfloat16):
            return network(x_t, t)

    return in_16_bits


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def _share(batch_size: int) -> slice:
    """This process's part of a batch."""
    count = dist.get_world_size() if dist.is_initialized() else 1
    if batch_size % count:
        raise ValueError(
            f"batch_size={batch_size} cannot be shared equally by {count} processes: "
            "use a multiple"
        )
    size = batch_size // count
    return slice(_rank() * size, (_rank() + 1) * size)
