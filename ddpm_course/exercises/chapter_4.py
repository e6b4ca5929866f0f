"""Exercises of chapter 4, x_0 and noise. 4.1, 4.4 and 4.6 ask for words alone."""

from collections.abc import Callable

import numpy as np
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

# --- 4.2 --------------------------------------------------------------------------

_ON_X0 = sp.sqrt(abar_prev) * (1 - alpha_t) / (1 - abar_t)
_ON_X_T = (1 - abar_prev) * sp.sqrt(alpha_t) / (1 - abar_t)
_BETA_TILDE = (1 - abar_prev) / (1 - abar_t) * beta_t

_WEIGHT = Exercise(
    number="4.2",
    title="From two means to a denoising loss",
    difficulty="medium",
    minutes=15,
    reference=_ON_X0**2 / (2 * sigma_t**2),
    meaning="That is the bound itself, with nothing hidden in a sign of proportion.",
    hint="Subtract the two means first. What is left of x_t? Then square what stands "
    "in front of the difference, and do not forget what stands in front of the norm.",
    mistakes=(
        Mistake(
            "coefficient not squared",
            _ON_X0 / (2 * sigma_t**2),
            "You took a coefficient out of a squared norm as it was. What becomes of "
            "a factor in there?",
        ),
        Mistake(
            "the lecture's proportionality",
            _ON_X0**2,
            "That is what the lecture has in its step 4. Its sign of proportion hides "
            "the factor in front of the first norm, and that depends on t.",
        ),
        Mistake(
            "both slips",
            _ON_X0,
            "That is the coefficient of x_0 in the mean. The loss has its square, and "
            "another factor in front.",
        ),
        Mistake(
            "standard deviation for variance",
            _ON_X0**2 / (2 * sigma_t),
            "The distance of two means is divided by twice a variance, and sigma_t is "
            "a standard deviation.",
        ),
        Mistake(
            "missing one half",
            _ON_X0**2 / sigma_t**2,
            "A factor of one half is lost: look at the KL divergence again.",
        ),
        Mistake(
            "half for twice",
            2 * _ON_X0**2 / sigma_t**2,
            "The 2 belongs below the line, beside the variance.",
        ),
        Mistake(
            "the weight of x_t",
            _ON_X_T**2 / (2 * sigma_t**2),
            "You took the coefficient of x_t. Its terms are the same in both means and "
            "cancel; the other one stays.",
        ),
        Mistake(
            "both coefficients",
            (_ON_X0 + _ON_X_T) ** 2 / (2 * sigma_t**2),
            "One of the two coefficients belongs to x_t, and x_t is the same in both "
            "means.",
        ),
        Mistake(
            "root not squared",
            sp.sqrt(abar_prev)
            * (1 - alpha_t) ** 2
            / (1 - abar_t) ** 2
            / 2
            / sigma_t**2,
            "Almost: you squared all but the root in the numerator.",
        ),
        Mistake(
            "denominator not squared",
            abar_prev * (1 - alpha_t) ** 2 / (1 - abar_t) / (2 * sigma_t**2),
            "Almost: the numerator is squared, its denominator is not.",
        ),
        Mistake(
            "numerator not squared",
            abar_prev * (1 - alpha_t) / (1 - abar_t) ** 2 / (2 * sigma_t**2),
            "Almost: one of the factors in the numerator is not squared.",
        ),
        Mistake(
            "t off by one",
            _ON_X0**2 * abar_t / abar_prev / (2 * sigma_t**2),
            "Look at the index under the root: the mean is that of x at time t - 1.",
        ),
        Mistake(
            "x₀-weights for ε-weights",
            beta_t**2 / (2 * sigma_t**2 * alpha_t * (1 - abar_t)),
            "That is the scaling term of the slides, the weight of the noise's error. "
            "Here the network predicts the clean image.",
        ),
        Mistake(
            "σ² = β̃",
            (snr_prev - snr_t) / 2,
            "Right if the model's variance is that of the posterior. The exercise "
            "leaves it open: the answer contains sigma_t.",
        ),
        Mistake(
            "σ² = β",
            _ON_X0**2 / (2 * beta_t),
            "Right if the model's variance is beta_t. The exercise leaves it open: "
            "keep sigma_t.",
        ),
    ),
    accepted=(
        abar_prev * beta_t**2 / (2 * sigma_t**2 * (1 - abar_t) ** 2),
        sp.expand((1 - alpha_t) ** 2 * abar_prev)
        / (2 * sigma_t**2 * (1 - abar_t) ** 2),
        abar_prev
        * (1 - alpha_t) ** 2
        / (1 - alpha_t * abar_prev) ** 2
        / 2
        / sigma_t**2,
        (snr_prev - snr_t) / 2 * _BETA_TILDE / sigma_t**2,
        snr_t * beta_t**2 / (2 * sigma_t**2 * alpha_t * (1 - abar_t)),
    ),
)


# --- 4.3 --------------------------------------------------------------------------

_NOISE_AS_V = Exercise(
    number="4.3",
    title="The noise loss in terms of v",
    difficulty="medium",
    minutes=10,
    reference=abar_t,
    meaning="So the simple loss of the noise hardly hears v at late times.",
    hint="Compare both losses with that of x_0: one equation of this chapter for each. "
    "Or ask by how much an error of v is multiplied on the way to the noise.",
    mistakes=(
        Mistake(
            "the two losses swapped",
            1 / abar_t,
            "That is the v loss in terms of the noise loss. The other direction is "
            "asked for.",
        ),
        Mistake(
            "root not squared",
            sp.sqrt(abar_t),
            "That is by how much an error is multiplied. A loss has the square of the "
            "error.",
        ),
        Mistake(
            "squared twice",
            abar_t**2,
            "You squared once too often.",
        ),
        Mistake(
            "the loss of x₀",
            1 - abar_t,
            "With this weight the v loss becomes the loss of x_0. That of the noise is "
            "asked for.",
        ),
        Mistake(
            "the loss of x₀, root",
            sp.sqrt(1 - abar_t),
            "Two things: this belongs to the way from v to x_0, and a loss has the "
            "square of the error.",
        ),
        Mistake(
            "v against x₀",
            snr_t + 1,
            "That is the loss of v over that of x_0: one half of the way.",
        ),
        Mistake(
            "ε against x₀",
            snr_t,
            "That is the loss of the noise over that of x_0. What is the loss of v "
            "over that of x_0?",
        ),
        Mistake(
            "x₀ against ε",
            1 / snr_t,
            "That is the loss of x_0 over that of the noise: no v in it yet.",
        ),
        Mistake(
            "one loss for the other",
            sp.Integer(1),
            "They are not the same loss: v is measured along another direction.",
        ),
        Mistake(
            "product for quotient",
            snr_t * (snr_t + 1),
            "Both ratios are right. Do they have to be multiplied or divided?",
        ),
        Mistake(
            "α for ᾱ",
            alpha_t,
            "That belongs to a single step. Here x_t is compared with x_0 itself.",
        ),
        Mistake(
            "t off by one",
            abar_prev,
            "That is the number of the time before.",
        ),
    ),
    accepted=(
        snr_t / (snr_t + 1),
        alpha_t * abar_prev,
        1 / (1 + 1 / snr_t),
        1 - 1 / (1 + snr_t),
        snr_t * (1 - abar_t),
    ),
)


# --- 4.5 --------------------------------------------------------------------------

_ALPHA_BAR = (1 - torch.tensor([0, 0.1, 0.15, 0.3, 0.4, 0.5, 0.6]).double()).cumprod(0)
_X = torch.linspace(-1.3, 1.7, 12, dtype=torch.float64)


def _two_points(answer: Callable, shift: int = 0) -> Callable:
    """``answer`` of x_t, √ᾱ_t and the variance 1 - ᾱ_t."""

    def denoiser(alpha_bar: Tensor, x_t: Tensor, t: int) -> Tensor:
        abar = alpha_bar[t + shift]
        return answer(x_t, abar.sqrt(), 1 - abar)

    return denoiser


_BLACK_OR_WHITE = Exercise(
    number="4.5",
    title="The exact denoiser of a black-or-white pixel",
    difficulty="hard",
    minutes=20,
    reference=_two_points(lambda x, a, u: torch.tanh(a * x / u)),
    meaning="No network can do better on such pixels, at any t.",
    hint="Write down the density of x_t given x_0 = 1, and given x_0 = -1. Divide each "
    "by their sum: these are two probabilities. With them, what is the mean of x_0?",
    inputs=(
        (_ALPHA_BAR, _X[:5], 1),
        (_ALPHA_BAR, _X.reshape(3, 4), 3),
        (_ALPHA_BAR, _X.reshape(2, 1, 2, 3), 6),
    ),
    mistakes=(
        Mistake(
            "the most likely for the mean",
            _two_points(lambda x, a, u: torch.sign(x)),
            "You return the more likely of the two values. A squared error is smallest "
            "at the mean, which lies between them where x_t leaves a doubt.",
        ),
        Mistake(
            "x_t scaled back",
            _two_points(lambda x, a, u: x / a),
            "You only undo the shrinking, and so keep all of the noise. It can even "
            "lead out of the range of the data.",
        ),
        Mistake(
            "x_t scaled back and clipped",
            _two_points(lambda x, a, u: (x / a).clamp(-1, 1)),
            "Clipping keeps you in the range of the data, but it is no mean: how "
            "sure one may be depends on the noise as well.",
        ),
        Mistake(
            "the best straight line",
            _two_points(lambda x, a, u: a * x),
            "That is the best answer that is linear in x_t, and the best of all for "
            "normal data. These data have two values only.",
        ),
        Mistake(
            "a probability for a mean",
            _two_points(lambda x, a, u: torch.sigmoid(2 * a * x / u)),
            "That is the probability of +1, rightly computed. Turn it into a mean: "
            "+1 with this probability, else -1.",
        ),
        Mistake(
            "standard deviation for variance",
            _two_points(lambda x, a, u: torch.tanh(a * x / u.sqrt())),
            "In the exponent of a Gaussian stands its variance; you divide by the "
            "standard deviation.",
        ),
        Mistake(
            "missing square root",
            _two_points(lambda x, a, u: torch.tanh(a**2 * x / u)),
            "The mean of x_t given x_0 is x_0 times a square root. Yours has none.",
        ),
        Mistake(
            "the clean values for the noisy ones",
            _two_points(lambda x, a, u: torch.tanh(x / u)),
            "You compare x_t with +1 and -1 themselves. At time t they have shrunk.",
        ),
        Mistake(
            "one half missing",
            _two_points(lambda x, a, u: torch.tanh(2 * a * x / u)),
            "Too sure by a factor of two inside: did the one half in the exponent of "
            "the Gaussian get lost?",
        ),
        Mistake(
            "one half too many",
            _two_points(lambda x, a, u: torch.tanh(a * x / u / 2)),
            "Not sure enough, by a factor of two inside. The two squares differ by "
            "four times a product, and half of that stays.",
        ),
        Mistake(
            "variance forgotten",
            _two_points(lambda x, a, u: torch.tanh(a * x)),
            "Your answer does not get surer as the noise gets weaker: the variance of "
            "x_t given x_0 is missing.",
        ),
        Mistake(
            "signal and noise swapped",
            _two_points(lambda x, a, u: torch.tanh(u.sqrt() * x / a**2)),
            "Signal and noise have changed places.",
        ),
        Mistake(
            "t off by one",
            _two_points(lambda x, a, u: torch.tanh(a * x / u), shift=-1),
            "You use the time before; alpha_bar is indexed by t itself.",
        ),
        Mistake(
            "the mean of all data",
            _two_points(lambda x, a, u: torch.zeros_like(x)),
            "0 is the mean without having seen x_t. Late it is almost right, early it "
            "is not.",
        ),
        Mistake(
            "the noise for the image",
            _two_points(lambda x, a, u: (x - a * torch.tanh(a * x / u)) / u.sqrt()),
            "That is the mean of the noise, given x_t. The mean of x_0 is asked for.",
        ),
    ),
    accepted=(
        lambda alpha_bar, x_t, t: np.tanh(
            x_t.numpy() * alpha_bar[t].item() ** 0.5 / (1 - alpha_bar[t].item())
        ),
        lambda alpha_bar, x_t, t: (
            2 * torch.sigmoid(2 * x_t * alpha_bar[t].sqrt() / (1 - alpha_bar[t])) - 1
        ),
        lambda alpha_bar, x_t, t: (
            torch.softmax(
                -(
                    (x_t[..., None] - alpha_bar[t].sqrt() * torch.tensor([-1.0, 1.0]))
                    ** 2
                )
                / (2 * (1 - alpha_bar[t])),
                dim=-1,
            )
            @ torch.tensor([-1.0, 1.0]).double()
        ),
        lambda alpha_bar, x_t, t: torch.tanh(
            alpha_bar.sqrt()[t].float() * x_t.float() / (1 - alpha_bar)[t].float()
        ),
    ),
)


EXERCISES = (_WEIGHT, _NOISE_AS_V, _BLACK_OR_WHITE)
