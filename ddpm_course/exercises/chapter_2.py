"""Exercises of chapter 2, the ELBO. Exercise 2.3 has an answer in words."""

import math
from collections.abc import Callable

import sympy as sp
import torch
from torch import Tensor

from ddpm_course.equations import (
    T,
    abar_T,
    abar_t,
    beta_t,
    betatilde_t,
    mu_theta,
    mu_tilde,
    q_0,
    x_0,
)
from ddpm_course.exercises.checker import Exercise, Mistake
from ddpm_course.exercises.inputs import randn

# --- 2.1 --------------------------------------------------------------------------

_LEFT = q_0(T) * q_0(T - 1) / (q_0(1) * q_0(2))

_TELESCOPE = Exercise(
    number="2.1",
    title="What is left of the product",
    difficulty="easy",
    minutes=10,
    reference=_LEFT,
    meaning="Two factors are left at each end, because the product is two telescopes "
    "in one: odd times and even times.",
    hint="Write the factors for T = 6 on one line, numerators above, denominators "
    "below, and cross out what appears in both.",
    mistakes={
        "neighbors": Mistake(
            q_0(T) / q_0(1),
            "That is the product in the text, whose factors compare neighbors. "
            "Here the two times in a factor are two apart.",
        ),
        "even times alone": Mistake(
            q_0(T) / q_0(2),
            "You collapsed only every second factor. The others form a telescope of "
            "their own.",
        ),
        "odd times alone": Mistake(
            q_0(T - 1) / q_0(1),
            "That is only one of two telescopes, the one that ends at T - 1. Which "
            "factors did you leave out?",
        ),
        "upside down": Mistake(
            1 / _LEFT,
            "It is upside down: the later time belongs in the numerator.",
        ),
        "one left below": Mistake(
            q_0(T) * q_0(T - 1) / q_0(1),
            "The numerator is right. Which denominators find no numerator to cancel "
            "with? The first numerator comes from s = 3.",
        ),
        "one left above": Mistake(
            q_0(T) / (q_0(1) * q_0(2)),
            "The denominator is right. Which numerators find no denominator? The last "
            "denominator comes from s = T.",
        ),
        "starts at 0": Mistake(
            q_0(T) * q_0(T - 1) / (q_0(0) * q_0(1)),
            "The first factor has s = 3, so its denominator is not at time 0, where "
            "there is no density.",
        ),
        "one too late below": Mistake(
            q_0(T) * q_0(T - 1) / (q_0(2) * q_0(3)),
            "In the denominator you start one time too late: put s = 3 into s - 2.",
        ),
        "the last factor": Mistake(
            q_0(T) / q_0(T - 2),
            "That is only the last factor; its denominator cancels with the numerator "
            "for s = T - 2.",
        ),
        "logarithm": Mistake(
            sp.log(_LEFT),
            "We want the product itself, not its logarithm.",
        ),
    },
)


# --- 2.2 --------------------------------------------------------------------------

_VAR = 1 - abar_T


def _divergence(
    log: sp.Expr, spread: sp.Expr, distance: sp.Expr, one: int = 1
) -> sp.Expr:
    """½ (log + spread + distance - one): the four parts of the formula."""
    return (log + spread + distance - one) / 2


_BACKWARD = _divergence(sp.log(_VAR), 1 / _VAR, abar_T * x_0**2 / _VAR)

_OTHER_WAY = Exercise(
    number="2.2",
    title="The other way around",
    difficulty="medium",
    minutes=10,
    reference=_BACKWARD,
    meaning="It is not L_T: a divergence depends on which density comes first. Near "
    "pure noise the two are almost equal.",
    hint="Find out what mean_1, var_1, mean_2 and var_2 are here, then put them into "
    "the formula for two Gaussians.",
    mistakes={
        "not exchanged": Mistake(
            _divergence(-sp.log(_VAR), _VAR, abar_T * x_0**2),
            "That is L_T, with q first. Here p comes first: the average is over draws "
            "of pure noise.",
        ),
        "half exchanged": Mistake(
            _divergence(sp.log(_VAR), 1 / _VAR, abar_T * x_0**2),
            "You exchanged the variances. Which of the two variances divides the "
            "squared distance of the means?",
        ),
        "logarithm not exchanged": Mistake(
            _divergence(-sp.log(_VAR), 1 / _VAR, abar_T * x_0**2 / _VAR),
            "The quotients are right, but the logarithm is upside down: the second "
            "variance goes on top.",
        ),
        "½ missing": Mistake(
            2 * _BACKWARD,
            "It is twice as large as it should be: the factor one half in front is "
            "missing.",
        ),
        "1 missing": Mistake(
            _BACKWARD + sp.Rational(1, 2),
            "Without the -1, the divergence of a density from itself would not be 0.",
        ),
        "logarithm missing": Mistake(
            _divergence(sp.Integer(0), 1 / _VAR, abar_T * x_0**2 / _VAR),
            "The logarithm of the variances is missing: it came from the constants "
            "in front of the exponentials.",
        ),
        "√ᾱ not squared": Mistake(
            _divergence(sp.log(_VAR), 1 / _VAR, sp.sqrt(abar_T) * x_0**2 / _VAR),
            "You squared x_0, but not the factor in front of it in the mean.",
        ),
        "mean without its factor": Mistake(
            _divergence(sp.log(_VAR), 1 / _VAR, x_0**2 / _VAR),
            "The mean of x_T is not x_0: the image has shrunk along the way.",
        ),
        "standard deviation for variance": Mistake(
            _divergence(
                sp.log(_VAR) / 2,
                1 / sp.sqrt(_VAR),
                abar_T * x_0**2 / sp.sqrt(_VAR),
            ),
            "You put in a standard deviation; the formula has variances.",
        ),
        "ᾱ for 1 - ᾱ": Mistake(
            _divergence(sp.log(abar_T), 1 / abar_T, x_0**2),
            "You used the image's share as the variance of the noise.",
        ),
        "t for T": Mistake(
            _BACKWARD.subs(abar_T, abar_t),
            "That is the divergence at some time t. Here it is the last time: abar_T.",
        ),
    },
)


# --- 2.4 --------------------------------------------------------------------------

_SQUARE = (mu_tilde - mu_theta) ** 2
_BEST = betatilde_t + _SQUARE

_BEST_VARIANCE = Exercise(
    number="2.4",
    title="The best variance",
    difficulty="medium",
    minutes=15,
    reference=_BEST,
    meaning="The posterior's variance plus the squared error of the model's mean. To "
    "use one variance for all pixels and images, average the squared error over them.",
    hint="Call the variance w, write the term as a function of w, and set its "
    "derivative to 0. The derivative of log w is 1/w.",
    mistakes={
        "the posterior's variance": Mistake(
            betatilde_t,
            "That is best if the means agree. But the model's mean is off; should it "
            "be as sure of itself as the posterior?",
        ),
        "the square alone": Mistake(
            _SQUARE,
            "That is what the model's mean gets wrong. Even with the right mean, the "
            "posterior has a width of its own.",
        ),
        "β": Mistake(
            beta_t,
            "That is one of the two usual choices. It is best only for certain data; "
            "find the minimum for any means.",
        ),
        "square missing": Mistake(
            betatilde_t + mu_tilde - mu_theta,
            "You did not square a distance: your variance may become negative.",
        ),
        "minus the square": Mistake(
            betatilde_t - _SQUARE,
            "Check a sign: a model with a wrong mean has to be less sure, not more.",
        ),
        "standard deviation": Mistake(
            sp.sqrt(_BEST),
            "That is the standard deviation. We want the variance.",
        ),
        "half of it": Mistake(
            _BEST / 2,
            "You lost a factor of 2: did you differentiate with respect to the "
            "standard deviation in one place and the variance in another?",
        ),
        "square counted twice": Mistake(
            betatilde_t + 2 * _SQUARE,
            "The square counts twice in your answer: both parts of the term have the "
            "same factor, one half.",
        ),
        "square counted half": Mistake(
            betatilde_t + _SQUARE / 2,
            "The square counts half in your answer: both parts of the term have the "
            "same factor.",
        ),
        "one over it": Mistake(
            1 / _BEST,
            "That is the precision, one over the variance.",
        ),
    },
)


# --- 2.5 --------------------------------------------------------------------------


def bits_per_dim(
    prior: Tensor, middle: Tensor, decoder: Tensor, image_shape: tuple
) -> Tensor:
    nats = prior + middle.sum(dim=0) + decoder  # (batch,)
    dims = math.prod(image_shape)
    return nats.mean() / (dims * math.log(2))


def _bits(
    total: Callable = lambda prior, middle, decoder: prior + middle.sum(0) + decoder,
    size: Callable = math.prod,
    unit: float = math.log(2),
    batch: Callable = torch.mean,
) -> Callable:
    def bits(
        prior: Tensor, middle: Tensor, decoder: Tensor, image_shape: tuple
    ) -> Tensor:
        nats = batch(total(prior, middle, decoder))
        return nats / size(image_shape) / unit

    return bits


def _terms(T: int, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    prior, decoder = randn(2, batch).abs()
    return prior, randn(T - 1, batch, seed=1).abs(), decoder + 1


_BITS = Exercise(
    number="2.5",
    title="Bits per dimension",
    difficulty="medium",
    minutes=10,
    reference=bits_per_dim,
    meaning="You sum over the steps, average over the images, and count bits for each "
    "coordinate.",
    hint="For one image: add all its terms, divide by the number of its coordinates, "
    "and turn nats into bits. Then average over the images.",
    inputs=(
        (*_terms(2, 1), (1, 1, 2)),
        (*_terms(3, 2), (1, 2, 2)),
        (*_terms(10, 3), (1, 8, 8)),
        (*_terms(5, 4), (3, 4, 6)),
        (*_terms(7, 1), (2, 2, 2)),
    ),
    mistakes={
        "a mean for a sum": Mistake(
            _bits(lambda prior, middle, decoder: prior + middle.mean(0) + decoder),
            "You average over the steps. The bound is the sum over all of them; for "
            "T = 1000 the mean is a thousand times too small.",
        ),
        "a sum over steps and images": Mistake(
            _bits(lambda prior, middle, decoder: prior + middle.sum() + decoder),
            "Your sum over the middle terms runs over the images too, so each image "
            "pays for the whole batch. Sum only over the first axis, the steps.",
        ),
        "a mean over all terms": Mistake(
            _bits(lambda p, m, d: torch.cat([p[None], m, d[None]]).mean(0)),
            "You average over all the terms. The bound has to pay for every one of "
            "them: add them.",
        ),
        "nats": Mistake(
            _bits(unit=1.0),
            "That is in nats. How many nats is one bit?",
        ),
        "times log 2": Mistake(
            _bits(unit=1 / math.log(2)),
            "You multiplied by log 2. A bit is smaller than a nat, so the number of "
            "bits has to be larger.",
        ),
        "decimal logarithm": Mistake(
            _bits(unit=math.log10(2)),
            "You used the logarithm to base 10; a nat belongs to base e.",
        ),
        "L_T left out": Mistake(
            _bits(lambda prior, middle, decoder: middle.sum(0) + decoder),
            "The prior term is missing. It is small, but it is part of the bound.",
        ),
        "L_0 left out": Mistake(
            _bits(lambda prior, middle, decoder: prior + middle.sum(0)),
            "The decoder term is missing: the last step, to x_0 itself, costs too.",
        ),
        "the middle alone": Mistake(
            _bits(lambda prior, middle, decoder: middle.sum(0)),
            "Those are the terms in the middle. The two at the ends are missing.",
        ),
        "channels forgotten": Mistake(
            _bits(size=lambda shape: shape[-1] * shape[-2]),
            "You divide by the number of pixels. An image with several channels has "
            "more coordinates than that.",
        ),
        "per image": Mistake(
            _bits(size=lambda shape: 1),
            "That is for a whole image. Divide by the number of its coordinates.",
        ),
        "sum over the batch": Mistake(
            _bits(batch=torch.sum),
            "You add up the images. Ten images take ten times as much space to store, "
            "but they are not less likely: average them.",
        ),
        "also divided by the batch": Mistake(
            lambda p, m, d, shape: bits_per_dim(p, m, d, shape) / len(p),
            "You divided by the batch size one time too many.",
        ),
    },
)


# --- 2.6 --------------------------------------------------------------------------


def kl(mean_1: Tensor, var_1: Tensor, mean_2: Tensor, var_2: Tensor) -> Tensor:
    log_ratio = torch.log(var_2 / var_1)
    distance = (mean_1 - mean_2) ** 2 / var_2
    terms = (log_ratio + var_1 / var_2 + distance - 1) / 2
    return terms.sum(dim=(1, 2, 3))


def _kl(
    log_upside_down: bool = False,
    wrong_variance: bool = False,
    mean_for_sum: bool = False,
    half: float = 0.5,
    one: float = 1.0,
    std: bool = False,
) -> Callable:
    """The divergence with any of the three bugs, or with other mistakes."""

    def divergence(
        mean_1: Tensor, var_1: Tensor, mean_2: Tensor, var_2: Tensor
    ) -> Tensor:
        log_ratio = torch.log(var_2 / var_1)
        if log_upside_down:
            log_ratio = -log_ratio
        if std:
            log_ratio = log_ratio / 2
        distance = (mean_1 - mean_2) ** 2 / (var_1 if wrong_variance else var_2)
        terms = half * (log_ratio + var_1 / var_2 + distance - one)
        return terms.mean((1, 2, 3)) if mean_for_sum else terms.sum((1, 2, 3))

    return divergence


def _gaussians(batch: int, *shape: int) -> tuple[Tensor, ...]:
    mean_1, mean_2 = randn(2, batch, *shape)
    var_1, var_2 = 0.2 + randn(2, batch, 1, 1, 1, seed=1).abs()
    return mean_1, var_1, mean_2, var_2


_BUGS = Exercise(
    number="2.6",
    title="Three bugs in a divergence",
    difficulty="hard",
    minutes=20,
    reference=kl,
    meaning="You fixed all three bugs. Two of them are invisible when the variances "
    "are equal, so test such code with unequal ones.",
    hint="Compare the lines with the equation, one after another, or your numbers "
    "with torch.distributions.kl_divergence.",
    inputs=(
        _gaussians(1, 1, 1, 1),
        _gaussians(2, 1, 1, 2),
        _gaussians(3, 1, 4, 4),
        _gaussians(2, 3, 2, 5),
        _gaussians(1, 2, 3, 3),
    ),
    mistakes={
        "nothing repaired": Mistake(
            _kl(True, True, True),
            "All three bugs are still there. Begin with a simple test: with equal "
            "variances and means 1 and 0, the divergence of a pixel is 1 / (2 var).",
        ),
        "logarithm and variance": Mistake(
            _kl(True, True, False),
            "You sum over the pixels now. Two bugs are left: try equal means and "
            "unequal variances; a divergence is never negative.",
        ),
        "logarithm and mean": Mistake(
            _kl(True, False, True),
            "The distance is right now. Two bugs are left: one in the logarithm, one "
            "in how you combine the pixels.",
        ),
        "variance and mean": Mistake(
            _kl(False, True, True),
            "The logarithm is right now. Two bugs are left: one in the distance of "
            "the means, one in how you combine the pixels.",
        ),
        "logarithm upside down": Mistake(
            _kl(log_upside_down=True),
            "One bug is left. With equal means and unequal variances, your divergence "
            "can be negative.",
        ),
        "wrong variance": Mistake(
            _kl(wrong_variance=True),
            "One bug is left. In which Gaussian's standard deviations is the distance "
            "of the means measured?",
        ),
        "a mean for a sum": Mistake(
            _kl(mean_for_sum=True),
            "One bug is left. The density of an image is a product over its pixels. "
            "So what happens to the pixels' divergences?",
        ),
        "½ lost": Mistake(
            _kl(half=1.0),
            "The three bugs are gone, but so is a factor of one half.",
        ),
        "1 lost": Mistake(
            _kl(one=0.0),
            "The three bugs are gone, but so is the -1: is the divergence of a "
            "Gaussian from itself still 0?",
        ),
        "logarithm of standard deviations": Mistake(
            _kl(std=True),
            "Your logarithm is now one of standard deviations: half of what it should "
            "be.",
        ),
        "the other divergence": Mistake(
            lambda mean_1, var_1, mean_2, var_2: kl(mean_2, var_2, mean_1, var_1),
            "It is right with the two Gaussians exchanged. The average is over the "
            "first one.",
        ),
    },
)


EXERCISES = (_TELESCOPE, _OTHER_WAY, _BEST_VARIANCE, _BITS, _BUGS)
