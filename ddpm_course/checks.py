"""Arguments that cannot be meant are refused, by name, with value and remedy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddpm_course.schedules import NoiseSchedule


def check_time(
    schedule: NoiseSchedule,
    t: int | Tensor,
    x: Tensor | None = None,
    first: int = 1,
    name: str = "t",
) -> None:
    """Raise unless t is an int or an int64 tensor (batch,) inside first … T.

    With data ``x`` of shape (batch, …) the two batches must agree. On a GPU the
    values are not read: each look would make the host wait.
    """
    wanted = f"an int, or an int64 tensor of shape (batch,), in {first} … {schedule.T}"
    if isinstance(t, bool) or not isinstance(t, int | Tensor):
        raise TypeError(f"{name}={t!r} is a {type(t).__name__}: expected {wanted}")
    if isinstance(t, Tensor):
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
        if t.device.type != "cpu" or len(t) == 0:
            return
    low, high = (t, t) if isinstance(t, int) else (int(t.min()), int(t.max()))
    if low < first or high > schedule.T:
        raise ValueError(
            f"{name}={low if low < first else high} is outside {first} … {schedule.T}: "
            "times are counted from 1, and t = 0 is the clean image"
        )


def check_earlier(schedule: NoiseSchedule, t: int | Tensor, s: int | Tensor) -> None:
    """Raise unless s is a time in 0 … T before ``t``, element by element."""
    check_time(schedule, s, first=0, name="s")
    if isinstance(t, Tensor) and isinstance(s, Tensor) and t.shape != s.shape:
        raise ValueError(
            f"s has shape {tuple(s.shape)}, t has {tuple(t.shape)}: expected an "
            "earlier time for each t"
        )
    on_cpu = all(isinstance(v, int) or v.device.type == "cpu" for v in (s, t))
    if on_cpu and not torch.as_tensor(s < t).all():  # no look at a GPU
        raise ValueError(
            f"s={s} is not earlier than t={t}: a step of the reverse process leads "
            "from t to some s < t; swap them"
        )


def check_network(network: object, schedule: NoiseSchedule) -> None:
    """Raise if the network knows fewer times, or is on another device.

    Of a function that is no ``torch.nn.Module`` nothing is known, and it passes.
    """
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


def is_finite(tensor: Tensor) -> bool:
    """Whether no entry is nan or inf; always true on a GPU, where a look would wait."""
    if tensor.device.type != "cpu":
        return True
    # quick: the sum is finite, but for overflow, if and only if all entries are
    return math.isfinite(tensor.detach().sum()) or bool(tensor.isfinite().all())


def check_data(schedule: NoiseSchedule, **tensors: Tensor) -> None:
    """Raise unless the tensors are floats of one shape, on the schedule's device.

    Non-finite entries raise too, on a CPU only (``is_finite``).
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
