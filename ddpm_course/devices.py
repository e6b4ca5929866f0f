"""Where to compute: a GPU if there is one, or what DDPM_DEVICE names."""

from __future__ import annotations

import os

import torch


def device() -> torch.device:
    """The device that DDPM_DEVICE names, else a GPU if there is one, else the CPU.

    Raises:
        ValueError: If DDPM_DEVICE names no device, or one that isn't there.
    """
    name = os.environ.get("DDPM_DEVICE")
    if not name:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return named_device(name, "DDPM_DEVICE=")


def named_device(name: str, source: str) -> torch.device:
    """The device called ``name``; ``source`` is what stands before it.

    Raises:
        ValueError: If there is no such device.
    """
    expected = "expected cpu, cuda or cuda:1"
    try:
        found = torch.device(name)
    except RuntimeError:
        raise ValueError(f"{source}{name!r} names no device: {expected}") from None
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(
            f"{source}{name!r}: torch finds {count} GPUs here; use cpu, or install a "
            "torch that was built for your GPU"
        )
    if found.type == "mps":
        raise ValueError(
            f"{source}{name!r}: Apple's GPUs have no float64, which the noise "
            "schedule needs; use cpu"
        )
    return found
