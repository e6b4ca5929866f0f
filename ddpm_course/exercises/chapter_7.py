"""Exercises of chapter 7, sampling. 7.1 and 7.4 have answers in words."""

from collections.abc import Callable

import sympy as sp
import torch
from torch import Tensor, nn

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
from ddpm_course.exercises.inputs import float64, randn

# --- 7.2 --------------------------------------------------------------------------
# Here a is ᾱ_t and b is ᾱ_{t-1}, so α_t = a / b.


def _mean(a: Tensor, b: Tensor, x: Tensor, x0: Tensor) -> Tensor:
    return (b.sqrt() * (1 - a / b) * x0 + (a / b).sqrt() * (1 - b) * x) / (1 - a)


def _beta_tilde(a: Tensor, b: Tensor) -> Tensor:
    return (1 - b) / (1 - a) * (1 - a / b)


def _beta(a: Tensor, b: Tensor) -> Tensor:
    return 1 - a / b


def first_steps(alpha_bar: Tensor, x_T: Tensor, x0_hats: Tensor, z: Tensor) -> Tensor:
    x, states, T = x_T, [], len(alpha_bar) - 1
    for i, t in enumerate([T, T - 1, T - 2]):
        abar, abar_prev = alpha_bar[t], alpha_bar[t - 1]
        alpha = abar / abar_prev
        on_x0 = abar_prev.sqrt() * (1 - alpha) / (1 - abar)
        on_x_t = alpha.sqrt() * (1 - abar_prev) / (1 - abar)
        beta_tilde = (1 - abar_prev) / (1 - abar) * (1 - alpha)
        x = on_x0 * x0_hats[i] + on_x_t * x + beta_tilde.sqrt() * z[i]
        states.append(x)
    return torch.stack(states)


def _chain(
    mean: Callable = _mean,
    variance: Callable = _beta_tilde,
    times: Callable = lambda T: (T, T - 1, T - 2),
    place: Callable = lambda i, t: i,
    **wrong: bool,
) -> Callable:
    """The first three steps of Algorithm 2, with any of the known mistakes."""

    def steps(alpha_bar: Tensor, x_T: Tensor, x0_hats: Tensor, z: Tensor) -> Tensor:
        x, states = x_T, []
        for i, t in enumerate(times(len(alpha_bar) - 1)):
            at = place(i, t)
            a, b = alpha_bar[t], alpha_bar[t - 1]
            center = mean(a, b, x, x0_hats[0 if wrong.get("one_call") else at])
            spread = variance(a, b)
            if not wrong.get("rootless"):
                spread = spread.sqrt()
            drawn = center + spread * z[0 if wrong.get("one_z") else at]
            states.append(center if wrong.get("returns_mean") else drawn)
            x = center if wrong.get("passes_mean") else drawn
            x = x_T if wrong.get("stuck") else x
        return torch.stack(states)

    return steps


_ALPHA_BAR = float64(1.0, 0.9, 0.7, 0.45, 0.2, 0.05)


def _calls(alpha_bar: Tensor, *shape: int) -> tuple[Tensor, ...]:
    """x_T, the network's first three answers, and the noises of three steps."""
    x_T, *rest = randn(7, *shape)
    return alpha_bar, x_T, torch.stack(rest[:3]), torch.stack(rest[3:])


_FIRST_STEPS = Exercise(
    number="7.2",
    title="The first three steps",
    difficulty="medium",
    minutes=15,
    reference=first_steps,
    meaning="Repeat these lines T times, with a network in place of the list, and you "
    "have the whole sampler.",
    hint="Print t, both coefficients of the mean and the variance at each step. The "
    "first step has t = T, and its result is x_t for the second.",
    inputs=(  # after the third step, none is left; two more; one; and none
        _calls(float64(1.0, 0.8, 0.5, 0.1), 1, 1),
        _calls(_ALPHA_BAR, 2, 3),
        _calls(float64(1.0, 0.8, 0.6, 0.3, 0.1), 4, 2),
        _calls(float64(1.0, 0.85, 0.4, 0.1), 1, 5),
    ),
    mistakes={
        "always from x_T": Mistake(
            _chain(stuck=True),
            "Each of your steps starts from x_T. The next step should start where the "
            "last one ended.",
        ),
        "the mean passed on": Mistake(
            _chain(passes_mean=True),
            "You return the states with their noise, but continue from the mean. The "
            "next step starts from the noisy state.",
        ),
        "the means returned": Mistake(
            _chain(returns_mean=True),
            "You continue from the right states, but return their means. The states "
            "have noise.",
        ),
        "no noise": Mistake(
            _chain(variance=lambda a, b: 0 * a),
            "You add no noise: z is not used at all. A reverse step is a draw, not a "
            "mean.",
        ),
        "β for β̃": Mistake(
            _chain(variance=_beta),
            "The means are right. Your noise has the variance beta_t, which is the "
            "other choice; look up beta_tilde_t.",
        ),
        "β for β̃, and none at t = 1": Mistake(
            _chain(variance=lambda a, b: _beta(a, b) * (b < 1)),
            "You leave out the noise at t = 1, as you should, but before that its "
            "variance is beta_t. With beta_tilde_t you need no such exception.",
        ),
        "β̃ upside down": Mistake(
            _chain(variance=lambda a, b: (1 - a) / (1 - b) * (1 - a / b)),
            "The quotient in your variance is upside down: beta_tilde_t is less than "
            "beta_t, and 0 at t = 1.",
        ),
        "variance for standard deviation": Mistake(
            _chain(rootless=True),
            "You multiply z by the variance. What makes the variance of the product "
            "beta_tilde_t?",
        ),
        "t off by one": Mistake(
            _chain(times=lambda T: (T - 1, T - 2, T - 3)),
            "Your first step has t = T - 1. The first step goes from T to T - 1, and "
            "alpha_bar is indexed by t itself.",
        ),
        "the length for T": Mistake(
            _chain(times=lambda T: (T + 1, T, T - 1)),
            "An index is too large. The last index of alpha_bar is T, one less than "
            "its length; the first index of x0_hats and z is 0.",
        ),
        "numbered by time": Mistake(
            _chain(place=lambda i, t: t - 1),
            "You index x0_hats and z by time. They are numbered by call: 0 in the "
            "first step, 1 in the second.",
        ),
        "times in rising order": Mistake(
            _chain(times=lambda T: (1, 2, 3)),
            "Your times rise: 1, 2, 3. The reverse process starts at T and counts "
            "down.",
        ),
        "one z for all steps": Mistake(
            _chain(one_z=True),
            "You use the first z in every step. Each step has noise of its own.",
        ),
        "one answer for all steps": Mistake(
            _chain(one_call=True),
            "You use the network's first answer in every step. Each step asks again, "
            "and z[i] goes with x0_hats[i].",
        ),
        "the answers in reverse": Mistake(
            lambda alpha_bar, x_T, x0_hats, z: first_steps(
                alpha_bar, x_T, x0_hats.flip(0), z
            ),
            "You take the network's answers from last to first. The first one belongs "
            "to the first step, at t = T.",
        ),
        "coefficients swapped": Mistake(
            _chain(mean=lambda a, b, x, x0: _mean(a, b, x0, x)),
            "The two coefficients of the mean are swapped. Late in the chain, near t "
            "= 1, nearly all the weight is on x0_hat.",
        ),
        "ᾱ for α": Mistake(
            _chain(
                mean=lambda a, b, x, x0: (
                    (b.sqrt() * (1 - a / b) * x0 + a.sqrt() * (1 - b) * x) / (1 - a)
                )
            ),
            "The root in front of x_t belongs to this one step: alpha_t, which is the "
            "quotient of two neighbors in alpha_bar.",
        ),
        "1 - ᾱ for β": Mistake(
            _chain(
                mean=lambda a, b, x, x0: (
                    b.sqrt() * x0 + (a / b).sqrt() * (1 - b) / (1 - a) * x
                ),
                variance=lambda a, b: 1 - b,
            ),
            "You used 1 - alpha_bar[t] for beta_t. That is the noise of all steps up "
            "to t; this step adds 1 - alpha_t.",
        ),
        "t for t - 1 under the root": Mistake(
            _chain(
                mean=lambda a, b, x, x0: _mean(a, b, x, x0 * (a / b).sqrt()),
            ),
            "Look at the root in front of x0_hat: the mean is that of x at time t - 1, "
            "and so is its share of the clean data.",
        ),
        "roots forgotten": Mistake(
            _chain(
                mean=lambda a, b, x, x0: (
                    (b * (1 - a / b) * x0 + (a / b) * (1 - b) * x) / (1 - a)
                )
            ),
            "Both coefficients of the mean have a square root in their numerator.",
        ),
        "x̂₀ taken for noise": Mistake(
            _chain(
                mean=lambda a, b, x, x0: (
                    (x - (1 - a / b) / (1 - a).sqrt() * x0) / (a / b).sqrt()
                )
            ),
            "You treat the network's answer as noise. Here it is the clean data, so "
            "the mean is the posterior mean.",
        ),
        "diffused again": Mistake(
            _chain(mean=lambda a, b, x, x0: b.sqrt() * x0, variance=lambda a, b: 1 - b),
            "You diffuse x0_hat again, up to time t - 1. That forgets x_t, and the "
            "posterior does not.",
        ),
        "the network's answers": Mistake(
            lambda alpha_bar, x_T, x0_hats, z: x0_hats,
            "You return the network's answers. That is what the steps aim at, not how "
            "far they get.",
        ),
        "the last state alone": Mistake(
            lambda *arguments: first_steps(*arguments)[-1],
            "You return only the last state, and it is right. Return all three, "
            "stacked.",
        ),
        "x_T among them": Mistake(
            lambda alpha_bar, x_T, x0_hats, z: torch.cat(
                [x_T[None], first_steps(alpha_bar, x_T, x0_hats, z)[:2]]
            ),
            "You return x_T first. We want the three states that the steps lead to: "
            "the first one is at time T - 1.",
        ),
        "the last state first": Mistake(
            lambda *arguments: first_steps(*arguments).flip(0),
            "The states are right, but in the wrong order: the first step comes first.",
        ),
    },
)


# --- 7.3 --------------------------------------------------------------------------

_SHARE = beta_t / sp.sqrt(1 - abar_t)
_CENTRE = (x_t - _SHARE * eps_hat) / sp.sqrt(alpha_t)
_JUMP = (x_t - sp.sqrt(1 - abar_t) * eps_hat) / sp.sqrt(abar_t)


def _towards(clean: sp.Expr) -> sp.Expr:
    """The posterior mean if this is the clean data."""
    on_x0 = sp.sqrt(abar_prev) * beta_t / (1 - abar_t)
    return on_x0 * clean + sp.sqrt(alpha_t) * (1 - abar_prev) / (1 - abar_t) * x_t


_EQUATION = Exercise(
    number="7.3",
    title="One step, as an equation",
    difficulty="easy",
    minutes=10,
    reference=_CENTRE + sigma_t * z,
    meaning="That is the heart of Algorithm 2. The rest is the loop.",
    hint="It is a mean plus noise. The mean removes a share of the predicted noise "
    "from x_t and stretches the rest; the noise has the standard deviation sigma_t.",
    mistakes={
        "no new noise": Mistake(
            _CENTRE,
            "That is the mean of the step, and it is right. Something random is "
            "missing.",
        ),
        "variance for standard deviation": Mistake(
            _CENTRE + sigma_t**2 * z,
            "You multiply z by a variance. To stretch a standard normal number, "
            "multiply it by a standard deviation.",
        ),
        "the root of σ": Mistake(
            _CENTRE + sp.sqrt(sigma_t) * z,
            "Don't take the root of sigma_t: it is already a standard deviation.",
        ),
        "noise not stretched": Mistake(
            _CENTRE + z,
            "The new noise needs a factor: z alone has variance 1.",
        ),
        "noise subtracted": Mistake(
            _CENTRE - sigma_t * z,
            "No sampler would notice, since z and -z have the same distribution. But "
            "write it as the algorithm does: the new noise is added.",
        ),
        "new noise divided too": Mistake(
            _CENTRE + sigma_t * z / sp.sqrt(alpha_t),
            "Close the parenthesis earlier: the new noise is added at the end, with "
            "sigma_t as its only factor.",
        ),
        "the predicted noise again": Mistake(
            _CENTRE + sigma_t * eps_hat,
            "You used the predicted noise twice. What you add at the end is new, and "
            "independent of everything before: z.",
        ),
        "the noise of the training": Mistake(
            _CENTRE.subs(eps_hat, eps) + sigma_t * z,
            "You used eps, the noise drawn in training. In sampling we don't have it: "
            "the network predicts it.",
        ),
        "not divided by √α": Mistake(
            x_t - _SHARE * eps_hat + sigma_t * z,
            "The forward step made the data a little smaller. The reverse step has to "
            "undo that.",
        ),
        "x_t divided alone": Mistake(
            x_t / sp.sqrt(alpha_t) - _SHARE * eps_hat + sigma_t * z,
            "Both parts of the mean are stretched, the predicted noise too: you need "
            "parentheses.",
        ),
        "multiplied for divided": Mistake(
            sp.sqrt(alpha_t) * (x_t - _SHARE * eps_hat) + sigma_t * z,
            "You shrink the parentheses, as a forward step does. A reverse step "
            "stretches them.",
        ),
        "ᾱ for α": Mistake(
            (x_t - _SHARE * eps_hat) / sp.sqrt(abar_t) + sigma_t * z,
            "You undo the shrinking of all steps up to t at once. This is one step.",
        ),
        "α without its root": Mistake(
            (x_t - _SHARE * eps_hat) / alpha_t + sigma_t * z,
            "You divide by alpha_t, a share of the variance. The data itself was "
            "multiplied by a root.",
        ),
        "√β for β": Mistake(
            (x_t - sp.sqrt(_SHARE**2 / beta_t) * eps_hat) / sp.sqrt(alpha_t)
            + sigma_t * z,
            "There is one root too many, in the numerator in front of the predicted "
            "noise.",
        ),
        "1 - ᾱ without its root": Mistake(
            (x_t - beta_t / (1 - abar_t) * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
            "A root is missing from the denominator in front of the predicted noise.",
        ),
        "no 1 - ᾱ": Mistake(
            (x_t - beta_t * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
            "The factor of the predicted noise has a denominator: the standard "
            "deviation of all the noise in x_t.",
        ),
        "1 - α for 1 - ᾱ": Mistake(
            (x_t - sp.sqrt(beta_t) * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
            "The network predicts the noise of all steps up to t, not just of the "
            "last one. So the denominator needs the bar.",
        ),
        "t off by one": Mistake(
            (x_t - beta_t / sp.sqrt(1 - abar_prev) * eps_hat) / sp.sqrt(alpha_t)
            + sigma_t * z,
            "Look at the index in the denominator: the predicted noise is that of x "
            "at time t.",
        ),
        "all the noise": Mistake(
            (x_t - sp.sqrt(1 - abar_t) * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
            "You remove all the noise of x_t, but undo the shrinking of only one "
            "step. A reverse step removes a small share of the noise.",
        ),
        "sign of the predicted noise": Mistake(
            (x_t + _SHARE * eps_hat) / sp.sqrt(alpha_t) + sigma_t * z,
            "You add the predicted noise. It has to be removed.",
        ),
        "all the way to x̂₀": Mistake(
            _JUMP,
            "That is the predicted clean data: all the way in one jump. We want one "
            "step.",
        ),
        "x̂₀ and noise": Mistake(
            _JUMP + sigma_t * z,
            "You jump to the predicted clean data and add the noise of one step "
            "there. We want the mean of one step.",
        ),
        "diffused again": Mistake(
            sp.sqrt(abar_prev) * _JUMP + sp.sqrt(1 - abar_prev) * z,
            "You jump to the predicted clean data and diffuse it again. That is a "
            "sampler too, but a different one: it forgets where x_t was.",
        ),
        "the x₀ form": Mistake(
            _towards(x0_hat) + sigma_t * z,
            "That is right for a network that predicts the clean data. This one "
            "predicts the noise.",
        ),
        "the mean by name": Mistake(
            mu_theta + sigma_t * z,
            "True, but mu_theta is only a name here. Write out what it is, in terms "
            "of x_t and the predicted noise.",
        ),
        "σ² = β": Mistake(
            _CENTRE + sp.sqrt(beta_t) * z,
            "Right if the model's variance is beta_t. The exercise leaves it open: "
            "keep sigma_t.",
        ),
        "σ² = β̃": Mistake(
            _CENTRE + sp.sqrt(betatilde_t) * z,
            "Right if the model's variance is betatilde_t, that of the posterior. The "
            "exercise leaves it open: the answer contains sigma_t.",
        ),
    },
)


# --- 7.5 --------------------------------------------------------------------------
# Here a is ᾱ_t and b is ᾱ_s.


def ddim(alpha_bar: Tensor, x_t: Tensor, x0_hat: Tensor, t: int, s: int) -> Tensor:
    abar_t, abar_s = alpha_bar[t], alpha_bar[s]
    eps_hat = (x_t - abar_t.sqrt() * x0_hat) / (1 - abar_t).sqrt()
    return abar_s.sqrt() * x0_hat + (1 - abar_s).sqrt() * eps_hat


def _hidden(a: Tensor, b: Tensor, x: Tensor, x0: Tensor) -> Tensor:
    """ε̂, the noise in x_t if x̂_0 is the clean data."""
    return (x - a.sqrt() * x0) / (1 - a).sqrt()


def _skip(
    noise: Callable = _hidden,
    put: Callable = lambda a, b, x0, eps: b.sqrt() * x0 + (1 - b).sqrt() * eps,
    times: Callable = lambda t, s: (t, s),
) -> Callable:
    """A DDIM step, possibly with another noise, another mixture, or other times."""

    def skip(alpha_bar: Tensor, x_t: Tensor, x0_hat: Tensor, t: int, s: int) -> Tensor:
        a, b = (alpha_bar[time] for time in times(t, s))
        return put(a, b, x0_hat, noise(a, b, x_t, x0_hat))

    return skip


def _posterior_mean(
    alpha_bar: Tensor, x_t: Tensor, x0_hat: Tensor, t: int, s: int
) -> Tensor:
    return _mean(alpha_bar[t], alpha_bar[s], x_t, x0_hat)


def _for_points_alone(skip: Callable) -> str:
    """Whether the chapter can draw its images with an answer."""
    x, guess = randn(2, 2, 1, 3, 3).float()
    want = ddim(_ALPHA_BAR, x, guess, 3, 1)
    try:
        drawn = skip(_ALPHA_BAR.clone(), x, guess, 3, 1)
        draws = torch.allclose(drawn, want, atol=1e-4)
    except Exception:
        draws = False
    return "" if draws else "yours does not take images, tensors (n, C, H, W)"


_SKIP = Exercise(
    number="7.5",
    unfit=_for_points_alone,
    title="A step that skips",
    difficulty="medium",
    minutes=15,
    reference=ddim,
    meaning="t and s need not be neighbors: a single step can go from t to any earlier "
    "time.",
    hint="If x0_hat is the clean data, which noise is in x_t? Mix the two again, the "
    "way the data at time s is mixed.",
    inputs=(  # to a neighbor; a long way; to the clean data
        *((_ALPHA_BAR[:4], *randn(2, 1, 1), t, s) for t, s in ((2, 1), (3, 1), (1, 0))),
        *((_ALPHA_BAR, *randn(2, 2, 3), t, s) for t in range(1, 6) for s in range(t)),
        (_ALPHA_BAR, *randn(2, 1, 5), 3, 0),
        (_ALPHA_BAR[:2], *randn(2, 1, 1), 1, 0),
        (torch.cat([_ALPHA_BAR, float64(0.02)]), *randn(2, 1, 2), 6, 5),
    ),
    mistakes={
        "t - 1 for s": Mistake(
            _skip(times=lambda t, s: (t, t - 1)),
            "You go to t - 1, no matter what s is: right for a neighbor, but a single "
            "step where we want a long one.",
        ),
        "s as the length of the step": Mistake(
            _skip(times=lambda t, s: (t, t - s)),
            "You go to t - s. s is the time to go to, not the number of steps.",
        ),
        "s and t exchanged": Mistake(
            _skip(times=lambda t, s: (s, t)),
            "The times are swapped: x_t has the noise of time t, and the result has "
            "the noise of time s.",
        ),
        "t off by one": Mistake(
            _skip(times=lambda t, s: (t - 1, s - 1)),
            "Look at alpha_bar: it is indexed by the time itself, and entry 0 belongs "
            "to the clean data.",
        ),
        "the noise by ᾱ at s": Mistake(
            _skip(lambda a, b, x, x0: _hidden(b, b, x, x0)),
            "You look for the noise in x_t with alpha_bar[s]. How much noise x_t has "
            "depends on t.",
        ),
        "back where it came from": Mistake(
            lambda alpha_bar, x_t, x0_hat, t, s: x_t,
            "You are back at x_t: the noise is right, but you mix as at time t. Where "
            "does s come in?",
        ),
        "the clean data mixed as at t": Mistake(
            _skip(put=lambda a, b, x0, eps: a.sqrt() * x0 + (1 - b).sqrt() * eps),
            "The noise has the share of time s, but the clean data still has that of "
            "time t.",
        ),
        "the noise mixed as at t": Mistake(
            _skip(put=lambda a, b, x0, eps: b.sqrt() * x0 + (1 - a).sqrt() * eps),
            "The clean data has the share of time s, but the noise still has that of "
            "time t.",
        ),
        "the clean data not scaled": Mistake(
            _skip(put=lambda a, b, x0, eps: x0 + (1 - b).sqrt() * eps),
            "At time s the clean data has shrunk too: it needs a factor.",
        ),
        "ᾱ without its root": Mistake(
            _skip(put=lambda a, b, x0, eps: b * x0 + (1 - b).sqrt() * eps),
            "In the result, a root is missing in front of x0_hat.",
        ),
        "1 - ᾱ without its root": Mistake(
            _skip(put=lambda a, b, x0, eps: b.sqrt() * x0 + (1 - b) * eps),
            "In the result, you multiply the noise by its variance, not by its "
            "standard deviation.",
        ),
        "both without a root": Mistake(
            _skip(put=lambda a, b, x0, eps: b * x0 + (1 - b) * eps),
            "In the result, two roots are missing: it's the squares of the factors "
            "that add to 1.",
        ),
        "no root in what is subtracted": Mistake(
            _skip(lambda a, b, x, x0: (x - a * x0) / (1 - a).sqrt()),
            "Look at the noise again: the clean data in x_t has a root in front of it.",
        ),
        "no root where it is divided": Mistake(
            _skip(lambda a, b, x, x0: (x - a.sqrt() * x0) / (1 - a)),
            "Look at the noise again: you divide it by a variance.",
        ),
        "not divided": Mistake(
            _skip(lambda a, b, x, x0: x - a.sqrt() * x0),
            "What you call the noise does not have standard deviation 1 yet: divide "
            "it by its factor in x_t.",
        ),
        "a plain difference": Mistake(
            _skip(lambda a, b, x, x0: x - x0),
            "You take x_t - x0_hat as the noise. In x_t both the data and the noise "
            "have factors.",
        ),
        "x_t for the noise": Mistake(
            _skip(lambda a, b, x, x0: x),
            "You mix x0_hat with x_t, as if x_t were pure noise. Remove the clean "
            "data from it first.",
        ),
        "sign of the noise": Mistake(
            _skip(lambda a, b, x, x0: -_hidden(a, b, x, x0)),
            "The noise has the wrong sign: the result should be on the same side of "
            "x0_hat as x_t.",
        ),
        "the network's answer": Mistake(
            lambda alpha_bar, x_t, x0_hat, t, s: x0_hat,
            "You return x0_hat. That is right only for s = 0: at any other time there "
            "is noise.",
        ),
        "the clean part alone": Mistake(
            _skip(put=lambda a, b, x0, eps: b.sqrt() * x0),
            "The clean part is right. The noise is left out.",
        ),
        "the noise alone": Mistake(
            _skip(put=lambda a, b, x0, eps: eps),
            "That is the noise in x_t, and it is right. Now mix it with x0_hat.",
        ),
        "the posterior's mean": Mistake(
            _posterior_mean,
            "You took the posterior mean from t to s. Without new noise, that leaves "
            "too little noise; here we put back all the noise that x_t has.",
        ),
        "the posterior's mean, one step": Mistake(
            lambda alpha_bar, x_t, x0_hat, t, s: _posterior_mean(
                alpha_bar, x_t, x0_hat, t, t - 1
            ),
            "You took the mean of an ordinary step, from t to t - 1, without its "
            "noise. This is a different step, and it goes to s.",
        ),
    },
)


# --- 7.6 --------------------------------------------------------------------------


def condition(time: Tensor, table: Tensor, y: Tensor) -> Tensor:
    return time + table[y]  # the index -1 is the last row: that of no label


def _condition(
    row: Callable = lambda y: y,
    join: Callable = lambda time, vector: time + vector,
) -> Callable:
    """The vector in ``row(y)``, joined with the time vector."""

    def joined(time: Tensor, table: Tensor, y: Tensor) -> Tensor:
        return join(time, table[row(y)])

    return joined


def _unlearnable(condition: Callable) -> str:
    """Whether the network of the chapter can learn its table through an answer."""
    table = nn.Parameter(randn(11, 2))
    try:
        learns = condition(randn(3, 2), table, torch.tensor([0, 9, -1])).requires_grad
    except Exception:
        learns = False
    return "" if learns else "the table is to be learned, and yours passes no gradient"


_CONDITION = Exercise(
    number="7.6",
    unfit=_unlearnable,
    title="A label for the network",
    difficulty="hard",
    minutes=20,
    reference=condition,
    meaning="Every block now hears the time and the label together. Index -1 is the "
    "last row, so images without a label need no code of their own.",
    hint="Each image needs one row of the table, the row of its label. Print the rows "
    "that you take, and look at the images whose y is -1.",
    inputs=(  # one image; every label; some, one twice, all, none
        *((randn(1, 1), randn(11, 1, seed=1), torch.tensor([y])) for y in (3, -1)),
        (randn(11, 1), randn(11, 1, seed=1), torch.arange(-1, 10)),
        (randn(6, 4), randn(11, 4, seed=1), torch.tensor([3, -1, 0, 9, 5, -1])),
        (randn(3, 3), randn(11, 3, seed=1), torch.tensor([7, 7, -1])),
        (randn(4, 5), randn(11, 5, seed=1), torch.tensor([9, 0, 4, 1])),
        (randn(2, 2), randn(11, 2, seed=1), torch.tensor([-1, -1])),
    ),
    mistakes={
        "row too low": Mistake(
            _condition(lambda y: y - 1),
            "Your rows are one too low: class 0 has row 0.",
        ),
        "row too high": Mistake(
            _condition(lambda y: y + 1),
            'Your rows are one too high, as if row 0 meant "no label". Here that is '
            "row 10.",
        ),
        "one label for all": Mistake(
            _condition(lambda y: y[0]),
            "You use the label of the first image for the whole batch. Each image has "
            "its own.",
        ),
        "row by place in the batch": Mistake(
            _condition(lambda y: torch.arange(len(y))),
            "Your first image of the batch gets row 0, the second row 1. The row "
            "depends on the label.",
        ),
        "no label for any image": Mistake(
            _condition(lambda y: 0 * y + 10),
            "All images get row 10, as if none of them had a label.",
        ),
        "nothing where there is no label": Mistake(
            lambda time, table, y: time + table[y] * (y >= 0)[:, None],
            "Your images without a label get nothing. They have a learned vector too, "
            "in row 10.",
        ),
        "class 0 where there is no label": Mistake(
            _condition(lambda y: y.clamp(min=0)),
            "Images without a label get the vector of class 0. To the network, all of "
            "them would be of that class.",
        ),
        "class 9 where there is no label": Mistake(
            _condition(lambda y: y % 10),
            "Images without a label get the vector of class 9. The table has eleven "
            "rows, and the last is row 10.",
        ),
        "class 1 where there is no label": Mistake(
            _condition(abs),
            "Images without a label get the vector of class 1: you lost the sign of "
            "-1.",
        ),
        "images without a label dropped": Mistake(
            lambda time, table, y: time[y >= 0] + table[y[y >= 0]],
            "Images without a label are missing from your result. They stay in the "
            "batch, with row 10.",
        ),
        "a layer that takes no -1": Mistake(
            lambda time, table, y: time + torch.nn.functional.embedding(y, table),
            "The classes are right, but the function you call has no row -1. Square "
            "brackets count from the end; or put a 10 there, in a new tensor.",
        ),
        "a code that takes no -1": Mistake(
            lambda time, table, y: (
                time + torch.nn.functional.one_hot(y, 11).double() @ table
            ),
            "The classes are right, but the function you call takes none below 0. "
            "Give it 10 where y is -1, in a new tensor.",
        ),
        "the number of the label": Mistake(
            lambda time, table, y: time + y[:, None],
            "You add the class number itself. A 9 is not three times a 3: each class "
            "has a vector of its own in the table.",
        ),
        "the row times the label": Mistake(
            lambda time, table, y: time + y[:, None] * table[y],
            "You multiply the row by the class number. The number only says which row "
            "it is.",
        ),
        "sum of the whole table": Mistake(
            lambda time, table, y: time + table.sum(0),
            "You add all rows of the table to each image. Only one of them belongs to "
            "it.",
        ),
        "product for sum": Mistake(
            _condition(join=lambda time, vector: time * vector),
            "You multiply the two vectors. Add them.",
        ),
        "a mean for a sum": Mistake(
            _condition(join=lambda time, vector: (time + vector) / 2),
            "You take the mean of the two vectors. We want their sum.",
        ),
        "one behind the other": Mistake(
            _condition(join=lambda time, vector: torch.cat([time, vector], dim=1)),
            "You concatenate the two vectors, so the result is twice as long. The "
            "blocks expect E numbers: add the two.",
        ),
        "the time lost": Mistake(
            _condition(join=lambda time, vector: vector),
            "The rows are right, but they replace the time. The network needs both.",
        ),
        "the label lost": Mistake(
            lambda time, table, y: time,
            "You return only the time vectors. The label is missing.",
        ),
        "a difference": Mistake(
            _condition(join=lambda time, vector: time - vector),
            "The rows are right, but you subtract them.",
        ),
    },
)


# --- 7.7 --------------------------------------------------------------------------
# Here a is ᾱ_t and b is ᾱ_s.


def chain(
    alpha_bar: Tensor,
    x_T: Tensor,
    x0_hats: Tensor,
    z: Tensor,
    times: list[int],
    eta: float,
) -> Tensor:
    x, states = x_T, []
    for n in range(len(times) - 1):
        abar_t, abar_s = alpha_bar[times[n]], alpha_bar[times[n + 1]]
        eps_hat = (x - abar_t.sqrt() * x0_hats[n]) / (1 - abar_t).sqrt()
        full = (1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s)
        variance = eta**2 * full
        old = (1 - abar_s - variance).sqrt() * eps_hat
        x = abar_s.sqrt() * x0_hats[n] + old + variance.sqrt() * z[n]
        states.append(x)
    return torch.stack(states)


def _run(
    noise: Callable = _hidden,
    full: Callable = _beta_tilde,
    share: Callable = lambda eta: eta**2,
    old: Callable = lambda b, variance: (1 - b - variance).sqrt(),
    new: Callable = lambda variance: variance.sqrt(),
    pair: Callable = lambda times, n: (times[n], times[n + 1]),
    place: Callable = lambda n, t: n,
) -> Callable:
    """The whole chain, with any of its parts exchanged."""

    def run(
        alpha_bar: Tensor,
        x_T: Tensor,
        x0_hats: Tensor,
        z: Tensor,
        times: list[int],
        eta: float,
    ) -> Tensor:
        x, states = x_T, []
        for n in range(len(times) - 1):
            a, b = (alpha_bar[t] for t in pair(times, n))
            x0_hat = x0_hats[place(n, times[n])]
            variance = share(eta) * full(a, b)
            kept = old(b, variance) * noise(a, b, x, x0_hat)
            x = b.sqrt() * x0_hat + kept + new(variance) * z[place(n, times[n])]
            states.append(x)
        return torch.stack(states)

    return run


def _chain_inputs(times: list[int], eta: float, shape: tuple, seed: int = 0) -> tuple:
    K = len(times) - 1
    alpha_bar = _ALPHA_BAR[: times[0] + 1]
    x0_hats, z = randn(2, K, *shape, seed=seed)
    return alpha_bar, randn(*shape, seed=seed + 1), x0_hats, z, times, eta


_WHOLE_CHAIN = Exercise(
    number="7.7",
    title="The whole chain, with any share of noise",
    difficulty="hard",
    minutes=25,
    reference=chain,
    meaning="With eta = 0 this is DDIM, with eta = 1 Algorithm 2 with the variance of "
    "the posterior, and every stride will do.",
    hint="Take times of one step, such as [1, 0], then of two. Which part of the noise "
    "at time s is old, which is new, and what must their variances add up to?",
    inputs=(
        _chain_inputs([1, 0], 0.5, (1, 1)),
        _chain_inputs([2, 1, 0], 0.5, (1, 1)),
        _chain_inputs([2, 1, 0], 1.0, (1, 1)),
        _chain_inputs([3, 1, 0], 0.0, (1, 2)),
        _chain_inputs([5, 3, 2, 0], 0.8, (2, 3)),
        _chain_inputs([5, 4, 3, 2, 1, 0], 0.3, (3, 2), seed=5),
        _chain_inputs([4, 1, 0], 1.0, (2, 2), seed=3),
    ),
    mistakes={
        "only the end": Mistake(
            lambda *arguments: chain(*arguments)[-1],
            "You return only the end of the chain. We want the state after each step.",
        ),
        "eta for its square": Mistake(
            _run(share=lambda eta: eta),
            "The factor eta belongs to a standard deviation. What does the variance "
            "get?",
        ),
        "β for β̃": Mistake(
            _run(full=_beta, old=lambda b, v: (1 - b - v).clamp(min=0).sqrt()),
            "Your new noise has the variance of a forward step. The chain would end "
            "with noise in x_0: a factor is missing that is 0 at the last step.",
        ),
        "the old noise not reduced": Mistake(
            _run(old=lambda b, variance: (1 - b).sqrt()),
            "Old and new noise together have too much variance: what is new must be "
            "taken from what is old.",
        ),
        "σ for σ² under the root": Mistake(
            _run(old=lambda b, variance: (1 - b - variance.sqrt()).clamp(min=0).sqrt()),
            "Under the root of the old noise you subtract a standard deviation from "
            "variances.",
        ),
        "the variance for σ": Mistake(
            _run(new=lambda variance: variance),
            "The new noise is multiplied by a variance. It needs a standard deviation.",
        ),
        "no new noise": Mistake(
            _run(new=lambda variance: 0 * variance),
            "The old noise is reduced, but nothing takes its place: z is missing.",
        ),
        "eta ignored, as 0": Mistake(
            _run(share=lambda eta: 0.0 * eta),
            "That is the chain without new noise. What does eta do?",
        ),
        "eta ignored, as 1": Mistake(
            _run(share=lambda eta: 1.0),
            "That is the chain with all of its new noise. What does eta do?",
        ),
        "always to the neighbor": Mistake(
            _run(pair=lambda times, n: (times[n], times[n] - 1)),
            "You always step to t - 1. The next entry of times is the time to go to.",
        ),
        "the first guess at every step": Mistake(
            _run(place=lambda n, t: 0),
            "You use the first guess and the first noise at every step. Each step has "
            "its own.",
        ),
        "old noise from time s": Mistake(
            _run(noise=lambda a, b, x, x0: (x - b.sqrt() * x0) / (1 - a).sqrt()),
            "The noise in x_t is what is left of x_t without the guess, and x_t has "
            "the guess with the factor of time t.",
        ),
    },
)


EXERCISES = (_FIRST_STEPS, _EQUATION, _SKIP, _CONDITION, _WHOLE_CHAIN)
