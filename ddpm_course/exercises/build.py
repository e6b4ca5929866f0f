"""Exercises of the page "Build your own diffusion model".

The references together are a complete program; each calls those before it. What changes
a network, or is a class, is run by a trial on a tiny network, in float64.
"""

import copy
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_course.exercises import chapter_5
from ddpm_course.exercises.chance import seeded, states
from ddpm_course.exercises.checker import Exercise, Mistake
from ddpm_course.exercises.inputs import float64, no_tensor, randn
from ddpm_course.exercises.trouble import Trouble, a


def _tensor(result: Any) -> Any:
    """What a piece returned. Raises Trouble unless later pieces can go on with it."""
    if result is ... or result is None or not (why := no_tensor(result)):
        return result
    raise Trouble(f"{why}.")


def _from_rng(call: Callable[[], Any]) -> Any:
    """What a call returns. Raises Trouble if it draws from a global generator."""
    with seeded(0):
        before = states()
        result = call()
        drew = states() != before
    if drew:
        raise Trouble(
            "you draw from a global generator, such as torch's own. Pass generator=rng "
            "to every draw, so that a seed repeats the run."
        )
    return result


def _without_gradient(result: Any) -> Any:
    """The tensor that a sampler returned. Raises Trouble if it has a gradient."""
    if isinstance(result, Tensor) and result.requires_grad:
        raise Trouble(
            "your result tracks gradients, and keeps every call of the network in "
            "memory. Put @torch.no_grad() above the function."
        )
    return _tensor(result)


# --- B.1 --------------------------------------------------------------------------


def make_alpha_bar(T, beta_1, beta_T):
    """ᾱ_0 … ᾱ_T of the linear schedule, shape (T + 1,)."""
    beta = torch.linspace(beta_1, beta_T, T)
    alpha_bar = (1 - beta).cumprod(dim=0)
    return torch.cat([torch.ones(1), alpha_bar])


def _alpha_bar_from(
    betas: Callable = torch.linspace,
    product: Callable = lambda beta: (1 - beta).cumprod(0),
    first: float | None = 1.0,
) -> Callable:
    def make(T: int, beta_1: float, beta_T: float) -> Tensor:
        rest = product(betas(beta_1, beta_T, T))
        return rest if first is None else torch.cat([torch.tensor([first]), rest])

    return make


def _T_plus_1_betas(beta_1: float, beta_T: float, T: int) -> Tensor:
    return torch.linspace(beta_1, beta_T, T + 1)


def _one_beta_too_many(beta_1: float, beta_T: float, T: int) -> Tensor:
    return torch.linspace(beta_1, beta_T, T + 1)[1:]


def _beta_T_not_reached(beta_1: float, beta_T: float, T: int) -> Tensor:
    return beta_1 + (beta_T - beta_1) * torch.arange(T) / T


def _run_schedule(make: Any, T: int, beta_1: float, beta_T: float) -> Any:
    return _tensor(make(T, beta_1, beta_T))


_SCHEDULE = Exercise(
    number="B.1",
    title="The schedule",
    difficulty="easy",
    minutes=10,
    reference=make_alpha_bar,
    meaning="This vector is all that the rest of the program knows of the schedule.",
    hint="Make the T betas first. Then take a running product, and put the entry of "
    "time 0 in front.",
    inputs=((2, 0.2, 0.5), (4, 0.1, 0.4), (200, 5e-4, 0.1)),
    trial=_run_schedule,
    mistakes={
        "entry 0 missing": Mistake(
            _alpha_bar_from(first=None),
            "Yours starts with time 1. Put the clean image in front, so that "
            "alpha_bar[t] belongs to time t.",
        ),
        "starts with 0": Mistake(
            _alpha_bar_from(first=0.0),
            "At time 0 nothing has been replaced with noise yet. How much is left?",
        ),
        "no product": Mistake(
            _alpha_bar_from(product=lambda beta: 1 - beta),
            "That is what each step keeps by itself. What is left after all the steps "
            "up to t?",
        ),
        "a product of the betas": Mistake(
            _alpha_bar_from(product=lambda beta: beta.cumprod(0)),
            "You multiply what the steps replace. Multiply what they keep.",
        ),
        "a sum": Mistake(
            _alpha_bar_from(product=lambda beta: 1 - beta.cumsum(0)),
            "You add up the betas. Each step takes its share of what is left, so the "
            "factors multiply.",
        ),
        "roots": Mistake(
            _alpha_bar_from(product=lambda beta: (1 - beta).cumprod(0).sqrt()),
            "That is the share of the image's amplitude. We want that of its variance; "
            "the root comes later.",
        ),
        "the noise": Mistake(
            _alpha_bar_from(product=lambda beta: 1 - (1 - beta).cumprod(0)),
            "That is the variance of the noise. We want what is left of the image.",
        ),
        "one beta too many": Mistake(
            _alpha_bar_from(_one_beta_too_many),
            "Look at the first beta: time 1 should have beta_1 itself. There are T "
            "betas, not T + 1.",
        ),
        "T + 1 betas and no 1": Mistake(
            _alpha_bar_from(_T_plus_1_betas, first=None),
            "You make T + 1 betas. There are T, for the times 1 to T. Time 0 has none: "
            "its entry is 1.",
        ),
        "T + 1 betas and a 1": Mistake(
            _alpha_bar_from(_T_plus_1_betas),
            "You make T + 1 betas. There are T, for the times 1 to T.",
        ),
        "beta_T not reached": Mistake(
            _alpha_bar_from(_beta_T_not_reached),
            "Look at the last beta: time T should have beta_T itself. T numbers have "
            "T - 1 gaps between them.",
        ),
        "backwards": Mistake(
            _alpha_bar_from(lambda first, last, T: torch.linspace(last, first, T)),
            "Your betas fall. The first steps should add the least noise.",
        ),
    },
)


# --- B.2 --------------------------------------------------------------------------


def q_sample(alpha_bar, x0, t, eps):
    """x_t, each image at its own time: all of shape (B, C, H, W), t of shape (B,)."""
    abar = alpha_bar[t].view(-1, 1, 1, 1)
    return abar.sqrt() * x0 + (1 - abar).sqrt() * eps


def _noisy(
    signal: Callable = lambda abar: abar.sqrt(),
    noise: Callable = lambda abar: (1 - abar).sqrt(),
    shift: int = 0,
    one_time: bool = False,
) -> Callable:
    def mix(alpha_bar: Tensor, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        at = t[:1].expand(len(x0)) if one_time else t
        abar = alpha_bar[at - shift].view(-1, 1, 1, 1)
        return signal(abar) * x0 + noise(abar) * eps

    return mix


_FEW = float64(1.0, 0.8, 0.5, 0.1)


def _batch(*times: int, seed: int = 0, size: float = 1.0) -> tuple:
    """ᾱ, small images, their times, and noise."""
    x0, eps = randn(2, len(times), 1, 1, 2, seed=seed)
    return _FEW, size * x0, torch.tensor(times), eps


def _run_q_sample(mix: Any, alpha_bar: Any, x0: Any, t: Any, eps: Any) -> Any:
    return _tensor(mix(alpha_bar, x0, t, eps))


_Q_SAMPLE = Exercise(
    number="B.2",
    title="Noise in one jump",
    difficulty="easy",
    minutes=10,
    reference=q_sample,
    meaning="One line instead of t steps: this is what makes training fast.",
    hint="Look up each image's own alpha_bar, give it the shape (B, 1, 1, 1), and mix.",
    inputs=(_batch(2), _batch(3, 1), _batch(1, 3, 2)),
    trial=_run_q_sample,
    mistakes={
        "no roots": Mistake(
            _noisy(lambda abar: abar, lambda abar: 1 - abar),
            "You mix with the variances. By what must you multiply standard normal "
            "noise so that it has the variance 1 - alpha_bar?",
        ),
        "no root at the noise": Mistake(
            _noisy(noise=lambda abar: 1 - abar),
            "The image is right. Multiply the noise by its standard deviation, not by "
            "its variance.",
        ),
        "no root at the image": Mistake(
            _noisy(signal=lambda abar: abar),
            "The noise is right. The image is multiplied by a root, too.",
        ),
        "swapped": Mistake(
            _noisy(lambda abar: (1 - abar).sqrt(), lambda abar: abar.sqrt()),
            "Yours gets clearer with time. You swapped the two factors.",
        ),
        "factors that add up to 1": Mistake(
            _noisy(noise=lambda abar: 1 - abar.sqrt()),
            "Your factors add up to 1. Their squares should.",
        ),
        "the noise alone is scaled": Mistake(
            _noisy(signal=lambda abar: torch.ones_like(abar)),
            "The image has to fade while the noise grows.",
        ),
        "the image alone is scaled": Mistake(
            _noisy(noise=lambda abar: torch.ones_like(abar)),
            "The noise has its full strength at every time. How much should there be "
            "at time 1?",
        ),
        "off by one": Mistake(
            _noisy(shift=1),
            "You look up t - 1. Entry t belongs to time t: entry 0 is the clean image.",
        ),
        "one time for all": Mistake(
            _noisy(one_time=True),
            "You use the first image's time for all of them. Each has its own.",
        ),
    },
)


# --- B.3 --------------------------------------------------------------------------


def time_embedding(t, dim):
    """Sines, then cosines, of t at dim // 2 frequencies: (B,) → (B, dim)."""
    half = dim // 2
    frequency = 10_000 ** (-torch.arange(half) / (half - 1))
    angle = t[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _run_embedding(embed: Any, t: Any, dim: int) -> Any:
    return _tensor(embed(t, dim))


(_FIVE_TWO,) = (e for e in chapter_5.EXERCISES if e.number == "5.2")


def _without_axis(t: Tensor, dim: int) -> Tensor:
    half = dim // 2
    angle = t * 10_000 ** (-torch.arange(half) / (half - 1))
    return torch.cat([angle.sin(), angle.cos()])


_EMBEDDING = replace(
    _FIVE_TWO,
    number="B.3",
    title="The clock",
    reference=time_embedding,
    meaning="The network can now tell every time from every other.",
    trial=_run_embedding,
    mistakes=_FIVE_TWO.mistakes
    | {
        "no axis": Mistake(
            _without_axis,
            "You multiply t with the frequencies entry by entry. Make one row for each "
            "time: t[:, None] has the shape (B, 1).",
        ),
    },
)


# --- B.4 --------------------------------------------------------------------------


class ResidualBlock(nn.Module):
    """(B, c_in, H, W), (B, c_time) → (B, c_out, H, W)."""

    def __init__(self, c_in, c_out, c_time):
        super().__init__()
        self.norm_1 = nn.GroupNorm(4, c_in)
        self.conv_1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time = nn.Linear(c_time, c_out)
        self.norm_2 = nn.GroupNorm(4, c_out)
        self.conv_2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        for weight in self.conv_2.parameters():
            nn.init.zeros_(weight)
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x, time):
        h = self.conv_1(F.silu(self.norm_1(x)))
        h = h + self.time(time)[:, :, None, None]
        h = self.conv_2(F.silu(self.norm_2(h)))
        return self.skip(x) + h


class _Block(ResidualBlock):
    """A block with one of the known mistakes."""

    def __init__(self, wrong: str, *sizes: int) -> None:
        super().__init__(*sizes)
        self.wrong = wrong
        if wrong == "not zero":
            self.conv_2.reset_parameters()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        wrong, added = self.wrong, self.time(time)[:, :, None, None]
        activate = F.relu if wrong == "relu" else F.silu
        h = self.norm_1(x)
        h = self.conv_1(h if wrong == "first linear" else activate(h))
        if wrong == "time scales":
            h = h * added
        elif wrong not in ("no time", "late time"):
            h = h + added
        h = self.norm_2(h)
        h = self.conv_2(h if wrong == "second linear" else activate(h))
        h = h + added if wrong == "late time" else h
        h = h if wrong == "no skip" else self.skip(x) + h
        return F.silu(h) if wrong == "activated" else h


def _wrong_block(wrong: str) -> Callable:
    return lambda *sizes: _Block(wrong, *sizes)


def _run_block(block: Any, c_in: int, c_out: int, c_time: int) -> Any:
    """Whether conv_2 starts away from zero, then the output with known weights."""
    with seeded(0):
        layer, ours = block(c_in, c_out, c_time), ResidualBlock(c_in, c_out, c_time)
    x, time = randn(2, c_in, 3, 4), randn(2, c_time)
    if layer is ... or not list(layer.parameters()):
        return layer if layer is ... else layer(x, time)
    layer = layer.double()
    _check_parts(layer, ours)
    moves = any(bool(weight.any()) for weight in layer.conv_2.parameters())
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.copy_(randn(*weight.shape, seed=zlib.crc32(name.encode())) / 3)
        out = layer(x, time)
    if out is ...:
        return ...
    _check_shape(out, (2, c_out, 3, 4))
    return torch.cat([float64(float(moves)), out.flatten()])


def _check_parts(layer: nn.Module, ours: nn.Module) -> None:
    """Raise Trouble unless both have weights of the same names and shapes."""
    mine, wanted = (
        {name: tuple(weight.shape) for name, weight in one.named_parameters()}
        for one in (layer, ours)
    )
    for name, shape in wanted.items():
        if name not in mine:
            raise Trouble(f"your block has no {name}: see the names in the docstring.")
        if mine[name] != shape:
            raise Trouble(f"your {name} has shape {mine[name]}, expected {shape}.")
    if extra := sorted(set(mine) - set(wanted)):
        raise Trouble(f"your block has a layer too many: it has {extra[0]}.")


def _check_shape(out: Any, shape: tuple[int, ...], name: str = "result") -> None:
    if not isinstance(out, Tensor):
        raise Trouble(f"your {name} is {a(out)}: expected a tensor.")
    if tuple(out.shape) != shape:
        raise Trouble(f"your {name} has shape {tuple(out.shape)}, expected {shape}.")


_BLOCK = Exercise(
    number="B.4",
    title="A residual block",
    difficulty="medium",
    minutes=25,
    reference=ResidualBlock,
    meaning="A U-Net is twenty lines of plumbing around six of these.",
    hint="Take one line of the recipe at a time, and print the shape of h after each.",
    inputs=((4, 4, 2), (4, 8, 3), (8, 4, 5)),
    trial=_run_block,
    mistakes={
        "not zero": Mistake(
            _wrong_block("not zero"),
            "A new block should change nothing: set the weight and the bias of conv_2 "
            "to zero.",
        ),
        "no skip": Mistake(
            _wrong_block("no skip"),
            "You return f alone. Add the input, through self.skip.",
        ),
        "no time": Mistake(
            _wrong_block("no time"),
            "Your block doesn't listen to the time.",
        ),
        "late time": Mistake(
            _wrong_block("late time"),
            "You add the time at the end, where no activation comes behind it. It "
            "belongs between the two convolutions.",
        ),
        "time scales": Mistake(
            _wrong_block("time scales"),
            "You multiply by the time's vector. Here it is added.",
        ),
        "relu": Mistake(
            _wrong_block("relu"),
            "The order is right, but the activation is SiLU.",
        ),
        "first linear": Mistake(
            _wrong_block("first linear"),
            "An activation is missing between norm_1 and conv_1.",
        ),
        "second linear": Mistake(
            _wrong_block("second linear"),
            "An activation is missing between norm_2 and conv_2.",
        ),
        "activated": Mistake(
            _wrong_block("activated"),
            "There is an activation on the way out. The path through the skip should "
            "stay free, all the way through the network.",
        ),
    },
)


# --- B.5 --------------------------------------------------------------------------


def draw_batch(images, T, size, rng):
    """Random images (size, C, H, W), their times (size,), and noise."""
    index = torch.randint(len(images), (size,), generator=rng)
    x0 = images[index]
    t = torch.randint(1, T + 1, (size,), generator=rng)
    eps = torch.randn(x0.shape, generator=rng)
    return x0, t, eps


def _drawn(
    low: int = 1,
    over: int = 1,
    noise: Callable = torch.randn,
    chosen: Callable = lambda images, n, rng: images[
        torch.randint(len(images), (n,), generator=rng)
    ],
    times: Callable = lambda t: t,
    noises: Callable = lambda eps: eps,
) -> Callable:
    def draw(images: Tensor, T: int, size: int, rng: torch.Generator) -> tuple:
        x0 = chosen(images, size, rng)
        t = times(torch.randint(low, T + over, (size,), generator=rng))
        return x0, t, noises(noise(*x0.shape, generator=rng))

    return draw


def _run_batch(draw: Any, n: int, T: int, size: int) -> Any:
    """What a large batch shows: its shapes, ranges, counts, and whose numbers it took.

    In order: sizes; the number of images, their smallest and largest index; the same
    for times; noises, their average and spread.
    """
    images = torch.arange(n).view(n, 1, 1, 1).expand(n, 1, 1, 2).float()
    rng = torch.Generator().manual_seed(0)
    batch = _from_rng(lambda: draw(images.clone(), T, size, rng))
    if batch is ... or batch is None:
        return batch
    try:
        x0, t, eps = batch
    except (TypeError, ValueError):
        raise Trouble("your function should return three things: x0, t, eps.") from None
    _check_shape(x0, (size, 1, 1, 2), "x0")
    _check_shape(t, (size,), "t")
    _check_shape(eps, (size, 1, 1, 2), "eps")
    if t.dtype != torch.int64:
        raise Trouble(f"your t has dtype {t.dtype}: expected int64.")
    if torch.equal(eps, draw(images.clone(), T, size, rng)[2]):
        raise Trouble(
            "your next batch has the same noise. Don't seed rng inside: it would "
            "start over with each batch."
        )
    index = x0[:, 0, 0, 0]
    return [
        *(len(index.unique()), index.min(), index.max()),
        *(len(t.unique()), t.min(), t.max()),
        len(eps.unique(dim=0)),
        *(round(4 * x.item()) / 4 for x in (eps.mean(), eps.std())),
    ]


_DRAW = Exercise(
    number="B.5",
    title="A batch",
    difficulty="easy",
    minutes=10,
    reference=draw_batch,
    meaning="Random pictures, random times, fresh noise: the network never sees the "
    "same question twice.",
    hint="Three draws, each with generator=rng: torch.randint for the images, "
    "torch.randint for the times, torch.randn for the noise.",
    inputs=((5, 3, 1000), (20, 7, 1000)),
    trial=_run_batch,
    mistakes={
        "time 0": Mistake(
            _drawn(low=0),
            "Your times begin at 0, where there is no noise to guess.",
        ),
        "never T": Mistake(
            _drawn(over=0),
            "Your times never reach T: randint excludes its upper end.",
        ),
        "0 to T - 1": Mistake(
            _drawn(low=0, over=0),
            "Your times run from 0 to T - 1, like the indices of a list. We count "
            "from 1.",
        ),
        "one time for all": Mistake(
            _drawn(times=lambda t: t[:1].expand(len(t))),
            "All your images have the same time. Give each its own: the gradient is "
            "far less noisy.",
        ),
        "one noise for all": Mistake(
            _drawn(noises=lambda eps: eps[:1].expand(eps.shape)),
            "All your images have the same noise. Draw one for each.",
        ),
        "uniform noise": Mistake(
            _drawn(noise=torch.rand),
            "Your noise is uniform, from torch.rand. We need a standard normal.",
        ),
        "always the first": Mistake(
            _drawn(
                chosen=lambda images, n, rng: (
                    images[:1].expand(n, *images.shape[1:]).clone()
                )
            ),
            "You always take the same image.",
        ),
        "never the last": Mistake(
            _drawn(
                chosen=lambda images, n, rng: images[
                    torch.randint(len(images) - 1, (n,), generator=rng)
                ]
            ),
            "You never take the last image: randint already excludes its upper end.",
        ),
    },
)


# --- B.6 --------------------------------------------------------------------------


def noise_loss(network, alpha_bar, x0, t, eps):
    """The mean squared error of the network's guess of the noise, a scalar."""
    x_t = q_sample(alpha_bar, x0, t, eps)
    return (network(x_t, t) - eps).square().mean()


def _loss(
    error: Callable = lambda guess, x0, eps, x_t: guess - eps,
    seen: Callable = lambda x_t, x0: x_t,
    reduce: Callable = lambda e: e.square().mean(),
) -> Callable:
    def loss(
        network: Callable, alpha_bar: Tensor, x0: Tensor, t: Tensor, eps: Tensor
    ) -> Tensor:
        x_t = q_sample(alpha_bar, x0, t, eps)
        return reduce(error(network(seen(x_t, x0), t), x0, eps, x_t))

    return loss


def _simple_network(x: Tensor, t: Tensor) -> Tensor:
    """Stands in for a network: insists on a time for each image."""
    if not isinstance(t, Tensor) or t.shape != x.shape[:1] or t.is_floating_point():
        raise Trouble(
            "you call the network without a time for each image: expected "
            "network(x, t) with t an int64 tensor of shape (B,)."
        )
    return 0.7 * x + 0.1 * t.view(-1, 1, 1, 1)


def _with_weight(x: Tensor, t: Tensor) -> Tensor:
    """The same, and what it returns has a gradient, as that of a real network."""
    return nn.Parameter(torch.tensor(1.0)) * _simple_network(x, t)


def _run_loss(loss: Any, alpha_bar: Any, x0: Any, t: Any, eps: Any) -> Any:
    result = _tensor(loss(_with_weight, alpha_bar, x0, t, eps))
    if isinstance(result, Tensor) and not result.requires_grad:
        raise Trouble("your loss has no gradient: return the tensor as it is.")
    return result


_LOSS = Exercise(
    number="B.6",
    title="The loss",
    difficulty="easy",
    minutes=10,
    reference=noise_loss,
    meaning="That is the whole training objective of a DDPM.",
    hint="Make x_t with q_sample, ask the network, compare its answer with eps.",
    inputs=(_batch(2), _batch(3, 1), _batch(1, 3, 2)),
    trial=_run_loss,
    mistakes={
        "the image as target": Mistake(
            _loss(lambda guess, x0, eps, x_t: guess - x0),
            "You compare with the clean image. This network is asked for the noise.",
        ),
        "the noisy image as target": Mistake(
            _loss(lambda guess, x0, eps, x_t: guess - x_t),
            "You compare with the network's own input. It would learn to copy it.",
        ),
        "a clean input": Mistake(
            _loss(seen=lambda x_t, x0: x0),
            "Your network gets the clean image, which contains no noise to guess.",
        ),
        "a sum": Mistake(
            _loss(reduce=lambda e: e.square().sum()),
            "You add up the squares. Take their mean, or the learning rate will depend "
            "on the batch size.",
        ),
        "a sum per image": Mistake(
            _loss(reduce=lambda e: e.square().flatten(1).sum(1).mean()),
            "You add up the pixels of an image. Take the mean over everything.",
        ),
        "absolute": Mistake(
            _loss(reduce=lambda e: e.abs().mean()),
            "That is the mean absolute error. Chapter 2 gave us a squared one.",
        ),
        "a root": Mistake(
            _loss(reduce=lambda e: e.square().mean().sqrt()),
            "No root: the loss is the mean square itself.",
        ),
        "no square": Mistake(
            _loss(reduce=lambda e: e.mean()),
            "Errors of opposite signs cancel in yours. Square them first.",
        ),
    },
)


# --- B.7 --------------------------------------------------------------------------


def train_step(network, optimizer, alpha_bar, x0, t, eps):
    """One update of the network; returns the loss before it, as a number."""
    loss = noise_loss(network, alpha_bar, x0, t, eps)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return loss.item()


class _Tiny(nn.Module):
    """A network with two weights: a x + b t / 10."""

    def __init__(self, a: float = 0.5, b: float = -0.3) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(b, dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.a * x + self.b * t.view(-1, 1, 1, 1) / 10


def _weights(network: nn.Module) -> Tensor:
    return torch.stack([p.detach() for p in network.parameters()])


def _step(
    order: str = "zero back clip step",
    clip: Callable = lambda network: nn.utils.clip_grad_norm_(
        network.parameters(), 1.0
    ),
) -> Callable:
    def step(network: Any, optimizer: Any, *batch: Tensor) -> float:
        loss = noise_loss(network, *batch)
        does = {
            "zero": optimizer.zero_grad,
            "back": loss.backward,
            "up": (-loss).backward,
            "clip": lambda: clip(network),
            "step": optimizer.step,
        }
        for name in order.split():
            does[name]()
        return loss.item()

    return step


def _normalize(network: nn.Module) -> None:
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    norm = torch.stack(gradients).norm()
    for gradient in gradients:
        gradient /= norm


def _loss_after(network: Any, optimizer: Any, *batch: Tensor) -> float:
    _step()(network, optimizer, *batch)
    return noise_loss(network, *batch).item()


def _run_step(step: Any, alpha_bar: Any, x0: Any, t: Any, eps: Any) -> Any:
    """The losses of three steps, then the weights."""
    network, losses = _Tiny(), []
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    for _ in range(3):
        loss = step(network, optimizer, alpha_bar, x0, t, eps)
        if loss is ... or loss is None:
            return loss
        if isinstance(loss, Tensor):
            raise Trouble(
                "your function returns a tensor. Return a plain number, loss.item(): "
                "the tensor keeps the whole computation in memory."
            )
        losses.append(torch.as_tensor(loss).double().reshape(()))
    return torch.cat([torch.stack(losses), _weights(network)])


_STEP = Exercise(
    number="B.7",
    title="A training step",
    difficulty="medium",
    minutes=15,
    reference=train_step,
    meaning="With B.5 and B.6, this is Algorithm 1 of the DDPM paper.",
    hint="Five things in this order: loss, old gradients away, backward, clip, step.",
    inputs=(_batch(2, seed=1), _batch(3, 1, 2, size=6.0), _batch(1, 2, 3, 3, size=0.5)),
    trial=_run_step,
    mistakes={
        "old gradients": Mistake(
            _step("back clip step"),
            "Your gradients add up from step to step. Clear them before backward.",
        ),
        "no clipping": Mistake(
            _step("zero back step"),
            "The optimizer uses a gradient that isn't clipped. Clip after backward and "
            "before the step.",
        ),
        "clipped one by one": Mistake(
            _step(clip=lambda n: nn.utils.clip_grad_value_(n.parameters(), 1.0)),
            "You clip each number by itself, which turns the gradient. Scale the whole "
            "gradient down to norm 1.",
        ),
        "clipped far too much": Mistake(
            _step(clip=lambda n: nn.utils.clip_grad_norm_(n.parameters(), 0.1)),
            "Right but for the limit: the gradient may have norm 1.",
        ),
        "always scaled": Mistake(
            _step(clip=_normalize),
            "You give every gradient the norm 1. Scale it only if it is longer than "
            "that.",
        ),
        "nothing changes": Mistake(
            _step("zero back clip"),
            "The weights never change. The optimizer has to step after backward, and "
            "the gradients must not be cleared in between.",
        ),
        "two steps": Mistake(
            _step("zero back clip step step"),
            "The optimizer steps twice. Once a batch is enough.",
        ),
        "uphill": Mistake(
            _step("zero up clip step"),
            "The loss grows from step to step: you walk uphill.",
        ),
        "the loss after the step": Mistake(
            _loss_after,
            "The weights are right. The loss should be the one before the step; a "
            "second forward pass is wasted.",
        ),
    },
)


# --- B.8 --------------------------------------------------------------------------


@torch.no_grad()
def update_average(average, network, step, decay=0.99):
    """Move the weights of average toward those of network, in place."""
    decay = min(decay, (1 + step) / (10 + step))
    pairs = zip(average.parameters(), network.parameters(), strict=True)
    for mean, weight in pairs:
        mean.mul_(decay).add_(weight, alpha=1 - decay)


def _average(
    decays: Callable = lambda step, decay: min(decay, (1 + step) / (10 + step)),
    target: str = "average",
    share: Callable = lambda decay: 1 - decay,
) -> Callable:
    @torch.no_grad()
    def update(
        average: nn.Module, network: nn.Module, step: int, decay: float = 0.99
    ) -> None:
        decay = decays(step, decay)
        for mean, weight in zip(
            average.parameters(), network.parameters(), strict=True
        ):
            result = decay * mean + share(decay) * weight
            (mean if target == "average" else weight).copy_(result)

    return update


def _with_gradient(
    average: nn.Module, network: nn.Module, step: int, decay: float = 0.99
) -> None:
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        mean.mul_(decay).add_(weight, alpha=1 - decay)


def _rebound(
    average: nn.Module, network: nn.Module, step: int, decay: float = 0.99
) -> None:
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        mean = decay * mean + (1 - decay) * weight  # type: ignore[assignment]


def _run_average(update: Any, step: int, decay: float) -> Any:
    """The weights of the average and of the network, after an update."""
    average, network = _Tiny(1.0, 2.0), _Tiny(3.0, -2.0)
    if update(average, network, step, decay) is ...:
        return ...
    return torch.cat([_weights(average), _weights(network)])


_EMA = Exercise(
    number="B.8",
    title="The average of the weights",
    difficulty="medium",
    minutes=15,
    reference=update_average,
    meaning="The average forgets the random start within a few steps, and later "
    "remembers about a hundred.",
    hint="First the decay of this step, then one line for each pair of parameters. "
    "Change the tensors of average in place.",
    inputs=((0, 0.9), (5, 0.9), (1000, 0.9)),
    trial=_run_average,
    mistakes={
        "no warm-up": Mistake(
            _average(lambda step, decay: decay),
            "Right later on, but early the average keeps its random start. Where is "
            "the warm-up?",
        ),
        "the larger one": Mistake(
            _average(lambda step, decay: max(decay, (1 + step) / (10 + step))),
            "You take the larger of the two decays. The warm-up makes it smaller.",
        ),
        "warm-up alone": Mistake(
            _average(lambda step, decay: (1 + step) / (10 + step)),
            "The warm-up never ends: its decay goes to 1. The limit is the given one.",
        ),
        "0.99": Mistake(
            _average(lambda step, decay: min(0.99, (1 + step) / (10 + step))),
            "Yours stops at 0.99 whatever the caller asks for. The limit is the "
            "argument decay.",
        ),
        "steps from 1": Mistake(
            _average(lambda step, decay: min(decay, (2 + step) / (11 + step))),
            "Steps count from 0, so the first decay is 1/10.",
        ),
        "roles swapped": Mistake(
            _average(
                lambda step, decay: 1 - min(decay, (1 + step) / (10 + step)),
            ),
            "The average should keep the share decay of itself. Yours takes that share "
            "from the network.",
        ),
        "the network": Mistake(
            _average(target="network"),
            "You change the network. It is the average that moves.",
        ),
        "shares that don't add up": Mistake(
            _average(share=lambda decay: 1.0),
            "Your two shares add up to more than 1, so the weights grow.",
        ),
        "the gradient": Mistake(
            _with_gradient,
            "PyTorch refuses to change a parameter in place while it tracks gradients. "
            "Put @torch.no_grad() above the function.",
        ),
        "a new name": Mistake(
            _rebound,
            "Nothing changes: an assignment gives the name to a new tensor and leaves "
            "the old one as it is. Use mul_, add_ or copy_.",
        ),
    },
)


# --- B.9 --------------------------------------------------------------------------


def train(network, draw, alpha_bar, steps, lr):
    """Train in place; returns the averaged network, and the list of losses."""
    optimizer = torch.optim.Adam(network.parameters(), lr)
    average, losses = copy.deepcopy(network), []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        x0, t, eps = draw()
        losses.append(train_step(network, optimizer, alpha_bar, x0, t, eps))
        update_average(average, network, step)
    return average, losses


def _training(
    rate: Callable = lambda step, steps: 1 - step / steps,
    averaged: bool = True,
    fresh: bool = True,
    one_batch: bool = False,
    optimizers: Callable = torch.optim.Adam,
    extra: int = 0,
) -> Callable:
    def run(
        network: nn.Module, draw: Callable, alpha_bar: Tensor, steps: int, lr: float
    ) -> tuple:
        optimizer = optimizers(network.parameters(), lr)
        average, losses = copy.deepcopy(network), []
        batch = draw() if one_batch else None
        for step in range(steps + extra):
            optimizer.param_groups[0]["lr"] = lr * rate(step, steps)
            losses.append(train_step(network, optimizer, alpha_bar, *(batch or draw())))
            if averaged:
                update_average(average, network, step)
            if not fresh:
                optimizer = optimizers(network.parameters(), lr)
        return average, losses

    return run


def _run_training(run: Any, steps: int, lr: float) -> Any:
    """The weights of the average and of the network, the losses, the batches drawn."""
    network = _Tiny()
    drawn: list[int] = []

    def draw() -> tuple:
        drawn.append(len(drawn))
        return _batch(1 + len(drawn) % 3, 2, seed=len(drawn))[1:]

    returned = run(network, draw, _FEW, steps, lr)
    if returned is ... or returned is None:
        return returned
    try:
        average, losses = returned
        if any(isinstance(loss, Tensor) for loss in losses):
            raise Trouble(
                "your losses are tensors. Make each a plain number, with loss.item()."
            )
        numbers = float64(*map(float, losses))
        weights = _weights(average)
    except (TypeError, ValueError, AttributeError):
        raise Trouble(
            "your function should return two things: the averaged network, and the "
            "losses as a list of floats."
        ) from None
    if average is network:
        raise Trouble(
            "the average that you return is the network, the same object. Make it with "
            "copy.deepcopy(network) before the loop."
        )
    count = torch.tensor([float(len(drawn))], dtype=torch.float64)
    return torch.cat([weights, _weights(network), numbers, count])


_TRAINING = Exercise(
    number="B.9",
    title="The training loop",
    difficulty="medium",
    minutes=20,
    reference=train,
    meaning="Now let it run.",
    hint="Before the loop: an optimizer, a copy of the network, an empty list. In it: "
    "set the learning rate, draw, step, update the average.",
    inputs=((2, 0.1), (5, 0.05)),
    trial=_run_training,
    mistakes={
        "constant rate": Mistake(
            _training(rate=lambda step, steps: 1.0),
            "Your learning rate stays where it is. Let it fall, or the last steps "
            "shake the network.",
        ),
        "rate one step ahead": Mistake(
            _training(rate=lambda step, steps: 1 - (step + 1) / steps),
            "Your last step has a learning rate of 0. The first should have lr itself.",
        ),
        "rate falls from step to step": Mistake(
            _training(rate=lambda step, steps: 1 / (1 + step)),
            "Your learning rate falls, but not on a straight line.",
        ),
        "never averaged": Mistake(
            _training(averaged=False),
            "Your average stays at the network's first weights.",
        ),
        "a new optimizer each time": Mistake(
            _training(fresh=False),
            "You make a new optimizer at each step. Adam then forgets all it knows "
            "about the gradients.",
        ),
        "one batch": Mistake(
            _training(one_batch=True),
            "You draw once, before the loop: the network learns one batch by heart.",
        ),
        "SGD": Mistake(
            _training(optimizers=torch.optim.SGD),
            "That is plain gradient descent. Use torch.optim.Adam.",
        ),
        "one step more": Mistake(
            _training(extra=1),
            "You take one step too many.",
        ),
    },
)


# --- B.10 -------------------------------------------------------------------------


def guess_x0(network, alpha_bar, x_t, t):
    """x̂_0 in [-1, 1], of the shape of x_t; t is an int."""
    eps = network(x_t, torch.full((len(x_t),), t))
    abar = alpha_bar[t]
    x0 = (x_t - (1 - abar).sqrt() * eps) / abar.sqrt()
    return x0.clamp(-1, 1)


def _guess(
    solve: Callable = lambda x, eps, abar: (x - (1 - abar).sqrt() * eps) / abar.sqrt(),
    limit: Callable = lambda x: x.clamp(-1, 1),
    shift: int = 0,
) -> Callable:
    def guess(network: Callable, alpha_bar: Tensor, x_t: Tensor, t: int) -> Tensor:
        eps = network(x_t, torch.full((len(x_t),), t))
        return limit(solve(x_t, eps, alpha_bar[t - shift]))

    return guess


def _run_guess(guess: Any, alpha_bar: Any, x_t: Any, t: Any) -> Any:
    return _tensor(guess(_simple_network, alpha_bar, x_t, t))


_X_T = randn(2, 1, 1, 2, seed=3)

_GUESS = Exercise(
    number="B.10",
    title="The guess",
    difficulty="easy",
    minutes=10,
    reference=guess_x0,
    meaning="From now on the network answers with pictures.",
    hint="Solve the equation of B.2 for x0, with the network's answer as eps. Then "
    "clip.",
    inputs=((_FEW, _X_T[:1], 2), (_FEW, _X_T, 1), (_FEW, 2 * _X_T, 3)),
    trial=_run_guess,
    mistakes={
        "no clipping": Mistake(
            _guess(limit=lambda x: x),
            "Right, but not clipped: no pixel is darker than black.",
        ),
        "clipped to [0, 1]": Mistake(
            _guess(limit=lambda x: x.clamp(0, 1)),
            "You clip to [0, 1]. Here black is -1.",
        ),
        "no roots": Mistake(
            _guess(lambda x, eps, abar: (x - (1 - abar) * eps) / abar),
            "The roots are missing: the factors are standard deviations.",
        ),
        "noise added": Mistake(
            _guess(lambda x, eps, abar: (x + (1 - abar).sqrt() * eps) / abar.sqrt()),
            "You add the noise once more. Take it away.",
        ),
        "multiplied": Mistake(
            _guess(lambda x, eps, abar: (x - (1 - abar).sqrt() * eps) * abar.sqrt()),
            "To undo a multiplication, divide.",
        ),
        "not rescaled": Mistake(
            _guess(lambda x, eps, abar: x - (1 - abar).sqrt() * eps),
            "The noise is gone. What is left is still the faded image.",
        ),
        "all of the noise": Mistake(
            _guess(lambda x, eps, abar: (x - eps) / abar.sqrt()),
            "The noise in x_t is eps times a factor.",
        ),
        "the noise itself": Mistake(
            _guess(lambda x, eps, abar: eps),
            "That is the guess of the noise. We want that of the image.",
        ),
        "off by one": Mistake(
            _guess(shift=1),
            "You look up alpha_bar at t - 1.",
        ),
    },
)


# --- B.11 -------------------------------------------------------------------------


@torch.no_grad()
def sample(network, alpha_bar, x, rng):
    """x_0 from x = x_T, by the ancestral steps with σ_t² = β_t."""
    for t in range(len(alpha_bar) - 1, 0, -1):
        now, before = alpha_bar[t], alpha_bar[t - 1]
        alpha = now / before
        guess = guess_x0(network, alpha_bar, x, t)
        on_guess = before.sqrt() * (1 - alpha) / (1 - now)
        on_x = alpha.sqrt() * (1 - before) / (1 - now)
        x = on_guess * guess + on_x * x
        if t > 1:
            x = x + (1 - alpha).sqrt() * torch.randn(x.shape, generator=rng)
    return x


def _ancestral(
    spread: Callable = lambda alpha, now, before: (1 - alpha).sqrt(),
    last: int = 1,
    quiet: int = 1,
    from_: int = 0,
    on_guess: Callable = lambda a, now, before: before.sqrt() * (1 - a) / (1 - now),
    on_x: Callable = lambda a, now, before: a.sqrt() * (1 - before) / (1 - now),
    guess: Callable = guess_x0,
) -> Callable:
    @torch.no_grad()
    def run(
        network: Callable, alpha_bar: Tensor, x: Tensor, rng: torch.Generator
    ) -> Tensor:
        for t in range(len(alpha_bar) - 1 - from_, last - 1, -1):
            now, before = alpha_bar[t], alpha_bar[t - 1]
            alpha = now / before
            given = alpha, now, before
            x0 = guess(network, alpha_bar, x, t)
            x = on_guess(*given) * x0 + on_x(*given) * x
            if t > quiet:
                x = x + spread(*given) * torch.randn(x.shape, generator=rng)
        return x

    return run


def _run_sampling(run: Any, alpha_bar: Any, x: Any, seed: int) -> Any:
    rng = torch.Generator().manual_seed(seed)
    return _without_gradient(
        _from_rng(lambda: run(_with_weight, alpha_bar, x, rng)),
    )


_START = randn(2, 1, 1, 2, seed=5).float()
_MORE = float64(1.0, 0.95, 0.8, 0.6, 0.4, 0.2, 0.05)

_SAMPLE = Exercise(
    number="B.11",
    title="The sampling loop",
    difficulty="hard",
    minutes=30,
    reference=sample,
    meaning="Algorithm 2: noise in, picture out.",
    hint="Write one step first: guess, mean, noise. Then check the two ends of the "
    "loop, t = T and t = 1.",
    inputs=(
        (_MORE[:3].float(), _START[:1], 0),
        (_FEW.float(), _START, 1),
        (_MORE.float(), _START, 2),
    ),
    trial=_run_sampling,
    mistakes={
        "noise at the end": Mistake(
            _ancestral(quiet=0),
            "Your last step adds noise, too, and nobody removes that.",
        ),
        "no noise": Mistake(
            _ancestral(quiet=10**6),
            "Your steps add no noise: what comes out will be far too smooth.",
        ),
        "variance for spread": Mistake(
            _ancestral(lambda alpha, now, before: 1 - alpha),
            "You multiply the noise by its variance. Where is the root?",
        ),
        "the posterior's variance": Mistake(
            _ancestral(
                lambda alpha, now, before: (
                    (1 - alpha) * (1 - before) / (1 - now)
                ).sqrt()
            ),
            "That is a sampler, too, with the posterior's variance. Here it is beta_t.",
        ),
        "all the noise": Mistake(
            _ancestral(lambda alpha, now, before: (1 - now).sqrt()),
            "You add the noise of all the steps up to t. This one step adds that of "
            "beta_t.",
        ),
        "stops at 2": Mistake(
            _ancestral(last=2),
            "Your loop ends too early: the step at t = 1 is taken as well. range "
            "excludes its end.",
        ),
        "starts at T - 1": Mistake(
            _ancestral(from_=1),
            "Your loop starts too late: x is the state at time T.",
        ),
        "weights swapped": Mistake(
            _ancestral(
                on_guess=lambda a, now, before: a.sqrt() * (1 - before) / (1 - now),
                on_x=lambda a, now, before: before.sqrt() * (1 - a) / (1 - now),
            ),
            "You swapped the weights of the guess and of the state.",
        ),
        "the guess alone": Mistake(
            _ancestral(
                on_guess=lambda a, now, before: torch.ones_like(now),
                on_x=lambda a, now, before: torch.zeros_like(now),
            ),
            "You jump to the guess at every step. Only the last step may do that.",
        ),
        "alpha for alpha_bar": Mistake(
            _ancestral(on_guess=lambda a, now, before: a.sqrt() * (1 - a) / (1 - now)),
            "Look at the weight of the guess: its root is that of alpha_bar at t - 1.",
        ),
        "not clipped": Mistake(
            _ancestral(guess=_guess(limit=lambda x: x)),
            "Right, but the guess isn't clipped. Take it from B.10.",
        ),
    },
)


# --- B.12 -------------------------------------------------------------------------


@torch.no_grad()
def ddim(network, alpha_bar, x, times):
    """x_0 from x = x_T in len(times) - 1 steps without noise; times fall to 0."""
    for t, s in pairwise(times):
        now, then = alpha_bar[t], alpha_bar[s]
        guess = guess_x0(network, alpha_bar, x, t)
        eps = (x - now.sqrt() * guess) / (1 - now).sqrt()
        x = then.sqrt() * guess + (1 - then).sqrt() * eps
    return x


def _skipping(
    noise: Callable = lambda x, guess, now, said: (
        (x - now.sqrt() * guess) / (1 - now).sqrt()
    ),
    mix: Callable = lambda guess, eps, then: (
        then.sqrt() * guess + (1 - then).sqrt() * eps
    ),
    pairs: Callable = lambda times: list(pairwise(times)),
    guess: Callable = guess_x0,
) -> Callable:
    @torch.no_grad()
    def run(network: Callable, alpha_bar: Tensor, x: Tensor, times: list) -> Tensor:
        for t, s in pairs(times):
            x0 = guess(network, alpha_bar, x, t)
            said = network(x, torch.full((len(x),), t))
            x = mix(x0, noise(x, x0, alpha_bar[t], said), alpha_bar[s])
        return x

    return run


def _run_ddim(run: Any, alpha_bar: Any, x: Any, times: Any) -> Any:
    return _without_gradient(run(_with_weight, alpha_bar, x, times))


_DDIM = Exercise(
    number="B.12",
    title="Twenty steps instead of two hundred",
    difficulty="hard",
    minutes=20,
    reference=ddim,
    meaning="The same network, a tenth of the work.",
    hint="For each pair of neighbors in times: guess, find the noise that x has with "
    "this guess, and mix both for the new time.",
    inputs=(
        (_FEW, _START[:1].double(), [2, 0]),
        (_FEW, 2 * _START.double(), [3, 1, 0]),
        (_MORE, _START.double(), [6, 4, 2, 1, 0]),
    ),
    trial=_run_ddim,
    mistakes={
        "the network's own noise": Mistake(
            _skipping(noise=lambda x, guess, now, said: said),
            "Where the guess was clipped, it and the network's noise no longer make "
            "up x. Compute the noise that fits the clipped guess.",
        ),
        "one step at a time": Mistake(
            _skipping(pairs=lambda times: [(t, t - 1) for t in times[:-1]]),
            "You go from t to t - 1. The next time is the next entry of times.",
        ),
        "every time": Mistake(
            _skipping(pairs=lambda times: list(pairwise(range(times[0], -1, -1)))),
            "You visit every time. Visit those in times only.",
        ),
        "the last step missing": Mistake(
            _skipping(pairs=lambda times: list(pairwise(times[:-1]))),
            "Your last step is missing: the chain ends at time 0.",
        ),
        "no roots": Mistake(
            _skipping(mix=lambda guess, eps, then: then * guess + (1 - then) * eps),
            "The new state is mixed like any x_t: with roots.",
        ),
        "no noise": Mistake(
            _skipping(mix=lambda guess, eps, then: then.sqrt() * guess),
            "The new state needs its noise, or it is too clean for its time.",
        ),
        "straight to the guess": Mistake(
            _skipping(mix=lambda guess, eps, then: guess),
            "You jump to the guess at every step.",
        ),
        "noise without its scale": Mistake(
            _skipping(noise=lambda x, guess, now, said: x - now.sqrt() * guess),
            "What is left of x after the guess is taken away is scaled noise. Divide "
            "by its standard deviation.",
        ),
        "not clipped": Mistake(
            _skipping(guess=_guess(limit=lambda x: x)),
            "Right, but the guess isn't clipped. Take it from the exercise before the "
            "last.",
        ),
    },
)


EXERCISES: tuple[Exercise, ...] = (
    _SCHEDULE,
    _Q_SAMPLE,
    _EMBEDDING,
    _BLOCK,
    _DRAW,
    _LOSS,
    _STEP,
    _EMA,
    _TRAINING,
    _GUESS,
    _SAMPLE,
    _DDIM,
)
