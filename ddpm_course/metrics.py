"""How near samples are to data: three distances, each blind to something else.

None of them means much alone. Print the noise floor beside each: the same distance
between data and other data, of the same sizes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_course.oracle import GaussianMixture


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E‖x - y‖ - E‖x - x'‖ - E‖y - y'‖ of two sets (n, …) and (m, …).

    0 for equal sets, positive otherwise, in the unit of the data. It sees where
    samples are and how many; the width of a narrow mode hardly changes it. Raises
    ValueError for sets that are empty or of other shapes.
    """
    _check_sets(x, y, 1)
    x, y = x.double().flatten(1), y.double().flatten(1)
    distance = 2 * _mean_distance(x, y) - _mean_distance(x, x) - _mean_distance(y, y)
    return distance.item()


def mode_width(x: Tensor, mixture: GaussianMixture) -> float:
    """The standard deviation of samples within their modes over the true one.

    ``x`` has shape (n, D); every point belongs to the nearest mean of ``mixture``, and
    deviates from the mean of all that do. 1 is right; below it modes are too narrow.
    Raises ValueError for widths that differ or are 0, or for too few samples.
    """
    std = mixture.stds[0].item()
    if not std > 0 or (mixture.stds != std).any():
        raise ValueError(
            f"stds={mixture.stds.tolist()}: expected one width > 0 for all modes"
        )
    _check_sets(x, mixture.means, 1)
    x = x.double().flatten(1)
    mode = torch.cdist(x, mixture.means.flatten(1)).argmin(1)
    groups = [x[mode == k] for k in mode.unique()]
    free = len(x) - len(groups)  # each group's mean takes one
    if free < 1:
        raise ValueError(f"{len(x)} samples in {len(groups)} modes: give more")
    squares = torch.stack([(g - g.mean(0)).square().sum() for g in groups])
    return (squares.sum() / (free * x.shape[1])).sqrt().item() / std


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """‖m_x - m_y‖² + tr(S_x + S_y - 2 (S_x S_y)^½) of two sets of features (n, D).

    The squared Fréchet distance of the Gaussians with their means and covariances. It
    is not 0 for two draws from one distribution, and smaller for larger sets. Compare
    with a floor of the same sizes; values of other features or sizes are in another
    unit. Raises ValueError for sets of fewer than two or of other shapes.
    """
    _check_sets(x, y, 2)
    x, y = x.double().flatten(1), y.double().flatten(1)
    # of a single feature torch gives a number: a matrix of one by one
    s_x, s_y = (torch.atleast_2d(torch.cov(v.T)) for v in (x, y))
    # (S_x S_y)^½ has the trace of (R S_y R)^½ with R = S_x^½, which is symmetric
    values, vectors = torch.linalg.eigh(s_x)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    middle = torch.linalg.eigvalsh(root @ s_y @ root).clamp(min=0).sqrt().sum()
    means = (x.mean(0) - y.mean(0)).square().sum()
    return (means + s_x.trace() + s_y.trace() - 2 * middle).item()


def nearest_distance(x: Tensor, data: Tensor) -> Tensor:
    """The distance of each x (n, …) from the nearest of the ``data`` (m, …): (n,).

    Root mean square over the coordinates, in the unit of the data. Far below that of
    fresh data it says that samples were copied. Raises ValueError for other shapes.
    """
    _check_sets(x, data, 1)
    x, data = x.float().flatten(1), data.float().flatten(1)
    # the faster way by a matrix product would not see that a copy is one
    mode = "donot_use_mm_for_euclid_dist"
    nearest = [
        torch.cdist(part, data, compute_mode=mode).amin(1) for part in x.split(99)
    ]
    return torch.cat(nearest) / x.shape[1] ** 0.5


def _mean_distance(x: Tensor, y: Tensor) -> Tensor:
    # in parts: all pairs of large sets at once would not fit the memory
    parts = [torch.cdist(part, y).sum() for part in x.split(1000)]
    return torch.stack(parts).sum() / (len(x) * len(y))


def _check_sets(x: Tensor, y: Tensor, least: int) -> None:
    for name, values in (("x", x), ("y", y)):
        if values.ndim < 2 or len(values) < least:
            raise ValueError(
                f"{name} has shape {tuple(values.shape)}: expected (n, …) with "
                f"n >= {least}"
            )
        if not values.isfinite().all():
            raise ValueError(f"{name} contains nan or inf: expected finite numbers")
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, y has {tuple(y.shape)}: expected elements "
            "of one shape"
        )
