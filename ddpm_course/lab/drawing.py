"""Samples for the commands: each image has a seed of its own."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ddpm_course.guidance import guided
from ddpm_course.lab.pretrained import Pretrained
from ddpm_course.parameterization import Denoise
from ddpm_course.sampling import (
    CALL_SIZE,
    Step,
    ancestral_step,
    ddim_step,
    in_chunks,
    reverse_process,
)
from ddpm_course.solvers import Multistep, heun_step

SAMPLERS = ("ancestral", "ddim", "heun", "multistep")


def step_of(options: Namespace, denoiser: Denoise) -> Step:
    """The step that ``--sampler`` and its options name, for one chain."""
    if options.sampler == "heun":
        return partial(heun_step, denoiser)
    if options.sampler == "multistep":
        return Multistep()
    if options.sampler == "ddim":
        return partial(ddim_step, eta=options.eta)
    return partial(ancestral_step, variance=options.variance)


def guided_by(
    model: Pretrained, labels: Tensor, w: float, chunk: int | None
) -> Denoise:
    """Guidance of scale w, each image toward its own label, in chunks."""
    size = chunk or max(1, CALL_SIZE // math.prod(model.shape))
    untold, clip = model.denoiser(), model.about.reach
    parts = [
        guided(model.denoiser(part), untold, w, clip=clip)
        for part in labels.split(size)
    ]

    def denoiser(x_t: Tensor, t: int | Tensor) -> Tensor:
        pairs = zip(parts, x_t.split(size), strict=True)
        return torch.cat([part(x, t) for part, x in pairs])

    return denoiser


def draw(
    model: Pretrained,
    n: int,
    options: Namespace,
    label: Sequence[int] = (),
    guidance: float = 1.0,
) -> Iterator[Tensor]:
    """The states (n, …) of a chain, from noise to data.

    Image i has the noise of seed (``options.seed``, i), whatever n is: so more samples
    of a seed begin with the same ones.

    Args:
        model: The trained network.
        n: Number of samples.
        options: Those of the commands.
        label: The classes of the first images, repeated for the others.
        guidance: The scale of guidance toward them.

    Raises:
        ValueError: If the samples are not finite.
    """
    schedule = model.schedule()
    denoiser = in_chunks(model.denoiser(), options.chunk)
    if label:
        device = schedule.beta.device
        turn = torch.arange(n, device=device) % len(label)
        labels = torch.tensor(label, device=device)[turn]
        denoiser = guided_by(model, labels, guidance, options.chunk)
    step = step_of(options, denoiser)
    noise = partial(_noise, _generators(n, options.seed, model), model.shape)

    def with_own_noise(schedule, x_t, x0_hat, t, s, z):
        return step(schedule, x_t, x0_hat, t, s, noise() if s > 0 else z)

    x_T = noise()
    yield x_T
    chain = reverse_process(
        denoiser,
        schedule,
        x_T,
        step=with_own_noise,
        steps=options.steps,
        chunk=n,
    )
    for _, x, _ in tqdm(chain, total=options.steps):
        yield x
    if not x.isfinite().all():
        raise ValueError("the samples contain nan or inf: the network is broken")


def _generators(n: int, seed: int, model: Pretrained) -> list[torch.Generator]:
    device = next(model.network.parameters()).device
    seeds = (np.random.SeedSequence((seed, i)).generate_state(1) for i in range(n))
    return [torch.Generator(device).manual_seed(int(s[0])) for s in seeds]


def _noise(generators: list[torch.Generator], shape: tuple[int, ...]) -> Tensor:
    draws = [torch.randn(shape, device=g.device, generator=g) for g in generators]
    return torch.stack(draws)
