"""What several test files share: schedules, seeded draws, simple denoisers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ddpm_course.schedules import NoiseSchedule, make_schedule

ROOT = Path(__file__).parent.parent
LINEAR, COSINE = make_schedule("linear"), make_schedule("cosine")
EVERY_T = torch.arange(1, 1001)


def seeded(seed: int = 0, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def normal(*shape: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def exact(schedule: NoiseSchedule):
    """The denoiser E[x_0 | x_t] of data N(0, 1): √ᾱ_t x_t."""

    def denoiser(x_t, t):
        signal = schedule.alpha_bar[t].sqrt().to(x_t.dtype)
        return signal.reshape(-1, *[1] * (x_t.ndim - 1)) * x_t

    return denoiser


def halved(schedule: NoiseSchedule):
    """Not the best denoiser."""
    return lambda x_t, t: exact(schedule)(x_t, t) / 2


@contextmanager
def no_waiting() -> Iterator[None]:
    """Make it an error if the host waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def torchrun(script: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in two processes that know of each other."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*command, "--nproc-per-node=2", str(script)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
