"""How good a trained network is: a bound, and distances next to their noise floor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ddpm_course import metrics
from ddpm_course.bound import variational_bound
from ddpm_course.lab import pretrained
from ddpm_course.lab.classifier import features
from ddpm_course.lab.datasets import DataSet
from ddpm_course.lab.pretrained import Pretrained
from ddpm_course.oracle import GaussianMixture
from ddpm_course.sampling import in_chunks


def bits(
    model: Pretrained,
    x0: Tensor,
    *,
    levels: int,
    times: int,
    variance: str,
    chunk: int | None = None,
    seed: int = 0,
) -> dict:
    """The bound on held-out data, in bits per dimension.

    Args:
        model: The trained network.
        x0: Held-out data, shape (n, …) with n >= 2.
        levels: How many values a pixel can have. Points have a density instead.
        times: Number of random times for each element.
        variance: σ²: "beta" or "beta_tilde".
        chunk: Elements that go into one call of the network at most.
        seed: Of the noise and the times.

    Returns:
        The value, its standard error, and the settings behind them.
    """
    denoiser = model.denoiser()
    device = denoiser.schedule.beta.device
    kind: dict = {"decoder": "continuous"}
    if x0.ndim > 2:
        kind = {"decoder": "discrete", "bins": levels}
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
    x: Tensor,
    data: DataSet,
    *,
    name: str,
    classifier: Path | None = None,
    seed: int = 0,
) -> dict:
    """Samples against the same number of held-out data.

    The floor is the distance of as many training data from the held-out data.

    Args:
        x: Samples, shape (n, …).
        data: What the network learned from, and what was held out.
        name: Of the data. For some, a classifier comes with the package.
        classifier: A file with another one, to take the features from.
        seed: Picks the held-out and the training data.

    Returns:
        For points, the energy distance and, on the ring, the width of the modes. For
        images, the Fréchet distance of features and the distance from the nearest
        training image: the mean, and the smallest, which is 0 for a copy.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    other, held_out = (
        part[torch.randperm(len(part), generator=generator, device="cpu")[: len(x)]]
        for part in (data.train, data.test)
    )
    if x.ndim > 2:
        return {
            "nearest": {
                "samples": _nearest(x, data.train),
                "held out": _nearest(held_out, data.train),
            },
            "frechet_distance": _frechet(name, classifier, data, x, other, held_out),
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


def _nearest(x: Tensor, seen: Tensor) -> dict:
    distance = metrics.nearest_distance(x, seen)
    return {"mean": distance.mean().item(), "smallest": distance.min().item()}


def _frechet(name: str, file: Path | None, data: DataSet, *sets: Tensor) -> dict:
    if file is None and name not in pretrained.CLASSIFIERS:
        remedy = "make one with the command classifier, and give it with --classifier"
        if data.train_labels is None:
            remedy = "one can be made of pictures in a subfolder for each class"
        why = f"no classifier of {name} comes with the package: {remedy}"
        return {"value": None, "why": why}
    network = pretrained.load_classifier(file or name)
    sets = tuple(features(network, images) for images in sets)
    which = f"classifier {file}" if file else f"package's classifier of {name}"
    n, count = sets[0].shape
    found = _beside_floor(metrics.frechet_distance, *sets)
    found["features"] = f"the {count} of the {which}"
    if n < 2 * count:
        found["note"] = (
            f"{n} samples are few for {count} features: the distance mostly says so"
        )
    return found


def _beside_floor(
    distance: Callable[[Tensor, Tensor], float],
    x: Tensor,
    other: Tensor,
    held_out: Tensor,
) -> dict:
    return {"value": distance(x, held_out), "floor": distance(other, held_out)}
