"""Exercises of chapter 1, the forward process."""

import math
from collections.abc import Callable

import sympy as sp
import torch
from torch import Tensor

from ddpm_course.equations import (
    abar_t,
    alpha,
    alpha_prev,
    beta,
    beta_t,
)
from ddpm_course.exercises.checker import Exercise, Mistake
from ddpm_course.exercises.inputs import float64, randn
from ddpm_course.schedules import make_schedule

# --- 1.1 --------------------------------------------------------------------------

_KEEP_VARIANCE = Exercise(
    number="1.1",
    title="The factor that keeps the variance",
    difficulty="easy",
    minutes=5,
    reference=sp.sqrt(1 - beta_t),
    meaning="With this factor the variance stays 1 at every step, for any schedule.",
    hint="Write down the variance of both terms, add them, and set the sum to 1.",
    mistakes={
        "missing square root": Mistake(
            1 - beta_t,
            "That is the variance that the first term should have. A factor c "
            "multiplies values; what does it do to their variance?",
        ),
        "negative root": Mistake(
            -sp.sqrt(1 - beta_t),
            "The variance is right, but this turns every image into its negative at "
            "every step. Take the positive root.",
        ),
        "no shrinking": Mistake(
            sp.Integer(1),
            "With c = 1 nothing shrinks, so each step adds variance, and it grows "
            "without bound.",
        ),
        "weights that add to one": Mistake(
            1 - sp.sqrt(beta_t),
            "You made the two weights add to 1, as in an average. It's the two "
            "variances that have to add to 1.",
        ),
        "√β for β": Mistake(
            sp.sqrt(1 - sp.sqrt(beta_t)),
            "The noise is multiplied by the square root of beta_t, a standard "
            "deviation. What is the variance of that term?",
        ),
        "variance squared": Mistake(
            sp.sqrt(1 - beta_t**2),
            "You squared once too often: beta_t is already a variance.",
        ),
        "squared where a root belongs": Mistake(
            (1 - beta_t) ** 2,
            "You solved c² = … for c by squaring. Which operation undoes a square?",
        ),
        "swapped weights": Mistake(
            sp.sqrt(beta_t),
            "That is the weight of the noise. With it on both terms the variance "
            "is twice beta_t.",
        ),
        "sign of β": Mistake(
            sp.sqrt(1 + beta_t),
            "Check a sign: the noise adds variance, so the other term has to lose "
            "some, and a factor above 1 adds more.",
        ),
        "ᾱ for α": Mistake(
            sp.sqrt(abar_t),
            "The symbol abar_t belongs to all the steps from x_0 to x_t together. "
            "This exercise is about a single step.",
        ),
        "t off by one": Mistake(
            sp.sqrt(alpha_prev),
            "That is the factor of the previous step: the step to x_t adds noise of "
            "variance beta_t.",
        ),
    },
)


# --- 1.2 --------------------------------------------------------------------------

_BETA = float64(0, 0.1, 0.2, 0.3, 0.35, 0.45)


def q_step(beta: Tensor, x_prev: Tensor, t: int, eps: Tensor) -> Tensor:
    return (1 - beta[t]).sqrt() * x_prev + beta[t].sqrt() * eps


def _step(signal: Callable, noise: Callable) -> Callable:
    def step(beta: Tensor, x_prev: Tensor, t: int, eps: Tensor) -> Tensor:
        return signal(beta, t) * x_prev + noise(beta, t) * eps

    return step


_ONE_STEP = Exercise(
    number="1.2",
    title="One step in code",
    difficulty="easy",
    minutes=10,
    reference=q_step,
    meaning="That is one step of the forward process, at every t, t = 1 included.",
    hint="Compare your line with the equation, factor by factor: which β, which root?",
    inputs=(
        *((_BETA[:3], float64(2), t, float64(1)) for t in (1, 2)),
        *((_BETA, randn(2, 3), t, randn(2, 3, seed=1)) for t in (1, 2, 3, 4, 5)),
        (_BETA, randn(2, 1, 4, 4), 5, randn(2, 1, 4, 4, seed=1)),
    ),
    mistakes={
        "β for √β": Mistake(
            _step(lambda b, t: (1 - b[t]).sqrt(), lambda b, t: b[t]),
            "Your noise is too weak: beta[t] is its variance, and noise is scaled "
            "by a standard deviation.",
        ),
        "missing root on the mean": Mistake(
            _step(lambda b, t: 1 - b[t], lambda b, t: b[t].sqrt()),
            "The image shrinks too fast, and the variance does not stay 1. Exercise "
            "1.1 has the factor.",
        ),
        "no root at all": Mistake(
            _step(lambda b, t: 1 - b[t], lambda b, t: b[t]),
            "You blend image and noise with weights that add to 1. The squares of "
            "the weights have to add to 1: look for two missing roots.",
        ),
        "t off by one": Mistake(
            _step(lambda b, t: (1 - b[t - 1]).sqrt(), lambda b, t: b[t - 1].sqrt()),
            "You use the previous step. beta has T + 1 entries and is indexed by t "
            "itself; beta[0] = 0 belongs to the clean image.",
        ),
        "t off by one, forwards": Mistake(
            _step(lambda b, t: (1 - b[t + 1]).sqrt(), lambda b, t: b[t + 1].sqrt()),
            "You use the next step, and at t = T there is none.",
        ),
        "no noise at t = 1": Mistake(
            _step(
                lambda b, t: (1 - b[t]).sqrt(),
                lambda b, t: b[t].sqrt() if t > 1 else 0,
            ),
            "Everything is right except t = 1, where you add no noise. That rule "
            "belongs to the reverse process, from noise to data; the forward process "
            "adds noise at every step.",
        ),
        "the mean for a sample": Mistake(
            _step(lambda b, t: (1 - b[t]).sqrt(), lambda b, t: 0),
            "That is the mean of the Gaussian. A sample also has its noise: where is "
            "eps?",
        ),
        "no shrinking": Mistake(
            _step(lambda b, t: 1, lambda b, t: b[t].sqrt()),
            "The noise is right, but x_prev enters at full size, so the variance "
            "grows at every step. Exercise 1.1 has the factor.",
        ),
        "swapped weights": Mistake(
            _step(lambda b, t: b[t].sqrt(), lambda b, t: (1 - b[t]).sqrt()),
            "The two weights are swapped: with a small beta[t], x_t should be almost "
            "x_prev.",
        ),
        "ᾱ for α": Mistake(
            _step(
                lambda b, t: (1 - b).cumprod(0)[t].sqrt(),
                lambda b, t: (1 - (1 - b).cumprod(0)[t]).sqrt(),
            ),
            "You take all t steps at once, as if x_prev were x_0. One step needs no "
            "product.",
        ),
        "weights that add to one": Mistake(
            _step(lambda b, t: 1 - b[t].sqrt(), lambda b, t: b[t].sqrt()),
            "The noise is right. Your weights add to 1; should they, or should their "
            "squares?",
        ),
        "minus the noise": Mistake(
            _step(lambda b, t: (1 - b[t]).sqrt(), lambda b, t: -b[t].sqrt()),
            "You subtract the noise. The distribution is the same, since eps is "
            "symmetric, but the equation adds it, and the later chapters rely on that.",
        ),
    },
)


# --- 1.3 --------------------------------------------------------------------------

_a1, _a2, _a3 = (alpha(i) for i in (1, 2, 3))
_b1, _b2, _b3 = (beta(i) for i in (1, 2, 3))

_THREE_STEPS = Exercise(
    number="1.3",
    title="Three noises merged",
    difficulty="medium",
    minutes=10,
    reference=1 - _a1 * _a2 * _a3,
    meaning="Three noises act as one, of variance 1 - ᾱ_3: the closed form at t = 3.",
    hint="Write x_3 as a factor times x_0 plus three noise terms, and look at one "
    "term at a time. The answer contains alpha(1), alpha(2) and alpha(3), or betas.",
    mistakes={
        "standard deviations add": Mistake(
            (sp.sqrt(_a3 * _a2 * _b1) + sp.sqrt(_a3 * _b2) + sp.sqrt(_b3)) ** 2,
            "Your three terms are right, but you added their standard deviations. "
            "For independent noises another quantity adds.",
        ),
        "undamped variances": Mistake(
            _b1 + _b2 + _b3,
            "You added the variances that the three noises start with. Later steps "
            "shrink the earlier noise, just as they shrink the image.",
        ),
        "undamped standard deviations": Mistake(
            (sp.sqrt(_b1) + sp.sqrt(_b2) + sp.sqrt(_b3)) ** 2,
            "Two things: the standard deviations of independent noises don't add, and "
            "later steps shrink the early noise.",
        ),
        "factor not squared": Mistake(
            _b3 + sp.sqrt(_a3) * _b2 + sp.sqrt(_a3 * _a2) * _b1,
            "Almost: a factor in front of a noise multiplies its variance by the "
            "square of that factor.",
        ),
        "standard deviation for variance": Mistake(
            sp.sqrt(1 - _a1 * _a2 * _a3),
            "That is the standard deviation of the merged noise. We want the variance.",
        ),
        "root of the product": Mistake(
            1 - sp.sqrt(_a1 * _a2 * _a3),
            "You subtracted the factor of x_0 from 1. Factors do not add to 1, so "
            "what does?",
        ),
        "the signal's share": Mistake(
            _a1 * _a2 * _a3,
            "That is the share of the variance that is still image. The rest is noise.",
        ),
        "product of the noises": Mistake(
            _b1 * _b2 * _b3,
            "You multiplied the variances of the noises. Factors in front of the "
            "image multiply; what do the variances of independent noises do?",
        ),
        "one step too few": Mistake(
            1 - _a1 * _a2,
            "That is the noise after two steps: the third is missing.",
        ),
        "first step missing": Mistake(
            1 - _a2 * _a3,
            "That is the noise between x_1 and x_3. The process starts at x_0.",
        ),
        "the last noise alone": Mistake(
            _b3,
            "That is the variance that the last step adds. How much is left of the "
            "two noises before it?",
        ),
    },
)


# --- 1.4 --------------------------------------------------------------------------

_ALPHA_BAR = (1 - float64(0, 0.1, 0.15, 0.3, 0.4, 0.5, 0.6)).cumprod(0)


def q_sample(alpha_bar: Tensor, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    abar = alpha_bar[t].reshape(-1, 1, 1, 1)  # (batch, 1, 1, 1)
    return abar.sqrt() * x0 + (1 - abar).sqrt() * eps


def _sample(
    signal: Callable,
    noise: Callable,
    at: Callable = lambda abar, t: abar[t],
    shape: tuple[int, ...] = (-1, 1, 1, 1),
) -> Callable:
    def sample(alpha_bar: Tensor, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        abar = at(alpha_bar, t).reshape(shape)
        return signal(abar) * x0 + noise(abar) * eps

    return sample


def _signal(abar: Tensor) -> Tensor:
    return abar.sqrt()


def _noise(abar: Tensor) -> Tensor:
    return (1 - abar).sqrt()


def _images(times: list[int], *shape: int) -> tuple[Tensor, ...]:
    x0, eps = randn(2, len(times), *shape)
    return _ALPHA_BAR, x0, torch.tensor(times), eps


_BATCH = Exercise(
    number="1.4",
    title="All steps at once, for a batch",
    difficulty="medium",
    minutes=15,
    reference=q_sample,
    meaning="Each image of the batch gets the noise of its own time, in one line.",
    hint="Compare with the closed form, factor by factor, for a batch of one image.",
    inputs=(
        (float64(1, 0.9, 0.6), *_images([2, 1], 1, 1, 1)[1:]),
        *(_images([t, 7 - t], 1, 1, 1) for t in (1, 2, 3)),
        _images([2, 6, 1, 4], 2, 4, 4),  # batch = height = width hides a bad broadcast
        _images([5], 1, 3, 5),
        _images([6, 3, 1], 1, 2, 2),
    ),
    mistakes={
        "broadcast along the width": Mistake(
            _sample(_signal, _noise, shape=(-1,)),
            "Your factor lines up with the last axis of the images, their width, as "
            "shape (batch,) does. It fails, or, when batch and width are equal, it "
            "silently gives each column its own time. The batch is the first of four "
            "axes: how many axes of length 1 must follow?",
        ),
        "broadcast along the height": Mistake(
            _sample(_signal, _noise, shape=(-1, 1)),
            "Your factor lines up with the height of the images, as shape (batch, 1) "
            "does. The batch is the first of four axes: how many axes of length 1 must "
            "follow?",
        ),
        "broadcast along the channels": Mistake(
            _sample(_signal, _noise, shape=(-1, 1, 1)),
            "Your factor lines up with the channels of the images, as shape (batch, 1, "
            "1) does, and (1, batch, 1, 1) too. The batch is the first of four axes: "
            "how many axes of length 1 must follow?",
        ),
        "one time for the whole batch": Mistake(
            _sample(_signal, _noise, at=lambda abar, t: abar[t[0]]),
            "The first image of the batch is right, but all the others get its time.",
        ),
        "covariance √(1-ᾱ)": Mistake(
            _sample(_signal, lambda abar: (1 - abar) ** 0.25),
            "You took the root twice. The covariance is (1 - alpha_bar) I, without a "
            "root; the noise is scaled by its root.",
        ),
        "variance for standard deviation": Mistake(
            _sample(_signal, lambda abar: 1 - abar),
            "The image is right, but the noise is too weak: you scaled eps by its "
            "variance.",
        ),
        "missing root on the signal": Mistake(
            _sample(lambda abar: abar, _noise),
            "The noise is right, but the image has faded too much: alpha_bar is its "
            "share of the variance.",
        ),
        "no root at all": Mistake(
            _sample(lambda abar: abar, lambda abar: 1 - abar),
            "Both roots are missing: your weights add to 1 where their squares should.",
        ),
        "no shrinking": Mistake(
            _sample(lambda abar: 1, _noise),
            "The noise is right, but the image does not fade: it needs a factor too.",
        ),
        "weights that add to one": Mistake(
            _sample(_signal, lambda abar: 1 - abar.sqrt()),
            "The noise's weight is not 1 minus the image's weight. Which two numbers "
            "do add to 1?",
        ),
        "swapped weights": Mistake(
            _sample(_noise, _signal),
            "The weights are swapped: at t = 1 the image should be almost clean.",
        ),
        "α for ᾱ": Mistake(
            _sample(_signal, _noise, at=lambda abar, t: abar[t] / abar[t - 1]),
            "You take only the last step, as if x0 were x_{t-1}. Use the product over "
            "all steps.",
        ),
        "t off by one": Mistake(
            _sample(_signal, _noise, at=lambda abar, t: abar[t - 1]),
            "You stop one step early. alpha_bar has T + 1 entries and is indexed by t "
            "itself; alpha_bar[0] = 1.",
        ),
        "the mean for a sample": Mistake(
            _sample(_signal, lambda abar: 0),
            "That is the mean of x_t given x_0. Where is its noise?",
        ),
    },
)


# --- 1.5 --------------------------------------------------------------------------


def _first(condition: Tensor) -> int:
    return int(condition.nonzero()[0])


_LINEAR = make_schedule("linear")
_CROSSING = _first(_LINEAR.snr < 1)

_HALF_WAY = Exercise(
    number="1.5",
    title="When noise takes over",
    difficulty="medium",
    minutes=10,
    reference=_CROSSING,
    meaning="After about a quarter of the steps, half of the variance is noise.",
    hint="Compute alpha_bar for every t, then alpha_bar / (1 - alpha_bar), and look "
    "for the first t where that is below 1. Which t belongs to your first entry?",
    mistakes={
        "one too early": Mistake(
            _CROSSING - 1,
            "One too early: that is the last t with more signal than noise, or the "
            "position in a list whose first entry, position 0, belongs to t = 1.",
        ),
        "one too late": Mistake(
            _CROSSING + 1,
            "One too late: did you add 1 to an index that was already t?",
        ),
        "α for ᾱ": Mistake(
            0,
            "0 is what argmax returns when nothing is true. Did you use alpha instead "
            "of alpha_bar? Here no single step has more noise than signal.",
        ),
        "the inequality turned round": Mistake(
            1,
            "At t = 1 the image is almost clean: your inequality points the wrong way.",
        ),
        "half of T": Mistake(
            500,
            "Half of the steps is not half of the way: the signal fades by a product "
            "of factors, not by equal amounts.",
        ),
        "amplitude for variance": Mistake(
            _first(_LINEAR.alpha_bar.sqrt() < 0.5),
            "That is where the image's amplitude, √ᾱ, falls below one half. The "
            "signal-to-noise ratio compares variances.",
        ),
        "a root against a variance": Mistake(
            _first(_LINEAR.alpha_bar.sqrt() < 1 - _LINEAR.alpha_bar),
            "You compare the factor of x_0 with the variance of the noise. Compare "
            "variance with variance.",
        ),
        "a sum for a product": Mistake(
            _first(1 - _LINEAR.beta.cumsum(0) < 0.5),
            "You subtract the betas one after another. But each step takes its share "
            "of what is left, so the shares that remain multiply.",
        ),
        "the cosine schedule": Mistake(
            _first(make_schedule("cosine").snr < 1),
            "That is the time for the cosine schedule. We want the linear one.",
        ),
        "the last t": Mistake(
            1000,
            "It is below 1 there, but not for the first time.",
        ),
    },
)


# --- 1.6 --------------------------------------------------------------------------


def cosine_betas(T: int, s: float, max_beta: float) -> Tensor:
    t = torch.linspace(0, T, T + 1, dtype=torch.float64)
    f = torch.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2
    alpha_bar = f / f[0]
    betas = 1 - alpha_bar[1:] / alpha_bar[:-1]
    return betas.clamp(max=max_beta)


def _cosine(
    short: bool = False, rootless: bool = True, upside_down: bool = False, **other: bool
) -> Callable:
    """The cosine schedule with any of the three bugs, or with other mistakes."""

    def betas(T: int, s: float, max_beta: float) -> Tensor:
        t = torch.linspace(0, T, T if short else T + 1, dtype=torch.float64)
        offset = 0 if other.get("no_offset") else s
        f = torch.cos((t / T + offset) / (1 + offset) * math.pi / 2)
        alpha_bar = f**2 / f[0] ** 2 if rootless else f / f[0]
        after, before = alpha_bar[1:], alpha_bar[:-1]
        if other.get("returns_alpha_bar"):
            return after
        beta = 1 - (before / after if upside_down else after / before)
        if other.get("alphas"):
            return 1 - beta
        if other.get("unclipped"):
            return beta
        return beta.clamp(max=0.999 if other.get("fixed_clip") else max_beta)

    return betas


_FIND_THE_BUG = Exercise(
    number="1.6",
    title="Three bugs in a cosine schedule",
    difficulty="hard",
    minutes=20,
    reference=cosine_betas,
    meaning="All three bugs are gone: T betas, on the squared cosine, none above "
    "max_beta.",
    hint="Print ᾱ from your betas, (1 - betas).cumprod(0), next to the curve of the "
    "equation, and see where they part.",
    inputs=(
        (2, 0.1, 0.9),
        (1, 0.1, 0.5),
        *((T, 0.2, 0.4) for T in (3, 4, 5)),
        (10, 0.008, 0.999),
        (25, 0.05, 0.999),
        (8, 0.008, 0.5),
    ),
    mistakes={
        "nothing repaired": Mistake(
            _cosine(short=True, rootless=False, upside_down=True),
            "All three bugs are still there. Start with what you can see without any "
            "theory: how many betas are there, and what is their sign?",
        ),
        "a point too few": Mistake(
            _cosine(short=True),
            "The curve is right now. But how many values are ᾱ_0 … ᾱ_T, and how many "
            "betas lie between them?",
        ),
        "square missing": Mistake(
            _cosine(rootless=False),
            "The number and the sign of the betas are right. Halfway, ᾱ should be "
            "close to 0.5; yours is close to 0.7.",
        ),
        "quotient upside down": Mistake(
            _cosine(upside_down=True),
            "The curve is right, but a variance cannot be negative. Which of two "
            "neighbors of ᾱ is larger?",
        ),
        "a point too few, square missing": Mistake(
            _cosine(short=True, rootless=False),
            "The sign is fixed. Two bugs are left: count the betas, and look at ᾱ "
            "halfway.",
        ),
        "a point too few, quotient upside down": Mistake(
            _cosine(short=True, upside_down=True),
            "The cosine is squared now. Two bugs are left: count the betas, and look "
            "at their sign.",
        ),
        "square missing, quotient upside down": Mistake(
            _cosine(rootless=False, upside_down=True),
            "The number of betas is right now. Two bugs are left: one in their sign, "
            "one in the formula of the curve.",
        ),
        "no clipping": Mistake(
            _cosine(unclipped=True),
            "The three bugs are gone, but so is the clipping. If the last beta is 1, "
            "what happens to x_T, and to a division by its alpha?",
        ),
        "max_beta ignored": Mistake(
            _cosine(fixed_clip=True),
            "Right, but only for the usual max_beta: you don't use the argument.",
        ),
        "offset ignored": Mistake(
            _cosine(no_offset=True),
            "You dropped the offset s: without it the first betas are tiny.",
        ),
        "α for β": Mistake(
            _cosine(alphas=True),
            "You return the alphas, the shares that each step keeps.",
        ),
        "ᾱ for β": Mistake(
            _cosine(returns_alpha_bar=True),
            "You return ᾱ itself. The betas follow from the quotients of its "
            "neighbors.",
        ),
    },
)


EXERCISES = (
    _KEEP_VARIANCE,
    _ONE_STEP,
    _THREE_STEPS,
    _BATCH,
    _HALF_WAY,
    _FIND_THE_BUG,
)
