"""Distances against closed forms and another library."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from ddpm_course.metrics import (
    energy_distance,
    frechet_distance,
    mode_width,
    nearest_distance,
)
from ddpm_course.oracle import GaussianMixture


def normal(n, d, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=dtype)


# --- energy distance --------------------------------------------------------------


@pytest.mark.slow
def test_energy_distance_of_normals_on_the_line():
    """N(0, 1) and N(m, 1): E|x - y| of a normal is known in closed form."""

    def mean_abs(mean, std):
        phi = 0.5 * (1 + math.erf(mean / std / 2**0.5))
        density = math.exp(-((mean / std) ** 2) / 2) / (2 * math.pi) ** 0.5
        return 2 * std * density + mean * (2 * phi - 1)

    m, n = 1.5, 6000
    expected = 2 * mean_abs(m, 2**0.5) - 2 * mean_abs(0, 2**0.5)
    got = energy_distance(normal(n, 1), normal(n, 1, seed=1) + m)
    assert got == pytest.approx(expected, rel=0.05)


def test_energy_distance_by_hand():
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0]])
    # 2 · 1 - (0 + 2 + 2 + 0) / 4 - 0
    assert energy_distance(x, y) == pytest.approx(1.0)
    assert energy_distance(y, x) == pytest.approx(1.0)


def test_energy_distance_is_0_for_the_same_set_and_takes_images():
    x = normal(1500, 12).reshape(1500, 3, 2, 2)
    assert energy_distance(x, x) == pytest.approx(0, abs=1e-12)
    assert energy_distance(x, x + 1) > 0.1


# --- widths -----------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.7])
def test_width_of_modes_that_are_too_narrow_or_wide(factor):
    ring = GaussianMixture.ring(std=0.05)
    x = GaussianMixture.ring(std=0.05 * factor).sample(
        20_000, torch.Generator().manual_seed(0)
    )
    assert mode_width(x, ring) == pytest.approx(factor, rel=0.02)


def test_width_does_not_see_a_shift_or_the_counts_energy_does():
    ring = GaussianMixture.ring(std=0.05)
    x = ring.sample(4000, torch.Generator().manual_seed(0))
    other = ring.sample(4000, torch.Generator().manual_seed(1))
    few_modes = x[x[:, 0] > 0]
    assert mode_width(few_modes, ring) == pytest.approx(1, rel=0.05)
    assert mode_width(x + 0.1, ring) == pytest.approx(1, rel=0.05)
    assert energy_distance(few_modes, other) > 50 * energy_distance(x, other)


# --- Fréchet distance -------------------------------------------------------------


def test_frechet_distance_against_another_library():
    x, y = normal(500, 6) @ normal(6, 6, seed=2), normal(300, 6, seed=1) + 0.3
    a, b = np.cov(x.numpy().T), np.cov(y.numpy().T)
    mean = (x.mean(0) - y.mean(0)).square().sum().item()
    expected = mean + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_of_a_shift_and_a_scale():
    x = normal(1000, 4)
    assert frechet_distance(x, x + 2) == pytest.approx(16)
    spread = torch.cov(x.T).trace().item()
    assert frechet_distance(x, 3 * x - 2 * x.mean(0)) == pytest.approx(4 * spread)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_one_feature_and_of_fewer_samples_than_features():
    x, y = normal(500, 1), 2 * normal(500, 1, seed=1)
    expected = (x.mean() - y.mean()) ** 2 + (x.std() - y.std()) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected.item())
    few = normal(10, 40)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-5)


# --- copies -----------------------------------------------------------------------


def test_nearest_distance_finds_copies():
    data = normal(1200, 9).reshape(1200, 1, 3, 3)
    x = torch.cat([data[7:9], data[:1] + 0.5])
    assert nearest_distance(x, data)[:2].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert nearest_distance(x, data[:1])[2].item() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: energy_distance(torch.ones(3, 2), torch.ones(3, 3)), "the same shape"),
        (lambda: frechet_distance(torch.ones(1, 2), torch.ones(3, 2)), "n >= 2"),
        (lambda: frechet_distance(torch.ones(4), torch.ones(4)), "(n, …)"),
        (
            lambda: nearest_distance(torch.ones(3, 2), torch.ones(3, 4)),
            "the same shape",
        ),
        (
            lambda: mode_width(torch.ones(9, 2), GaussianMixture.ring(std=0.0)),
            "width > 0",
        ),
        (
            lambda: mode_width(torch.ones(1, 2), GaussianMixture.ring()),
            "more samples than modes",
        ),
        (
            lambda: mode_width(
                torch.ones(9, 1), GaussianMixture([0.5, 0.5], [[0.0], [1.0]], [1, 2])
            ),
            "one width",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)


TWO, THREE = torch.ones(2, 2), torch.ones(3, 2)
DISTANCES = [energy_distance, frechet_distance, nearest_distance]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (
            TWO.numpy(),
            THREE,
            TypeError,
            "x is of type ndarray: expected a torch tensor",
        ),
        (
            TWO,
            3,
            TypeError,
            "is of type int: expected a torch tensor; use torch.as_tensor(",
        ),
        (TWO, [[1.0, 2.0]], TypeError, "is of type list: expected a torch tensor"),
        (TWO + 1j, THREE, TypeError, "x has dtype torch.complex64: expected real"),
        (TWO[:0], THREE, ValueError, "x has shape (0, 2): expected (n, …) with n >= "),
        (TWO, THREE[:0], ValueError, "has shape (0, 2): expected (n, …) with n >= "),
        (TWO[:, :0], THREE[:, :0], ValueError, "x has shape (2, 0)"),
        (TWO * math.nan, THREE, ValueError, "x contains nan or inf"),
    ],
)
def test_only_sets_of_real_points_have_a_distance(distance, x, y, error, message):
    with pytest.raises(error) as raised:
        distance(x, y)
    assert message in str(raised.value)


def test_the_second_set_is_called_by_its_own_name():
    with pytest.raises(TypeError, match="data is of type int"):
        nearest_distance(TWO, 3)
    with pytest.raises(ValueError, match=r"means has \(8, 2\)"):
        mode_width(torch.ones(9, 1), GaussianMixture.ring())
