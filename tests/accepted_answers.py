"""Right answers in other forms than the reference, by the number of the exercise."""

import math
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
import torch
from accepted_hunts import HUNTS
from accepted_pieces import PIECES
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from ddpm_course.equations import (
    D,
    M,
    T,
    abar_prev,
    abar_s,
    abar_T,
    abar_t,
    alpha,
    alpha_t,
    beta,
    beta_t,
    betatilde_t,
    eps_hat,
    mu_theta,
    mu_tilde,
    pull,
    q_0,
    s,
    scale,
    sigma_t,
    snr_prev,
    snr_t,
    t,
    tau_t,
    var_1,
    var_rho,
    x_0,
    x_t,
    z,
)
from ddpm_course.exercises import reference
from ddpm_course.guidance import guided
from ddpm_course.sampling import ddim_step
from ddpm_course.schedules import NoiseSchedule
from ddpm_course.solvers import Multistep


def then(number: str, change: Callable) -> Callable:
    """The reference, with its result changed: to another dtype or library."""
    return lambda *arguments: change(reference(number)(*arguments))


def in_float32(number: str) -> Callable:
    """The reference on arguments of 32 bits."""

    def short(argument: Any) -> Any:
        floating = torch.is_tensor(argument) and argument.is_floating_point()
        return argument.float() if floating else argument

    return lambda *arguments: reference(number)(*map(short, arguments))


# --- chapters 1 and 2 -------------------------------------------------------------


def cosine_by_the_double_angle(T, s, max_beta):
    """cos² x is (1 + cos 2x) / 2."""
    t = np.arange(T + 1)
    alpha_bar = 1 + np.cos((t / T + s) / (1 + s) * np.pi)
    return np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], max_beta)


def kl_numpy(mean_1, var_1, mean_2, var_2):
    """By the standard deviations, image by image."""
    rows = []
    for m_1, v_1, m_2, v_2 in zip(mean_1, var_1, mean_2, var_2, strict=True):
        ratio, distance = v_1.sqrt() / v_2.sqrt(), (m_1 - m_2) / v_2.sqrt()
        each = (ratio**2 + distance**2 - 1) / 2 - ratio.log()
        rows.append(each.sum().item())
    return np.array(rows)


# --- chapter 3 --------------------------------------------------------------------


def mean_by_precision(alpha, alpha_bar, x0, x_t, t):
    if t == 1:
        return x0
    step, rest = 1 - alpha[t], 1 - alpha_bar[t - 1]
    precision = alpha[t] / step + 1 / rest
    from_x0 = alpha_bar[t - 1].sqrt() / rest * x0
    return (alpha[t].sqrt() / step * x_t + from_x0) / precision


def guess(x0_hat):
    """The posterior mean, exercise 3.3, with a guess in place of x_0."""
    return lambda a, b, x, t: reference("3.3")(a, b, x0_hat(x, b[t]), x, t)


def by_softmax(x, abar):
    values = torch.tensor([1.0, -1.0]).reshape(2, *(1,) * x.ndim)
    logits = -((x - values * abar.sqrt()) ** 2) / 2 / (1 - abar)
    return (torch.softmax(logits, dim=0) * values).sum(0)


# --- chapter 4 --------------------------------------------------------------------


def mixture_by_densities(abar, weights, means, stds, x_t):
    """Bayes' rule component by component, in numpy, with precisions."""
    total, answer = np.zeros(len(x_t)), np.zeros(len(x_t))
    a, x = float(abar), x_t.numpy()
    for weight, mean, std in zip(
        *map(Tensor.tolist, (weights, means, stds)), strict=True
    ):
        v = a * std**2 + 1 - a
        density = weight * np.exp(-((x - a**0.5 * mean) ** 2) / (2 * v)) / v**0.5
        precision = 1 / std**2 + a / (1 - a)
        answer += density * (mean / std**2 + a**0.5 * x / (1 - a)) / precision
        total += density
    return answer / total


def mixture_number_by_number(abar, weights, means, stds, x_t):
    answer = []
    for x in x_t:
        v = abar * stds**2 + 1 - abar
        joint = weights * Normal(abar.sqrt() * means, v.sqrt()).log_prob(x).exp()
        mean = (means * (1 - abar) + abar.sqrt() * stds**2 * x) / v
        answer.append((joint * mean).sum() / joint.sum())
    return torch.stack(answer)


# --- chapter 5 --------------------------------------------------------------------


def grow(size, levels):
    while size % 2 ** (levels - 1):
        size += 1
    return size


def embedding_numpy(t, dim):
    angle = np.outer(t.numpy(), np.geomspace(1, 1e-4, dim // 2))
    return np.hstack([np.sin(angle), np.cos(angle)])


def embedding_entry_by_entry(t, dim):
    half = dim // 2
    rows = []
    for time in t.tolist():
        angles = [time * 10_000 ** (-j / (half - 1)) for j in range(half)]
        rows.append([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
    return torch.tensor(rows)


def embedding_by_logarithm(t, dim):
    half = dim // 2
    steps = torch.arange(half) / (half - 1)
    angle = t[:, None] * torch.exp(-math.log(10_000) * steps)
    return torch.stack([angle.sin(), angle.cos()], dim=1).flatten(1)


def count_from_shapes(c_in, c_out, c_time):
    shapes = [(c_in,), (c_in,), (c_out, c_in, 3, 3), (c_out,), (c_out, c_time)]
    shapes += [(c_out,), (c_out,), (c_out,), (c_out, c_out, 3, 3), (c_out,)]
    if c_in != c_out:
        shapes += [(c_out, c_in, 1, 1), (c_out,)]
    return sum(math.prod(shape) for shape in shapes)


def count_collected(c_in, c_out, c_time):
    both = c_out * (9 * c_in + 9 * c_out + c_time + 5) + 2 * c_in
    return both + (c_in != c_out) * (c_in + 1) * c_out


def block(c_in, c_out, c_time):
    """The layers of a residual block."""
    layers = [nn.GroupNorm(1, c_in), nn.Conv2d(c_in, c_out, 3)]
    layers += [nn.Linear(c_time, c_out), nn.GroupNorm(1, c_out)]
    layers += [nn.Conv2d(c_out, c_out, 3)]
    if c_in != c_out:
        layers.append(nn.Conv2d(c_in, c_out, 1))
    return nn.ModuleList(layers).parameters()


def attention_pixel_by_pixel(q, k, v):
    rows = []
    for query in q:
        exponents = [float(query @ key) / math.sqrt(len(query)) for key in k]
        parts = torch.tensor([math.exp(e) for e in exponents], dtype=v.dtype)
        rows.append((parts[:, None] * v).sum(0) / parts.sum())
    return torch.stack(rows)


def attention_numpy(q, k, v):
    scores = np.einsum("id,jd->ij", q, k) / np.sqrt(q.shape[1])
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores @ v.numpy() / scores.sum(axis=1, keepdims=True)


# --- chapter 6 --------------------------------------------------------------------


def step_by_autograd(alpha_bar, theta, x0, t, eps, lr):
    theta = theta.clone().requires_grad_()
    optimizer = torch.optim.SGD([theta], lr=lr)
    loss = torch.zeros(())
    for image, time, noise in zip(x0, t, eps, strict=True):
        abar = alpha_bar[time]
        x_t = abar.sqrt() * image + (1 - abar).sqrt() * noise
        loss = loss + (theta[time] * x_t - image).pow(2).sum() / len(x0)
    loss.backward()
    optimizer.step()
    return theta


def step_by_gradient(alpha_bar, theta, x0, t, eps, lr):
    """With the gradient of the argument itself."""
    theta.requires_grad_(True)
    x_t = reference("1.4")(alpha_bar, x0[..., None, None], t, eps[..., None, None])
    x_t = x_t[..., 0, 0]
    loss = (theta[t][:, None] * x_t - x0).pow(2).sum(1).mean()
    (gradient,) = torch.autograd.grad(loss, theta)
    return theta - lr * gradient


def step_numpy(alpha_bar, theta, x0, t, eps, lr):
    abar = alpha_bar.numpy()[t.numpy()][:, None]
    x_t = np.sqrt(abar) * x0.numpy() + np.sqrt(1 - abar) * eps.numpy()
    chosen = np.eye(len(theta))[t.numpy()]  # (M, T + 1), a one at each image's time
    error = (chosen @ theta.numpy())[:, None] * x_t - x0.numpy()
    return theta.numpy() - lr * 2 * chosen.T @ (error * x_t).sum(1) / len(x0)


# --- chapter 7 --------------------------------------------------------------------


def chain_numpy(alpha_bar, x_T, x0_hats, z):
    """By precisions: two opinions about x_{t-1}, of x_t and of x̂_0."""
    abar, x = alpha_bar.numpy(), x_T.numpy()
    states = []
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


def chain_by_noise(alpha_bar, x_T, x0_hats, z):
    """By the noise that x̂_0 implies, as a list."""
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


def skip_numpy(alpha_bar, x_t, x0_hat, t, s):
    """By what is left of x_t, without writing ε̂ down."""
    a, b = alpha_bar.numpy()[[t, s]]
    kept = np.sqrt((1 - b) / (1 - a))
    return kept * x_t.numpy() + (np.sqrt(b) - kept * np.sqrt(a)) * x0_hat.numpy()


def skip_on_the_circle(alpha_bar, x_t, x0_hat, t, s):
    """Image by image, on the circle where cos² is ᾱ."""
    here, there = torch.arccos(alpha_bar[t].sqrt()), torch.arccos(alpha_bar[s].sqrt())
    rows = []
    for x, x0 in zip(x_t, x0_hat, strict=True):
        noise = (x - torch.cos(here) * x0) / torch.sin(here)
        rows.append(torch.cos(there) * x0 + torch.sin(there) * noise)
    return torch.stack(rows)


def skip_by_the_posterior(alpha_bar, x_t, x0_hat, t, s):
    """The posterior mean, and the noise that it leaves out."""
    a, b = alpha_bar[t], alpha_bar[s]
    keep = (a / b).sqrt() * (1 - b) / (1 - a)
    mean = b.sqrt() * (1 - a / b) / (1 - a) * x0_hat + keep * x_t
    noise = (x_t - a.sqrt() * x0_hat) / (1 - a).sqrt()
    return mean + ((1 - b).sqrt() - keep * (1 - a).sqrt()) * noise


def chain_in_pairs(alpha_bar, x_T, x0_hats, z, times, eta):
    """With numbers, and the spread of the new noise by its own name."""
    states = [x_T.clone()]
    for pair, guess, fresh in zip(pairwise(times), x0_hats, z, strict=True):
        a, b = alpha_bar[list(pair)].tolist()
        sigma = eta * math.sqrt((1 - b) * (1 - a / b) / (1 - a))
        noise = (states[-1] - math.sqrt(a) * guess) / math.sqrt(1 - a)
        mean = math.sqrt(b) * guess + math.sqrt(1 - b - sigma**2) * noise
        states.append(mean + sigma * fresh)
    return torch.stack(states[1:])


def chain_by_the_package(alpha_bar, x_T, x0_hats, z, times, eta):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these schedules end far from noise
        schedule = NoiseSchedule.from_betas(1 - alpha_bar[1:] / alpha_bar[:-1])
    states = [x_T]
    for n, pair in enumerate(pairwise(times)):
        states.append(ddim_step(schedule, states[-1], x0_hats[n], *pair, z[n], eta=eta))
    return torch.stack(states[1:])


def chain_step_by_step(alpha_bar, x_T, x0_hats, z, times, eta):
    """Recursively."""
    if len(times) == 1:
        return x0_hats[:0]
    first = reference("7.7")(alpha_bar, x_T, x0_hats[:1], z[:1], times[:2], eta)
    rest = x0_hats[1:], z[1:], times[1:], eta
    return torch.cat([first, chain_step_by_step(alpha_bar, first[0], *rest)])


def label_by_label(time, table, y):
    rows = []
    for vector, label in zip(time.tolist(), y.tolist(), strict=True):
        own = table[10 if label == -1 else label].tolist()
        rows.append([a + b for a, b in zip(vector, own, strict=True)])
    return rows


def label_by_one_hot(time, table, y):
    chosen = y[:, None] == torch.tensor([*range(10), -1])  # (M, 11)
    return time + chosen.double() @ table


# --- the answers ------------------------------------------------------------------

a_1, a_2, a_3 = (alpha(i) for i in (1, 2, 3))
b_1, b_2, b_3 = (beta(i) for i in (1, 2, 3))
two_steps = 1 - a_1 * a_2
three_steps = 1 - a_1 * a_2 * a_3
square = (mu_tilde - mu_theta) ** 2
on_noise = beta_t / sp.sqrt(1 - abar_t)
jump = (x_t - sp.sqrt(1 - abar_t) * eps_hat) / sp.sqrt(abar_t)
on_x0 = sp.sqrt(abar_prev) * beta_t / (1 - abar_t)
on_x_t = sp.sqrt(alpha_t) * (1 - abar_prev) / (1 - abar_t)


def look_back_in_u(alpha_bar, x_t, x0_hat, x0_before, r, t, s):
    """Euler's method for du/dw, with the extrapolated guess."""
    if s == 0:
        return x0_hat
    w = (alpha_bar / (1 - alpha_bar)).sqrt()
    ratio = torch.log(w[s] / w[t]) / torch.log(w[t] / w[r])
    guess = (1 + ratio / 2) * x0_hat - ratio / 2 * x0_before
    u = x_t / (1 - alpha_bar[t]).sqrt() + (w[s] - w[t]) * guess
    return u * (1 - alpha_bar[s]).sqrt()


def look_back_by_the_package(alpha_bar, x_t, x0_hat, x0_before, r, t, s):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schedule = NoiseSchedule.from_betas(1 - alpha_bar[1:] / alpha_bar[:-1])
    step, z = Multistep(), torch.zeros_like(x_t)
    step(schedule, x_t, x0_before, r, t, z)
    return step(schedule, x_t, x0_hat, t, s, z)


def guided_by_lerp(x0_told, x0_untold, w, first, last, t):
    scale = w if t in range(first, last + 1) else 1.0
    return torch.lerp(x0_untold, x0_told, scale)


def guided_by_the_package(x0_told, x0_untold, w, first, last, t):
    told, untold = (lambda x, t, x0=x0: x0 for x0 in (x0_told, x0_untold))
    return guided(told, untold, w, (first, last))(x0_told, t)


def replaced_where_known(alpha_bar, x_s, image, known, eps, s):
    a = alpha_bar[s].item()
    return torch.where(known == 1, a**0.5 * image + (1 - a) ** 0.5 * eps, x_s)


def replaced_in_place(alpha_bar, x_s, image, known, eps, s):
    x_s, at = x_s.clone(), known.bool()
    a = alpha_bar[s]
    x_s[at] = a.sqrt() * image[at] + (1 - a).sqrt() * eps[at]
    return x_s


def attention_of_torch(pixels, words, is_word, W_q, W_k, W_v):
    q, k, v = pixels @ W_q, words @ W_k, words @ W_v
    mask = is_word.bool().expand(len(q), -1)
    return functional.scaled_dot_product_attention(
        q[None], k[None], v[None], attn_mask=mask[None]
    )[0]


def attention_place_by_place(pixels, words, is_word, W_q, W_k, W_v):
    words, rows = words[is_word == 1], []
    for pixel in pixels:
        scores = torch.stack([(pixel @ W_q) @ (word @ W_k) for word in words])
        weights = (scores / len(pixel) ** 0.5).exp()
        rows.append(weights / weights.sum() @ (words @ W_v))
    return torch.stack(rows)


ACCEPTED: dict[str, tuple[Any, ...]] = {
    "1.1": (
        sp.sqrt(alpha_t),
        alpha_t ** sp.Rational(1, 2),
        sp.exp(sp.log(1 - beta_t) / 2),
        (1 - beta_t) / sp.sqrt(alpha_t),
        sp.sqrt(alpha(t)),
    ),
    "1.2": (
        lambda beta, x, t, eps: (1 - beta[t]) ** 0.5 * x + beta[t] ** 0.5 * eps,
        lambda beta, x, t, eps: (
            math.sqrt(1 - beta[t].item()) * x.numpy()
            + math.sqrt(beta[t].item()) * eps.numpy()
        ),
        lambda beta, x, t, eps: torch.addcmul(
            x * (1 - beta).sqrt()[t], beta.sqrt()[t], eps
        ).float(),
        lambda beta, x, t, eps: (
            (1 - beta[t]).sqrt().to(torch.bfloat16) * x.to(torch.bfloat16)
            + beta[t].sqrt().to(torch.bfloat16) * eps.to(torch.bfloat16)
        ),
        lambda beta, x, t, eps: torch.lerp(
            (1 - beta[t]).sqrt() * x, (1 - beta[t]).sqrt() * x + eps, beta[t].sqrt()
        ),
    ),
    "1.3": (
        b_3 + a_3 * b_2 + a_3 * a_2 * b_1,
        1 - sp.Product(alpha(s), (s, 1, 3)),
        1 - (1 - b_1) * (1 - b_2) * (1 - b_3),
        sp.expand(1 - (1 - b_1) * (1 - b_2) * (1 - b_3)),
        b_1 + a_1 * b_2 + a_1 * a_2 * b_3,
        sp.sqrt(three_steps) ** 2,
    ),
    "1.4": (
        lambda abar, x0, t, eps: (
            abar[t, None, None, None] ** 0.5 * x0
            + (1 - abar[t, None, None, None]) ** 0.5 * eps
        ),
        lambda abar, x0, t, eps: torch.stack(
            [
                abar[i].sqrt() * x + (1 - abar[i]).sqrt() * e
                for i, x, e in zip(t, x0, eps, strict=True)
            ]
        ),
        lambda abar, x0, t, eps: (
            torch.einsum("b,bchw->bchw", abar.sqrt()[t], x0)
            + torch.einsum("b,bchw->bchw", (1 - abar).sqrt()[t], eps)
        ).float(),
        lambda abar, x0, t, eps: (
            abar.sqrt().numpy()[t].reshape(-1, 1, 1, 1) * x0.numpy()
            + (1 - abar).sqrt().numpy()[t].reshape(-1, 1, 1, 1) * eps.numpy()
        ),
        lambda abar, x0, t, eps: (
            abar[t].sqrt() * x0.movedim(0, -1)
            + (1 - abar[t]).sqrt() * eps.movedim(0, -1)
        ).movedim(-1, 0),
    ),
    "1.5": (
        260.0,
        torch.tensor([260]),
        np.array(260, dtype=np.float32),
        sp.Integer(260),
        [[260]],
    ),
    "1.6": (
        lambda T, s, max_beta: [
            min(
                1
                - math.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2
                / math.cos(((t - 1) / T + s) / (1 + s) * math.pi / 2) ** 2,
                max_beta,
            )
            for t in range(1, T + 1)
        ],
        then("1.6", Tensor.numpy),
        then("1.6", Tensor.float),
        cosine_by_the_double_angle,
        then("1.6", Tensor.tolist),
    ),
    "2.1": (
        (q_0(T) / q_0(1)) * (q_0(T - 1) / q_0(2)),
        sp.exp(sp.log(q_0(T)) + sp.log(q_0(T - 1)) - sp.log(q_0(1)) - sp.log(q_0(2))),
        1 / (q_0(2) * q_0(1) / (q_0(T - 1) * q_0(T))),
        sp.Product(q_0(s) / q_0(s - 2), (s, 3, T)),
        sp.Product(q_0(s), (s, 3, T)) / sp.Product(q_0(s), (s, 1, T - 2)),
    ),
    "2.2": (
        (sp.log(1 - abar_T) + (1 + abar_T * x_0**2) / (1 - abar_T) - 1) / 2,
        sp.expand(reference("2.2")),
        sp.log(sp.sqrt(1 - abar_T)) + abar_T * (1 + x_0**2) / (2 * (1 - abar_T)),
        (-sp.log(1 / (1 - abar_T)) + (1 + abar_T * x_0**2) / (1 - abar_T) - 1) / 2,
        (sp.log(1 - abar_T) + abar_T / (1 - abar_T) * (1 + x_0**2)) / 2,
    ),
    "2.4": (
        sp.expand(betatilde_t + square),
        betatilde_t + (mu_theta - mu_tilde) ** 2,
        (betatilde_t**2 - square**2) / (betatilde_t - square),
        betatilde_t * (1 + square / betatilde_t),
        betatilde_t + mu_tilde * (mu_tilde - 2 * mu_theta) + mu_theta**2,
    ),
    "2.5": (
        lambda p, m, d, shape: (
            (p + m.sum(0) + d).mean() / torch.tensor(shape).prod() / math.log(2)
        ),
        lambda p, m, d, shape: (
            (p.sum() + m.sum() + d.sum()).item()
            / (len(p) * math.prod(shape) * math.log(2))
        ),
        lambda p, m, d, shape: (
            torch.cat([p[None], m, d[None]]).sum(0).mean().numpy()
            * math.log2(math.e)
            / math.prod(shape)
        ),
        then("2.5", Tensor.float),
        then("2.5", lambda bits: bits[None]),  # shape (1,)
    ),
    "2.6": (
        lambda m_1, v_1, m_2, v_2: kl_divergence(
            Normal(m_1, v_1.sqrt()), Normal(m_2, v_2.sqrt())
        ).sum((1, 2, 3)),
        lambda m_1, v_1, m_2, v_2: (
            (v_2.log() - v_1.log() + (v_1 + (m_1 - m_2) ** 2) / v_2 - 1)
            .flatten(1)
            .sum(1)
            / 2
        ).numpy(),
        lambda *gaussians: torch.stack(
            [
                reference("2.6")(*(x[i : i + 1] for x in gaussians))[0]
                for i in range(len(gaussians[0]))
            ]
        ).float(),
        in_float32("2.6"),
        kl_numpy,
    ),
    "3.1": (
        lambda m, v, n, w: ((m * w + n * v) / (v + w), v * w / (v + w)),
        lambda m, v, n, w: [m + v / (v + w) * (n - m), (1 - v / (v + w)) * v],
        lambda m, v, n, w: torch.tensor([m / v + n / w, 1]) / (1 / v + 1 / w),
        then("3.1", lambda pair: tuple(torch.tensor(pair))),
        lambda m, v, n, w: (
            np.average([m, n], weights=[1 / v, 1 / w]),
            1 / (1 / v + 1 / w),
        ),
    ),
    "3.2": (
        lambda b, a, t: 1 / ((1 - b[t]) / b[t] + 1 / (1 - a[t - 1])),
        lambda b, a, t: (
            (1 - a[t] / a[t - 1]).numpy() * ((1 - a[t - 1]) / (1 - a[t])).numpy()
        ),
        lambda b, a, t: (
            b[t].item() * (1 - (1 - b[:t]).prod().item()) / (1 - a[t].item())
        ),
        lambda b, a, t: (b * (1 - a.roll(1)) / (1 - a))[t] if t > 1 else 0.0,
        lambda b, a, t: b[t] - b[t] ** 2 * a[t - 1] / (1 - a[t]),
    ),
    "3.3": (
        mean_by_precision,
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
            + a[t].sqrt() * (1 - b[t - 1]) / (1 - b[t]) * (x_t - b[t].sqrt() * x0)
        ).numpy(),
        in_float32("3.3"),
    ),
    "3.4": (
        1 / (1 / b_1 + a_2 * a_3 / (1 - a_2 * a_3)),
        b_1 * (1 - a_2 * a_3) / (1 - sp.Product(alpha(s), (s, 1, 3))),
        b_1 - b_1**2 * a_2 * a_3 / three_steps,
        (1 - a_1) * (b_3 + a_3 * b_2) / three_steps,
        b_1 * b_2 / two_steps  # two single steps back, one after the other
        + (sp.sqrt(a_2) * b_1 / two_steps) ** 2 * (two_steps * b_3 / three_steps),
    ),
    "3.5": (
        guess(lambda x, abar: 2 * torch.sigmoid(2 * abar.sqrt() * x / (1 - abar)) - 1),
        guess(by_softmax),
        lambda a, b, x, t: sum(
            reference("3.3")(a, b, sign * torch.ones_like(x), x, t)
            / (1 + torch.exp(-2 * sign * b[t].sqrt() * x / (1 - b[t])))
            for sign in (1.0, -1.0)
        ),
        in_float32("3.5"),
        guess(
            lambda x, abar: 1 - 2 / (1 + torch.exp(2 * abar.sqrt() * x / (1 - abar)))
        ),
    ),
    "4.2": (
        abar_prev * beta_t**2 / (2 * sigma_t**2 * (1 - abar_t) ** 2),
        sp.expand((1 - alpha_t) ** 2 * abar_prev)
        / (2 * sigma_t**2 * (1 - abar_t) ** 2),
        abar_prev
        * (1 - alpha_t) ** 2
        / (1 - alpha_t * abar_prev) ** 2
        / 2
        / sigma_t**2,
        (snr_prev - snr_t) / 2 * (1 - abar_prev) / (1 - abar_t) * beta_t / sigma_t**2,
        snr_t * beta_t**2 / (2 * sigma_t**2 * alpha_t * (1 - abar_t)),
    ),
    "4.3": (
        snr_t / (snr_t + 1),
        alpha_t * abar_prev,
        1 / (1 + 1 / snr_t),
        1 - 1 / (1 + snr_t),
        snr_t * (1 - abar_t),
    ),
    "4.5": (
        mixture_by_densities,
        then("4.5", Tensor.numpy),
        then("4.5", lambda mean: mean[:, None][:, 0].float()),
        in_float32("4.5"),
        mixture_number_by_number,
    ),
    "5.1": (
        grow,
        lambda size, levels: size + -size % 2 ** (levels - 1),
        lambda size, levels: -(-size >> (levels - 1)) << (levels - 1),
        lambda size, levels: np.ceil(size / 2 ** (levels - 1)) * 2 ** (levels - 1),
        lambda size, levels: math.ceil(size / 2 ** (levels - 1)) * 2 ** (levels - 1),
    ),
    "5.2": (
        embedding_numpy,
        embedding_by_logarithm,
        embedding_entry_by_entry,
        in_float32("5.2"),
        then("5.2", Tensor.numpy),
    ),
    "5.3": (
        count_collected,
        count_from_shapes,
        lambda c_in, c_out, c_time: np.int64(count_collected(c_in, c_out, c_time)),
        lambda *channels: sum(p.numel() for p in block(*channels)),
        then("5.3", torch.tensor),
    ),
    "5.4": (
        attention_pixel_by_pixel,
        attention_numpy,
        lambda q, k, v: functional.scaled_dot_product_attention(
            q[None], k[None], v[None]
        )[0],
        lambda q, k, v: torch.softmax((q / len(q[0]) ** 0.5) @ k.T, dim=-1) @ v,
        in_float32("5.4"),
    ),
    "6.3": (
        (M * D) ** -1,
        1 / M / D,
        D / (M * D**2),
        sp.sqrt(1 / (M * D) ** 2),
        sp.exp(-sp.log(M * D)),
    ),
    "6.4": (
        step_by_autograd,
        step_numpy,
        then("6.4", Tensor.float),
        step_by_gradient,
        in_float32("6.4"),
    ),
    "6.5": (
        693.0,
        sp.Integer(693),
        np.int64(693),
        torch.tensor([693]),
        math.ceil(math.log(0.5) / math.log(0.999)),
    ),
    "7.2": (
        chain_numpy,
        chain_by_noise,
        in_float32("7.2"),
        then("7.2", Tensor.tolist),
        then("7.2", Tensor.numpy),
    ),
    "7.3": (
        sp.expand((x_t - on_noise * eps_hat) / sp.sqrt(alpha_t)) + z * sigma_t,
        (x_t - (1 - alpha_t) / sp.sqrt(1 - abar_t) * eps_hat) / sp.sqrt(1 - beta_t)
        + sigma_t * z,
        on_x0 * jump + on_x_t * x_t + sigma_t * z,
        (
            x_t
            - beta_t * eps_hat / sp.sqrt(1 - alpha_t * abar_prev)
            + sp.sqrt(alpha_t) * sigma_t * z
        )
        / sp.sqrt(alpha_t),
        x_t * alpha_t ** sp.Rational(-1, 2)
        - on_noise * eps_hat * sp.sqrt(abar_prev / abar_t)
        + sigma_t * z,
    ),
    "7.5": (
        skip_numpy,
        skip_on_the_circle,
        in_float32("7.5"),
        skip_by_the_posterior,
        then("7.5", Tensor.tolist),
    ),
    "7.6": (
        label_by_label,
        label_by_one_hot,
        in_float32("7.6"),
        lambda time, table, y: time + table[torch.where(y == -1, 10, y)],
        lambda time, table, y: time + table[y % 11],
        lambda time, table, y: time.numpy() + np.take(table.numpy(), y, 0, mode="wrap"),
        lambda time, table, y: torch.stack(
            [time[i] + table[y[i]] for i in range(len(y))]
        ),
    ),
}
ACCEPTED["7.7"] = (
    chain_in_pairs,
    chain_by_the_package,
    in_float32("7.7"),
    then("7.7", Tensor.tolist),
    then("7.7", Tensor.numpy),
    chain_step_by_step,
)
root, rest = sp.sqrt(abar_t), sp.sqrt(1 - abar_t)
ACCEPTED |= {
    "8.1": (
        1 / (1 + (tau_t / (1 - tau_t)) ** 2),
        1 - tau_t**2 / (1 - 2 * tau_t + 2 * tau_t**2),
        (1 - 2 * tau_t + tau_t**2) / (1 - 2 * tau_t * (1 - tau_t)),
        ((1 - tau_t) / sp.sqrt((1 - tau_t) ** 2 + tau_t**2)) ** 2,
        sp.factor((tau_t - 1) ** 2 / (2 * tau_t**2 - 2 * tau_t + 1)),
    ),
    "8.2": (
        1 + 2 * sp.sqrt(abar_t * (1 - abar_t)),
        1 + 2 * root * rest,
        abar_t * (1 + rest / root) ** 2,
        sp.expand((root + rest) ** 2),
        (1 - abar_t) * (1 + sp.sqrt(snr_t)) ** 2,
    ),
    "8.3": (
        x_t * sp.sqrt(1 + abar_s * (var_1 - 1)) / sp.sqrt(1 + abar_t * (var_1 - 1)),
        x_t / sp.sqrt((1 - abar_t + abar_t * var_1) / (1 - abar_s + abar_s * var_1)),
        sp.sqrt(x_t**2 * (1 - abar_s * (1 - var_1)) / (1 - abar_t * (1 - var_1)))
        * sp.sign(x_t),
        sp.sqrt(abar_s * var_1 + 1 - abar_s)
        * (x_t / sp.sqrt(abar_t * var_1 + 1 - abar_t)),
        x_t * ((abar_s * var_1 - abar_s + 1) / (abar_t * var_1 + 1 - abar_t)) ** 0.5,
        x_t * sp.sqrt((1 - abar_s * (1 - var_1)) / (1 - abar_t * (1 - var_1))),
        sp.sqrt((1 + abar_s * (var_1 - 1)) / (1 + abar_t * (var_1 - 1))) * x_t,
    ),
    "8.4": (
        look_back_in_u,
        look_back_by_the_package,
        in_float32("8.4"),
        then("8.4", Tensor.tolist),
        then("8.4", Tensor.numpy),
    ),
}
left = (1 - abar_t) * var_1 / (1 + abar_t * (var_1 - 1))
ACCEPTED |= {
    "9.1": (
        -scale * sp.sqrt(1 - abar_t) * pull + eps_hat,
        eps_hat - scale * pull * (1 - abar_t) / sp.sqrt(1 - abar_t),
        eps_hat - root / rest * (scale * (1 - abar_t) / root * pull),
        (x_t - root * ((x_t - rest * eps_hat) / root + scale * rest**2 / root * pull))
        / rest,
        sp.expand(rest * (eps_hat / rest - scale * pull)),
    ),
    "9.2": (
        1 / (2 * var_rho + 2 * left),
        sp.Rational(1, 2) / (var_rho + 1 / (1 / var_1 + snr_t)),
        (abar_t * var_1 + 1 - abar_t)
        / (2 * (var_rho * (abar_t * var_1 + 1 - abar_t) + (1 - abar_t) * var_1)),
        0.5 / (var_rho + var_1 - abar_t * var_1**2 / (abar_t * var_1 + 1 - abar_t)),
        sp.factor(1 / (2 * (var_rho + left))),
    ),
    "9.3": (
        guided_by_lerp,
        guided_by_the_package,
        in_float32("9.3"),
        then("9.3", Tensor.tolist),
        then("9.3", Tensor.numpy),
    ),
    "9.4": (
        replaced_where_known,
        replaced_in_place,
        in_float32("9.4"),
        then("9.4", Tensor.tolist),
        then("9.4", Tensor.numpy),
    ),
    "9.5": (
        attention_of_torch,
        attention_place_by_place,
        in_float32("9.5"),
        then("9.5", Tensor.tolist),
        then("9.5", Tensor.numpy),
    ),
}
ACCEPTED |= PIECES | HUNTS
