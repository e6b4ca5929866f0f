"""Right answers to "Build your own", in other forms than the reference.

They call the reference's earlier pieces, as a student calls those of the notebook.
"""

import copy
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ddpm_course import unet
from ddpm_course.exercises import build

# --- B.1 --------------------------------------------------------------------------


def alpha_bar_by_loop(T, beta_1, beta_T):
    alpha_bar = [1.0]
    for t in range(T):
        beta = beta_1 + (beta_T - beta_1) * t / (T - 1)
        alpha_bar.append(alpha_bar[-1] * (1 - beta))
    return torch.tensor(alpha_bar)


def alpha_bar_in_place(T, beta_1, beta_T):
    beta = torch.zeros(T + 1)
    beta[1:] = torch.linspace(beta_1, beta_T, T)
    return torch.cumprod(1 - beta, 0)


# --- B.2 --------------------------------------------------------------------------


def mixed_one_by_one(alpha_bar, x0, t, eps):
    pairs = zip(x0, t, eps, strict=True)
    return torch.stack(
        [alpha_bar[n] ** 0.5 * x + (1 - alpha_bar[n]) ** 0.5 * e for x, n, e in pairs]
    )


def mixed_by_einsum(alpha_bar, x0, t, eps):
    signal, noise = alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5
    return torch.einsum("b,bchw->bchw", signal, x0) + torch.einsum(
        "b,bchw->bchw", noise, eps
    )


# --- B.3 --------------------------------------------------------------------------


def waves_one_by_one(t, dim):
    half = dim // 2
    rows = []
    for n in t.tolist():
        angles = [n * 10_000 ** (-i / (half - 1)) for i in range(half)]
        rows.append([*map(math.sin, angles), *map(math.cos, angles)])
    return torch.tensor(rows)


def waves_numpy(t, dim):
    frequency = np.geomspace(1, 1e-4, dim // 2)
    angle = np.outer(t.numpy(), frequency)
    return torch.from_numpy(np.hstack([np.sin(angle), np.cos(angle)]))


# --- B.4 --------------------------------------------------------------------------


class BlockInOneLine(build.ResidualBlock):
    def forward(self, x, time):
        shift = self.time(time).unsqueeze(-1).unsqueeze(-1)
        h = self.conv_1(F.silu(self.norm_1(x))) + shift
        return self.conv_2(F.silu(self.norm_2(h))) + self.skip(x)


class BlockWithOwnSkip(nn.Module):
    """The layers made in another order; zeros by hand; no skip if none is needed."""

    def __init__(self, c_in, c_out, c_time):
        super().__init__()
        self.act = nn.SiLU()
        self.time = nn.Linear(c_time, c_out)
        if c_in != c_out:
            self.skip = nn.Conv2d(c_in, c_out, 1)
        self.conv_2 = nn.Conv2d(c_out, c_out, kernel_size=3, padding="same")
        self.conv_1 = nn.Conv2d(c_in, c_out, kernel_size=3, padding="same")
        self.norm_1, self.norm_2 = (nn.GroupNorm(4, c) for c in (c_in, c_out))
        with torch.no_grad():
            self.conv_2.weight.zero_()
            self.conv_2.bias *= 0

    def forward(self, x, time):
        h = self.conv_1(self.act(self.norm_1(x)))
        h = h + self.time(time).view(len(x), -1, 1, 1)
        h = self.conv_2(self.act(self.norm_2(h)))
        return h + (self.skip(x) if hasattr(self, "skip") else x)


class BlockByFunctions(build.ResidualBlock):
    """The layers in a list of steps."""

    def forward(self, x, time):
        h = x
        for step in (self.norm_1, F.silu, self.conv_1):
            h = step(h)
        h += self.time(time)[..., None, None]
        for step in (self.norm_2, F.silu, self.conv_2):
            h = step(h)
        return torch.add(h, self.skip(x))


class BlockInTwoMethods(build.ResidualBlock):
    def correction(self, x, time):
        h = self.norm_1(x)
        h = self.conv_1(h * torch.sigmoid(h))
        h = self.norm_2(h + self.time(time).reshape(*time.shape[:1], -1, 1, 1))
        return self.conv_2(h * torch.sigmoid(h))

    def forward(self, x, time):
        return self.skip(x) + self.correction(x, time)


def block_of_the_package(c_in, c_out, c_time):
    block = unet.ResidualBlock(c_in, c_out, c_time, dropout=0.0)
    block.norm_1, block.norm_2 = nn.GroupNorm(4, c_in), nn.GroupNorm(4, c_out)
    return block


# --- B.5 --------------------------------------------------------------------------


def batch_in_another_order(images, T, size, rng):
    eps = torch.randn(size, *images.shape[1:], generator=rng)
    t = torch.randint(T, (size,), generator=rng) + 1
    return images[torch.randint(0, len(images), (size,), generator=rng)], t, eps


def batch_by_multinomial(images, T, size, rng):
    even = torch.ones(len(images))
    index = torch.multinomial(even, size, replacement=True, generator=rng)
    x0 = images[index]
    t = torch.randint(1, T + 1, [size], generator=rng)
    return [x0, t, torch.empty_like(x0).normal_(generator=rng)]


def batch_by_rand(images, T, size, rng):
    index = (torch.rand(size, generator=rng) * len(images)).long()
    t = (torch.rand(size, generator=rng) * T).long() + 1
    x0 = torch.stack([images[i] for i in index])
    return x0, t, torch.normal(0.0, 1.0, x0.shape, generator=rng)


def batch_in_double(images, T, size, rng):
    x0, t, _ = build.draw_batch(images, T, size, rng)
    return x0, t, torch.randn(x0.shape, generator=rng, dtype=torch.float64)


# --- B.6 and B.7 ------------------------------------------------------------------


def loss_per_image(network, alpha_bar, x0, t, eps):
    x_t = build.q_sample(alpha_bar, x0, t, eps)
    return ((eps - network(x_t, t)) ** 2).flatten(1).mean(1).mean()


def loss_without_q_sample(network, alpha_bar, x0, t, eps):
    abar = alpha_bar[t][:, None, None, None]
    x_t = abar**0.5 * x0 + (1 - abar) ** 0.5 * eps
    return torch.sum((network(x_t, t) - eps) ** 2) / eps.numel()


def step_cleared_last(network, optimizer, alpha_bar, x0, t, eps):
    loss = build.noise_loss(network, alpha_bar, x0, t, eps)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1)
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


def step_clipped_by_hand(network, optimizer, *batch):
    optimizer.zero_grad(set_to_none=False)
    loss = build.noise_loss(network, *batch)
    loss.backward()
    norm = sum(p.grad.square().sum() for p in network.parameters()).sqrt()
    for p in network.parameters():
        p.grad /= max(1.0, norm)
    optimizer.step()
    return loss.detach().numpy()


def step_to_a_list(network, optimizer, *batch):
    network.zero_grad()
    loss = build.noise_loss(network, *batch)
    loss.backward()
    nn.utils.clip_grad_norm_(list(network.parameters()), max_norm=1.0)
    optimizer.step()
    return loss.tolist()


def step_by_closure(network, optimizer, *batch):
    def closure():
        optimizer.zero_grad()
        loss = build.noise_loss(network, *batch)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        return loss

    return optimizer.step(closure).item()


def step_by_grad(network, optimizer, *batch):
    weights = list(network.parameters())
    loss = build.noise_loss(network, *batch)
    for weight, grad in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = grad
    nn.utils.clip_grad_norm_(weights, 1.0)
    optimizer.step()
    return loss.item()


# --- B.8 --------------------------------------------------------------------------


def average_by_lerp(average, network, step, decay=0.99):
    d = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for a, p in zip(average.parameters(), network.parameters(), strict=True):
            a.lerp_(p, 1 - d)


def average_by_data(average, network, step, decay=0.99):
    d = (1 + step) / (10 + step)
    d = d if d < decay else decay
    for a, p in zip(average.parameters(), network.parameters(), strict=False):
        a.data = d * a.data + (1 - d) * p.data


def average_by_state(average, network, step, decay=0.99):
    d = min((1 + step) / (10 + step), decay)
    state, new = average.state_dict(), network.state_dict()
    average.load_state_dict({k: d * state[k] + (1 - d) * new[k] for k in state})


@torch.no_grad()
def average_by_names(average, network, step, decay=0.99):
    d, weights = min(decay, (1 + step) / (10 + step)), dict(network.named_parameters())
    for name, a in average.named_parameters():
        a += (1 - d) * (weights[name] - a)


@torch.no_grad()
def average_returned(average, network, step, decay=0.99):
    average_by_names(average, network, step, decay)
    return average


# --- B.9 --------------------------------------------------------------------------


def training(
    copy_of: Callable = copy.deepcopy,
    rates: Callable = lambda lr, steps: [lr * (1 - n / steps) for n in range(steps)],
    number: Callable = float,
) -> Callable:
    def run(network, draw, alpha_bar, steps, lr):
        average = copy_of(network)
        optimizer = torch.optim.Adam(network.parameters())
        losses = []
        for n, rate in enumerate(rates(lr, steps)):
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = build.train_step(network, optimizer, alpha_bar, *draw())
            build.update_average(average, network, n, 0.99)
            losses.append(number(loss))
        return average, losses

    return run


def training_by_scheduler(network, draw, alpha_bar, steps, lr):
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1 - n / steps)
    average, losses = copy.deepcopy(network), torch.zeros(steps, dtype=torch.float64)
    for n in range(steps):
        x0, t, eps = draw()
        losses[n] = build.train_step(network, optimizer, alpha_bar, x0, t, eps)
        falling.step()
        build.update_average(average, network, n)
    return average, losses.tolist()


def training_in_a_while(network, draw, alpha_bar, steps, lr):
    optimizer = torch.optim.Adam(network.parameters(), lr)
    average, losses, n = copy.deepcopy(network).eval(), [], 0
    while n < steps:
        optimizer.param_groups[0]["lr"] = lr - lr * n / steps
        losses += [build.train_step(network, optimizer, alpha_bar, *draw())]
        build.update_average(average, network, n)
        n += 1
    return [average, tuple(losses)]


# --- B.10 to B.12 -----------------------------------------------------------------


def guess_by_min_and_max(network, alpha_bar, x_t, t):
    times = torch.tensor([t] * len(x_t))
    signal, noise = math.sqrt(alpha_bar[t]), math.sqrt(1 - alpha_bar[t])
    x0 = (x_t - noise * network(x_t, times)) / signal
    return x0.clip(min=-1).clip(max=1)


def guess_expanded(network, alpha_bar, x_t, t):
    a = alpha_bar[t]
    eps = network(x_t, x_t.new_full((x_t.shape[0],), t, dtype=torch.int64))
    return torch.clamp(x_t / a.sqrt() - (1 / a - 1).sqrt() * eps, -1.0, 1.0)


def guess_numpy(network, alpha_bar, x_t, t):
    eps = network(x_t, t + torch.zeros(len(x_t), dtype=torch.long)).numpy()
    a = alpha_bar[t].item()
    x0 = np.clip((x_t.numpy() - (1 - a) ** 0.5 * eps) / a**0.5, -1, 1)
    return torch.from_numpy(x0)


@torch.no_grad()
def sample_by_precision(network, alpha_bar, x, rng):
    """The mean as an average weighted by precisions; zeros for the last noise."""
    for t in reversed(range(1, len(alpha_bar))):
        now, before = alpha_bar[t], alpha_bar[t - 1]
        beta = 1 - now / before
        x0 = build.guess_x0(network, alpha_bar, x, t)
        if t == 1:
            x = x0
            continue
        from_x = x / (1 - beta).sqrt(), (1 - beta) / beta
        from_x0 = before.sqrt() * x0, 1 / (1 - before)
        total = from_x[1] + from_x0[1]
        mean = (from_x[0] * from_x[1] + from_x0[0] * from_x0[1]) / total
        x = mean + beta.sqrt() * torch.randn(x.shape, generator=rng)
    return x


def sample_by_noise(network, alpha_bar, x, rng):
    """By way of the noise that the clipped guess implies."""
    with torch.no_grad():
        for t in range(len(alpha_bar) - 1, 0, -1):
            abar, alpha = alpha_bar[t], alpha_bar[t] / alpha_bar[t - 1]
            x0 = build.guess_x0(network, alpha_bar, x, t)
            eps = (x - abar.sqrt() * x0) / (1 - abar).sqrt()
            z = torch.randn(x.shape, generator=rng) * (t > 1)
            x = (x - (1 - alpha) / (1 - abar).sqrt() * eps) / alpha.sqrt()
            x = x + (1 - alpha).sqrt() * z
    return x


@torch.no_grad()
def sample_with_lists(network, alpha_bar, x, rng):
    a = alpha_bar.tolist()
    for t in range(len(a) - 1, 0, -1):
        beta = 1 - a[t] / a[t - 1]
        x0 = build.guess_x0(network, alpha_bar, x, t)
        mean = a[t - 1] ** 0.5 * beta / (1 - a[t]) * x0
        mean = mean + (1 - beta) ** 0.5 * (1 - a[t - 1]) / (1 - a[t]) * x
        z = torch.randn(x.shape, generator=rng) if t > 1 else torch.zeros_like(x)
        x = mean + beta**0.5 * z
    return x


@torch.no_grad()
def ddim_by_circle(network, alpha_bar, x, times):
    """The angle between image and noise turns."""
    for t, s in pairwise(times):
        x0 = build.guess_x0(network, alpha_bar, x, t)
        ratio = ((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt()
        x = ratio * x + (alpha_bar[s].sqrt() - ratio * alpha_bar[t].sqrt()) * x0
    return x


@torch.no_grad()
def ddim_by_index(network, alpha_bar, x, times):
    for i in range(len(times) - 1):
        now, then = alpha_bar[times[i]].item(), alpha_bar[times[i + 1]].item()
        x0 = build.guess_x0(network, alpha_bar, x, times[i])
        x = then**0.5 * x0 + ((1 - then) / (1 - now)) ** 0.5 * (x - now**0.5 * x0)
    return x


def ddim_recursive(network, alpha_bar, x, times):
    if len(times) < 2:
        return x
    return ddim_recursive(
        network, alpha_bar, ddim_by_index(network, alpha_bar, x, times[:2]), times[1:]
    )


@torch.no_grad()
def ddim_by_q_sample(network, alpha_bar, x, times):
    """The new state is a noisy image like any other."""
    t, *rest = times
    for s in rest:
        x0 = build.guess_x0(network, alpha_bar, x, t)
        eps = (x - alpha_bar[t] ** 0.5 * x0) / (1 - alpha_bar[t]) ** 0.5
        x = build.q_sample(alpha_bar, x0, torch.full((len(x),), s), eps)
        t = s
    return x


def then(piece: Callable, change: Callable) -> Callable:
    """The piece, with its result changed."""
    return lambda *arguments: change(piece(*arguments))


PIECES: dict[str, tuple[Any, ...]] = {
    "B.1": (
        alpha_bar_by_loop,
        alpha_bar_in_place,
        lambda T, b, c: torch.tensor(np.cumprod([1, *(1 - np.linspace(b, c, T))])),
        lambda T, b, c: torch.stack(
            [(1 - torch.linspace(b, c, T))[:t].prod() for t in range(T + 1)]
        ),
        lambda T, b, c: F.pad(
            (-torch.linspace(b, c, T)).log1p().cumsum(0).exp(), (1, 0), value=1
        ),
    ),
    "B.2": (
        mixed_one_by_one,
        mixed_by_einsum,
        lambda a, x, t, e: (
            a[t][:, None, None, None] ** 0.5 * x
            + (1 - a)[t].sqrt().reshape(len(t), 1, 1, 1) * e
        ),
        then(build.q_sample, torch.Tensor.float),
        lambda a, x, t, e: sum(
            (z.movedim(0, 3) * k.sqrt()).movedim(3, 0)
            for z, k in ((x, a[t]), (e, 1 - a[t]))
        ),
    ),
    "B.3": (
        waves_one_by_one,
        waves_numpy,
        unet.time_embedding,
        then(build.time_embedding, torch.Tensor.double),
        lambda t, dim: torch.cat(
            [
                f(t[:, None] / torch.logspace(0, 4, dim // 2))
                for f in (torch.sin, torch.cos)
            ],
            1,
        ),
    ),
    "B.4": (
        BlockInOneLine,
        BlockWithOwnSkip,
        BlockByFunctions,
        BlockInTwoMethods,
        block_of_the_package,
    ),
    "B.5": (
        batch_in_another_order,
        batch_by_multinomial,
        batch_by_rand,
        batch_in_double,
        then(build.draw_batch, list),
    ),
    "B.6": (
        loss_per_image,
        loss_without_q_sample,
        lambda net, a, x, t, e: F.mse_loss(net(build.q_sample(a, x, t, e), t), e),
        lambda net, a, x, t, e: (
            (e - net(mixed_one_by_one(a, x, t, e), t)).pow(2).mean((1, 2, 3)).mean()
        ),
        then(build.noise_loss, torch.Tensor.double),
    ),
    "B.7": (
        step_cleared_last,
        step_clipped_by_hand,
        step_to_a_list,
        step_by_closure,
        step_by_grad,
    ),
    "B.8": (
        average_by_lerp,
        average_by_data,
        average_by_state,
        average_by_names,
        average_returned,
    ),
    "B.9": (
        training_by_scheduler,
        training_in_a_while,
        training(),
        training(number=np.float64),
        training(rates=lambda lr, steps: np.linspace(lr, 0, steps + 1)[:-1]),
    ),
    "B.10": (
        guess_by_min_and_max,
        guess_expanded,
        guess_numpy,
        then(build.guess_x0, torch.Tensor.float),
        lambda net, a, x, t: (
            ((x - (1 - a[t]) ** 0.5 * net(x, torch.full((len(x),), t))) / a[t] ** 0.5)
            .clamp(max=1)
            .clamp(min=-1)
        ),
    ),
    "B.11": (
        sample_by_precision,
        sample_by_noise,
        sample_with_lists,
        lambda net, a, x, rng: build.sample(net, a.double(), x, rng),
        then(build.sample, torch.Tensor.double),
    ),
    "B.12": (
        ddim_by_circle,
        ddim_by_index,
        ddim_recursive,
        ddim_by_q_sample,
        then(build.ddim, torch.Tensor.float),
    ),
}
