"""Exercises of chapter 3, the posterior mean."""

import math
from collections.abc import Callable

import sympy as sp
import torch
from torch import Tensor

from ddpm_course.equations import alpha, beta
from ddpm_course.exercises.checker import Exercise, Mistake
from ddpm_course.exercises.inputs import float64, randn

_BETA = float64(0, 0.1, 0.15, 0.2, 0.35, 0.4, 0.5)
_ALPHA = 1 - _BETA
_ALPHA_BAR = _ALPHA.cumprod(0)
#: Short enough to be printed: β, α and ᾱ for T = 2.
_SHORT = float64(0, 0.1, 0.2), float64(1, 0.9, 0.8), float64(1, 0.9, 0.72)
_TIMES = range(1, len(_BETA))


# --- 3.1 --------------------------------------------------------------------------


def _weighing(w_1: float, w_2: float, x_1: float, x_2: float) -> float:
    return (w_1 * x_1 + w_2 * x_2) / (w_1 + w_2)


def product(
    mean_1: float, variance_1: float, mean_2: float, variance_2: float
) -> tuple[float, float]:
    precision = 1 / variance_1 + 1 / variance_2
    linear = mean_1 / variance_1 + mean_2 / variance_2
    return linear / precision, 1 / precision


_TWO_OPINIONS = Exercise(
    number="3.1",
    title="Two opinions about one number",
    difficulty="easy",
    minutes=15,
    reference=product,
    meaning="Precisions add, and each mean is weighted by its precision.",
    hint="Add the two brackets and sort by powers of x. The coefficient of x² is one "
    "over the variance; that of x is -2 times the mean over the variance.",
    inputs=(
        (1.0, 0.5, 3.0, 2.0),
        (20.0, 0.25, 22.0, 1.0),
        (-1.0, 3.0, 0.5, 0.4),
        (0.3, 0.02, -0.9, 0.7),
        (-2.0, 0.5, -3.0, 0.25),
    ),
    mistakes={
        "swapped weights": Mistake(
            lambda m, v, n, w: (_weighing(v, w, m, n), v * w / (v + w)),
            "The variance is right. Your mean is closer to the less precise opinion: "
            "a large variance must mean a small weight.",
        ),
        "equal weights": Mistake(
            lambda m, v, n, w: ((m + n) / 2, v * w / (v + w)),
            "The variance is right. Your mean trusts both opinions equally, although "
            "one of them is more certain.",
        ),
        "the variance of an average": Mistake(
            lambda m, v, n, w: ((m + n) / 2, (v + w) / 4),
            "You took the plain average of two readings, and its variance. The "
            "product of the densities does better than that.",
        ),
        "weights by standard deviation": Mistake(
            lambda m, v, n, w: (_weighing(v**-0.5, w**-0.5, m, n), v * w / (v + w)),
            "Almost: your mean weights by one over the standard deviation. Which "
            "power appears in the exponent of a Gaussian?",
        ),
        "not divided by the precision": Mistake(
            lambda m, v, n, w: (m / v + n / w, v * w / (v + w)),
            "Your mean is the coefficient of x, divided by -2. You still have to "
            "divide it by the precision.",
        ),
        "variances add": Mistake(
            lambda m, v, n, w: (_weighing(w, v, m, n), v + w),
            "The mean is right. Variances add for a *sum* of independent numbers. "
            "Here we have two opinions about one number, and together they are more "
            "certain.",
        ),
        "a sum for a product": Mistake(
            lambda m, v, n, w: (m + n, v + w),
            "These are the mean and variance of the sum of two random numbers. Here "
            "we multiply two densities of one number.",
        ),
        "precision for variance": Mistake(
            lambda m, v, n, w: (_weighing(w, v, m, n), 1 / v + 1 / w),
            "The mean is right. The coefficient of x² is not the variance itself.",
        ),
        "a mean of variances": Mistake(
            lambda m, v, n, w: (_weighing(w, v, m, n), 2 * v * w / (v + w)),
            "The mean is right. Your variance is twice as large as it should be: "
            "precisions are added, not averaged.",
        ),
        "standard deviation for variance": Mistake(
            lambda m, v, n, w: (_weighing(w, v, m, n), math.sqrt(v * w / (v + w))),
            "The mean is right. You took one square root too many: we want the "
            "variance.",
        ),
        "other order": Mistake(
            lambda m, v, n, w: product(m, v, n, w)[::-1],
            "Both numbers are right, but in the wrong order: first the mean, then the "
            "variance.",
        ),
        "the mean alone": Mistake(
            lambda m, v, n, w: product(m, v, n, w)[0],
            "The mean is right. Return two numbers, the mean and the variance.",
        ),
    },
)


# --- 3.2 --------------------------------------------------------------------------


def posterior_variance(beta: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    noise, noise_before = 1 - alpha_bar[t], 1 - alpha_bar[t - 1]
    return noise_before / noise * beta[t]


_VARIANCE = Exercise(
    number="3.2",
    title="The posterior variance in code",
    difficulty="easy",
    minutes=10,
    reference=posterior_variance,
    meaning="It holds at every t, and gives 0 at t = 1 without a special case.",
    hint="Compare with the equation, factor by factor: which array, at which index?",
    inputs=(
        *((_SHORT[0], _SHORT[2], t) for t in (2, 1)),
        *((_BETA, _ALPHA_BAR, t) for t in _TIMES),
    ),
    mistakes={
        "σ² = β for β̃": Mistake(
            lambda b, a, t: b[t],
            "That is the variance of the forward step. Knowing x_0 makes the reverse "
            "step more certain: a factor below 1 is missing.",
        ),
        "the factor alone": Mistake(
            lambda b, a, t: (1 - a[t - 1]) / (1 - a[t]),
            "That is a share, a number below 1. Which variance is it a share of?",
        ),
        "fraction upside down": Mistake(
            lambda b, a, t: (1 - a[t]) / (1 - a[t - 1]) * b[t],
            "Your fraction is above 1, and infinite at t = 1. Knowing x_0 cannot make "
            "the reverse step less certain.",
        ),
        "signal for noise": Mistake(
            lambda b, a, t: a[t] / a[t - 1] * b[t],
            "Your fraction compares signals, alpha_bar. The equation compares noises, "
            "1 - alpha_bar.",
        ),
        "α for ᾱ": Mistake(
            lambda b, a, t: b[t - 1] / b[t] * b[t],
            "You have beta at t - 1, the noise of one step. The fraction is about "
            "the noise of all steps so far.",
        ),
        "standard deviation for variance": Mistake(
            lambda b, a, t: posterior_variance(b, a, t).sqrt(),
            "You took one square root too many: we want the variance.",
        ),
        "arrays counted from 0": Mistake(
            lambda b, a, t: (1 - a[t - 2]) / (1 - a[t - 1]) * b[t - 1],
            "You are one step early. Both arrays have T + 1 entries and are indexed "
            "by t itself; entry 0 belongs to the clean image.",
        ),
        "one step late": Mistake(
            lambda b, a, t: (1 - a[t]) / (1 - a[t + 1]) * b[t + 1],
            "You are one step late, and at t = T there is no later one.",
        ),
        "t = 1 replaced by t = 2": Mistake(
            lambda b, a, t: posterior_variance(b, a, max(t, 2)),
            "Everything is right except t = 1, where you take the variance of t = 2, "
            "as some programs do so that they can take its logarithm. If you know "
            "x_0, there is no doubt left about x_0.",
        ),
        "t = 1 replaced by β": Mistake(
            lambda b, a, t: b[t] if t == 1 else posterior_variance(b, a, t),
            "Everything is right except t = 1, which needs no special case: "
            "alpha_bar[0] is 1.",
        ),
        "the precision": Mistake(
            lambda b, a, t: (1 - b[t]) / b[t] + 1 / (1 - a[t - 1]),
            "That is the precision, a sum of two. How is it related to the variance?",
        ),
        "variances add": Mistake(
            lambda b, a, t: b[t] / (1 - b[t]) + 1 - a[t - 1],
            "You added the variances of the two opinions. It's their precisions that "
            "add.",
        ),
        "α missing in the precision": Mistake(
            lambda b, a, t: 1 / (1 / b[t] + 1 / (1 - a[t - 1])),
            "Almost: the first precision is not 1 / beta. The step shrinks x_{t-1} by "
            "the root of alpha before it adds noise.",
        ),
    },
)


# --- 3.3 --------------------------------------------------------------------------


def posterior_mean(
    alpha: Tensor, alpha_bar: Tensor, x0: Tensor, x_t: Tensor, t: int
) -> Tensor:
    noise, noise_before = 1 - alpha_bar[t], 1 - alpha_bar[t - 1]
    on_x_t = alpha[t].sqrt() * noise_before / noise
    on_x0 = alpha_bar[t - 1].sqrt() * (1 - alpha[t]) / noise
    return on_x_t * x_t + on_x0 * x0


def _mean(on_x0: Callable, on_x_t: Callable) -> Callable:
    """A posterior mean whose weights are functions of α_t, ᾱ_t and ᾱ_{t-1}."""

    def mean(
        alpha: Tensor, alpha_bar: Tensor, x0: Tensor, x_t: Tensor, t: int
    ) -> Tensor:
        at = alpha[t], alpha_bar[t], alpha_bar[t - 1]
        return on_x0(*at) * x0 + on_x_t(*at) * x_t

    return mean


def _on_x0(a: Tensor, abar: Tensor, before: Tensor) -> Tensor:
    return before.sqrt() * (1 - a) / (1 - abar)


def _on_x_t(a: Tensor, abar: Tensor, before: Tensor) -> Tensor:
    return a.sqrt() * (1 - before) / (1 - abar)


def _second_line(combine: Callable) -> Callable:
    """The second line of the slide: its two terms and the precision, combined."""

    def mean(
        alpha: Tensor, alpha_bar: Tensor, x0: Tensor, x_t: Tensor, t: int
    ) -> Tensor:
        step, rest = 1 - alpha[t], 1 - alpha_bar[t - 1]
        from_x_t = alpha[t].sqrt() / step * x_t
        from_x0 = alpha_bar[t - 1].sqrt() / rest * x0
        return combine(from_x_t, from_x0, alpha[t] / step + 1 / rest)

    return mean


_as_printed = _second_line(lambda a, b, precision: a + b * (1 / precision))
_by_precision = _second_line(lambda a, b, precision: (a + b) / precision)


def _except_at_1(function: Callable, index: int) -> Callable:
    """The same function, but at t = 1 it returns the argument with this index."""
    return lambda *arguments: (
        arguments[index] if arguments[-1] == 1 else function(*arguments)
    )


_PARENTHESES = Exercise(
    number="3.3",
    title="A lost pair of parentheses",
    difficulty="medium",
    minutes=15,
    reference=posterior_mean,
    meaning="At t = 1 it returns x0 itself, and later a blend of x0 and x_t.",
    hint="What does the last factor of the line multiply, and what should it "
    "multiply? And what is 1 / rest at t = 1? The short form of the mean has no such "
    "quotient.",
    inputs=(
        *((*_SHORT[1:], float64(1), float64(-2), t) for t in (2, 1)),
        *((_ALPHA, _ALPHA_BAR, *randn(2, 2, 3), t) for t in _TIMES),
        (_ALPHA, _ALPHA_BAR, *randn(2, 2, 1, 3, 3), 6),
    ),
    mistakes={
        "as printed": Mistake(
            _as_printed,
            "That is the line as printed. Its last factor multiplies only the second "
            "term; and at t = 1 it gives nan, since 1 / rest is infinite.",
        ),
        "as printed, but t = 1 repaired": Mistake(
            _except_at_1(_as_printed, 2),
            "You fixed t = 1. At all other times the last factor still multiplies "
            "only the second term.",
        ),
        "t = 1 not repaired": Mistake(
            _by_precision,
            "The parentheses are right, and so is every t but one: at t = 1, 1 / rest "
            "is infinite, and infinity over infinity is nan. The short form of the "
            "mean has no such quotient.",
        ),
        "x_t at t = 1": Mistake(
            _except_at_1(_by_precision, 3),
            "Everything is right except t = 1, where you return x_t. What is x_{t-1} "
            "there?",
        ),
        "no division at all": Mistake(
            _except_at_1(_second_line(lambda a, b, precision: a + b), 2),
            "Right at t = 1. At all other times the last factor is missing: divide "
            "the sum by the precision.",
        ),
        "swapped weights": Mistake(
            _mean(_on_x_t, _on_x0),
            "The two weights are swapped: at t = 1 all the weight belongs to x0.",
        ),
        "x_0-weights for ε-weights": Mistake(
            _mean(
                lambda a, abar, before: -(1 - a) / (a * (1 - abar)).sqrt(),
                lambda a, abar, before: 1 / a.sqrt(),
            ),
            "These weights belong to the form of the mean with the noise in place of "
            "x0.",
        ),
        "missing root of α": Mistake(
            _mean(_on_x0, lambda a, abar, before: a * (1 - before) / (1 - abar)),
            "The weight of x0 is right; the weight of x_t lacks a square root.",
        ),
        "missing root of ᾱ": Mistake(
            _mean(lambda a, abar, before: before * (1 - a) / (1 - abar), _on_x_t),
            "The weight of x_t is right; the weight of x0 lacks a square root.",
        ),
        "ᾱ one step late": Mistake(
            _mean(lambda a, abar, before: abar.sqrt() * (1 - a) / (1 - abar), _on_x_t),
            "The weight of x_t is right. In the weight of x0, one alpha_bar is at the "
            "wrong time.",
        ),
        "weights that add to one": Mistake(
            _mean(_on_x0, lambda *at: 1 - _on_x0(*at)),
            "The weight of x0 is right. But the two weights don't add to 1: their sum "
            "is less.",
        ),
        "α for ᾱ": Mistake(
            _mean(
                lambda a, abar, before: (abar / before).sqrt(),
                lambda a, abar, before: 0 * a,
            ),
            "You return the mean of a forward step from x0. The posterior mean needs "
            "both x0 and x_t.",
        ),
        "the marginal": Mistake(
            _mean(lambda a, abar, before: before.sqrt(), lambda a, abar, before: 0 * a),
            "That is what x0 alone says about x_{t-1}. You forgot x_t.",
        ),
    },
)


# --- 3.4 --------------------------------------------------------------------------

_a1, _a2, _a3 = (alpha(i) for i in (1, 2, 3))
_b2, _b3 = beta(2), beta(3)
_two_back = (1 - _a1) * (1 - _a2 * _a3) / (1 - _a1 * _a2 * _a3)

_TWO_STEPS_BACK = Exercise(
    number="3.4",
    title="Two steps back at once",
    difficulty="medium",
    minutes=15,
    reference=_two_back,
    meaning="The same formula holds for a jump back of any length.",
    hint="What does x_0 say about x_1, and with what variance? And x_3, two steps "
    "later? Then add the two precisions.",
    mistakes={
        "one step back from x_3": Mistake(
            (1 - _a1 * _a2) * (1 - _a3) / (1 - _a1 * _a2 * _a3),
            "That is the variance of x_2, given x_3 and x_0. Go back one more step.",
        ),
        "one step back from x_2": Mistake(
            (1 - _a1) * (1 - _a2) / (1 - _a1 * _a2),
            "That is the variance if you know x_2. Here you know x_3, which says less "
            "about x_1.",
        ),
        "two variances added": Mistake(
            (1 - _a1 * _a2) * (1 - _a3) / (1 - _a1 * _a2 * _a3)
            + (1 - _a1) * (1 - _a2) / (1 - _a1 * _a2),
            "You added the variances of two reverse steps. The mean of the second "
            "step multiplies x_2 by a factor, so the variance of the first has to be "
            "scaled before you add it.",
        ),
        "x_3 forgotten": Mistake(
            1 - _a1,
            "That is the variance of x_1, given x_0 alone. What does x_3 add?",
        ),
        "x_0 forgotten": Mistake(
            1 - _a2 * _a3,
            "That is the variance of the two forward steps, from x_1 to x_3.",
        ),
        "the opinion of x_3 alone": Mistake(
            (1 - _a2 * _a3) / (_a2 * _a3),
            "That is how well x_3 alone determines x_1. And x_0?",
        ),
        "denominator forgotten": Mistake(
            (1 - _a1) * (1 - _a2 * _a3),
            "Your numerator is right. Put the two precisions over a common "
            "denominator: what is their sum, and where does it go in the variance?",
        ),
        "undamped steps": Mistake(
            (1 - _a1) * (_b2 + _b3) / (1 - _a1 * _a2 * _a3),
            "You added the variances of steps 2 and 3. But step 3 shrinks the noise "
            "of step 2.",
        ),
        "shrinking forgotten": Mistake(
            1 / (1 / (1 - _a1) + 1 / (1 - _a2 * _a3)),
            "Almost: the precision of x_3's opinion about x_1 lacks a factor. The two "
            "steps shrink x_1 before they add noise.",
        ),
        "variances for precisions": Mistake(
            (1 - _a1) + (1 - _a2 * _a3) / (_a2 * _a3),
            "Both opinions are right, but you added their variances.",
        ),
        "precision for variance": Mistake(
            1 / _two_back,
            "That is the precision; we want the variance.",
        ),
        "standard deviation for variance": Mistake(
            sp.sqrt(_two_back),
            "That is the standard deviation; we want the variance.",
        ),
        "fraction upside down": Mistake(
            (1 - _a1 * _a2 * _a3) / (1 - _a1) * (1 - _a2 * _a3),
            "Your fraction is above 1, so the step back would be less certain than "
            "the step forward, even though x_0 is known.",
        ),
    },
)


# --- 3.5 --------------------------------------------------------------------------


def reverse_mean(alpha: Tensor, alpha_bar: Tensor, x_t: Tensor, t: int) -> Tensor:
    noise, noise_before = 1 - alpha_bar[t], 1 - alpha_bar[t - 1]
    x0_hat = torch.tanh(alpha_bar[t].sqrt() * x_t / noise)
    on_x_t = alpha[t].sqrt() * noise_before / noise
    on_x0 = alpha_bar[t - 1].sqrt() * (1 - alpha[t]) / noise
    return on_x_t * x_t + on_x0 * x0_hat


def _guess(x0_hat: Callable) -> Callable:
    """The posterior mean with a guess, made from x_t and ᾱ_t, in place of x_0."""

    def mean(alpha: Tensor, alpha_bar: Tensor, x_t: Tensor, t: int) -> Tensor:
        return posterior_mean(alpha, alpha_bar, x0_hat(x_t, alpha_bar[t]), x_t, t)

    return mean


_WITHOUT_X0 = Exercise(
    number="3.5",
    title="Without the clean image",
    difficulty="hard",
    minutes=25,
    reference=reverse_mean,
    meaning="The mean of x_0 given x_t takes the place of x_0. That mean is what a "
    "network has to learn.",
    hint="First find the probability that x_0 is 1, given x_t, by Bayes' rule with "
    "the two marginals. Then average the posterior mean over both values of x_0.",
    inputs=(
        *((*_SHORT[1:], float64(0.2), t) for t in (2, 1)),
        *((_ALPHA, _ALPHA_BAR, randn(3, 2) / (8 - t), t) for t in _TIMES),
    ),
    mistakes={
        "the likelier value": Mistake(
            _guess(lambda x, abar: x.sign()),
            "You put the likelier of the two values in place of x_0. The other one is "
            "possible too, so both must count, each with its probability.",
        ),
        "the mean of the data": Mistake(
            _guess(lambda x, abar: 0 * x),
            "You give both values the probability 1/2. That is only true before you "
            "see x_t.",
        ),
        "x_t for x_0": Mistake(
            _guess(lambda x, abar: x),
            "You put x_t in place of x_0. What does x_t say about x_0?",
        ),
        "scaled x_t for x_0": Mistake(
            _guess(lambda x, abar: x / abar.sqrt()),
            "You undo the shrinking but keep the noise. x_0 can only be 1 or -1.",
        ),
        "clipped x_t for x_0": Mistake(
            _guess(lambda x, abar: (x / abar.sqrt()).clamp(-1, 1)),
            "You undo the shrinking and clip. That stays in the range of the data, "
            "but it is not the mean of the two values.",
        ),
        "probability for mean": Mistake(
            _guess(lambda x, abar: torch.sigmoid(2 * abar.sqrt() * x / (1 - abar))),
            "You found the probability that x_0 is 1. The mean of x_0 counts the "
            "value -1 too.",
        ),
        "the mean alone": Mistake(
            lambda a, b, x, t: torch.tanh(b[t].sqrt() * x / (1 - b[t])),
            "That is the mean of x_0, given x_t, and it is right. Now find the mean "
            "of x_{t-1}.",
        ),
        "the marginal of the mean": Mistake(
            lambda a, b, x, t: (
                b[t - 1].sqrt() * torch.tanh(b[t].sqrt() * x / (1 - b[t]))
            ),
            "Your mean of x_0 is right, but from there you only go forward to t - 1. "
            "Put it into the posterior mean, where x_t counts as well.",
        ),
        "standard deviation for variance": Mistake(
            _guess(lambda x, abar: torch.tanh(abar.sqrt() * x / (1 - abar).sqrt())),
            "Almost: in the exponent of a Gaussian we divide by the variance.",
        ),
        "variance 1": Mistake(
            _guess(lambda x, abar: torch.tanh(abar.sqrt() * x)),
            "Almost: your two marginals have variance 1. How much noise is in x_t?",
        ),
        "factor ½ forgotten": Mistake(
            _guess(lambda x, abar: torch.tanh(2 * abar.sqrt() * x / (1 - abar))),
            "You are more certain of x_0 than x_t allows: the exponent of a Gaussian "
            "has a factor of ½.",
        ),
        "half of the exponent": Mistake(
            _guess(lambda x, abar: torch.tanh(abar.sqrt() * x / (1 - abar) / 2)),
            "You are less certain of x_0 than you could be: the square of a sum "
            "contains twice the product.",
        ),
        "means not shrunk": Mistake(
            _guess(lambda x, abar: torch.tanh(x / (1 - abar))),
            "Almost: the two marginals have the right variance, but their means are "
            "no longer 1 and -1.",
        ),
        "sign": Mistake(
            _guess(lambda x, abar: -torch.tanh(abar.sqrt() * x / (1 - abar))),
            "The probabilities are swapped: a positive x_t makes x_0 = 1 more likely.",
        ),
    },
)


EXERCISES = (
    _TWO_OPINIONS,
    _VARIANCE,
    _PARENTHESES,
    _TWO_STEPS_BACK,
    _WITHOUT_X0,
)
