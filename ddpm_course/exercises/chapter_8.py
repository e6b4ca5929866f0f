"""Exercises of chapter 8, fewer steps. 8.5 has an answer in words."""

from collections.abc import Callable

import sympy as sp
import torch
from torch import Tensor

from ddpm_course.equations import abar_s, abar_t, tau_t, var_1, x_t
from ddpm_course.exercises.checker import Exercise, Mistake
from ddpm_course.exercises.inputs import float64, randn

# --- 8.1 --------------------------------------------------------------------------

_SQUARES = (1 - tau_t) ** 2 + tau_t**2

_TIME = Exercise(
    number="8.1",
    title="Which time to ask at",
    difficulty="easy",
    minutes=10,
    reference=(1 - tau_t) ** 2 / _SQUARES,
    meaning="A sampler of flow matching may ask any network of ours: it only has to "
    "translate its time.",
    hint="The shares of image and noise are in the same proportion as their roots: "
    "sqrt(abar_t) to sqrt(1 - abar_t). What are the shares?",
    mistakes={
        "the share of the noise": Mistake(
            tau_t**2 / _SQUARES,
            "That is 1 - abar_t, the share of the noise. At tau_t = 0 nothing but the "
            "image is there.",
        ),
        "no squares": Mistake(
            1 - tau_t,
            "1 - tau_t is the image's share of the sum of both factors. abar_t is its "
            "share of the sum of their squares.",
        ),
        "squared alone": Mistake(
            (1 - tau_t) ** 2,
            "Close. The squares of the two factors must add up to 1: divide by their "
            "sum.",
        ),
        "the root": Mistake(
            (1 - tau_t) / sp.sqrt(_SQUARES),
            "That is sqrt(abar_t), the factor of the image in x_t.",
        ),
        "the ratio": Mistake(
            (1 - tau_t) ** 2 / tau_t**2,
            "That is the signal-to-noise ratio. From it, how do you get abar_t?",
        ),
        "the ratio upside down": Mistake(
            tau_t**2 / (1 - tau_t) ** 2,
            "That is the noise over the signal, squared: the signal-to-noise ratio "
            "upside down. And abar_t is another quantity.",
        ),
        "the square of the sum": Mistake(
            (1 - tau_t) ** 2 / (1 - 2 * tau_t + 2 * tau_t**2) ** 2,
            "The numerator is right. The sum of the squares is squared once too often.",
        ),
        "w": Mistake(
            (1 - tau_t) / tau_t,
            "That is w, the root of the signal-to-noise ratio. Square it, and solve "
            "for abar_t.",
        ),
        "τ² for its share": Mistake(
            1 - tau_t**2,
            "This would be right if the noise had the factor tau_t in x_t. It has it "
            "in y, which is x_t divided by a sum.",
        ),
        "one sum too few": Mistake(
            (1 - tau_t) / _SQUARES,
            "Both numerator and denominator are sums of squares: the numerator needs "
            "its square.",
        ),
    },
)

# --- 8.2 --------------------------------------------------------------------------

_SUM = sp.sqrt(abar_t) + sp.sqrt(1 - abar_t)

_VELOCITIES = Exercise(
    number="8.2",
    title="Two velocities",
    difficulty="medium",
    minutes=15,
    reference=_SUM**2,
    meaning="It is 1 at both ends and 2 in the middle, where image and noise are "
    "equal: flow matching is nearly the training on v.",
    hint="Write both errors as errors of the image, by the equation for x_0 from v "
    "(chapter 4) and by (8.11). Only what stands in front of the velocity matters.",
    mistakes={
        "not squared": Mistake(
            _SUM,
            "That is the factor of the error. The question is about squared errors.",
        ),
        "upside down": Mistake(
            1 / _SUM**2,
            "Upside down: that is the error of v, if the flow's error is 1.",
        ),
        "upside down, not squared": Mistake(
            1 / _SUM,
            "Two things: the errors are squared, and this is the error of v over that "
            "of the flow's velocity.",
        ),
        "no cross term": Mistake(
            sp.Integer(1),
            "The square of a sum is not the sum of the squares: the mixed term is "
            "missing.",
        ),
        "half the cross term": Mistake(
            1 + sp.sqrt(abar_t * (1 - abar_t)),
            "The mixed term of a square has a factor 2.",
        ),
        "a minus": Mistake(
            (sp.sqrt(abar_t) - sp.sqrt(1 - abar_t)) ** 2,
            "The sign in the middle: look at the denominator in (8.11).",
        ),
        "from the noise": Mistake(
            _SUM**2 / abar_t,
            "That is the factor from the squared error of the noise. The question "
            "starts from v.",
        ),
        "from the image": Mistake(
            _SUM**2 / (1 - abar_t),
            "That is the factor from the squared error of the image. The question "
            "starts from v.",
        ),
        "v from the image": Mistake(
            1 / (1 - abar_t),
            "That leads from the image to v. It is half of the way: now from the image "
            "to the flow's velocity.",
        ),
        "four times": Mistake(
            _SUM**4,
            "Squared once too often: the factor of the error is the sum itself.",
        ),
        "the root of the sum": Mistake(
            1 + 2 * abar_t * (1 - abar_t),
            "In the mixed term stands the product of two roots, not of what is under "
            "them.",
        ),
    },
)

# --- 8.3 --------------------------------------------------------------------------

_AT_T = abar_t * var_1 + 1 - abar_t
_AT_S = abar_s * var_1 + 1 - abar_s

_ENCODE = Exercise(
    number="8.3",
    title="Encode a Gaussian",
    difficulty="medium",
    minutes=15,
    reference=x_t * sp.sqrt(_AT_S / _AT_T),
    meaning="Encoding and decoding are the same formula, with t and s exchanged: "
    "together they change nothing.",
    hint="How wide is the cloud at time t? A point keeps its place in units of that.",
    mistakes={
        "upside down": Mistake(
            x_t * sp.sqrt(_AT_T / _AT_S),
            "Upside down: with this, a cloud gets narrow where it should be wide.",
        ),
        "variances for widths": Mistake(
            x_t * _AT_S / _AT_T,
            "A point scales with the standard deviation, not with the variance.",
        ),
        "the image alone": Mistake(
            x_t * sp.sqrt(abar_s / abar_t),
            "That scales the image and forgets the noise: it would be right if nothing "
            "but the image were in x_t.",
        ),
        "the noise alone": Mistake(
            x_t * sp.sqrt((1 - abar_s) / (1 - abar_t)),
            "That scales the noise and forgets the image: it would be right for data "
            "at 0.",
        ),
        "the data's width": Mistake(
            x_t * sp.sqrt(var_1),
            "That is the width of the data. The state at time s has noise in it, and "
            "the one at t is not a standard normal.",
        ),
        "from a standard normal": Mistake(
            x_t * sp.sqrt(_AT_S),
            "Right if x_t has variance 1. It hasn't: divide by its own width first.",
        ),
        "to a standard normal": Mistake(
            x_t / sp.sqrt(_AT_T),
            "That is the place in units of its width. Now multiply by the width at s.",
        ),
        "a standard deviation for a variance": Mistake(
            x_t
            * sp.sqrt(
                (abar_s * sp.sqrt(var_1) + 1 - abar_s)
                / (abar_t * sp.sqrt(var_1) + 1 - abar_t)
            ),
            "Variances add, without a root, and var_1 is one already.",
        ),
        "the best guess": Mistake(
            x_t * sp.sqrt(abar_s * abar_t) * var_1 / _AT_T,
            "That is the share of the guess of x_0 in x_s. The flow keeps the noise as "
            "well.",
        ),
        "one DDIM step": Mistake(
            x_t
            * (
                sp.sqrt(abar_s * abar_t) * var_1 / _AT_T
                + sp.sqrt((1 - abar_s) * (1 - abar_t)) / _AT_T
            ),
            "That is one long DDIM step, Euler's method. The flow itself keeps the "
            "variance right, at every time.",
        ),
        "roots forgotten on ᾱ": Mistake(
            x_t
            * (sp.sqrt(abar_s * var_1) + sp.sqrt(1 - abar_s))
            / (sp.sqrt(abar_t * var_1) + sp.sqrt(1 - abar_t)),
            "Widths don't add: variances do. Add them first, then take one root.",
        ),
    },
)

# --- 8.4 --------------------------------------------------------------------------


def multistep(
    alpha_bar: Tensor,
    x_t: Tensor,
    x0_hat: Tensor,
    x0_before: Tensor,
    r: int,
    t: int,
    s: int,
) -> Tensor:
    if s == 0:
        return x0_hat
    before, here, there = (torch.logit(alpha_bar[k]) for k in (r, t, s))
    slope = (x0_hat - x0_before) / (here - before)
    guess = x0_hat + slope * (there - here) / 2
    eps_hat = (x_t - alpha_bar[t].sqrt() * guess) / (1 - alpha_bar[t]).sqrt()
    return alpha_bar[s].sqrt() * guess + (1 - alpha_bar[s]).sqrt() * eps_hat


def _step(
    axis: Callable = torch.logit,
    share: float = 0.5,
    guess_of: Callable = lambda x0, slope, h: x0 + slope * h,
    noise_guess: Callable = lambda guess, x0: guess,
    order: Callable = lambda r, t, s: (r, t, s),
) -> Callable:
    """The step, with any of the known mistakes."""

    def wrong(alpha_bar, x_t, x0_hat, x0_before, r, t, s):
        if s == 0:
            return x0_hat
        before, here, there = (axis(alpha_bar[k]) for k in order(r, t, s))
        slope = (x0_hat - x0_before) / (here - before)
        guess = guess_of(x0_hat, slope, share * (there - here))
        a, b, known = alpha_bar[t], alpha_bar[s], noise_guess(guess, x0_hat)
        eps_hat = (x_t - a.sqrt() * known) / (1 - a).sqrt()
        return b.sqrt() * guess + (1 - b).sqrt() * eps_hat

    return wrong


def _mean(alpha_bar, x_t, x0_hat, x0_before, r, t, s):
    if s == 0:
        return x0_hat
    guess = (x0_hat + x0_before) / 2
    return _step(share=0)(alpha_bar, x_t, guess, x0_before, r, t, s)


def _swapped(alpha_bar, x_t, x0_hat, x0_before, r, t, s):
    return multistep(alpha_bar, x_t, x0_before, x0_hat, r, t, s)


def _guess_alone(alpha_bar, x_t, x0_hat, x0_before, r, t, s):
    if s == 0:
        return x0_hat
    before, here, there = (torch.logit(alpha_bar[k]) for k in (r, t, s))
    return x0_hat + (x0_hat - x0_before) / (here - before) * (there - here) / 2


_ALPHA_BAR = float64(1.0, 0.97, 0.9, 0.7, 0.45, 0.2, 0.05)


def _call(shape: tuple[int, int], r: int, t: int, s: int) -> tuple:
    return (_ALPHA_BAR, *randn(3, *shape), r, t, s)


_LOOK_BACK = Exercise(
    number="8.4",
    title="A step that looks back",
    difficulty="hard",
    minutes=25,
    reference=multistep,
    meaning="That is DPM-Solver++ (2M): second order, for one call of the network a "
    "step.",
    hint="First the guess, and nothing else: print it, and compare it with the two "
    "guesses you were given. Then a DDIM step, in which it stands for x0_hat "
    "throughout.",
    inputs=(
        _call((1, 1), 6, 4, 3),
        _call((2, 3), 5, 4, 1),
        _call((4, 2), 3, 2, 1),
        _call((1, 5), 5, 2, 0),
        _call((3, 1), 6, 5, 2),
        *(
            _call((2, 2), r, t, s)
            for r in range(2, 7)
            for t in range(1, r)
            for s in range(t)
        ),
    ),
    mistakes={
        "no extrapolation": Mistake(
            _step(share=0),
            "That is a plain DDIM step: the guess before isn't used.",
        ),
        "to the end of the step": Mistake(
            _step(share=1),
            "You read the line off at the end of the step. Read it off in the middle.",
        ),
        "the wrong way": Mistake(
            _step(share=-0.5),
            "Your line leads back toward the last step. The step ahead is on the other "
            "side.",
        ),
        "the mean of both": Mistake(
            _mean,
            "You take the mean of the two guesses. It lies between them, in the past; "
            "the line has to be prolonged.",
        ),
        "guesses swapped": Mistake(
            _swapped,
            "The two guesses are swapped: x0_hat is the newer one, at t.",
        ),
        "ᾱ for the log-SNR": Mistake(
            _step(axis=lambda a: a),
            "Your axis is alpha_bar. The rule has the log-SNR.",
        ),
        "SNR without its logarithm": Mistake(
            _step(axis=lambda a: a / (1 - a)),
            "Your axis is the signal-to-noise ratio. Take its logarithm.",
        ),
        "w for the log-SNR": Mistake(
            _step(axis=lambda a: (a / (1 - a)).sqrt()),
            "Your axis is w. This rule has the log-SNR as its axis, twice the "
            "logarithm of w.",
        ),
        "log ᾱ": Mistake(
            _step(axis=torch.log),
            "Your axis is the logarithm of alpha_bar. The log-SNR divides alpha_bar by "
            "1 - alpha_bar first.",
        ),
        "old noise from the old guess": Mistake(
            _step(noise_guess=lambda guess, x0: x0),
            "You computed the noise from the guess at t. The new guess stands in both "
            "places of the DDIM step.",
        ),
        "steps taken for equal": Mistake(
            lambda a, x, new, old, r, t, s: (
                new
                if s == 0
                else _step(share=0)(a, x, 1.5 * new - 0.5 * old, old, r, t, s)
            ),
            "That is right if both steps are equally long in log-SNR. In general their "
            "ratio counts.",
        ),
        "the ratio upside down": Mistake(
            lambda a, x, new, old, r, t, s: (
                new
                if s == 0
                else _step(share=0)(
                    a,
                    x,
                    new
                    + (new - old)
                    / 2
                    * (torch.logit(a[t]) - torch.logit(a[r]))
                    / (torch.logit(a[s]) - torch.logit(a[t])),
                    old,
                    r,
                    t,
                    s,
                )
            ),
            "The ratio of the two steps is upside down: the longer the step ahead, the "
            "farther the line is prolonged.",
        ),
        "the guess returned": Mistake(
            _guess_alone,
            "That is the guess, and it is right. Now take the DDIM step with it.",
        ),
    },
)

EXERCISES = [_TIME, _VELOCITIES, _ENCODE, _LOOK_BACK]
