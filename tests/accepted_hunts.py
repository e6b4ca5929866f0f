"""Right experiments and repairs of the page "Find the bug", in other forms."""

import copy
import math
from collections.abc import Callable
from itertools import cycle, islice
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from ddpm_course.exercises import find_the_bug as bugs
from ddpm_course.exercises import reference


def pairs(number: str, experiments: list[Callable], repairs: list[Callable]) -> tuple:
    """Every experiment with a repair, and the other way; five at least."""
    experiment, repair = reference(number)
    n = max(5, len(experiments), len(repairs))
    return tuple(
        zip(
            islice(cycle([*experiments, experiment]), n),
            islice(cycle([*repairs, repair]), n),
            strict=True,
        )
    )


def seeded(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed)).double()


ALPHA_BAR = torch.tensor([1, 0.7, 0.4, 0.1], dtype=torch.float64)


# --- F.1 and F.9: steps -----------------------------------------------------------


def by_sampling(program):
    """With a hundred thousand draws."""
    x_t, z = (1 - ALPHA_BAR[2]).sqrt() * seeded(100_000), seeded(100_000, 1)
    x = program(ALPHA_BAR, x_t, torch.zeros_like(x_t), 2, z)
    return abs(x.var() / (1 - ALPHA_BAR[1]) - 1) > 0.05


def by_a_chain(program):
    """From a single point, through all the steps."""
    variance = 0.9
    for t in (3, 2):
        on_x_t, on_z = program(
            ALPHA_BAR, torch.eye(2)[0].double(), torch.zeros(2), t, torch.eye(2)[1]
        )
        variance = on_x_t**2 * variance + on_z**2
    return bool(abs(variance - 0.3) > 1e-4)


def by_the_factor_of_z(program):
    """β̃ by itself."""
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    beta_tilde = (1 - 0.4 / 0.7) * 0.3 / 0.6
    return not math.isclose(
        program(ALPHA_BAR, zero, zero, 2, one), beta_tilde**0.5, rel_tol=1e-4
    )


def step_in_numpy(alpha_bar, x_t, x0_hat, t, z):
    a, b = alpha_bar[t].item(), alpha_bar[t - 1].item()
    mean = b**0.5 * (1 - a / b) * np.asarray(x0_hat)
    mean = mean + (a / b) ** 0.5 * (1 - b) * np.asarray(x_t)
    return mean / (1 - a) + ((1 - a / b) * (1 - b) / (1 - a)) ** 0.5 * np.asarray(z)


def dial_by_sampling(program):
    x_t, z = (1 - ALPHA_BAR[3]).sqrt() * seeded(100_000), seeded(100_000, 1)
    for eta in (0.5, 1.0):
        x = program(ALPHA_BAR, x_t, torch.zeros_like(x_t), 3, 2, z, eta)
        if abs(x.std() / (1 - ALPHA_BAR[2]).sqrt() - 1) > 0.03:
            return True
    return False


def dial_for_all(program):
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    for t, s in ((3, 1), (3, 2), (2, 1)):
        for eta in (0.25, 0.75, 1.0):
            x = program(ALPHA_BAR, one, zero, t, s, zero, eta)
            z = program(ALPHA_BAR, zero, zero, t, s, one, eta)
            total = x**2 * (1 - ALPHA_BAR[t]) + z**2
            if not torch.isclose(total, 1 - ALPHA_BAR[s], rtol=1e-3):
                return True
    return False


def dial_with_an_image(program):
    """The same for any x_0, if x_t has its share of it."""
    x0, t, s = torch.full((200_000,), 0.8).double(), 3, 1
    a, b = ALPHA_BAR[t], ALPHA_BAR[s]
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * seeded(200_000)
    x_s = program(ALPHA_BAR, x_t, x0, t, s, seeded(200_000, 1), 1.0)
    return abs((x_s - b.sqrt() * x0).var() - (1 - b)).item() > 0.005


# --- F.2 and F.4: schedules and weights -------------------------------------------


def never_noise(program):
    return any(program(T)[-1].sqrt() > 0.1 for T in (50, 100, 200))


def prior_is_far(program):
    """The divergence of x_T from noise, for an image of variance 1."""
    abar = program(50)[-1].double()
    return bool((-torch.log1p(-abar)) / 2 > 0.004)


def first_schedule_that_fits(program):
    return program(60).min().item() > 0.01


def betas_in_float64(T):
    beta = torch.linspace(0.1 / T, 20 / T, T, dtype=torch.float64)
    return torch.cat([torch.ones(1), torch.exp(torch.log1p(-beta).cumsum(0))])


def betas_one_by_one(T):
    levels = [1.0]
    for t in range(T):
        beta = (1e-4 + (0.02 - 1e-4) * t / (T - 1)) * 1000 / T
        levels.append(levels[-1] * (1 - beta))
    return levels


def weight_by_formula(program):
    snr = torch.logspace(-3, 3, 50)
    right = torch.minimum(snr, torch.tensor(5.0)) / snr
    return not torch.allclose(program(snr), right, rtol=1e-4)


def weight_twice(program):
    small, large = program(torch.tensor(0.1)), program(torch.tensor(10.0))
    return abs(small - 1) > 1e-3 or abs(large - 0.5) > 1e-3


def weight_of_x0(program):
    """The weight times the SNR never exceeds γ, and is the SNR below."""
    snr = torch.tensor([0.5, 4.0, 6.0, 100.0])
    return not np.allclose(program(snr) * snr, [0.5, 4.0, 5.0, 5.0])


def weight_with_another_gamma(program):
    return not np.allclose(program(torch.tensor([0.1, 4.0]), 1.0), [1.0, 0.25])


# --- F.3 and F.8: loops -----------------------------------------------------------


def image_is_white(program):
    noise = torch.randn(20, 4, generator=torch.Generator().manual_seed(2))
    white = program(
        lambda x, t: torch.ones_like(x), torch.linspace(1, 0.02, 21), noise[0], noise
    )
    return not torch.allclose(white, torch.ones(4).to(white), atol=1e-3)


def last_answer_is_changed(program):
    answers = []

    def denoiser(x, t):
        answers.append(x / 2)
        return answers[-1]

    noise = torch.ones(8, 3)
    out = program(denoiser, torch.linspace(1, 0.02, 9), torch.ones(3), noise)
    return not answers or not torch.allclose(out, answers[-1], atol=1e-4)


def one_white_image(program):
    alpha_bar = torch.linspace(0.9, 0.1, 8, dtype=torch.float64)

    def network(x, t):
        abar = alpha_bar[min(t, 7)] if t < 8 else torch.tensor(0.01)
        return (x - abar.sqrt()) / (1 - abar).sqrt()

    white = program(network, alpha_bar, torch.zeros(2).double())
    return bool((white - 1).abs().max() > 1e-3)


def network_with_a_table(program):
    """A table has no entry for a time that was not trained."""
    alpha_bar = torch.linspace(0.9, 0.1, 8, dtype=torch.float64)
    table = list(1 / (1 - alpha_bar).sqrt())
    try:
        out = program(lambda x, t: table[t] * x, alpha_bar, torch.ones(1).double())
    except IndexError:
        return True
    return out.abs().item() > 1e-3


def levels_and_times(program):
    """With Gaussian data: the scale of the sample, followed step by step."""
    alpha_bar = torch.linspace(0.99, 0.01, 50, dtype=torch.float64)

    def network(x, t):
        abar = alpha_bar[min(t, 49)] if t < 50 else torch.tensor(0.0)
        return x / (1 - abar + 1e-4 * abar).sqrt()

    return bool(program(network, alpha_bar, torch.ones(1).double()).abs() > 0.02)


# --- F.5 and F.6: networks and averages -------------------------------------------


def compared_with_a_copy(program):
    network = bugs.Tiny()
    still, x = copy.deepcopy(network).eval(), torch.linspace(1, 2, 50)
    return not torch.allclose(program(network, x, 3), still(x, 3))


def answer_and_mode(program):
    """The right answer, from a network whose mode is not changed."""
    network, x = bugs.Tiny().train(), torch.ones(50)
    answer = program(network, x, 2)
    return not (network.training and torch.equal(answer, x / 2))


class Spy(nn.Module):
    """Writes down the mode of a part of it, in a list that copies share."""

    seen: ClassVar[list] = []

    def __init__(self):
        super().__init__()
        self.part = nn.Identity()

    def forward(self, x, t):
        self.seen.append(self.part.training)
        return self.part(x)


def mode_of_a_part(program):
    Spy.seen.clear()
    program(Spy(), torch.ones(2), 1)
    return any(Spy.seen)


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(1)

    def forward(self, x, t):
        return self.norm(x)


def batch_norm_listens(program):
    """A new batch norm in eval mode changes nothing."""
    x = torch.tensor([[5.0], [6.0], [7.0]])
    return not torch.allclose(program(Noisy(), x, 1), x, rtol=1e-3)


def predict_and_restore(network, x, t):
    modes = {layer: layer.training for layer in network.modules()}
    try:
        with torch.inference_mode():
            return network.eval()(x, t).clone()
    finally:
        for layer, mode in modes.items():
            layer.training = mode


def predict_by_a_copy(network, x, t):
    return copy.deepcopy(network).eval()(x, t).detach()


def start_counts(program):
    """Only the start is changed."""
    rows = torch.zeros(101)
    other = rows.clone()
    other[0] = 1.0
    late = torch.ones(101)
    near = abs(program(late) - 1) > 0.1
    return bool(near or abs(program(other) - program(rows)) > 0.1)


def vector_of_weights(program):
    weights = torch.full((101, 3), 2.0)
    weights[0] = torch.tensor([-9.0, 0.0, 9.0])
    off = (program(weights) - 2) / (weights[0] - 2)
    return bool(off.abs().max() > 0.1)


def average_closed_form(weights, decay=0.999):
    shares, kept = [], 1.0
    for step in reversed(range(len(weights) - 1)):
        own = min(decay, (1 + step) / (10 + step))
        shares.append(kept * (1 - own))
        kept *= own
    shares = torch.tensor([kept, *shares[::-1]], dtype=weights.dtype)
    return torch.tensordot(shares, weights, dims=1)


def average_by_lerp(weights, decay=0.999):
    ema = weights[0].clone()
    for step in range(len(weights) - 1):
        ema = torch.lerp(weights[step + 1], ema, min(decay, (1 + step) / (10 + step)))
    return ema


# --- F.7, F.10 and F.11 -----------------------------------------------------------


def bayes_on_a_grid(program):
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    for abar in torch.tensor([0.3, 0.7], dtype=torch.float64):
        eps = torch.stack([(x - s * abar.sqrt()) / (1 - abar).sqrt() for s in (1, -1)])
        weight = torch.exp(-(eps**2) / 2)
        best = (weight * eps).sum(0) / weight.sum(0)
        if not torch.allclose(program(x, abar).double(), best, atol=1e-3):
            return True
    return False


def other_answers_are_better(program):
    """Whether some other answer has a smaller error, on many pairs."""
    abar, eps = torch.tensor(0.5).double(), seeded(100_000)
    x = abar.sqrt() * torch.tensor([1.0, -1.0]).repeat(50_000) + (1 - abar).sqrt() * eps
    hat = program(x, abar)
    error = (hat - eps).square().mean()
    shrunk = torch.tanh(2 * x)
    others = [0.95 * hat, 1.05 * hat, hat + 0.05 * shrunk, hat - 0.05 * shrunk]
    return any((other - eps).square().mean() < error - 1e-4 for other in others)


def error_is_uncorrelated(program):
    """The error has nothing to do with any function of x_t."""
    for abar in torch.tensor([0.3, 0.6]).double():
        eps, x0 = seeded(200_000), torch.tensor([1.0, -1.0]).double().repeat(100_000)
        x = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
        error = eps - program(x, abar)
        for function in (x, x.sign(), x**3, program(x, abar)):
            if abs((error * function).mean() / function.std()) > 0.02:
                return True
    return False


def noise_from_the_score(x_t, abar):
    """By the gradient of the log density."""
    x = x_t.clone().requires_grad_()
    v = 1 - abar
    density = sum(torch.exp(-((x - s * abar.sqrt()) ** 2) / (2 * v)) for s in (1, -1))
    (score,) = torch.autograd.grad(density.log().sum(), x)
    return -v.sqrt() * score


def two_steps_are_one(program):
    """From t to s is the same as through t again."""
    x, eps = torch.tensor([2.0, -2.0]).double(), torch.tensor([-1.0, 1.0]).double()
    a = torch.tensor(0.3).double()
    return not torch.allclose(program(x, eps, a, a).double(), x, atol=1e-4)


def short_step(program):
    """A very short step leads not far."""
    x, eps = torch.linspace(-4, 4, 20).double(), torch.zeros(20).double()
    a, s = torch.tensor([0.1, 0.1001]).double()
    return bool((program(x, eps, a, s) - x).abs().max() > 0.05)


def by_the_noise_that_is_left(program):
    """x_0 and ε behind x_s, from two levels, give x_t."""
    x, eps = torch.linspace(-3, 3, 9).double(), torch.linspace(2, -2, 9).double()
    a = torch.tensor(0.2).double()
    b, c = torch.tensor(0.9).double(), torch.tensor(0.5).double()
    at_b, at_c = program(x, eps, a, b), program(x, eps, a, c)
    matrix = torch.stack([torch.stack([s.sqrt(), (1 - s).sqrt()]) for s in (b, c)])
    parts = torch.linalg.solve(matrix, torch.stack([at_b, at_c]).double())
    again = a.sqrt() * parts[0] + (1 - a).sqrt() * parts[1]
    return not torch.allclose(again, x, atol=1e-3)


def clipped_with_minimum(x_t, eps_hat, abar_t, abar_s):
    raw = (x_t - (1 - abar_t) ** 0.5 * eps_hat) / abar_t**0.5
    x0 = torch.minimum(torch.maximum(raw, -torch.ones(1)), torch.ones(1))
    extra = (abar_t / (1 - abar_t)) ** 0.5 * (raw - x0)
    return abar_s**0.5 * x0 + (1 - abar_s) ** 0.5 * (eps_hat + extra)


def lazy_and_exact(program):
    lazy, exact = (bugs.DENOISERS[i][2] for i in (0, 1))
    return program(lazy) == program(exact) or bool(program(lazy))


def lazy_in_another_way(program):
    def exact(x, abar):
        return 2 * torch.sigmoid(2 * abar.sqrt() * x / (1 - abar)) - 1

    return bool(program(lambda x, abar: torch.zeros_like(x))) or not program(exact)


def check_by_points(denoiser):
    for abar in (0.2, 0.5, 0.8):
        for x in np.linspace(-2, 2, 21):
            x_t, a = torch.full((3,), float(x)), torch.tensor(abar)
            best = math.tanh(abar**0.5 * x / (1 - abar))
            answer = denoiser(x_t, a)
            if answer.shape != (3,) or (answer - best).abs().max() > 1e-3:
                return False
    return True


def check_by_errors(denoiser):
    """The squared error is as small as it can be, at every level."""
    for abar in (0.1, 0.3, 0.5, 0.7, 0.9):
        a, eps = torch.tensor(abar), seeded(20_000).float()
        x0 = torch.tensor([1.0, -1.0]).repeat(10_000)
        x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
        x0_hat = denoiser(x_t, a)
        best = torch.tanh(a.sqrt() * x_t / (1 - a))
        if x0_hat.shape != x0.shape:
            return False
        errors = [(x - x0).square().mean() for x in (x0_hat, best)]
        if errors[0] > 1.01 * errors[1] + 1e-6:
            return False
    return True


HUNTS: dict[str, tuple] = {
    "F.1": pairs(
        "F.1",
        [by_sampling, by_a_chain, by_the_factor_of_z],
        [bugs.step_by_noise, bugs.step_by_precisions, step_in_numpy],
    ),
    "F.2": pairs(
        "F.2",
        [never_noise, prior_is_far, first_schedule_that_fits],
        [betas_in_float64, betas_one_by_one],
    ),
    "F.3": pairs(
        "F.3",
        [image_is_white, last_answer_is_changed],
        [bugs.sample_from_zero],
    ),
    "F.4": pairs(
        "F.4",
        [weight_by_formula, weight_twice, weight_of_x0, weight_with_another_gamma],
        [bugs.weight_by_minimum, bugs.weight_by_where],
    ),
    "F.5": pairs(
        "F.5",
        [compared_with_a_copy, answer_and_mode, mode_of_a_part, batch_norm_listens],
        [predict_and_restore, predict_by_a_copy],
    ),
    "F.6": pairs(
        "F.6", [start_counts, vector_of_weights], [average_closed_form, average_by_lerp]
    ),
    "F.7": pairs(
        "F.7",
        [bayes_on_a_grid, other_answers_are_better, error_is_uncorrelated],
        [
            bugs.predicted_noise,
            bugs.noise_by_sigmoid,
            bugs.noise_by_bayes,
            noise_from_the_score,
        ],
    ),
    "F.8": pairs(
        "F.8",
        [one_white_image, network_with_a_table, levels_and_times],
        [bugs.ddim_from_zero],
    ),
    "F.9": pairs(
        "F.9",
        [dial_by_sampling, dial_for_all, dial_with_an_image],
        [bugs.ddim_by_x_t],
    ),
    "F.10": pairs(
        "F.10",
        [two_steps_are_one, short_step, by_the_noise_that_is_left],
        [bugs.clipped_by_x_t, clipped_with_minimum],
    ),
    "F.11": pairs(
        "F.11",
        [lazy_and_exact, lazy_in_another_way],
        [check_by_points, check_by_errors],
    ),
}
