"""Exercises of chapter 3, the posterior mean."""

import math
from collections.abc import Callable

import sympy as sp
import torch
from torch import Tensor

from ddpm_course.equations import alpha, beta, s
from ddpm_course.exercises.checker import Exercise, Mistake

_BETA = torch.tensor([0, 0.1, 0.15, 0.2, 0.35, 0.4, 0.5], dtype=torch.float64)
_ALPHA = 1 - _BETA
_ALPHA_BAR = _ALPHA.cumprod(0)


def _randn(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


# --- 3.1 --------------------------------------------------------------------------


def _weighing(w_1: float, w_2: float, x_1: float, x_2: float) -> float:
    return (w_1 * x_1 + w_2 * x_2) / (w_1 + w_2)


def _two_opinions(
    mean_1: float, variance_1: float, mean_2: float, variance_2: float
) -> tuple[float, float]:
    precision = 1 / variance_1 + 1 / variance_2
    return (mean_1 / variance_1 + mean_2 / variance_2) / precision, 1 / precision


_TWO_OPINIONS = Exercise(
    number="3.1",
    title="Two opinions about one number",
    difficulty="easy",
    minutes=15,
    reference=_two_opinions,
    meaning="Precisions add, and each mean counts by its precision.",
    hint="Add the two brackets and sort by powers of x. The factor of x² is one over "
    "the variance; the factor of x is -2 times the mean over the variance.",
    inputs=((20.0, 0.25, 22.0, 1.0), (-1.0, 3.0, 0.5, 0.4), (0.3, 0.02, -0.9, 0.7)),
    mistakes=(
        Mistake(
            "swapped weights",
            lambda m, v, n, w: (_weighing(v, w, m, n), v * w / (v + w)),
            "The variance is right. Your mean lies nearer to the worse opinion: a "
            "large variance must mean little weight.",
        ),
        Mistake(
            "equal weights",
            lambda m, v, n, w: ((m + n) / 2, v * w / (v + w)),
            "The variance is right. Your mean trusts both opinions alike, though "
            "one of them is surer.",
        ),
        Mistake(
            "the variance of an average",
            lambda m, v, n, w: ((m + n) / 2, (v + w) / 4),
            "You took the plain average of two readings, and its variance. The "
            "product of the densities does better than that.",
        ),
        Mistake(
            "weights by standard deviation",
            lambda m, v, n, w: (_weighing(v**-0.5, w**-0.5, m, n), v * w / (v + w)),
            "Almost: your mean weighs by one over the standard deviation. Which "
            "power stands in the exponent of a Gaussian?",
        ),
        Mistake(
            "not divided by the precision",
            lambda m, v, n, w: (m / v + n / w, v * w / (v + w)),
            "Your mean is the factor of x, up to -2. It still holds the precision.",
        ),
        Mistake(
            "variances add",
            lambda m, v, n, w: (_weighing(w, v, m, n), v + w),
            "The mean is right. Variances add for a *sum* of independent numbers; "
            "here are two opinions about one number, and together they are surer.",
        ),
        Mistake(
            "a sum for a product",
            lambda m, v, n, w: (m + n, v + w),
            "These are the moments of the sum of two random numbers. Here the two "
            "densities of one number are multiplied.",
        ),
        Mistake(
            "precision for variance",
            lambda m, v, n, w: (_weighing(w, v, m, n), 1 / v + 1 / w),
            "The mean is right. The factor of x² is not the variance itself.",
        ),
        Mistake(
            "a mean of variances",
            lambda m, v, n, w: (_weighing(w, v, m, n), 2 * v * w / (v + w)),
            "The mean is right. The second number is twice too large: precisions "
            "add up, they are not averaged.",
        ),
        Mistake(
            "standard deviation for variance",
            lambda m, v, n, w: (_weighing(w, v, m, n), math.sqrt(v * w / (v + w))),
            "The mean is right. You took a root too much: the variance is asked for.",
        ),
        Mistake(
            "other order",
            lambda m, v, n, w: _two_opinions(m, v, n, w)[::-1],
            "Both numbers are right, in the other order: first the mean, then the "
            "variance.",
        ),
        Mistake(
            "the mean alone",
            lambda m, v, n, w: _two_opinions(m, v, n, w)[0],
            "The mean is right. Return two numbers, the mean and the variance.",
        ),
    ),
    accepted=(
        lambda m, v, n, w: ((m * w + n * v) / (v + w), v * w / (v + w)),
        lambda m, v, n, w: [m + v / (v + w) * (n - m), (1 - v / (v + w)) * v],
        lambda m, v, n, w: torch.tensor(
            [_weighing(1 / v, 1 / w, m, n), 1 / (1 / v + 1 / w)]
        ),
        lambda m, v, n, w: tuple(torch.tensor(_two_opinions(m, v, n, w))),
    ),
)


# --- 3.2 --------------------------------------------------------------------------


def _variance(beta: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    return (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta[t]


_VARIANCE = Exercise(
    number="3.2",
    title="The posterior variance in code",
    difficulty="easy",
    minutes=10,
    reference=_variance,
    meaning="That holds at every t; at t = 1 it is 0 with no special case.",
    hint="Compare with the equation, factor by factor: which array, at which index?",
    inputs=((_BETA, _ALPHA_BAR, 3), (_BETA, _ALPHA_BAR, 6), (_BETA, _ALPHA_BAR, 1)),
    mistakes=(
        Mistake(
            "σ² = β for β̃",
            lambda b, a, t: b[t],
            "That is the variance of the step forward. To know x_0 makes the step "
            "back surer: a factor below 1 is missing.",
        ),
        Mistake(
            "the factor alone",
            lambda b, a, t: (1 - a[t - 1]) / (1 - a[t]),
            "That is the share of the step's variance which is left. Of which "
            "variance is it the share?",
        ),
        Mistake(
            "fraction upside down",
            lambda b, a, t: (1 - a[t]) / (1 - a[t - 1]) * b[t],
            "Your fraction is above 1, and infinite at t = 1. To know x_0 cannot "
            "make the step back less sure.",
        ),
        Mistake(
            "signal for noise",
            lambda b, a, t: a[t] / a[t - 1] * b[t],
            "Your fraction has the shares of the signal. The equation has those of "
            "the noise, one minus alpha_bar.",
        ),
        Mistake(
            "α for ᾱ",
            lambda b, a, t: b[t - 1] / b[t] * b[t],
            "You have beta at t - 1, the noise of one step. The fraction is about "
            "the noise of all steps so far.",
        ),
        Mistake(
            "standard deviation for variance",
            lambda b, a, t: _variance(b, a, t).sqrt(),
            "You took a root too much: the variance is asked for.",
        ),
        Mistake(
            "arrays counted from 0",
            lambda b, a, t: (1 - a[t - 2]) / (1 - a[t - 1]) * b[t - 1],
            "You are one step early. Both arrays have T + 1 entries and are indexed "
            "by t itself; entry 0 belongs to the clean image.",
        ),
        Mistake(
            "one step late",
            lambda b, a, t: (1 - a[t]) / (1 - a[t + 1]) * b[t + 1],
            "You are one step late, and at t = T there is no later one.",
        ),
        Mistake(
            "t = 1 replaced by t = 2",
            lambda b, a, t: _variance(b, a, max(t, 2)),
            "All is right but t = 1, where you take the variance of t = 2, as some "
            "programs do to have a logarithm. Who knows x_0 has no doubt about x_0.",
        ),
        Mistake(
            "t = 1 replaced by β",
            lambda b, a, t: b[t] if t == 1 else _variance(b, a, t),
            "All is right but t = 1, which needs no special case: alpha_bar[0] is 1.",
        ),
        Mistake(
            "the precision",
            lambda b, a, t: (1 - b[t]) / b[t] + 1 / (1 - a[t - 1]),
            "That is the precision, the sum of two. What is its relation to the "
            "variance?",
        ),
        Mistake(
            "variances add",
            lambda b, a, t: b[t] / (1 - b[t]) + 1 - a[t - 1],
            "You added the variances of the two opinions. Their precisions add.",
        ),
        Mistake(
            "α missing in the precision",
            lambda b, a, t: 1 / (1 / b[t] + 1 / (1 - a[t - 1])),
            "Almost: the first precision is not 1 / beta. The step shrinks x_{t-1} "
            "by the root of alpha before it adds noise.",
        ),
    ),
    accepted=(
        lambda b, a, t: 1 / ((1 - b[t]) / b[t] + 1 / (1 - a[t - 1])),
        lambda b, a, t: (
            (1 - a[t] / a[t - 1]).numpy() * ((1 - a[t - 1]) / (1 - a[t])).numpy()
        ),
        lambda b, a, t: (
            b[t].item() * (1 - (1 - b[:t]).prod().item()) / (1 - a[t].item())
        ),
        lambda b, a, t: (b * (1 - a.roll(1)) / (1 - a))[t] if t > 1 else 0.0,
    ),
)


# --- 3.3 --------------------------------------------------------------------------


def _mean(on_x0: Callable, on_x_t: Callable) -> Callable:
    """A function of the exercise's arguments; the weights see α_t, ᾱ_t, ᾱ_{t-1}."""

    def posterior_mean(
        alpha: Tensor, alpha_bar: Tensor, x0: Tensor, x_t: Tensor, t: int
    ) -> Tensor:
        at = alpha[t], alpha_bar[t], alpha_bar[t - 1]
        return on_x0(*at) * x0 + on_x_t(*at) * x_t

    return posterior_mean


def _on_x0(a: Tensor, abar: Tensor, before: Tensor) -> Tensor:
    return before.sqrt() * (1 - a) / (1 - abar)


def _on_x_t(a: Tensor, abar: Tensor, before: Tensor) -> Tensor:
    return a.sqrt() * (1 - before) / (1 - abar)


def _as_printed(alpha: Tensor, alpha_bar: Tensor, x0: Tensor, x_t: Tensor, t: int):
    """The second line of the slide, without its parentheses."""
    step, rest = 1 - alpha[t], 1 - alpha_bar[t - 1]
    precision = alpha[t] / step + 1 / rest
    from_x0 = alpha_bar[t - 1].sqrt() / rest * x0
    return alpha[t].sqrt() / step * x_t + from_x0 * (1 / precision)


def _by_precision(alpha: Tensor, alpha_bar: Tensor, x0: Tensor, x_t: Tensor, t: int):
    step, rest = 1 - alpha[t], 1 - alpha_bar[t - 1]
    precision = alpha[t] / step + 1 / rest
    from_x0 = alpha_bar[t - 1].sqrt() / rest * x0
    return (alpha[t].sqrt() / step * x_t + from_x0) / precision


def _except_at_1(function: Callable, index: int) -> Callable:
    """The same, but at t = 1 it returns the argument of that index."""

    def posterior_mean(alpha, alpha_bar, x0, x_t, t):
        arguments = alpha, alpha_bar, x0, x_t, t
        return arguments[index] if t == 1 else function(*arguments)

    return posterior_mean


_reference_mean = _mean(_on_x0, _on_x_t)

_PARENTHESES = Exercise(
    number="3.3",
    title="A lost pair of parentheses",
    difficulty="medium",
    minutes=15,
    reference=_reference_mean,
    meaning="At t = 1 it returns x0 itself, and after that a mixture of the two.",
    hint="What does the last factor of the line multiply, and what should it? And "
    "what is 1 / rest at t = 1? The short form of the mean has no such quotient.",
    inputs=(
        (_ALPHA, _ALPHA_BAR, _randn(4), _randn(5)[:4], 3),
        (_ALPHA, _ALPHA_BAR, _randn(2, 1, 3, 3), _randn(3, 1, 3, 3)[:2], 6),
        (_ALPHA, _ALPHA_BAR, _randn(2, 3), _randn(3, 3)[:2], 1),
    ),
    mistakes=(
        Mistake(
            "as printed",
            _as_printed,
            "That is the line as it stands. Its last factor multiplies the second "
            "term alone; and at t = 1 it gives nan, since 1 / rest is infinite.",
        ),
        Mistake(
            "as printed, but t = 1 repaired",
            _except_at_1(_as_printed, 2),
            "You repaired t = 1. After that the last factor still multiplies the "
            "second term alone.",
        ),
        Mistake(
            "t = 1 not repaired",
            _by_precision,
            "The parentheses are right, and so is every t but one: at t = 1, 1 / rest "
            "is infinite, and infinity over infinity is nan. The short form of the "
            "mean has no such quotient.",
        ),
        Mistake(
            "x_t at t = 1",
            _except_at_1(_by_precision, 3),
            "All is right but t = 1, where you return x_t. What is x_{t-1} there?",
        ),
        Mistake(
            "no division at all",
            lambda a, b, x0, x_t, t: (
                _reference_mean(a, b, x0, x_t, t) / _variance(1 - a, b, t)
                if t > 1
                else x0
            ),
            "Right at t = 1. After that you have the sum without the factor behind "
            "it: divide by the precision.",
        ),
        Mistake(
            "swapped weights",
            _mean(_on_x_t, _on_x0),
            "The two weights have changed places: at t = 1 all of the weight "
            "belongs to x0.",
        ),
        Mistake(
            "x_0-weights for ε-weights",
            _mean(
                lambda a, abar, before: -(1 - a) / (a * (1 - abar)).sqrt(),
                lambda a, abar, before: 1 / a.sqrt(),
            ),
            "These are the weights of the other form, in which the noise stands in "
            "the place of x0. They do not fit x0.",
        ),
        Mistake(
            "missing root of α",
            _mean(_on_x0, lambda a, abar, before: a * (1 - before) / (1 - abar)),
            "The weight of x0 is right; that of x_t lacks a root.",
        ),
        Mistake(
            "missing root of ᾱ",
            _mean(lambda a, abar, before: before * (1 - a) / (1 - abar), _on_x_t),
            "The weight of x_t is right; that of x0 lacks a root.",
        ),
        Mistake(
            "ᾱ one step late",
            _mean(lambda a, abar, before: abar.sqrt() * (1 - a) / (1 - abar), _on_x_t),
            "The weight of x_t is right. In that of x0 one alpha_bar stands at the "
            "wrong time.",
        ),
        Mistake(
            "weights that add to one",
            _mean(_on_x0, lambda *at: 1 - _on_x0(*at)),
            "The weight of x0 is right. That of x_t is not the rest to 1: the two add "
            "up to less.",
        ),
        Mistake(
            "α for ᾱ",
            _mean(
                lambda a, abar, before: (abar / before).sqrt(),
                lambda a, abar, before: 0 * a,
            ),
            "You return the mean of a step forward from x0. Both arguments, x0 and "
            "x_t, count.",
        ),
        Mistake(
            "the marginal",
            _mean(lambda a, abar, before: before.sqrt(), lambda a, abar, before: 0 * a),
            "That is what x0 alone says about x_{t-1}. You have forgotten x_t.",
        ),
    ),
    accepted=(
        _except_at_1(_by_precision, 2),
        lambda a, b, x0, x_t, t: (
            ((1 - b[t - 1]) * a[t] ** 0.5 * x_t + (1 - a[t]) * b[t - 1] ** 0.5 * x0)
            / (1 - b[t])
        ),
        lambda a, b, x0, x_t, t: (
            (  # by way of the noise
                x_t - (1 - a[t]) / (1 - b[t]) * (x_t - b[t].sqrt() * x0)
            )
            / a[t].sqrt()
        ),
        lambda a, b, x0, x_t, t: (  # what x0 says, corrected by what x_t adds
            b[t - 1].sqrt() * x0
            + _on_x_t(a[t], b[t], b[t - 1]) * (x_t - b[t].sqrt() * x0)
        ).numpy(),
    ),
)


# --- 3.4 --------------------------------------------------------------------------

_a1, _a2, _a3 = (alpha(i) for i in (1, 2, 3))
_b1, _b2, _b3 = (beta(i) for i in (1, 2, 3))
_two_back = (1 - _a1) * (1 - _a2 * _a3) / (1 - _a1 * _a2 * _a3)

_TWO_STEPS_BACK = Exercise(
    number="3.4",
    title="Two steps back at once",
    difficulty="medium",
    minutes=15,
    reference=_two_back,
    meaning="A jump back of any length obeys the same formula: one large step.",
    hint="What does x_0 say about x_1, with which variance? And x_3, two steps "
    "later? Then add the two precisions.",
    mistakes=(
        Mistake(
            "one step back from x_3",
            (1 - _a1 * _a2) * (1 - _a3) / (1 - _a1 * _a2 * _a3),
            "That is the variance of x_2, given x_3 and x_0. One step more.",
        ),
        Mistake(
            "one step back from x_2",
            (1 - _a1) * (1 - _a2) / (1 - _a1 * _a2),
            "That is the variance for somebody who sees x_2. Here x_3 is seen, "
            "which says less.",
        ),
        Mistake(
            "two variances added",
            (1 - _a1 * _a2) * (1 - _a3) / (1 - _a1 * _a2 * _a3)
            + (1 - _a1) * (1 - _a2) / (1 - _a1 * _a2),
            "You added the variances of two steps back. The mean of the second step "
            "depends on x_2 by a factor, so the variance of the first must be "
            "multiplied before it is added.",
        ),
        Mistake(
            "x_3 forgotten",
            1 - _a1,
            "That is the variance of x_1, given x_0 alone. What does x_3 add?",
        ),
        Mistake(
            "x_0 forgotten",
            1 - _a2 * _a3,
            "That is the variance of the two steps forward, from x_1 to x_3.",
        ),
        Mistake(
            "the opinion of x_3 alone",
            (1 - _a2 * _a3) / (_a2 * _a3),
            "That is how far x_3 alone determines x_1. And x_0?",
        ),
        Mistake(
            "denominator forgotten",
            (1 - _a1) * (1 - _a2 * _a3),
            "Your numerator is right. Put the two precisions over one denominator: "
            "what is their sum, and where is it in the variance?",
        ),
        Mistake(
            "undamped steps",
            (1 - _a1) * (_b2 + _b3) / (1 - _a1 * _a2 * _a3),
            "You added the variances of the steps 2 and 3. The noise of step 2 is "
            "shrunk by step 3.",
        ),
        Mistake(
            "shrinking forgotten",
            1 / (1 / (1 - _a1) + 1 / (1 - _a2 * _a3)),
            "Almost: the precision of x_3's opinion about x_1 lacks a factor. The two "
            "steps shrink x_1 before they add noise.",
        ),
        Mistake(
            "variances for precisions",
            (1 - _a1) + (1 - _a2 * _a3) / (_a2 * _a3),
            "Both opinions are right, but you added their variances.",
        ),
        Mistake(
            "precision for variance",
            1 / _two_back,
            "That is the precision; the variance is asked for.",
        ),
        Mistake(
            "standard deviation for variance",
            sp.sqrt(_two_back),
            "That is the standard deviation; the variance is asked for.",
        ),
        Mistake(
            "fraction upside down",
            (1 - _a1 * _a2 * _a3) / (1 - _a1) * (1 - _a2 * _a3),
            "Your fraction is above 1, so that the way back would be less sure than "
            "the way forward, although x_0 is known.",
        ),
    ),
    accepted=(
        1 / (1 / _b1 + _a2 * _a3 / (1 - _a2 * _a3)),
        _b1 * (1 - _a2 * _a3) / (1 - sp.Product(alpha(s), (s, 1, 3))),
        _b1 - _b1**2 * _a2 * _a3 / (1 - _a1 * _a2 * _a3),
        (1 - _a1) * (_b3 + _a3 * _b2) / (1 - _a1 * _a2 * _a3),
        _b1 * _b2 / (1 - _a1 * _a2)  # two single steps back, one after the other
        + (sp.sqrt(_a2) * _b1 / (1 - _a1 * _a2)) ** 2
        * ((1 - _a1 * _a2) * _b3 / (1 - _a1 * _a2 * _a3)),
    ),
)


# --- 3.5 --------------------------------------------------------------------------


def _guess(x0_hat: Callable) -> Callable:
    """The posterior mean with a guess in the place of x_0, of x_t, ᾱ_t and t."""

    def reverse_mean(alpha: Tensor, alpha_bar: Tensor, x_t: Tensor, t: int) -> Tensor:
        return _reference_mean(alpha, alpha_bar, x0_hat(x_t, alpha_bar[t]), x_t, t)

    return reverse_mean


_reference_reverse = _guess(lambda x, abar: torch.tanh(abar.sqrt() * x / (1 - abar)))

_WITHOUT_X0 = Exercise(
    number="3.5",
    title="Without the clean image",
    difficulty="hard",
    minutes=25,
    reference=_reference_reverse,
    meaning="What takes the place of x_0 is its mean, given x_t: that is what a "
    "network has to learn.",
    hint="First find the probability that x_0 is 1, given x_t, by Bayes' rule with "
    "the two marginals. Then average the posterior mean over both values of x_0.",
    inputs=(
        (_ALPHA, _ALPHA_BAR, 0.7 * _randn(5), 3),
        (_ALPHA, _ALPHA_BAR, _randn(3, 2), 6),
        (_ALPHA, _ALPHA_BAR, 0.4 * _randn(4), 1),
    ),
    mistakes=(
        Mistake(
            "the likelier value",
            _guess(lambda x, abar: x.sign()),
            "You put the likelier of the two values in the place of x_0. The other "
            "one is possible as well, so both must count, by their probability.",
        ),
        Mistake(
            "the mean of the data",
            _guess(lambda x, abar: 0 * x),
            "You give both values the probability 1/2. That holds before x_t is seen.",
        ),
        Mistake(
            "x_t for x_0",
            _guess(lambda x, abar: x),
            "You put x_t in the place of x_0. What does x_t say about x_0?",
        ),
        Mistake(
            "scaled x_t for x_0",
            _guess(lambda x, abar: x / abar.sqrt()),
            "You undo the shrinking and keep the noise. x_0 can be 1 or -1 only.",
        ),
        Mistake(
            "clipped x_t for x_0",
            _guess(lambda x, abar: (x / abar.sqrt()).clamp(-1, 1)),
            "You undo the shrinking and clip. That stays in the range of the data, "
            "but it is not the mean of the two values.",
        ),
        Mistake(
            "probability for mean",
            _guess(lambda x, abar: torch.sigmoid(2 * abar.sqrt() * x / (1 - abar))),
            "You found the probability that x_0 is 1. The mean of x_0 counts the "
            "value -1, too.",
        ),
        Mistake(
            "the mean alone",
            lambda a, b, x, t: torch.tanh(b[t].sqrt() * x / (1 - b[t])),
            "That is the mean of x_0, given x_t, and it is right. The mean of "
            "x_{t-1} is asked for.",
        ),
        Mistake(
            "the marginal of the mean",
            lambda a, b, x, t: (
                b[t - 1].sqrt() * torch.tanh(b[t].sqrt() * x / (1 - b[t]))
            ),
            "Your mean of x_0 is right, but from there you only go forward to t - 1. "
            "Put it into the posterior mean, in which x_t counts as well.",
        ),
        Mistake(
            "standard deviation for variance",
            _guess(lambda x, abar: torch.tanh(abar.sqrt() * x / (1 - abar).sqrt())),
            "Almost: in the exponent of a Gaussian one divides by the variance.",
        ),
        Mistake(
            "variance 1",
            _guess(lambda x, abar: torch.tanh(abar.sqrt() * x)),
            "Almost: your two marginals have variance 1. How much noise has x_t?",
        ),
        Mistake(
            "factor ½ forgotten",
            _guess(lambda x, abar: torch.tanh(2 * abar.sqrt() * x / (1 - abar))),
            "You are surer of x_0 than x_t allows: the exponent of a Gaussian has a "
            "factor ½.",
        ),
        Mistake(
            "half of the exponent",
            _guess(lambda x, abar: torch.tanh(abar.sqrt() * x / (1 - abar) / 2)),
            "You are less sure of x_0 than you could be: the square of a sum has the "
            "double product.",
        ),
        Mistake(
            "means not shrunk",
            _guess(lambda x, abar: torch.tanh(x / (1 - abar))),
            "Almost: the two marginals have the right variance, but their means are "
            "not 1 and -1 any more.",
        ),
        Mistake(
            "sign",
            _guess(lambda x, abar: -torch.tanh(abar.sqrt() * x / (1 - abar))),
            "The probabilities have changed places: a positive x_t speaks for 1.",
        ),
    ),
    accepted=(
        _guess(lambda x, abar: 2 * torch.sigmoid(2 * abar.sqrt() * x / (1 - abar)) - 1),
        _guess(
            lambda x, abar: (
                torch.softmax(
                    torch.stack(
                        [
                            -((x - s * abar.sqrt()) ** 2) / 2 / (1 - abar)
                            for s in (1, -1)
                        ]
                    ),
                    dim=0,
                )
                * torch.tensor([1.0, -1.0]).reshape(2, *(1,) * x.ndim)
            ).sum(0)
        ),
        lambda a, b, x, t: sum(
            _reference_mean(a, b, s * torch.ones_like(x), x, t)
            / (1 + torch.exp(-2 * s * b[t].sqrt() * x / (1 - b[t])))
            for s in (1.0, -1.0)
        ),
    ),
)


EXERCISES = (
    _TWO_OPINIONS,
    _VARIANCE,
    _PARENTHESES,
    _TWO_STEPS_BACK,
    _WITHOUT_X0,
)
