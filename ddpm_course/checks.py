"""Argument checks. Errors name the argument, its value, and the fix."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddpm_course.schedules import NoiseSchedule


def check_schedule(schedule: NoiseSchedule) -> None:
    """Raise TypeError unless ``schedule`` is a NoiseSchedule."""
    if not isinstance(schedule, NoiseSchedule):
        raise TypeError(
            f"schedule is a {type(schedule).__name__}: expected a NoiseSchedule; use "
            "make_schedule('linear') or NoiseSchedule.from_betas(betas)"
        )


def check_callable(name: str, function: object) -> None:
    """Raise TypeError unless ``function`` can be called."""
    if not callable(function):
        raise TypeError(
            f"{name} is a {type(function).__name__}: expected a function, or a "
            "torch.nn.Module"
        )


def check_time(
    schedule: NoiseSchedule,
    t: int | Tensor,
    x: Tensor | None = None,
    first: int = 1,
    name: str = "t",
) -> None:
    """Raise unless ``t`` is a valid time, or a batch of them.

    Args:
        schedule: Its T is the last valid time.
        t: An int, or an int64 tensor (batch,).
        x: Data (batch, …) whose batch must agree with that of ``t``.
        first: The first valid time.
        name: What the error calls ``t``.

    Raises:
        TypeError: If the schedule, the type or the dtype is wrong.
        ValueError: If a time is out of range or the batches differ. On a GPU the
            values aren't read: every look would make the host wait.
    """
    check_schedule(schedule)
    if type(t) is int:
        if not first <= t <= schedule.T:
            raise ValueError(_outside(name, t, first, schedule.T))
        return
    wanted = f"an int, or an int64 tensor of shape (batch,), in {first} … {schedule.T}"
    if not isinstance(t, Tensor):
        raise TypeError(f"{name}={t!r} is a {type(t).__name__}: expected {wanted}")
    if t.dtype != torch.int64:
        raise TypeError(
            f"{name} has dtype {t.dtype}: expected {wanted}; use {name}.long()"
        )
    if t.ndim != 1 or (x is not None and (x.ndim == 0 or len(t) != len(x))):
        data = "" if x is None else f" for data of shape {tuple(x.shape)}"
        raise ValueError(
            f"{name} has shape {tuple(t.shape)}{data}: "
            f"expected {wanted}, one time for each element of the batch"
        )
    if t.device.type == "cpu" and len(t) > 0:
        low, high = (int(v) for v in t.aminmax())
        if low < first or high > schedule.T:
            bad = low if low < first else high
            raise ValueError(_outside(name, bad, first, schedule.T))


def _outside(name: str, t: int, first: int, T: int) -> str:
    return (
        f"{name}={t} is outside {first} … {T}: times are counted from 1, and t = 0 is "
        "the clean image"
    )


def check_signal(schedule: NoiseSchedule, t: int | Tensor) -> None:
    """Raise ValueError if ᾱ_t is 0: then x_t and ε do not tell x_0.

    Only at t = T of a schedule with ``zero_terminal_snr``. On a GPU the values of a
    tensor aren't read.
    """
    if schedule.numbers[-1] > 0:
        return
    if isinstance(t, Tensor):
        at_T = t.device.type == "cpu" and bool((t == schedule.T).any())
    else:
        at_T = t == schedule.T
    if at_T:
        raise ValueError(
            f"t={schedule.T}: alpha_bar is 0 there, so x_t holds no data and eps (or a "
            "score) does not tell x_0; use a network that predicts v or x_0"
        )


def check_earlier(schedule: NoiseSchedule, t: int | Tensor, s: int | Tensor) -> None:
    """Raise unless ``s`` is a time in 0 … T before ``t``, element by element."""
    if type(t) is int and type(s) is int and 0 <= s < t:
        return
    check_time(schedule, s, first=0, name="s")
    if isinstance(t, Tensor) and isinstance(s, Tensor) and t.shape != s.shape:
        raise ValueError(
            f"s has shape {tuple(s.shape)}, t has {tuple(t.shape)}: expected an "
            "earlier time for each t"
        )
    on_cpu = all(isinstance(v, int) or v.device.type == "cpu" for v in (s, t))
    if on_cpu and not torch.as_tensor(s < t, device="cpu").all():  # no look at a GPU
        raise ValueError(
            f"s={s} is not earlier than t={t}: a step of the reverse process leads "
            "from t to some s < t; swap them"
        )


def check_network(network: object, schedule: NoiseSchedule) -> None:
    """Raise ValueError if the network knows too few times or is on another device.

    Functions that are no ``torch.nn.Module`` pass: nothing is known about them.
    """
    check_schedule(schedule)
    check_callable("network", network)
    if isinstance(network, torch.nn.Module):
        device = next((p.device for p in network.parameters()), schedule.beta.device)
        if device != schedule.beta.device:
            raise ValueError(
                f"the network is on {device}, the schedule on "
                f"{schedule.beta.device}: use schedule.to({str(device)!r})"
            )
    T = getattr(network, "T", schedule.T)
    if T < schedule.T:
        raise ValueError(
            f"the network knows the times up to T = {T}, the schedule has "
            f"{schedule.T}: build the network with T={schedule.T}"
        )


def check_shape(call: str, result: Tensor, x_t: Tensor) -> None:
    """Raise unless ``result``, what ``call`` returned, is a tensor shaped like x_t."""
    if not isinstance(result, Tensor):
        raise TypeError(
            f"{call} returned a {type(result).__name__}: expected a tensor of the "
            f"shape of x_t, {tuple(x_t.shape)}"
        )
    if result.shape != x_t.shape:
        raise ValueError(
            f"{call} has shape {tuple(result.shape)}, x_t has {tuple(x_t.shape)}: "
            "expected the same shape"
        )


def check_answer(call: str, answer: Tensor, x_t: Tensor) -> None:
    """``check_shape``, and, on a CPU, that no entry is nan or inf."""
    check_shape(call, answer, x_t)
    if not is_finite(answer):
        raise ValueError(
            f"{call} contains nan or inf: expected finite numbers; look at the "
            "weights of the network and at its input"
        )


def is_finite(tensor: Tensor) -> bool:
    """Whether no entry is nan or inf; always true on a GPU, where a look would wait."""
    if tensor.device.type != "cpu":
        return True
    # quick: the sum is finite, but for overflow, if and only if all entries are
    return math.isfinite(tensor.sum().item()) or bool(tensor.isfinite().all())


def check_data(schedule: NoiseSchedule, **tensors: Tensor) -> None:
    """Raise unless the tensors are finite floats of one shape, on one device.

    Args:
        schedule: Its device is the one that counts.
        tensors: The data, by the names that an error should use.

    Raises:
        TypeError: If something is no tensor, or neither float32 nor float64.
        ValueError: If shapes or devices differ, or, on a CPU, if there is a nan or inf.
    """
    check_form(schedule, **tensors)
    for name, tensor in tensors.items():
        if not is_finite(tensor):
            raise ValueError(
                f"{name} contains nan or inf: expected finite numbers; look for the "
                "first step that makes them with torch.isfinite"
            )


def check_form(schedule: NoiseSchedule, **tensors: Tensor) -> None:
    """``check_data`` without a look at the values."""
    check_schedule(schedule)
    (first, x), *_ = tensors.items()
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{name} is a {type(tensor).__name__}: expected a torch tensor; "
                f"use torch.as_tensor({name})"
            )
        if tensor.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"{name} has dtype {tensor.dtype}: expected float32 or float64 (in 16 "
                f"bits the noise of small t rounds away); use {name}.float()"
            )
        if tensor.shape != x.shape:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}, {first} has "
                f"{tuple(x.shape)}: expected the same shape"
            )
        if tensor.device != schedule.beta.device:
            raise ValueError(
                f"{name} is on {tensor.device}, the schedule on "
                f"{schedule.beta.device}: use schedule.to({name}.device)"
            )


def check_path(schedule: NoiseSchedule, path: Tensor) -> None:
    """Raise unless ``path`` is x_0 … x_T, floats of shape (T + 1, …)."""
    check_data(schedule, path=path)
    if len(path) != schedule.T + 1:
        raise ValueError(
            f"path has {len(path)} entries: expected T + 1 = {schedule.T + 1}, "
            "from x_0 to x_T"
        )
