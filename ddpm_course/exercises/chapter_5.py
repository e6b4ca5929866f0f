"""Exercises of chapter 5, the U-Net."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_course.exercises.checker import Exercise, Mistake
from ddpm_course.exercises.inputs import float64, no_tensor, randn

# --- 5.1 --------------------------------------------------------------------------


def side(size: int, levels: int) -> int:
    factor = 2 ** (levels - 1)
    missing = -size % factor
    return size + missing


_SIZE = Exercise(
    number="5.1",
    title="A size that fits",
    difficulty="easy",
    minutes=10,
    reference=side,
    meaning="A U-Net with that many levels takes images of this side, and no smaller "
    "one would hold yours.",
    hint="How many times is the side halved on the way down? It has to be even each "
    "time.",
    inputs=(  # every remainder of 2, 4 and 8; whole; one level; many levels
        *((size, 2) for size in (2, 3)),
        *((size, 3) for size in range(5, 9)),
        *((size, 4) for size in range(25, 33)),
        *((size, 1) for size in range(1, 10)),
        *((28, 3), (8, 2), (5, 4), (33, 5), (224, 6), (225, 6), (1, 3)),
    ),
    mistakes={
        "one level too many": Mistake(
            lambda size, levels: math.ceil(size / 2**levels) * 2**levels,
            "You halve once per level. The first level works on the image as it is; "
            "only the steps between levels halve it.",
        ),
        "rounded down": Mistake(
            lambda size, levels: size // 2 ** (levels - 1) * 2 ** (levels - 1),
            "You went down to the next size that fits. That crops the images; padding "
            "makes them larger.",
        ),
        "a step more where none is needed": Mistake(
            lambda size, levels: (size // 2 ** (levels - 1) + 1) * 2 ** (levels - 1),
            "Right for sizes that don't fit. A size that already fits needs no "
            "padding, but yours adds a whole step to it.",
        ),
        "the padding alone": Mistake(
            lambda size, levels: -size % 2 ** (levels - 1),
            "That is the number of pixels to add. We want the side after padding.",
        ),
        "halved by the number of levels": Mistake(
            lambda size, levels: math.ceil(size / (2 * levels)) * 2 * levels,
            "You count two per level. Halving again and again divides by a power of "
            "two.",
        ),
        "the next power of two": Mistake(
            lambda size, levels: 2 ** math.ceil(math.log2(size)),
            "You went up to a power of two. That can be more than you need: three "
            "levels take 28 as it is.",
        ),
        "the next even number": Mistake(
            lambda size, levels: size + size % 2,
            "Even is enough for one halving. After that the side has to be even "
            "again, unless that was the last halving.",
        ),
        "the side at the bottom": Mistake(
            lambda size, levels: math.ceil(size / 2 ** (levels - 1)),
            "That is the side at the lowest level. We want the side of the padded "
            "image.",
        ),
    },
)


# --- 5.2 --------------------------------------------------------------------------


def time_embedding(t: Tensor, dim: int) -> Tensor:
    exponents = torch.linspace(0, 1, dim // 2, dtype=torch.float64)
    angles = t[:, None] * 10_000**-exponents  # (batch, dim // 2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _embedding(
    exponent: Callable = lambda i, half: i / (half - 1),
    order: Callable = lambda sine, cosine: torch.cat([sine, cosine], dim=1),
    base: float = 10_000.0,
) -> Callable:
    def embed(t: Tensor, dim: int) -> Tensor:
        half = dim // 2
        frequency = base ** -exponent(torch.arange(half).double(), half)
        angle = t[:, None] * frequency
        return order(angle.sin(), angle.cos())

    return embed


def _evenly(t: Tensor, dim: int) -> Tensor:
    angle = t[:, None] * torch.linspace(1, 1e-4, dim // 2).double()
    return torch.cat([angle.sin(), angle.cos()], dim=1)


_TIMES = float64(0, 1, 3, 6)

_EMBEDDING = Exercise(
    number="5.2",
    title="The time as a vector",
    difficulty="medium",
    minutes=15,
    reference=time_embedding,
    meaning="Each time gets its own vector, and nearby times get similar ones.",
    hint="Make the frequencies first, and look at the first and the last: they should "
    "be 1 and 1/10000.",
    inputs=((float64(1), 4), (float64(2, 5), 6), (_TIMES, 8), (_TIMES[1:], 10)),
    mistakes={
        "the last frequency is not reached": Mistake(
            _embedding(lambda i, half: i / half),
            "Your frequencies start at 1 and end above 1/10000. Between dim // 2 "
            "numbers there is one step fewer than there are numbers.",
        ),
        "steps over the whole vector": Mistake(
            _embedding(lambda i, half: i / (2 * half - 1)),
            "You spread the frequencies over all dim places. There are half as many "
            "frequencies: each has a sine and a cosine.",
        ),
        "frequencies that grow": Mistake(
            _embedding(lambda i, half: -i / (half - 1)),
            "Your frequencies grow from 1 to 10000, so there are whole turns between "
            "t and t + 1. Look at the sign of the exponent.",
        ),
        "sines and cosines in turns": Mistake(
            _embedding(
                order=lambda s, c: torch.stack([s, c], dim=2).flatten(1),
            ),
            "The numbers are right, but you alternate sines and cosines, as the "
            "transformer paper does. Here all the sines come first.",
        ),
        "cosines first": Mistake(
            _embedding(order=lambda s, c: torch.cat([c, s], dim=1)),
            "The numbers are right, but you put the cosines first.",
        ),
        "e for 10000": Mistake(
            _embedding(base=math.e),
            "Your lowest frequency is 1/e. A factor of log(10000) is missing from the "
            "exponent.",
        ),
        "the wrong logarithm": Mistake(
            _embedding(base=math.exp(4)),
            "You took the logarithm to base 10, but exp undoes the natural one.",
        ),
        "evenly spaced": Mistake(
            _evenly,
            "The first and the last are right, but you go from one to the other in "
            "equal differences. The frequencies should have equal ratios.",
        ),
        "sines alone": Mistake(
            _embedding(order=lambda s, c: torch.cat([s, s], dim=1)),
            "The second half should be cosines. A sine alone has the same value at "
            "two times on either side of its crest.",
        ),
        "time from 0 to 1": Mistake(
            lambda t, dim: time_embedding(t / 1000, dim),
            "You divide t by 1000 first. Then no wave makes even a sixth of a turn, "
            "and you can hardly tell nearby times apart.",
        ),
    },
)


# --- 5.3 --------------------------------------------------------------------------


def count(c_in: int, c_out: int, c_time: int) -> int:
    norms = 2 * c_in + 2 * c_out
    convolutions = 9 * c_in * c_out + c_out + 9 * c_out**2 + c_out
    time = c_time * c_out + c_out
    skip = c_in * c_out + c_out if c_in != c_out else 0
    return norms + convolutions + time + skip


def _conv(c_in: int, c_out: int, side: int = 3) -> int:
    return c_in * c_out * side**2 + c_out


def _block(
    norms: Callable = lambda i, o: 2 * i + 2 * o,
    convs: Callable = lambda i, o: _conv(i, o) + _conv(o, o),
    time: Callable = lambda e, o: e * o + o,
    skip: Callable = lambda i, o: _conv(i, o, 1) if i != o else 0,
) -> Callable:
    def parameters(c_in: int, c_out: int, c_time: int) -> int:
        parts = norms(c_in, c_out), convs(c_in, c_out), skip(c_in, c_out)
        return sum(parts) + time(c_time, c_out)

    return parameters


_COUNT = Exercise(
    number="5.3",
    title="The parameters of a residual block",
    difficulty="medium",
    minutes=15,
    reference=count,
    meaning="Most of them are in the two convolutions.",
    hint="Go through the layers one by one: two norms, two convolutions, the linear "
    "layer for the time, and the skip. Which of them have biases?",
    inputs=(
        *((1, 1, 1), (1, 2, 1), (2, 1, 3), (3, 5, 7), (5, 5, 7)),
        *((2, 3, 4), (4, 4, 5), (4, 2, 2)),
        *((32, 32, 128), (32, 64, 128), (96, 64, 128)),
    ),
    mistakes={
        "no biases in the convolutions": Mistake(
            _block(convs=lambda i, o: 9 * i * o + 9 * o * o),
            "Each of the two large convolutions has a bias for every output channel.",
        ),
        "kernels of one pixel": Mistake(
            _block(convs=lambda i, o: _conv(i, o, 1) + _conv(o, o, 1)),
            "The kernels of the two large convolutions are 3 by 3, with separate "
            "weights at each place.",
        ),
        "kernels of three weights": Mistake(
            _block(convs=lambda i, o: 3 * i * o + 3 * o * o + 2 * o),
            "A 3 by 3 kernel has more than 3 places.",
        ),
        "no norms": Mistake(
            _block(norms=lambda i, o: 0),
            "The norms learn something too: after normalization, each channel has a "
            "scale and a shift.",
        ),
        "norms with a scale alone": Mistake(
            _block(norms=lambda i, o: i + o),
            "A norm learns a scale for each channel, and a shift as well.",
        ),
        "both norms on the inputs": Mistake(
            _block(norms=lambda i, o: 4 * i),
            "The second norm comes after the first convolution: how many channels are "
            "there?",
        ),
        "the second convolution on the inputs": Mistake(
            _block(convs=lambda i, o: 2 * _conv(i, o)),
            "The second convolution reads c_out channels already.",
        ),
        "no time": Mistake(
            _block(time=lambda e, o: 0),
            "You left out the layer that brings the time into the block.",
        ),
        "no bias in the layer of the time": Mistake(
            _block(time=lambda e, o: e * o),
            "The linear layer for the time has a bias too.",
        ),
        "scale and shift from the time": Mistake(
            _block(time=lambda e, o: 2 * (e * o + o)),
            "That is a block in which the time gives a scale and a shift, as in some "
            "networks. Here it gives one number per channel.",
        ),
        "always a convolution on the skip": Mistake(
            _block(skip=lambda i, o: _conv(i, o, 1)),
            "If c_in and c_out agree, the input is added as it is, with nothing to "
            "learn.",
        ),
        "never a convolution on the skip": Mistake(
            _block(skip=lambda i, o: 0),
            "If c_in and c_out differ, input and output cannot be added as they are. "
            "What is on the skip then?",
        ),
        "a large convolution on the skip": Mistake(
            _block(skip=lambda i, o: _conv(i, o) if i != o else 0),
            "The convolution on the skip only mixes channels: its kernel is a single "
            "pixel.",
        ),
    },
)


# --- 5.4 --------------------------------------------------------------------------


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.T / q.shape[1] ** 0.5  # (pixels, pixels)
    weights = scores.softmax(dim=1)
    return weights @ v


def _attention(
    scores: Callable = lambda q, k: q @ k.T / q.shape[1] ** 0.5,
    weights: Callable = lambda scores: scores.softmax(1),
    mix: Callable = lambda w, v: w @ v,
) -> Callable:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return mix(weights(scores(q, k)), v)

    return attend


_ATTENTION = Exercise(
    number="5.4",
    unfit=lambda attend: no_tensor(attend(*randn(3, 2, 2))),
    title="Attention in a few lines",
    difficulty="hard",
    minutes=20,
    reference=attention,
    meaning="Each pixel gets a weighted average of the values of all pixels.",
    hint="Check the shapes first: there is one score for each pair of pixels. Then "
    "look at the sum of the weights of one query.",
    inputs=(
        (*randn(3, 2, 2),),
        (*randn(3, 3, 1),),
        (*randn(3, 5, 5),),  # as many pixels as channels
        (*randn(3, 6, 4),),
        (3 * randn(9, 2), *randn(2, 9, 2, seed=1)),
    ),
    mistakes={
        "not scaled": Mistake(
            _attention(scores=lambda q, k: q @ k.T),
            "Everything is right except one thing: each score is a sum of d products, "
            "so it grows with d. Without scaling, the softmax is too sharp.",
        ),
        "divided by d": Mistake(
            _attention(scores=lambda q, k: q @ k.T / q.shape[1]),
            "You divide the scores by d. That is their variance; how do you divide by "
            "their standard deviation?",
        ),
        "multiplied by √d": Mistake(
            _attention(scores=lambda q, k: q @ k.T * q.shape[1] ** 0.5),
            "The scaling goes the wrong way: yours makes the scores even larger.",
        ),
        "scaled by the pixels": Mistake(
            _attention(scores=lambda q, k: q @ k.T / q.shape[0] ** 0.5),
            "You scale by the number of pixels. How many products are added up in one "
            "score?",
        ),
        "softmax over the queries": Mistake(
            _attention(weights=lambda scores: scores.softmax(0)),
            "Your weights add to 1 over the queries. For each query they should add "
            "to 1 over the keys.",
        ),
        "no softmax": Mistake(
            _attention(weights=lambda scores: scores),
            "You mix with the scores themselves. Some are negative, and they don't "
            "add to 1: a softmax is missing.",
        ),
        "not normalized": Mistake(
            _attention(weights=lambda scores: scores.exp()),
            "You took the exponentials; to form a mean they have to add to 1.",
        ),
        "scaled after the softmax": Mistake(
            _attention(
                scores=lambda q, k: q @ k.T,
                weights=lambda scores: scores.softmax(1),
                mix=lambda w, v: w @ v / v.shape[1] ** 0.5,
            ),
            "You scale the output of the softmax, so the weights no longer add to 1. "
            "Scale the scores before it.",
        ),
        "queries and keys exchanged": Mistake(
            _attention(scores=lambda q, k: k @ q.T / q.shape[1] ** 0.5),
            "Queries and keys are swapped. Row i of the scores belongs to query i.",
        ),
        "weights the wrong way round": Mistake(
            _attention(mix=lambda w, v: w.T @ v),
            "The weights are right, but you sum over the queries. Output i is a sum "
            "over all keys j.",
        ),
        "the weights alone": Mistake(
            _attention(mix=lambda w, v: w),
            "Those are the weights. What do they weigh?",
        ),
    },
)

EXERCISES = (_SIZE, _EMBEDDING, _COUNT, _ATTENTION)
