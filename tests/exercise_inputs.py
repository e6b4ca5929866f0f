"""Random valid inputs of the exercises that ask for a function.

They follow the prompts, not the checker's own trials, so they say independently whether
two functions are the same.
"""

import random
from collections.abc import Callable

import torch
from torch import Tensor


class Draw:
    """Draws of one seed."""

    def __init__(self, seed: int) -> None:
        self.whole = random.Random(seed).randint
        self._generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, dtype=torch.float64)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        unit = torch.rand(shape, generator=self._generator, dtype=torch.float64)
        return low + (high - low) * unit

    def number(self, low: float, high: float) -> float:
        return self.uniform(low, high).item()

    def betas(self, T: int) -> Tensor:
        return torch.cat([torch.zeros(1).double(), self.uniform(0.02, 0.6, T)])

    def times(self, batch: int, T: int) -> Tensor:
        return torch.tensor([self.whole(1, T) for _ in range(batch)])


def q_step(d: Draw) -> tuple:
    T, shape = d.whole(1, 7), [d.whole(1, 3) for _ in range(d.whole(0, 4))]
    return d.betas(T), d.normal(*shape), d.whole(1, T), d.normal(*shape)


def q_sample(d: Draw) -> tuple:
    T, batch = d.whole(1, 7), d.whole(1, 4)
    shape = batch, d.whole(1, 3), d.whole(1, 4), d.whole(1, 4)
    alpha_bar = (1 - d.betas(T)).cumprod(0)
    return alpha_bar, d.normal(*shape), d.times(batch, T), d.normal(*shape)


def cosine(d: Draw) -> tuple:
    return d.whole(1, 30), d.number(0.001, 0.2), d.number(0.1, 0.999)


def bits(d: Draw) -> tuple:
    T, batch = d.whole(2, 9), d.whole(1, 5)
    prior, decoder = d.uniform(0, 2, 2, batch)
    shape = (d.whole(1, 3), d.whole(1, 9), d.whole(1, 9))
    return prior, d.uniform(0, 2, T - 1, batch), decoder, shape


def gaussians(d: Draw) -> tuple:
    batch = d.whole(1, 4)
    shape = batch, d.whole(1, 3), d.whole(1, 4), d.whole(1, 4)
    var_1, var_2 = d.uniform(0.1, 3, 2, batch, 1, 1, 1)
    return d.normal(*shape), var_1, d.normal(*shape), var_2


def product(d: Draw) -> tuple:
    mean_1, mean_2 = d.normal(2).tolist()
    return mean_1, d.number(0.05, 4), mean_2, d.number(0.05, 4)


def variance(d: Draw) -> tuple:
    T = d.whole(1, 7)
    beta = d.betas(T)
    return beta, (1 - beta).cumprod(0), d.whole(1, T)


def mean(d: Draw) -> tuple:
    T, shape = d.whole(1, 7), [d.whole(1, 3) for _ in range(d.whole(0, 4))]
    alpha = 1 - d.betas(T)
    x0, x_t = d.normal(2, *shape)
    return alpha, alpha.cumprod(0), x0, x_t, d.whole(1, T)


def reverse(d: Draw) -> tuple:
    alpha, alpha_bar, _, x_t, t = mean(d)
    return alpha, alpha_bar, x_t, t


def mixture(d: Draw) -> tuple:
    k, batch = d.whole(1, 4), d.whole(1, 5)
    weights = d.uniform(0.1, 1, k)
    abar = d.uniform(0.05, 0.95)
    return (
        abar,
        weights / weights.sum(),
        d.normal(k),
        d.uniform(0.1, 1, k),
        d.normal(batch),
    )


def side(d: Draw) -> tuple:
    return d.whole(1, 99), d.whole(1, 6)


def embedding(d: Draw) -> tuple:
    return d.uniform(0, 9, d.whole(1, 5)), 2 * d.whole(2, 8)


def count(d: Draw) -> tuple:
    c_in = d.whole(1, 99)
    return c_in, d.whole(1, 99) if d.whole(0, 1) else c_in, d.whole(1, 99)


def attention(d: Draw) -> tuple:
    return tuple(d.normal(3, d.whole(1, 6), d.whole(1, 6)))


def batch_step(d: Draw) -> tuple:
    T, batch, dim = d.whole(1, 6), d.whole(1, 5), d.whole(1, 4)
    x0, eps = d.normal(2, batch, dim)
    alpha_bar = (1 - d.betas(T)).cumprod(0)
    theta = d.uniform(-1, 1, T + 1)
    return alpha_bar, theta, x0, d.times(batch, T), eps, d.number(0.01, 1)


def first_steps(d: Draw) -> tuple:
    shape = d.whole(1, 3), d.whole(1, 4)
    alpha_bar = (1 - d.betas(d.whole(3, 7))).cumprod(0)
    return alpha_bar, d.normal(*shape), d.normal(3, *shape), d.normal(3, *shape)


def ddim(d: Draw) -> tuple:
    T = d.whole(1, 7)
    t = d.whole(1, T)
    x_t, x0_hat = d.normal(2, d.whole(1, 4), d.whole(1, 4))
    return (1 - d.betas(T)).cumprod(0), x_t, x0_hat, t, d.whole(0, t - 1)


def chain(d: Draw) -> tuple:
    T = d.whole(1, 7)
    times = sorted({T, 0, *(d.whole(0, T) for _ in range(3))}, reverse=True)
    shape = d.whole(1, 4), d.whole(1, 4)
    x0_hats, z = d.normal(2, len(times) - 1, *shape)
    eta = [0.0, 1.0, d.number(0, 1), d.number(0, 1)][d.whole(0, 3)]
    return (1 - d.betas(T)).cumprod(0), d.normal(*shape), x0_hats, z, times, eta


def condition(d: Draw) -> tuple:
    batch, dim = d.whole(1, 6), d.whole(1, 5)
    y = torch.tensor([d.whole(-1, 9) for _ in range(batch)])
    return d.normal(batch, dim), d.normal(11, dim), y


def look_back(d: Draw) -> tuple:
    T = d.whole(2, 7)
    r = d.whole(2, T)
    t = d.whole(1, r - 1)
    x_t, x0_hat, x0_before = d.normal(3, d.whole(1, 4), d.whole(1, 4))
    alpha_bar = (1 - d.betas(T)).cumprod(0)
    return alpha_bar, x_t, x0_hat, x0_before, r, t, d.whole(0, t - 1)


def guidance(d: Draw) -> tuple:
    first = d.whole(1, 9)
    shape = d.whole(1, 4), d.whole(1, 4)
    w = [0.0, 1.0, d.number(0, 8), d.number(0, 8)][d.whole(0, 3)]
    return *d.normal(2, *shape), w, first, d.whole(first, 9), d.whole(1, 10)


def hole(d: Draw) -> tuple:
    T = d.whole(1, 7)
    shape = d.whole(1, 4), d.whole(1, 4)
    x_s, image, eps = d.normal(3, *shape)
    known = (d.uniform(0, 1, *shape) < 0.5).double()
    return (1 - d.betas(T)).cumprod(0), x_s, image, known, eps, d.whole(0, T)


def cross_attention(d: Draw) -> tuple:
    width = d.whole(1, 5)
    pixels, words = (d.normal(d.whole(1, 6), width) for _ in range(2))
    is_word = (d.uniform(0, 1, len(words)) < 0.7).double()
    is_word[d.whole(0, len(words) - 1)] = 1.0
    return pixels, words, is_word, *d.normal(3, width, width)


#: By the number of the exercise: a draw of its arguments.
INPUTS: dict[str, Callable[[Draw], tuple]] = {
    "1.2": q_step,
    "1.4": q_sample,
    "1.6": cosine,
    "2.5": bits,
    "2.6": gaussians,
    "3.1": product,
    "3.2": variance,
    "3.3": mean,
    "3.5": reverse,
    "4.5": mixture,
    "5.1": side,
    "5.2": embedding,
    "5.3": count,
    "5.4": attention,
    "6.4": batch_step,
    "7.2": first_steps,
    "7.5": ddim,
    "7.6": condition,
    "7.7": chain,
    "8.4": look_back,
    "9.3": guidance,
    "9.4": hole,
    "9.5": cross_attention,
}


def inputs(number: str, seed: int) -> tuple:
    """The arguments of a seed."""
    return INPUTS[number](Draw(seed))
