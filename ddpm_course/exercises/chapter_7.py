"""Exercises of chapter 7, sampling. 7.1 and 7.4 ask for words alone."""

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
    betatilde_t,
    eps,
    eps_hat,
    mu_theta,
    sigma_t,
    x0_hat,
    x_t,
    z,
)
from ddpm_course.exercises.checker import Exercise, Mistake


def _float64(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _randn(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


# --- 7.2 --------------------------------------------------------------------------
# a is ᾱ_t and b is ᾱ_{t-1}, so that α_t = a / b.


def _mean(a: Tensor, b: Tensor, x: Tensor, x0: Tensor) -> Tensor:
    return (b.sqrt() * (1 - a / b) * x0 + (a / b).sqrt() * (1 - b) * x) / (1 - a)


def _beta_tilde(a: Tensor, b: Tensor) -> Tensor:
    return (1 - b) / (1 - a) * (1 - a / b)


def _beta(a: Tensor, b: Tensor) -> Tensor:
    return 1 - a / b


def _chain(
    mean: Callable = _mean,
    variance: Callable = _beta_tilde,
    times: Callable = lambda T: (T, T - 1, T - 2),
    place: Callable = lambda i, t: i,
    **wrong: bool,
) -> Callable:
    """The first three steps of Algorithm 2, with any of the known mistakes."""

    def first_steps(
        alpha_bar: Tensor, x_T: Tensor, x0_hats: Tensor, z: Tensor
    ) -> Tensor:
        x, states = x_T, []
        for i, t in enumerate(times(len(alpha_bar) - 1)):
            at = place(i, t)
            a, b = alpha_bar[t], alpha_bar[t - 1]
            centre = mean(a, b, x, x0_hats[0 if wrong.get("one_call") else at])
            spread = variance(a, b)
            if not wrong.get("rootless"):
                spread = spread.sqrt()
            drawn = centre + spread * z[0 if wrong.get("one_z") else at]
            states.append(centre if wrong.get("returns_mean") else drawn)
            x = centre if wrong.get("passes_mean") else drawn
            x = x_T if wrong.get("stuck") else x
        return torch.stack(states)

    return first_steps


def _steps_in_numpy(
    alpha_bar: Tensor, x_T: Tensor, x0_hats: Tensor, z: Tensor
) -> np.ndarray:
    """By precisions: two opinions about x_{t-1}, of x_t and of x̂_0."""
    abar, x = alpha_bar.numpy(), x_T.numpy()
    states: list[np.ndarray] = []
    for x0, noise in zip(x0_hats.numpy(), z.numpy(), strict=True):
        t = len(abar) - 1 - len(states)
        alpha = abar[t] / abar[t - 1]
        variance = (1 - abar[t - 1]) * (1 - alpha) / (1 - abar[t])
        if t > 1:
            sure = np.sqrt(alpha) * x / (1 - alpha)
            sure = sure + np.sqrt(abar[t - 1]) * x0 / (1 - abar[t - 1])
            x = variance * sure + np.sqrt(variance) * noise
        else:
            x = x0
        states.append(x)
    return np.array(states)


def _steps_one_by_one(
    alpha_bar: Tensor, x_T: Tensor, x0_hats: Tensor, z: Tensor
) -> list[Tensor]:
    """Written out, by the noise that x̂_0 means, in a list."""
    alpha = alpha_bar[1:] / alpha_bar[:-1]
    states = [x_T]
    for i in range(3):
        abar, x = alpha_bar[-1 - i], states[-1]
        noise = (x - abar.sqrt() * x0_hats[i]) / (1 - abar).sqrt()
        beta = 1 - alpha[-1 - i]
        mean = (x - beta / (1 - abar).sqrt() * noise) / alpha[-1 - i].sqrt()
        sigma = (beta * (1 - alpha_bar[-2 - i]) / (1 - abar)).sqrt()
        states.append(mean + sigma * z[i])
    return states[1:]


def _in_float32(function: Callable) -> Callable:
    """The function on arguments of 32 bits."""

    def shorter(*arguments: Tensor) -> Tensor:
        short = [
            x.float() if torch.is_tensor(x) and x.is_floating_point() else x
            for x in arguments
        ]
        return function(*short)

    return shorter


_ALPHA_BAR = _float64(1.0, 0.9, 0.7, 0.45, 0.2, 0.05)

_FIRST_STEPS = Exercise(
    number="7.2",
    title="The first three steps",
    difficulty="medium",
    minutes=15,
    reference=_chain(),
    meaning="The whole sampler is these lines, T times, with a network for the list.",
    hint="Print t, both coefficients of the mean and the variance in each step. The "
    "first step has t = T, and what it gives is x_t of the second.",
    inputs=(  # many steps to go; one; and none: the third step is the last of all
        (_ALPHA_BAR, _randn(2, 3), _randn(3, 2, 3), _randn(4, 2, 3)[1:]),
        (
            _float64(1.0, 0.8, 0.6, 0.3, 0.1),
            _randn(4, 2),
            _randn(3, 4, 2),
            _randn(4, 4, 2)[1:],
        ),
        (
            _float64(1.0, 0.85, 0.4, 0.1),
            _randn(1, 5),
            _randn(3, 1, 5),
            _randn(4, 1, 5)[1:],
        ),
    ),
    mistakes=(
        Mistake(
            "always from x_T",
            _chain(stuck=True),
            "Each of your steps starts from x_T. What one step gives is what the next "
            "one starts from.",
        ),
        Mistake(
            "the mean passed on",
            _chain(passes_mean=True),
            "You return the states with their noise, but go on from the mean. The next "
            "step starts from the noisy state.",
        ),
        Mistake(
            "the means returned",
            _chain(returns_mean=True),
            "You go on from the right states, but return their means. The states "
            "have noise.",
        ),
        Mistake(
            "no noise",
            _chain(variance=lambda a, b: 0 * a),
            "You add no noise: z is not used at all. A step back is a draw, not a "
            "mean.",
        ),
        Mistake(
            "β for β̃",
            _chain(variance=_beta),
            "The means are right. Your noise has the variance beta_t, which is the "
            "other choice; look up beta_tilde_t.",
        ),
        Mistake(
            "β for β̃, and none at t = 1",
            _chain(variance=lambda a, b: _beta(a, b) * (b < 1)),
            "You leave out the noise at t = 1 as one should, but before that its "
            "variance is beta_t. With beta_tilde_t no such exception is needed.",
        ),
        Mistake(
            "β̃ upside down",
            _chain(variance=lambda a, b: (1 - a) / (1 - b) * (1 - a / b)),
            "The quotient in your variance is upside down: beta_tilde_t is less than "
            "beta_t, and 0 at t = 1.",
        ),
        Mistake(
            "variance for standard deviation",
            _chain(rootless=True),
            "You multiply z by the variance. What makes the variance of the product "
            "beta_tilde_t?",
        ),
        Mistake(
            "t off by one",
            _chain(times=lambda T: (T - 1, T - 2, T - 3)),
            "Your first step has t = T - 1. The first step leads from T to T - 1, and "
            "alpha_bar is indexed by t itself.",
        ),
        Mistake(
            "the length for T",
            _chain(times=lambda T: (T + 1, T, T - 1)),
            "An index is too large. The last one of alpha_bar is T, one less than its "
            "length; the first one of x0_hats and of z is 0.",
        ),
        Mistake(
            "numbered by time",
            _chain(place=lambda i, t: t - 1),
            "You look into x0_hats and z by the time. They are numbered by the call: "
            "0 in the first step, 1 in the second.",
        ),
        Mistake(
            "times in rising order",
            _chain(times=lambda T: (1, 2, 3)),
            "Your times rise, 1, 2, 3. The way back begins at T and falls.",
        ),
        Mistake(
            "one z for all steps",
            _chain(one_z=True),
            "You use the first z in every step. Each step has noise of its own.",
        ),
        Mistake(
            "one answer for all steps",
            _chain(one_call=True),
            "You use the network's first answer in every step. It is asked again in "
            "each one, and z[i] goes with x0_hats[i].",
        ),
        Mistake(
            "the answers in reverse",
            lambda alpha_bar, x_T, x0_hats, z: _chain()(
                alpha_bar, x_T, x0_hats.flip(0), z
            ),
            "You take the network's answers from the last to the first. The first one "
            "belongs to the first step, at t = T.",
        ),
        Mistake(
            "coefficients swapped",
            _chain(mean=lambda a, b, x, x0: _mean(a, b, x0, x)),
            "The two coefficients of the mean have changed places. Late in the chain, "
            "near t = 1, nearly all the weight is that of x0_hat.",
        ),
        Mistake(
            "ᾱ for α",
            _chain(
                mean=lambda a, b, x, x0: (
                    (b.sqrt() * (1 - a / b) * x0 + a.sqrt() * (1 - b) * x) / (1 - a)
                )
            ),
            "The root in front of x_t belongs to this one step: alpha_t, which is a "
            "quotient of two neighbours in alpha_bar.",
        ),
        Mistake(
            "1 - ᾱ for β",
            _chain(
                mean=lambda a, b, x, x0: (
                    b.sqrt() * x0 + (a / b).sqrt() * (1 - b) / (1 - a) * x
                ),
                variance=lambda a, b: 1 - b,
            ),
            "You took 1 - alpha_bar[t] for beta_t. That is the noise of all steps up "
            "to t; this step adds 1 - alpha_t.",
        ),
        Mistake(
            "t for t - 1 under the root",
            _chain(
                mean=lambda a, b, x, x0: _mean(a, b, x, x0 * (a / b).sqrt()),
            ),
            "Look at the root in front of x0_hat: the mean is that of x at time t - 1, "
            "and so is its share of the clean data.",
        ),
        Mistake(
            "roots forgotten",
            _chain(
                mean=lambda a, b, x, x0: (
                    (b * (1 - a / b) * x0 + (a / b) * (1 - b) * x) / (1 - a)
                )
            ),
            "Both coefficients of the mean have a square root in their numerator.",
        ),
        Mistake(
            "x̂₀ taken for noise",
            _chain(
                mean=lambda a, b, x, x0: (
                    (x - (1 - a / b) / (1 - a).sqrt() * x0) / (a / b).sqrt()
                )
            ),
            "You treat the network's answer as noise. Here it is the clean data, so "
            "the mean is that of the posterior.",
        ),
        Mistake(
            "diffused again",
            _chain(mean=lambda a, b, x, x0: b.sqrt() * x0, variance=lambda a, b: 1 - b),
            "You diffuse x0_hat again, up to time t - 1. That forgets x_t, which the "
            "posterior does not.",
        ),
        Mistake(
            "the network's answers",
            lambda alpha_bar, x_T, x0_hats, z: x0_hats,
            "You return what the network says. That is where the steps aim at, not "
            "how far they get.",
        ),
        Mistake(
            "the last state alone",
            lambda *arguments: _chain()(*arguments)[-1],
            "You return the last state alone, and it is right. Return all three, one "
            "upon the other.",
        ),
        Mistake(
            "x_T among them",
            lambda alpha_bar, x_T, x0_hats, z: torch.cat(
                [x_T[None], _chain()(alpha_bar, x_T, x0_hats, z)[:2]]
            ),
            "You return x_T first. The three states that the steps lead to are asked "
            "for: the first is that at time T - 1.",
        ),
        Mistake(
            "the last state first",
            lambda *arguments: _chain()(*arguments).flip(0),
            "The states are right, in the other order: the first step comes first.",
        ),
    ),
    accepted=(
        _steps_in_numpy,
        _steps_one_by_one,
        _in_float32(_chain()),
        lambda *arguments: _chain()(*arguments).tolist(),
    ),
)


# --- 7.3 --------------------------------------------------------------------------

_SHARE = beta_t / sp.sqrt(1 - abar_t)
_CENTRE = (x_t - _SHARE * eps_hat) / sp.sqrt(alpha_t)
_JUMP = (x_t - sp.sqrt(1 - abar_t) * eps_hat) / sp.sqrt(abar_t)


def _towards(clean: sp.Expr) -> sp.Expr:
    """The posterior's mean if the clean data is this."""
    on_x0 = sp.sqrt(abar_prev) * beta_t / (1 - abar_t)
    return on_x0 * clean + sp.sqrt(alpha_t) * (1 - abar_prev) / (1 - abar_t) * x_t


_EQUATION = Exercise(
    number="7.3",
    title="One step, as an equation",
    difficulty="easy",
    minutes=10,
    reference=_CENTRE + sigma_t * z,
    meaning="That is the heart of Algorithm 2: all else in it is the loop.",
    hint="It is a mean and noise. The mean takes a share of the predicted noise out of "
    "x_t and stretches the rest; the noise has the standard deviation sigma_t.",
    mistakes=(
        Mistake(
            "no new noise",
            _CENTRE,
            "That is the mean of the step, and it is right. Something random is "
            "missing.",
        ),
        Mistake(
            "variance for standard deviation",
            _CENTRE + sigma_t**2 * z,
            "You multiply z by a variance. A standard normal number is stretched by a "
            "standard deviation.",
        ),
        Mistake(
            "the root of σ",
            _CENTRE + sp.sqrt(sigma_t) * z,
            "Take no root of sigma_t: it is a standard deviation already.",
        ),
        Mistake(
            "noise not stretched",
            _CENTRE + z,
            "The new noise needs a factor: z alone has variance 1.",
        ),
        Mistake(
            "noise subtracted",
            _CENTRE - sigma_t * z,
            "No sampler would notice, as z and -z are alike. But write it as the "
            "algorithm does: the new noise is added.",
        ),
        Mistake(
            "new noise divided too",
            _CENTRE + sigma_t * z / sp.sqrt(alpha_t),
            "Close the bracket earlier: the new noise is added at the end, with "
            "sigma_t as its only factor.",
        ),
        Mistake(
            "the predicted noise again",
            _CENTRE + sigma_t * eps_hat,
            "You put in the predicted noise twice. What is added at the end is new, "
            "and independent of everything before: z.",
        ),
        Mistake(
            "the noise of the training",
            _CENTRE.subs(eps_hat, eps) + sigma_t * z,
            "You took eps, the noise that training drew. While sampling nobody knows "
            "it: the network predicts it.",
        ),
        Mistake(
            "not divided by √α",
            x_t - _SHARE * eps_hat + sigma_t * z,
            "The step forwards had made the data a little smaller. On the way back "
            "that has to be undone.",
        ),
        Mistake(
            "x_t divided alone",
            x_t / sp.sqrt(alpha_t) - _SHARE * eps_hat + sigma_t * z,
            "Both parts of the mean are stretched, the predicted noise too: a bracket "
            "is missing.",
        ),
        Mistake(
            "multiplied for divided",
            sp.sqrt(alpha_t) * (x_t - _SHARE * eps_hat) + sigma_t * z,
            "You shrink the bracket, as a step forwards does. A step back stretches "
            "it.",
        ),
        Mistake(
            "ᾱ for α",
            (x_t - _SHARE * eps_hat) / sp.sqrt(abar_t) + sigma_t * z,
            "You undo the shrinking of all steps up to t at once. This is one step.",
        ),
        Mistake(
            "α without its root",
            (x_t - _SHARE * eps_hat) / alpha_t + sigma_t * z,
            "You divide by alpha_t, a share of the variance. The data itself had been "
            "multiplied by a root.",
        ),
        Mistake(
            "√β for β",
            (x_t - sp.sqrt(_SHARE**2 / beta_t) * eps_hat) / sp.sqrt(alpha_t)
            + sigma_t * z,
            "There is one root too much, in the numerator in front of the predicted "
            "noise.",
        ),
        Mistake(
            "1 - ᾱ without its root",
            (x_t - beta_t / (1 - abar_t) * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
            "A root is missing in the denominator in front of the predicted noise.",
        ),
        Mistake(
            "no 1 - ᾱ",
            (x_t - beta_t * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
            "The factor of the predicted noise has a denominator: the standard "
            "deviation of all the noise in x_t.",
        ),
        Mistake(
            "1 - α for 1 - ᾱ",
            (x_t - sp.sqrt(beta_t) * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
            "What the network predicts is the noise of all steps up to t, not that of "
            "the last one. So the denominator needs the bar.",
        ),
        Mistake(
            "t off by one",
            (x_t - beta_t / sp.sqrt(1 - abar_prev) * eps_hat) / sp.sqrt(alpha_t)
            + sigma_t * z,
            "Look at the index in the denominator: the predicted noise is that of x "
            "at time t.",
        ),
        Mistake(
            "all the noise",
            (x_t - sp.sqrt(1 - abar_t) * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
            "You take out all the noise of x_t, but undo the shrinking of one step "
            "alone. A step back takes out a small share of the noise.",
        ),
        Mistake(
            "sign of the predicted noise",
            (x_t + _SHARE * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
            "You add the predicted noise. It has to be taken out.",
        ),
        Mistake(
            "all the way to x̂₀",
            _JUMP,
            "That is the predicted clean data: all the way in one jump. One step is "
            "asked for.",
        ),
        Mistake(
            "x̂₀ and noise",
            _JUMP + sigma_t * z,
            "You jump to the predicted clean data and add the noise of a step there. "
            "The mean of one step is asked for.",
        ),
        Mistake(
            "diffused again",
            sp.sqrt(abar_prev) * _JUMP + sp.sqrt(1 - abar_prev) * z,
            "You jump to the predicted clean data and diffuse it again. That is a "
            "sampler too, but not this one: it forgets where x_t was.",
        ),
        Mistake(
            "the x₀ form",
            _towards(x0_hat) + sigma_t * z,
            "That is right for a network that predicts the clean data. This one "
            "predicts the noise.",
        ),
        Mistake(
            "the mean by name",
            mu_theta + sigma_t * z,
            "True, but mu_theta is only a name here. Write down what it is, by x_t and "
            "the predicted noise.",
        ),
        Mistake(
            "σ² = β",
            _CENTRE + sp.sqrt(beta_t) * z,
            "Right if the model's variance is beta_t. The exercise leaves it open: "
            "keep sigma_t.",
        ),
        Mistake(
            "σ² = β̃",
            _CENTRE + sp.sqrt((1 - abar_prev) / (1 - abar_t) * beta_t) * z,
            "Right if the model's variance is that of the posterior. The exercise "
            "leaves it open: the answer contains sigma_t.",
        ),
        Mistake(
            "σ² = β̃, by name",
            _CENTRE + sp.sqrt(betatilde_t) * z,
            "You chose betatilde_t as the variance. The exercise leaves the choice "
            "open, and has sigma_t for its root.",
        ),
    ),
    accepted=(
        sp.expand(_CENTRE) + z * sigma_t,
        (x_t - (1 - alpha_t) / sp.sqrt(1 - abar_t) * eps_hat) / sp.sqrt(1 - beta_t)
        + sigma_t * z,
        _towards(_JUMP) + sigma_t * z,
        (
            x_t
            - beta_t * eps_hat / sp.sqrt(1 - alpha_t * abar_prev)
            + sp.sqrt(alpha_t) * sigma_t * z
        )
        / sp.sqrt(alpha_t),
        x_t * alpha_t ** sp.Rational(-1, 2)
        - _SHARE * eps_hat * sp.sqrt(abar_prev / abar_t)
        + sigma_t * z,
    ),
)


# --- 7.5 --------------------------------------------------------------------------
# a is ᾱ_t and b is ᾱ_s.


def _hidden(a: Tensor, b: Tensor, x: Tensor, x0: Tensor) -> Tensor:
    """ε̂, the noise in x_t if x̂_0 is the clean data."""
    return (x - a.sqrt() * x0) / (1 - a).sqrt()


def _skip(
    noise: Callable = _hidden,
    put: Callable = lambda a, b, x0, eps: b.sqrt() * x0 + (1 - b).sqrt() * eps,
    times: Callable = lambda t, s: (t, s),
) -> Callable:
    """The step of DDIM, with another noise, another mixture, or other times."""

    def ddim(alpha_bar: Tensor, x_t: Tensor, x0_hat: Tensor, t: int, s: int) -> Tensor:
        a, b = (alpha_bar[time] for time in times(t, s))
        return put(a, b, x0_hat, noise(a, b, x_t, x0_hat))

    return ddim


def _posterior_mean(
    alpha_bar: Tensor, x_t: Tensor, x0_hat: Tensor, t: int, s: int
) -> Tensor:
    return _mean(alpha_bar[t], alpha_bar[s], x_t, x0_hat)


def _skip_in_numpy(
    alpha_bar: Tensor, x_t: Tensor, x0_hat: Tensor, t: int, s: int
) -> np.ndarray:
    """What is left of x_t first: no ε̂ is written down."""
    a, b = alpha_bar.numpy()[[t, s]]
    kept = np.sqrt((1 - b) / (1 - a))
    return kept * x_t.numpy() + (np.sqrt(b) - kept * np.sqrt(a)) * x0_hat.numpy()


def _skip_image_by_image(
    alpha_bar: Tensor, x_t: Tensor, x0_hat: Tensor, t: int, s: int
) -> Tensor:
    """On the circle, where cos² is ᾱ."""
    here, there = torch.arccos(alpha_bar[t].sqrt()), torch.arccos(alpha_bar[s].sqrt())
    rows = []
    for x, x0 in zip(x_t, x0_hat, strict=True):
        noise = (x - torch.cos(here) * x0) / torch.sin(here)
        rows.append(torch.cos(there) * x0 + torch.sin(there) * noise)
    return torch.stack(rows)


_SKIP = Exercise(
    number="7.5",
    title="A step that skips",
    difficulty="medium",
    minutes=15,
    reference=_skip(),
    meaning="Nothing in it asks for neighbours: from t one may go to any earlier time.",
    hint="Which noise is in x_t, if x0_hat is the clean data? Then mix the two anew, "
    "as the data at time s is mixed.",
    inputs=(  # a neighbour; a long way; to the clean data
        (_ALPHA_BAR, _randn(2, 3), _randn(3, 3)[1:], 4, 3),
        (_ALPHA_BAR, _randn(4, 2), _randn(5, 2)[1:], 5, 1),
        (_ALPHA_BAR, _randn(1, 5), _randn(2, 5)[1:], 3, 0),
    ),
    mistakes=(
        Mistake(
            "t - 1 for s",
            _skip(times=lambda t, s: (t, t - 1)),
            "You go to t - 1, whatever s is: right for a neighbour, and a single step "
            "where a long one was wanted.",
        ),
        Mistake(
            "s as the length of the step",
            _skip(times=lambda t, s: (t, t - s)),
            "You go to t - s. s is the time to go to, not the number of steps.",
        ),
        Mistake(
            "s and t exchanged",
            _skip(times=lambda t, s: (s, t)),
            "The times have changed places: x_t has the noise of time t, the result "
            "that of s.",
        ),
        Mistake(
            "t off by one",
            _skip(times=lambda t, s: (t - 1, s - 1)),
            "Look at alpha_bar: it is indexed by the time itself, and its entry 0 "
            "belongs to the clean data.",
        ),
        Mistake(
            "the noise by ᾱ at s",
            _skip(lambda a, b, x, x0: _hidden(b, b, x, x0)),
            "You look for the noise in x_t with alpha_bar[s]. How much noise x_t has "
            "depends on t.",
        ),
        Mistake(
            "back where it came from",
            lambda alpha_bar, x_t, x0_hat, t, s: x_t,
            "You are at x_t again: the noise is right, but mixed as at time t. Where "
            "does s come in?",
        ),
        Mistake(
            "the clean data mixed as at t",
            _skip(put=lambda a, b, x0, eps: a.sqrt() * x0 + (1 - b).sqrt() * eps),
            "The noise has the share of time s, but the clean data still has that of "
            "time t.",
        ),
        Mistake(
            "the noise mixed as at t",
            _skip(put=lambda a, b, x0, eps: b.sqrt() * x0 + (1 - a).sqrt() * eps),
            "The clean data has the share of time s, but the noise still has that of "
            "time t.",
        ),
        Mistake(
            "the clean data not scaled",
            _skip(put=lambda a, b, x0, eps: x0 + (1 - b).sqrt() * eps),
            "At time s the clean data has shrunk too: it needs a factor.",
        ),
        Mistake(
            "ᾱ without its root",
            _skip(put=lambda a, b, x0, eps: b * x0 + (1 - b).sqrt() * eps),
            "A root is missing in front of x0_hat, in the result.",
        ),
        Mistake(
            "1 - ᾱ without its root",
            _skip(put=lambda a, b, x0, eps: b.sqrt() * x0 + (1 - b) * eps),
            "You multiply the noise by its variance in the result, not by its standard "
            "deviation.",
        ),
        Mistake(
            "both without a root",
            _skip(put=lambda a, b, x0, eps: b * x0 + (1 - b) * eps),
            "Two roots are missing in the result: it is the squares of the factors "
            "that add to 1.",
        ),
        Mistake(
            "no root in what is subtracted",
            _skip(lambda a, b, x, x0: (x - a * x0) / (1 - a).sqrt()),
            "Look at the noise again: the clean data in x_t has a root in front of it.",
        ),
        Mistake(
            "no root where it is divided",
            _skip(lambda a, b, x, x0: (x - a.sqrt() * x0) / (1 - a)),
            "Look at the noise again: you divide it by a variance.",
        ),
        Mistake(
            "not divided",
            _skip(lambda a, b, x, x0: x - a.sqrt() * x0),
            "What you take for the noise has not the standard deviation 1 yet: divide "
            "it by what it was multiplied with.",
        ),
        Mistake(
            "a plain difference",
            _skip(lambda a, b, x, x0: x - x0),
            "You take x_t - x0_hat for the noise. In x_t both the data and the noise "
            "have factors.",
        ),
        Mistake(
            "x_t for the noise",
            _skip(lambda a, b, x, x0: x),
            "You mix x0_hat with x_t, as if x_t were noise alone. Take the clean data "
            "out of it first.",
        ),
        Mistake(
            "sign of the noise",
            _skip(lambda a, b, x, x0: -_hidden(a, b, x, x0)),
            "The noise has the wrong sign: the result should lie on the side of "
            "x0_hat where x_t lies.",
        ),
        Mistake(
            "the network's answer",
            lambda alpha_bar, x_t, x0_hat, t, s: x0_hat,
            "You return x0_hat. That is right for s = 0 alone: at any other time there "
            "is noise.",
        ),
        Mistake(
            "the clean part alone",
            _skip(put=lambda a, b, x0, eps: b.sqrt() * x0),
            "The clean part is right. The noise is left out.",
        ),
        Mistake(
            "the noise alone",
            _skip(put=lambda a, b, x0, eps: eps),
            "That is the noise in x_t, and it is right. Now mix it with x0_hat.",
        ),
        Mistake(
            "the posterior's mean",
            _posterior_mean,
            "You took the mean of the posterior from t to s. Without new noise that "
            "leaves too little noise; here all that x_t has is put in again.",
        ),
        Mistake(
            "the posterior's mean, one step",
            lambda alpha_bar, x_t, x0_hat, t, s: _posterior_mean(
                alpha_bar, x_t, x0_hat, t, t - 1
            ),
            "You took the mean of an ordinary step, from t to t - 1, without its "
            "noise. This step is another one, and goes to s.",
        ),
    ),
    accepted=(
        _skip_in_numpy,
        _skip_image_by_image,
        _in_float32(_skip()),
        lambda alpha_bar, x_t, x0_hat, t, s: (
            _posterior_mean(alpha_bar, x_t, x0_hat, t, s)
            + (
                (1 - alpha_bar[s]).sqrt()
                - (1 - alpha_bar[s])
                * (alpha_bar[t] / alpha_bar[s] / (1 - alpha_bar[t])).sqrt()
            )
            * _hidden(alpha_bar[t], alpha_bar[s], x_t, x0_hat)
        ),
    ),
)


# --- 7.6 --------------------------------------------------------------------------


def _condition(
    row: Callable = lambda y: y,
    join: Callable = lambda time, vector: time + vector,
) -> Callable:
    """The vector of ``row(y)``, joined with that of the time."""

    def condition(time: Tensor, table: Tensor, y: Tensor) -> Tensor:
        return join(time, table[row(y)])

    return condition


def _label_by_label(time: Tensor, table: Tensor, y: Tensor) -> list[list[float]]:
    rows = []
    for vector, label in zip(time.tolist(), y.tolist(), strict=True):
        own = table[10 if label == -1 else label].tolist()
        rows.append([a + b for a, b in zip(vector, own, strict=True)])
    return rows


def _by_one_hot(time: Tensor, table: Tensor, y: Tensor) -> Tensor:
    chosen = y[:, None] == torch.tensor([*range(10), -1])  # (M, 11)
    return time + chosen.double() @ table


def _labels(*y: int) -> Tensor:
    return torch.tensor(y, dtype=torch.int64)


_CONDITION = Exercise(
    number="7.6",
    title="A label for the network",
    difficulty="medium",
    minutes=20,
    reference=_condition(),
    meaning="Each block now hears the time and the label together. An index of -1 is "
    "the last row, so that the table does all the rest.",
    hint="Each image needs one row of the table, that of its label. Print the rows "
    "that you take, and look at the images whose y is -1.",
    inputs=(  # with and without; a label twice; all have one; nobody has
        (_randn(6, 4), _randn(11, 4), _labels(3, -1, 0, 9, 5, -1)),
        (_randn(3, 3), _randn(11, 3), _labels(7, 7, -1)),
        (_randn(4, 5), _randn(11, 5), _labels(9, 0, 4, 1)),
        (_randn(2, 2), _randn(11, 2), _labels(-1, -1)),
    ),
    mistakes=(
        Mistake(
            "row too low",
            _condition(lambda y: y - 1),
            "Your rows are one too low: that of class 0 is row 0.",
        ),
        Mistake(
            "row too high",
            _condition(lambda y: y + 1),
            "Your rows are one too high, as if row 0 were that of no label. Here row "
            "10 is.",
        ),
        Mistake(
            "one label for all",
            _condition(lambda y: y[0]),
            "You use the label of the first image for the whole batch. Each image has "
            "its own.",
        ),
        Mistake(
            "row by place in the batch",
            _condition(lambda y: torch.arange(len(y))),
            "The first image of the batch gets row 0 in yours, the second row 1. The "
            "row is that of its label.",
        ),
        Mistake(
            "no label for anybody",
            _condition(lambda y: 0 * y + 10),
            "All images get row 10, as if none had a label.",
        ),
        Mistake(
            "nothing where there is no label",
            lambda time, table, y: time + table[y] * (y >= 0)[:, None],
            "Images without a label get nothing in yours. They have a learned vector "
            "too, that of row 10.",
        ),
        Mistake(
            "class 0 where there is no label",
            _condition(lambda y: y.clamp(min=0)),
            "Images without a label get the vector of class 0. To the network they "
            "would all be of that class.",
        ),
        Mistake(
            "class 9 where there is no label",
            _condition(lambda y: y % 10),
            "Images without a label get the vector of class 9. The table has eleven "
            "rows, and the last is row 10.",
        ),
        Mistake(
            "class 1 where there is no label",
            _condition(abs),
            "Images without a label get the vector of class 1: the sign of -1 is lost.",
        ),
        Mistake(
            "images without a label dropped",
            lambda time, table, y: time[y >= 0] + table[y[y >= 0]],
            "Images without a label are missing in what you return. They stay in the "
            "batch, with row 10.",
        ),
        Mistake(
            "a layer that takes no -1",
            lambda time, table, y: time + torch.nn.functional.embedding(y, table),
            "The classes are right, but what you call has no row of number -1. Square "
            "brackets count from the end; or put a 10 there, in a new tensor.",
        ),
        Mistake(
            "a code that takes no -1",
            lambda time, table, y: (
                time + torch.nn.functional.one_hot(y, 11).double() @ table
            ),
            "The classes are right, but what you call wants none below 0. Give it 10 "
            "where y is -1, in a new tensor.",
        ),
        Mistake(
            "the number of the label",
            lambda time, table, y: time + y[:, None],
            "You add the number of the class itself. A 9 is not three times a 3: each "
            "class has a vector of its own in the table.",
        ),
        Mistake(
            "the row times the label",
            lambda time, table, y: time + y[:, None] * table[y],
            "You multiply the row by the number of the class. The number only says "
            "which row it is.",
        ),
        Mistake(
            "sum of the whole table",
            lambda time, table, y: time + table.sum(0),
            "You add all rows of the table to each image. Only one of them is its own.",
        ),
        Mistake(
            "product for sum",
            _condition(join=lambda time, vector: time * vector),
            "You multiply the two vectors. They are added.",
        ),
        Mistake(
            "a mean for a sum",
            _condition(join=lambda time, vector: (time + vector) / 2),
            "You take the mean of the two vectors. Their sum is asked for.",
        ),
        Mistake(
            "one behind the other",
            _condition(join=lambda time, vector: torch.cat([time, vector], dim=1)),
            "You put one vector behind the other, so that it is twice as long. The "
            "blocks expect E numbers: add the two.",
        ),
        Mistake(
            "the time lost",
            _condition(join=lambda time, vector: vector),
            "The rows are right, but they replace the time. The network needs both.",
        ),
        Mistake(
            "the label lost",
            lambda time, table, y: time,
            "You return the vectors of the time alone. No label comes in.",
        ),
        Mistake(
            "a difference",
            _condition(join=lambda time, vector: time - vector),
            "The rows are right, but you subtract them.",
        ),
    ),
    accepted=(
        _label_by_label,
        _by_one_hot,
        _in_float32(_condition()),
        _condition(lambda y: torch.where(y == -1, 10, y)),
        _condition(lambda y: y % 11),
        lambda time, table, y: time.numpy() + np.take(table.numpy(), y, 0, mode="wrap"),
        lambda time, table, y: torch.stack(
            [time[i] + table[y[i]] for i in range(len(y))]
        ),
    ),
)


EXERCISES = (_FIRST_STEPS, _EQUATION, _SKIP, _CONDITION)
