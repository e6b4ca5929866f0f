"""How close samples are to data: three distances, each with its own blind spot.

No single number says much. Print the noise floor next to each: the same distance
between data and other data, for sets of the same sizes.

Sets may have any real dtype. One that isn't a real tensor raises TypeError; one that is
empty, contains nan or inf, or differs in shape from the other raises ValueError.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_course.oracle import GaussianMixture


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E‖x - y‖ - E‖x - x'‖ - E‖y - y'‖.

    Sees where samples are and how many; hardly notices the width of a narrow mode.

    Args:
        x: A set, shape (n, …).
        y: Another, shape (m, …).

    Returns:
        0 for equal sets, else positive, in the unit of the data.
    """
    _check_sets(1, x=x, y=y)
    x, y = x.double().flatten(1), y.double().flatten(1)
    distance = 2 * _mean_distance(x, y) - _mean_distance(x, x) - _mean_distance(y, y)
    return distance.item()


def mode_width(x: Tensor, mixture: GaussianMixture) -> float:
    """The standard deviation of samples within their modes, over the true one.

    Each point belongs to the nearest mean of the mixture, and its deviation is measured
    from the average of the points that belong there.

    Args:
        x: Samples, shape (n, D).
        mixture: The true density, with one width > 0 for all modes.

    Returns:
        1 if the width is right, less if modes are too narrow.

    Raises:
        ValueError: If widths differ or are 0, or there are too few samples.
    """
    if not isinstance(mixture, GaussianMixture):
        raise TypeError(
            f"mixture is a {type(mixture).__name__}: expected a GaussianMixture"
        )
    std = mixture.stds[0].item()
    if not std > 0 or (mixture.stds != std).any():
        raise ValueError(
            f"stds={mixture.stds.tolist()}: expected one width > 0 for all modes"
        )
    _check_sets(1, x=x, means=mixture.means)
    x = x.double().flatten(1)
    mode = torch.cdist(x, mixture.means.flatten(1)).argmin(1)
    groups = [x[mode == k] for k in mode.unique()]
    free = len(x) - len(groups)  # each group's average takes one
    if free < 1:
        raise ValueError(
            f"x has {len(x)} samples in {len(groups)} modes: expected more samples "
            "than modes"
        )
    squares = torch.stack([(g - g.mean(0)).square().sum() for g in groups])
    return (squares.sum() / (free * x.shape[1])).sqrt().item() / std


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """‖m_x - m_y‖² + tr(S_x + S_y - 2 (S_x S_y)^½).

    The squared Fréchet distance between Gaussians with the means and covariances of
    the sets. It isn't 0 for two draws from one distribution, and it shrinks as sets
    grow: compare it only with values for the same features and sizes.

    Args:
        x: Features of a set, shape (n, D), n >= 2.
        y: Features of another, shape (m, D), m >= 2.

    Returns:
        The distance, in the squared unit of the features.
    """
    _check_sets(2, x=x, y=y)
    x, y = x.double().flatten(1), y.double().flatten(1)
    # for a single feature torch gives a number: make it a matrix of one by one
    s_x, s_y = (torch.atleast_2d(torch.cov(v.T)) for v in (x, y))
    # (S_x S_y)^½ has the trace of (R S_y R)^½ with R = S_x^½, which is symmetric
    values, vectors = torch.linalg.eigh(s_x)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    middle = torch.linalg.eigvalsh(root @ s_y @ root).clamp(min=0).sqrt().sum()
    means = (x.mean(0) - y.mean(0)).square().sum()
    return (means + s_x.trace() + s_y.trace() - 2 * middle).item()


def nearest_distance(x: Tensor, data: Tensor) -> Tensor:
    """How far each sample is from the nearest of the data.

    If samples are much closer than fresh data, they were copied.

    Args:
        x: Samples, shape (n, …).
        data: What they may be copies of, shape (m, …).

    Returns:
        float32, shape (n,): root mean square over the coordinates.
    """
    _check_sets(1, x=x, data=data)
    x, data = x.float().flatten(1), data.float().flatten(1)
    # the faster way, by a matrix product, would not see that a copy is a copy
    mode = "donot_use_mm_for_euclid_dist"
    nearest = [
        torch.cdist(part, data, compute_mode=mode).amin(1) for part in x.split(99)
    ]
    return torch.cat(nearest) / x.shape[1] ** 0.5


def _mean_distance(x: Tensor, y: Tensor) -> Tensor:
    # in parts: all pairs of large sets would not fit in memory
    parts = [torch.cdist(part, y).sum() for part in x.split(1000)]
    return torch.stack(parts).sum() / (len(x) * len(y))


def _check_sets(least: int, **sets: Tensor) -> None:
    """Raise unless both are sets of at least ``least`` real points of one shape."""
    for name, values in sets.items():
        if not isinstance(values, Tensor):
            raise TypeError(
                f"{name} is of type {type(values).__name__}: expected a torch tensor; "
                f"use torch.as_tensor({name})"
            )
        if values.is_complex():
            raise TypeError(f"{name} has dtype {values.dtype}: expected real numbers")
        if values.ndim < 2 or len(values) < least or values.numel() == 0:
            raise ValueError(
                f"{name} has shape {tuple(values.shape)}: expected (n, …) with "
                f"n >= {least}"
            )
        if not values.isfinite().all():
            raise ValueError(f"{name} contains nan or inf: expected finite numbers")
    (name_x, x), (name_y, y) = sets.items()
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"{name_x} has shape {tuple(x.shape)}, {name_y} has {tuple(y.shape)}: "
            "expected elements of the same shape"
        )
