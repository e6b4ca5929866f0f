"""How good a trained network is: a bound, and distances beside their noise floor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ddpm_course import metrics
from ddpm_course.bound import variational_bound
from ddpm_course.lab import pretrained
from ddpm_course.lab.classifier import features
from ddpm_course.lab.datasets import gray_levels
from ddpm_course.lab.pretrained import Pretrained
from ddpm_course.oracle import GaussianMixture
from ddpm_course.sampling import in_chunks


def bits(
    model: Pretrained,
    x0: Tensor,
    *,
    times: int,
    variance: str,
    chunk: int | None = None,
    seed: int = 0,
) -> dict:
    """The bound on held-out data (n, …), n >= 2, in bits a coordinate.

    At ``times`` random t for each element, with its standard error; at most ``chunk``
    elements go into one call of the network.
    """
    denoiser = model.denoiser()
    device = denoiser.schedule.beta.device

    kind: dict = {"decoder": "continuous"}
    if x0.ndim > 2:
        kind = {"decoder": "discrete", "bins": gray_levels(model.about.data)}
    bound = variational_bound(
        in_chunks(denoiser, chunk),
        denoiser.schedule,
        x0.to(device),
        generator=torch.Generator(device).manual_seed(seed),
        variance=variance,
        times=times,
        **kind,
    )
    return {
        "value": bound.bits_per_dim,
        "standard_error": bound.standard_error,
        "images": len(x0),
        "times": times,
        "variance": variance,
    } | kind


def distances(
    name: str,
    x: Tensor,
    seen: Tensor,
    held_out: Tensor,
    seed: int,
    classifier: Path | None = None,
) -> dict:
    """Samples ``x`` (n, …) against held-out data, with as many of each.

    The floor is what n elements of the training data have in the place of the samples.
    Points: energy distance and, on the ring, the width of the modes. Images: Fréchet
    distance and the nearest training image. Its features are those of ``classifier``,
    a file, or of the one that comes with the package for the data of that name.
    """
    generator = torch.Generator().manual_seed(seed)
    other, held_out = (
        data[torch.randperm(len(data), generator=generator)[: len(x)]]
        for data in (seen, held_out)
    )
    if x.ndim > 2:
        return {
            "nearest": {
                "samples": metrics.nearest_distance(x, seen).mean().item(),
                "held out": metrics.nearest_distance(held_out, seen).mean().item(),
            },
            "frechet_distance": _frechet(name, classifier, x, other, held_out),
        }
    energy = _beside_floor(metrics.energy_distance, x, other, held_out)
    if name != "ring":
        return {"energy_distance": energy}
    ring = GaussianMixture.ring()
    width = {
        "value": metrics.mode_width(x, ring),
        "floor": metrics.mode_width(other, ring),
    }
    return {"energy_distance": energy, "mode_width": width}


def _frechet(name: str, file: Path | None, *sets: Tensor) -> dict:
    if file is None and name not in pretrained.CLASSIFIERS:
        why = f"no classifier of {name} comes with the package: give --classifier"
        return {"value": None, "why": why}
    network = pretrained.load_classifier(file or name)
    sets = tuple(features(network, images) for images in sets)
    which = f"classifier {file}" if file else f"package's classifier of {name}"
    return _beside_floor(metrics.frechet_distance, *sets) | {
        "features": f"the {sets[0].shape[1]} of the {which}"
    }


def _beside_floor(
    distance: Callable[[Tensor, Tensor], float],
    x: Tensor,
    other: Tensor,
    held_out: Tensor,
) -> dict:
    return {"value": distance(x, held_out), "floor": distance(other, held_out)}
