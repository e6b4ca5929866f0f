"""Training: a noisy image in, a guess out, the squared error, a gradient step.

``training_step`` is Algorithm 1, and ``train`` repeats it. What keeps a long run safe
(checkpoints, resuming, a watch for nan) lives in ``lab.runs``.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import index
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ddpm_course.checks import (
    check_callable,
    check_network,
    check_schedule,
    check_shape,
)
from ddpm_course.forward import q_sample
from ddpm_course.lab import runs
from ddpm_course.lab.runs import About, Run, share_of_batch
from ddpm_course.parameterization import check_kind
from ddpm_course.schedules import NoiseSchedule, signal_and_noise


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        steps: Steps of gradient descent.
        batch_size: Images a step, of all processes together.
        lr: The highest learning rate, reached after the warm-up; it then falls to 0
            on a cosine.
        warmup: Steps of learning rate warm-up.
        kind: What the network predicts: "eps", "x0" or "v".
        ema: Decay of the averaged weights, in [0, 1).
        clip: The gradient is scaled down to this norm; inf turns it off.
        amp: Runs the network in bfloat16.
        compile: Compiles the network first.
        seed: The same seed gives the same weights.

    Raises:
        TypeError, ValueError: If a value is of another type or out of range.
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
        for field in fields(self):  # plain Python values: numpy's cannot be loaded
            value, kind = getattr(self, field.name), type(field.default)
            try:
                object.__setattr__(self, field.name, _PLAIN[kind](value))
            except (TypeError, ValueError):
                raise TypeError(
                    f"{field.name}={value!r} is a {type(value).__name__}: expected "
                    f"{kind.__name__}"
                ) from None
        for name in ("steps", "batch_size"):
            self._check(name, getattr(self, name) >= 1, "an int >= 1")
        for name in ("warmup", "seed"):
            self._check(name, getattr(self, name) >= 0, "an int >= 0")
        self._check("lr", 0 < self.lr < math.inf, "a number > 0, such as 2e-3")
        self._check("clip", self.clip > 0, "a number > 0, such as 1")
        self._check("ema", 0 <= self.ema < 1, "0 <= ema < 1, such as 0.999")
        check_kind(self.kind)

    def _check(self, name: str, good: bool, expected: str) -> None:
        if not good:
            raise ValueError(f"{name}={getattr(self, name)}: expected {expected}")


def _as_bool(value: object) -> bool:
    if value not in (True, False):
        raise TypeError
    return bool(value)


def _as_str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str(value)


def _as_float(value: object) -> float:
    if isinstance(value, str):
        raise TypeError
    return float(value)  # type: ignore[arg-type]


_PLAIN: dict[type, Callable] = {
    int: index,
    float: _as_float,
    bool: _as_bool,
    str: _as_str,
}


@dataclass(frozen=True)
class Trained:
    """The trained network, its average for sampling, and the loss of each step."""

    model: nn.Module
    ema: nn.Module
    losses: Tensor


def squared_errors(
    model: Callable[[Tensor, Tensor], Tensor],
    schedule: NoiseSchedule,
    x0: Tensor,
    t: Tensor,
    eps: Tensor,
    kind: str = "eps",
) -> Tensor:
    """The mean squared error of the prediction, image by image.

    Args:
        model: Called as ``model(x_t, t)``; predicts what ``kind`` says.
        schedule: The noise schedule.
        x0: Clean data, shape (batch, …), float32 or float64.
        t: int64 (batch,), in 1 … T.
        eps: Standard normal noise of the shape of ``x0``.
        kind: "eps", "x0" or "v".

    Returns:
        Shape (batch,).

    Raises:
        TypeError, ValueError: If an argument, or what the model returns, is of another
            type, shape or range.
    """
    check_kind(kind)
    check_callable("model", model)
    x_t = q_sample(schedule, x0, t, eps)
    prediction = model(x_t, t)
    check_shape("model(x_t, t)", prediction, x_t)
    if kind == "v":
        signal, noise = signal_and_noise(schedule, t, x0)
        target = signal * eps - noise * x0
    else:
        target = eps if kind == "eps" else x0
    # under autocast the network answers in 16 bits; the loss is taken in x_t's
    return (prediction.to(x_t.dtype) - target).square().flatten(1).mean(1)


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
    that a learning rate means the same for images of every size.
    """
    return squared_errors(model, schedule, x0, t, eps, kind).mean()


def learning_rate(step: int, settings: Settings) -> float:
    """The learning rate of step 0, 1, …: a linear warm-up, then half a cosine."""
    if step < settings.warmup:
        return settings.lr * (step + 1) / settings.warmup
    rest = max(1, settings.steps - settings.warmup)
    progress = min(1.0, (step - settings.warmup) / rest)
    return settings.lr * (1 + math.cos(math.pi * progress)) / 2


@torch.no_grad()
def update_ema(ema: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Move the averaged weights toward the model's, after step 0, 1, ….

    Early on the decay is smaller, (1 + step) / (10 + step): an average that started
    from noise would keep it for long.
    """
    decay = min(decay, (1 + step) / (10 + step))
    average = get_ema_multi_avg_fn(decay)
    average(list(ema.parameters()), list(model.parameters()), step)
    for averaged, current in zip(ema.buffers(), model.buffers(), strict=True):
        averaged.copy_(current)


def draw_batch(
    data: Tensor, T: int, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """x_0, t and ε for a batch; under torchrun, this process's share of it.

    Every process draws the whole batch, so that n processes make the very step that
    one would.
    """
    here: dict[str, Any] = {"generator": generator, "device": data.device}
    x0 = data[torch.randint(len(data), (size,), **here)]
    t = torch.randint(1, T + 1, (size,), **here)
    eps = torch.randn(x0.shape, dtype=x0.dtype, **here)
    share = share_of_batch(size)
    return x0[share], t[share], eps[share]


def training_step(
    network: Callable[[Tensor, Tensor], Tensor],
    run: Run,
    schedule: NoiseSchedule,
    data: Tensor,
    step: int,
) -> Tensor:
    """One pass through Algorithm 1: draw, predict, compare, step; returns the loss.

    ``network`` is ``run.model`` as it is called: compiled, in 16 bits, or distributed.
    """
    settings = run.settings
    x0, t, eps = draw_batch(data, schedule.T, settings.batch_size, run.generator)
    loss = simple_loss(network, schedule, x0, t, eps, settings.kind)
    run.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(run.model.parameters(), settings.clip)
    run.optimizer.param_groups[0]["lr"] = learning_rate(step, settings)
    run.optimizer.step()
    update_ema(run.ema, run.model, step, settings.ema)
    return loss.detach()


def train(
    model: nn.Module,
    schedule: NoiseSchedule,
    data: Tensor,
    settings: Settings | None = None,
    *,
    checkpoint: Path | str | None = None,
    save_every: int = 500,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    check_every: int = 50,
    about: About | None = None,
) -> Trained:
    """Train the network on ``data``, in place, and return it with its average.

    Everything runs on the model's device. The same settings, data and initial weights
    give the same result, on a CPU to the last bit if the number of threads is the same.
    Under torchrun every process takes its share of each batch, and the returned losses
    are those of its own share.

    Args:
        model: The network, called as ``model(x_t, t)``.
        schedule: The noise schedule.
        data: Shape (N, …), floats; images in [-1, 1].
        settings: How to train; ``Settings()`` if not given.
        checkpoint: A file that keeps the state of the run.
        save_every: Steps between two checkpoints.
        resume: Go on from the checkpoint, if there is one, as if nothing had happened.
            A larger ``settings.steps`` prolongs a run; from there on the learning rate
            is that of the longer run.
        overwrite: Start anew although the checkpoint exists.
        progress: Shows a progress bar.
        check_every: Steps between two looks at the loss, so that a GPU need not wait
            in between.
        about: What is trained, kept in the checkpoint for its readers.

    Returns:
        The network and its average, both in eval mode, and every step's loss.

    Raises:
        TypeError, ValueError: If an argument makes no sense.
        FloatingPointError: If the loss or the weights are no longer finite. With a
            checkpoint the last good state is restored from it.
        CheckpointError: If the checkpoint is damaged, belongs to another run or
            network, is in use by another process, or exists and neither ``resume`` nor
            ``overwrite`` is set.
        KeyboardInterrupt, SystemExit: After Ctrl-C or SIGTERM, with the state saved.
    """
    settings = Settings() if settings is None else settings
    if not isinstance(settings, Settings):
        raise TypeError(
            f"settings is a {type(settings).__name__}: expected Settings(...)"
        )
    if save_every < 1 or check_every < 1:
        raise ValueError(
            f"save_every={save_every}, check_every={check_every}: expected steps, >= 1"
        )
    if resume and overwrite:
        raise ValueError("resume and overwrite are both set: choose one")
    check_schedule(schedule)
    _check_data(data)
    _check_model(model)
    share_of_batch(settings.batch_size)  # raises if it can't be shared
    first = next(model.parameters())
    place = first.device
    kept = checkpoint or dist.is_initialized()
    identity = runs.identity(schedule, data) if kept else {}
    data, schedule = data.to(place, first.dtype), schedule.to(place)
    check_network(model, schedule)
    network = _as_called(model.train(), settings, place)
    run = Run(
        model=model,
        ema=copy.deepcopy(model).eval().requires_grad_(False),
        # on a GPU its default already updates all weights at once ("foreach"); TF32,
        # cudnn.benchmark and channels-last gained nothing more on an H200
        optimizer=torch.optim.Adam(model.parameters(), lr=settings.lr),
        generator=torch.Generator(place).manual_seed(settings.seed),
        losses=torch.zeros(settings.steps, device=place),
        settings=settings,
        about=about,
        identity=identity,
    )
    try:
        with run.kept_in(checkpoint, resume=resume, overwrite=overwrite):
            for step in run.steps(save_every, check_every, progress):
                run.losses[step] = training_step(network, run, schedule, data, step)
    finally:
        model.eval()
    return Trained(model, run.ema, run.losses.cpu())


def _as_called(model: nn.Module, settings: Settings, place: torch.device) -> Callable:
    """The model as the loop calls it: distributed, compiled and in 16 bits as asked."""
    network: Any = DistributedDataParallel(model) if dist.is_initialized() else model
    network = torch.compile(network) if settings.compile else network
    if not settings.amp:
        return network

    def in_16_bits(x_t: Tensor, t: Tensor) -> Tensor:
        with torch.autocast(place.type, torch.bfloat16):
            return network(x_t, t)

    return in_16_bits


def _check_model(model: nn.Module) -> None:
    """Raise TypeError or ValueError unless the model can be trained."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model is a {type(model).__name__}: expected a torch.nn.Module, such as "
            "UNet()"
        )
    parameters = list(model.parameters())
    if not any(p.requires_grad for p in parameters):
        raise ValueError(
            f"model has {len(parameters)} parameters, none of which requires a "
            "gradient: nothing can be trained; use model.requires_grad_(True)"
        )
    if parameters[0].dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"model has parameters in {parameters[0].dtype}: expected float32; use "
            "model.float() and Settings(amp=True)"
        )


def _check_data(data: Tensor) -> None:
    """Raise TypeError or ValueError unless the data can be trained on."""
    if isinstance(data, tuple | list):
        raise TypeError(
            f"data is a {type(data).__name__} of {len(data)}: expected one tensor; of "
            "(images, labels) pass the images, data[0]"
        )
    if not isinstance(data, Tensor):
        raise TypeError(
            f"data is a {type(data).__name__}: expected a torch tensor; use "
            "torch.as_tensor(data)"
        )
    if data.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"data has dtype {data.dtype}: expected float32, images in [-1, 1]; scale "
            "8-bit images by data.float() / 127.5 - 1"
        )
    if data.ndim < 2 or data.numel() == 0:
        raise ValueError(
            f"data has shape {tuple(data.shape)}: expected (N, …) with N >= 1, such as "
            "(N, 2) for points or (N, 1, 28, 28) for images"
        )
    if data.device.type == "meta":  # it has no values
        return
    if not bool(data.isfinite().all()):
        raise ValueError("data contains nan or inf: expected finite numbers")
    low, high = (v.item() for v in data.aminmax())
    images = data.ndim > 2
    if max(-low, high) > (1.5 if images else 100) or (images and 0 <= low < high):
        expected = "[-1, 1]" if images else "a few units around 0"
        warnings.warn(
            f"data runs from {low:.4g} to {high:.4g}: expected {expected}, since the "
            "noise has variance 1. Scale it: 2 * data - 1 for data in [0, 1], "
            "data / 127.5 - 1 for 8-bit images",
            stacklevel=3,
        )
