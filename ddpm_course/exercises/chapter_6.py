"""Exercises of chapter 6, training. 6.1 and 6.2 have answers in words."""

from collections.abc import Callable

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from ddpm_course.equations import D, M
from ddpm_course.exercises.checker import Exercise, Mistake
from ddpm_course.exercises.inputs import float64, no_tensor, randn

# --- 6.3 --------------------------------------------------------------------------

_SUM_FOR_MEAN = Exercise(
    number="6.3",
    title="A sum for a mean",
    difficulty="easy",
    minutes=5,
    reference=1 / (M * D),
    meaning="A learning rate means nothing without its loss: when you quote one, say "
    "whether the loss is a mean or a sum.",
    hint="By what factor does the loss grow, and the gradient with it? The step is "
    "the product of the gradient and the learning rate.",
    mistakes={
        "the wrong way round": Mistake(
            M * D,
            "That is how much the gradient grows. How must the learning rate change "
            "so that the step stays the same?",
        ),
        "the batch alone": Mistake(
            1 / M,
            "Right for the batch. The mean over the coordinates has become a sum too.",
        ),
        "the coordinates alone": Mistake(
            1 / D,
            "Right for the coordinates. The mean over the batch has become a sum too.",
        ),
        "the root, as for noise": Mistake(
            1 / sp.sqrt(M * D),
            "Roots belong to standard deviations of means. A gradient grows with its "
            "loss, by the same factor.",
        ),
        "nothing to do": Mistake(
            sp.Integer(1),
            "The minimum stays where it is, but the steps toward it do not. Only with "
            "Adam does (almost) nothing change.",
        ),
        "batch up, coordinates down": Mistake(
            M / D,
            "Both sums make the gradient larger; you treat one of them as if it made "
            "the gradient smaller. Look at the batch.",
        ),
        "coordinates up, batch down": Mistake(
            D / M,
            "Both sums make the gradient larger; you treat one of them as if it made "
            "the gradient smaller. Look at the coordinates.",
        ),
        "squared": Mistake(
            1 / (M * D) ** 2,
            "The error is squared, but the number of terms is not.",
        ),
        "a sum of the counts": Mistake(
            1 / (M + D),
            "How many numbers are there in M images of D coordinates each?",
        ),
    },
)


# --- 6.4 --------------------------------------------------------------------------

_ALPHA_BAR = float64(1.0, 0.9, 0.6, 0.35, 0.1, 0.02)


def batch_step(
    alpha_bar: Tensor, theta: Tensor, x0: Tensor, t: Tensor, eps: Tensor, lr: float
) -> Tensor:
    abar = alpha_bar[t][:, None]  # (M, 1)
    x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    error = theta[t][:, None] * x_t - x0
    each = 2 * (error * x_t).sum(1) / len(x0)  # each image's share of the gradient
    gradient = torch.zeros_like(theta).index_add(0, t, each)
    return theta - lr * gradient


def _step(**wrong: bool) -> Callable:
    """One step of gradient descent on a batch, with any of the known mistakes."""

    def step(
        alpha_bar: Tensor, theta: Tensor, x0: Tensor, t: Tensor, eps: Tensor, lr: float
    ) -> Tensor:
        n, d = x0.shape
        at = t[:1].expand(n) if wrong.get("one_time") else t
        abar = alpha_bar[at - 1 if wrong.get("early") else at][:, None]
        noise = (1 - abar) if wrong.get("rootless") else (1 - abar).sqrt()
        x_t = abar.sqrt() * x0 + noise * (eps[:1] if wrong.get("one_noise") else eps)
        if wrong.get("clean"):
            x_t = x0
        weight = theta[at - 1 if wrong.get("shifted") else at][:, None]
        error = weight * x_t - (eps if wrong.get("eps") else x0)
        each = (error * x_t).sum(1) * (1 if wrong.get("no_two") else 2)
        each = each / (1 if wrong.get("sum") else n) / (d if wrong.get("mse") else 1)
        gradient = torch.zeros_like(theta)
        place = at - 1 if wrong.get("shifted") else at
        if wrong.get("last"):
            gradient[place] = each
        else:
            gradient.index_add_(0, place, each)
        if wrong.get("gradient"):
            return gradient
        return theta + lr * gradient * (1 if wrong.get("uphill") else -1)

    return step


def _inputs(times: list[int], d: int, lr: float, T: int = 5) -> tuple:
    theta = float64(0.3, 0.9, 0.5, 0.8, 0.2, 0.6)
    x0, eps = randn(2, len(times), d)
    return _ALPHA_BAR[: T + 1], theta[: T + 1], x0, torch.tensor(times), eps, lr


def _takes_one_step(step: Callable) -> str:
    """Whether the chapter can take the step again, from the weights it returns."""
    theta = step(*_inputs([2, 1], 1, 0.5, T=2))
    if trouble := no_tensor(theta):
        return trouble
    if theta.requires_grad:
        return "your new weights still carry a gradient; return theta.detach()"
    if theta.dtype != torch.float64:
        return f"theta is float64, and your new weights are {theta.dtype}"
    return ""


_BATCH_STEP = Exercise(
    number="6.4",
    unfit=_takes_one_step,
    title="The training algorithm for one batch",
    difficulty="hard",
    minutes=20,
    reference=batch_step,
    meaning="Put a U-Net in place of the weights and Adam in place of the step, and "
    "this is how a DDPM is trained.",
    hint="Take a batch of one image with one coordinate, and work it out by hand. "
    "Then try two images at different times, then two at the same time.",
    inputs=(  # one image; one time twice; as many images as coordinates
        _inputs([1], 1, 0.1, T=2),
        _inputs([2, 1], 1, 0.5, T=2),
        _inputs([2, 2], 2, 0.5, T=2),
        _inputs([2, 5, 2, 1], 3, 0.1),
        _inputs([3, 1, 4], 3, 0.5),
        _inputs([1, 5, 5, 5, 3], 2, 0.02),
    ),
    mistakes={
        "sum over the batch": Mistake(
            _step(sum=True),
            "You sum over the batch. With the mean, the learning rate does not depend "
            "on the batch size.",
        ),
        "mean over the coordinates": Mistake(
            _step(mse=True),
            "You take the mean over the coordinates. A squared norm is a sum over "
            "them; take the mean only over the batch.",
        ),
        "sum over the batch, mean over the coordinates": Mistake(
            _step(sum=True, mse=True),
            "You swapped the two: sum over the coordinates of an image, average over "
            "the images.",
        ),
        "uphill": Mistake(
            _step(uphill=True),
            "You walk uphill: the loss grows. Subtract the gradient.",
        ),
        "factor 2 lost": Mistake(
            _step(no_two=True),
            "What is the derivative of a square? You lost a factor.",
        ),
        "gradient returned": Mistake(
            _step(gradient=True),
            "You return the gradient. We want the new weights.",
        ),
        "missing square root": Mistake(
            _step(rootless=True),
            "Multiply the noise by its standard deviation, not by its variance.",
        ),
        "noise as target": Mistake(
            _step(eps=True),
            "You compare the prediction with the noise, as Algorithm 1 does. This "
            "network predicts the clean data.",
        ),
        "one time for all": Mistake(
            _step(one_time=True),
            "You use the first time for the whole batch. Each image has its own.",
        ),
        "one noise for all": Mistake(
            _step(one_noise=True),
            "You use the first noise for the whole batch. Each image has its own.",
        ),
        "t off by one in alpha_bar": Mistake(
            _step(early=True),
            "Look at alpha_bar: it is indexed by t itself, and entry 0 belongs to the "
            "clean data.",
        ),
        "t off by one in theta": Mistake(
            _step(shifted=True),
            "You read and update the left neighbor in theta, which is indexed by t "
            "itself.",
        ),
        "the last image wins": Mistake(
            _step(last=True),
            "Where a time occurs twice, yours counts only one of the images. Indexed "
            "assignment overwrites; the gradients must add up.",
        ),
        "nothing noised": Mistake(
            _step(clean=True),
            "Your network gets the clean data, so it has nothing to learn.",
        ),
    },
)


# --- 6.5 --------------------------------------------------------------------------

_MEMORY = Exercise(
    number="6.5",
    title="How long an average remembers",
    difficulty="medium",
    minutes=10,
    reference=693,
    meaning="That is nearly 1000 ln 2: this average remembers about 1000 steps.",
    hint="By what factor does the share of the starting weights shrink in one step? "
    "And in n steps?",
    mistakes={
        "one step too early": Mistake(
            692,
            "After 692 steps it is still a little above one half.",
        ),
        "one step too late": Mistake(
            694,
            "Below one half, yes, but not for the first time.",
        ),
        "a straight line": Mistake(
            500,
            "Each step takes away a thousandth of the share that is left, not of the "
            "share at the start.",
        ),
        "a straight line, one more": Mistake(
            501,
            "That is almost a straight line, but the losses shrink along with the "
            "share.",
        ),
        "the memory": Mistake(
            1000,
            "After 1000 steps the share is about 1 / e = 0.37. When was it one half?",
        ),
        "decay 0.99": Mistake(
            69,
            "Right for a decay of 0.99: one nine is missing.",
        ),
        "decay 0.9999": Mistake(
            6932,
            "Right for a decay of 0.9999: there is one nine too many.",
        ),
        "the other share": Mistake(
            1,
            "After one step, the starting weights still have 0.999 of the average. "
            "The newest weights have the small share.",
        ),
        "not a whole number of steps": Mistake(
            float(np.log(2) / -np.log(0.999)),
            "The formula is right. Steps are whole numbers: which is the first one "
            "after it?",
        ),
        "logarithm to base 2": Mistake(
            1000 * float(np.log2(np.e)),
            "You divided by the natural logarithm of 2. Shouldn't you multiply by it?",
        ),
    },
)


EXERCISES = (_SUM_FOR_MEAN, _BATCH_STEP, _MEMORY)
