"""Exercises of chapter 4, x_0 and noise. 4.1, 4.4 and 4.6 have answers in words."""

from collections.abc import Callable
from functools import partial

import sympy as sp
import torch
from torch import Tensor

from ddpm_course.equations import (
    abar_prev,
    abar_t,
    alpha_t,
    beta_t,
    sigma_t,
    snr_prev,
    snr_t,
)
from ddpm_course.exercises.checker import Exercise, Mistake
from ddpm_course.exercises.inputs import float64

# --- 4.2 --------------------------------------------------------------------------

_ON_X0 = sp.sqrt(abar_prev) * (1 - alpha_t) / (1 - abar_t)
_ON_X_T = (1 - abar_prev) * sp.sqrt(alpha_t) / (1 - abar_t)

_WEIGHT = Exercise(
    number="4.2",
    title="From two means to a denoising loss",
    difficulty="medium",
    minutes=15,
    reference=_ON_X0**2 / (2 * sigma_t**2),
    meaning="That is the bound itself, with nothing hidden behind a ∝.",
    hint="Subtract the two means first. What is left of x_t? Then square the factor "
    "in front of the difference, and don't forget the factor in front of the norm.",
    mistakes={
        "coefficient not squared": Mistake(
            _ON_X0 / (2 * sigma_t**2),
            "You pulled a coefficient out of a squared norm without squaring it.",
        ),
        "the lecture's proportionality": Mistake(
            _ON_X0**2,
            "That is the weight of the last step alone. The factor in front of the "
            "first norm is missing, and it depends on t: no ∝ should hide it.",
        ),
        "both slips": Mistake(
            _ON_X0,
            "That is the coefficient of x_0 in the mean. The loss has its square, and "
            "another factor in front.",
        ),
        "standard deviation for variance": Mistake(
            _ON_X0**2 / (2 * sigma_t),
            "The distance of two means is divided by twice a variance, and sigma_t is "
            "a standard deviation.",
        ),
        "missing one half": Mistake(
            _ON_X0**2 / sigma_t**2,
            "You lost a factor of one half: look at the KL divergence again.",
        ),
        "half for twice": Mistake(
            2 * _ON_X0**2 / sigma_t**2,
            "The 2 belongs in the denominator, next to the variance.",
        ),
        "the weight of x_t": Mistake(
            _ON_X_T**2 / (2 * sigma_t**2),
            "You took the coefficient of x_t. Its terms are the same in both means, "
            "so they cancel; the other one stays.",
        ),
        "both coefficients": Mistake(
            (_ON_X0 + _ON_X_T) ** 2 / (2 * sigma_t**2),
            "One of the two coefficients belongs to x_t, and x_t is the same in both "
            "means.",
        ),
        "root not squared": Mistake(
            sp.sqrt(abar_prev)
            * (1 - alpha_t) ** 2
            / (1 - abar_t) ** 2
            / 2
            / sigma_t**2,
            "Almost: you squared everything except the root in the numerator.",
        ),
        "denominator not squared": Mistake(
            abar_prev * (1 - alpha_t) ** 2 / (1 - abar_t) / (2 * sigma_t**2),
            "Almost: you squared the numerator, but not its denominator.",
        ),
        "numerator not squared": Mistake(
            abar_prev * (1 - alpha_t) / (1 - abar_t) ** 2 / (2 * sigma_t**2),
            "Almost: you did not square one of the factors in the numerator.",
        ),
        "t off by one": Mistake(
            _ON_X0**2 * abar_t / abar_prev / (2 * sigma_t**2),
            "Look at the index under the root: the mean is that of x at time t - 1.",
        ),
        "x₀-weights for ε-weights": Mistake(
            beta_t**2 / (2 * sigma_t**2 * alpha_t * (1 - abar_t)),
            "That is the weight for a network that predicts the noise. Here it "
            "predicts the clean image.",
        ),
        "σ² = β̃": Mistake(
            (snr_prev - snr_t) / 2,
            "Right if the model has the variance of the posterior. The exercise "
            "leaves the variance open: keep sigma_t.",
        ),
        "σ² = β": Mistake(
            _ON_X0**2 / (2 * beta_t),
            "Right if the model's variance is beta_t. The exercise leaves the "
            "variance open: keep sigma_t.",
        ),
    },
)


# --- 4.3 --------------------------------------------------------------------------

_NOISE_AS_V = Exercise(
    number="4.3",
    title="The noise loss in terms of v",
    difficulty="medium",
    minutes=10,
    reference=abar_t,
    meaning="So at late times the simple loss of the noise barely notices v.",
    hint="Compare both losses with the loss of x_0: this chapter has an equation for "
    "each. Or ask by how much an error in v is multiplied on its way to the noise.",
    mistakes={
        "the two losses swapped": Mistake(
            1 / abar_t,
            "That is the v loss in terms of the noise loss. We want it the other way "
            "around.",
        ),
        "root not squared": Mistake(
            sp.sqrt(abar_t),
            "That is the factor of an error. A loss contains the square of an error.",
        ),
        "squared twice": Mistake(
            abar_t**2,
            "You squared one time too many.",
        ),
        "the loss of x₀": Mistake(
            1 - abar_t,
            "With this weight the v loss becomes the loss of x_0. We want the loss of "
            "the noise.",
        ),
        "the loss of x₀, root": Mistake(
            sp.sqrt(1 - abar_t),
            "Two things: this factor leads from v to x_0, not to the noise, and a "
            "loss contains the square of an error.",
        ),
        "v against x₀": Mistake(
            snr_t + 1,
            "That is the loss of v over the loss of x_0: you are halfway there.",
        ),
        "ε against x₀": Mistake(
            snr_t,
            "That is the loss of the noise over the loss of x_0. What is the loss of "
            "v over the loss of x_0?",
        ),
        "x₀ against ε": Mistake(
            1 / snr_t,
            "That is the loss of x_0 over the loss of the noise: there is no v in it "
            "yet.",
        ),
        "one loss for the other": Mistake(
            sp.Integer(1),
            "They are not the same loss: v and the noise are measured along different "
            "axes.",
        ),
        "product for quotient": Mistake(
            snr_t * (snr_t + 1),
            "Both ratios are right. Should you multiply or divide them?",
        ),
        "α for ᾱ": Mistake(
            alpha_t,
            "That belongs to a single step. Here we compare x_t with x_0 itself.",
        ),
        "t off by one": Mistake(
            abar_prev,
            "That is the answer for the previous time.",
        ),
    },
)


# --- 4.5 --------------------------------------------------------------------------

_WEIGHTS, _MEANS, _STDS = torch.tensor(
    [[0.2, 0.5, 0.3], [-1.2, 0.1, 1.5], [0.1, 0.7, 0.3]], dtype=torch.float64
)
_abar = partial(torch.tensor, dtype=torch.float64)
_X = torch.linspace(-1.7, 1.3, 7, dtype=torch.float64)


def mixture_denoiser(
    abar: Tensor, weights: Tensor, means: Tensor, stds: Tensor, x_t: Tensor
) -> Tensor:
    v = abar * stds**2 + (1 - abar)
    off = x_t[:, None] - abar.sqrt() * means
    log_r = weights.log() - off**2 / (2 * v) - v.log() / 2
    mean = means + abar.sqrt() * stds**2 / v * off
    return (torch.softmax(log_r, dim=1) * mean).sum(1)


def _mixture(
    scaled: bool = True, constant: bool = True, gain: bool = True, **other: bool
) -> Callable:
    """The exact denoiser of a mixture with any of the three bugs, or other mistakes."""

    def denoiser(
        abar: Tensor, weights: Tensor, means: Tensor, stds: Tensor, x_t: Tensor
    ) -> Tensor:
        v = (1 if other.get("wide") else abar) * stds**2 + (1 - abar)
        off = x_t[:, None] - abar.sqrt() * means
        square = (off if scaled else x_t[:, None] - means) ** 2
        log_weights = weights if other.get("no_log") else weights.log()
        log_r = -square / (2 * v) if other.get("no_weights") else log_weights
        if not other.get("no_weights"):
            log_r = log_r - square / ((2 * v.sqrt()) if other.get("std") else 2 * v)
        if constant:
            log_r = log_r - v.log() / (1 if other.get("no_root") else 2)
        r = torch.softmax(log_r, dim=0 if other.get("axis") else 1)
        mean = means + (abar.sqrt() if gain else 1) * stds**2 / v * off
        if other.get("shrunk"):
            mean = mean - (1 - abar.sqrt()) * means
        if other.get("centers"):
            mean = means.expand(r.shape)
        if other.get("noisy"):
            mean = x_t[:, None].expand(r.shape)
        if other.get("hard"):
            return mean.gather(1, r.argmax(1, keepdim=True))[:, 0]
        return (r * mean).mean(1) if other.get("average") else (r * mean).sum(1)

    return denoiser


_FIND_THE_BUG = Exercise(
    number="4.5",
    title="Three bugs in an exact denoiser",
    difficulty="hard",
    minutes=25,
    reference=mixture_denoiser,
    meaning="All three bugs are gone. No network can do better on such data.",
    hint="Try cases that you know: one component alone; abar almost 1, so that the "
    "answer is x_t; two components with the same mean and very different widths.",
    inputs=(
        (_abar(0.5), float64(1), float64(0.4), float64(0.5), float64(1)),
        (_abar(0.5), float64(0.3, 0.7), float64(0.5, -0.6), float64(0.2, 0.8), _X[:1]),
        (_abar(0.9), _WEIGHTS, _MEANS, _STDS, _X),
        (_abar(0.5), _WEIGHTS, _MEANS, _STDS, _X),
        (_abar(0.2), float64(0.6, 0.4), _MEANS[1:], _STDS[:2], _X[2:]),
    ),
    mistakes={
        "nothing repaired": Mistake(
            _mixture(scaled=False, constant=False, gain=False),
            "All three bugs are still there. Begin with one component: then r is 1, "
            "and only the last two lines matter.",
        ),
        "the undiffused mixture scored": Mistake(
            _mixture(scaled=False),
            "The probabilities are still those of clean data: x_t is compared with "
            "means that have not shrunk.",
        ),
        "normalizing constant dropped": Mistake(
            _mixture(constant=False),
            "One is left. A wide bell is lower than a narrow one. You may drop from a "
            "softmax only what is the same for all components.",
        ),
        "factor of the correction missing": Mistake(
            _mixture(gain=False),
            "The probabilities are right now. Test the mean with a single component: "
            "how much do x_0 and x_t vary together?",
        ),
        "two left: means and constant": Mistake(
            _mixture(scaled=False, constant=False),
            "The mean of each component is right now. Two bugs are left, both in the "
            "line of the probabilities or just above it.",
        ),
        "two left: means and correction": Mistake(
            _mixture(scaled=False, gain=False),
            "The constant is there now. Two bugs are left: a square root of abar is "
            "missing in two places.",
        ),
        "two left: constant and correction": Mistake(
            _mixture(constant=False, gain=False),
            "The distances are right now. Two bugs are left: one in the probabilities, "
            "one in the means.",
        ),
        "constant without its root": Mistake(
            _mixture(no_root=True),
            "You divide by the variance of the bell. The factor in front of a "
            "Gaussian is one over its standard deviation.",
        ),
        "the most likely component": Mistake(
            _mixture(hard=True),
            "You use only the most likely component. The mean counts all of them, "
            "each with its probability.",
        ),
        "weights forgotten": Mistake(
            _mixture(no_weights=True),
            "You lost the weights of the components. A rare component must count less.",
        ),
        "weights without logarithm": Mistake(
            _mixture(no_log=True),
            "What goes into the softmax is a sum of logarithms. The logarithm of the "
            "weights was right.",
        ),
        "means shrunk twice": Mistake(
            _mixture(shrunk=True),
            "The probabilities are right now. In the mean you shrink the centers, but "
            "the answer is a clean x_0: the correction starts from the clean center.",
        ),
        "standard deviation for variance": Mistake(
            _mixture(std=True),
            "The exponent of a Gaussian has its variance; you divide by a standard "
            "deviation.",
        ),
        "data variance not scaled": Mistake(
            _mixture(wide=True),
            "The spread of the data shrinks with the data: v was right.",
        ),
        "wrong axis": Mistake(
            _mixture(axis=True),
            "The probabilities add to 1 over the components, not over the batch.",
        ),
        "a mean for a sum": Mistake(
            _mixture(average=True),
            "The probabilities already add to 1: don't divide by their number again.",
        ),
        "the components' centers": Mistake(
            _mixture(centers=True),
            "You average the centers of the components. But even within a component, "
            "x_t says something about x_0.",
        ),
        "the noisy data": Mistake(
            _mixture(noisy=True),
            "You return x_t itself.",
        ),
    },
)


EXERCISES = (_WEIGHT, _NOISE_AS_V, _FIND_THE_BUG)
