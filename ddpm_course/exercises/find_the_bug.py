"""Exercises of the page "Find the bug".

For each: the program on the page, the repaired one, an experiment that tells them
apart, the program in the example of the stub, and others, right and wrong, that an
experiment has to tell apart too.
Programs carry the names that they have on the page.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_course.exercises.chance import seeded
from ddpm_course.exercises.checker import Mistake
from ddpm_course.exercises.hunt import EXAMPLE, PAGE, Experiment, Suspect, hunt, lineup
from ddpm_course.exercises.inputs import float64, randn
from ddpm_course.exercises.trouble import Trouble

_FLOAT32 = "a program that computes in 32 bits"


def _in_float32(program: Callable) -> Callable:
    def short(x):
        return x.float() if torch.is_tensor(x) and x.is_floating_point() else x

    return lambda *arguments: program(*map(short, arguments))


# --- F.1 --------------------------------------------------------------------------


def reverse_step(alpha_bar, x_t, x0_hat, t, z):
    """One step of the sampler, from x_t to x_{t-1}."""
    abar, before = alpha_bar[t], alpha_bar[t - 1]
    alpha = abar / before
    on_x0 = before.sqrt() * (1 - alpha) / (1 - abar)
    on_x_t = alpha.sqrt() * (1 - before) / (1 - abar)
    variance = (1 - alpha) * (1 - before) / (1 - abar)
    return on_x0 * x0_hat + on_x_t * x_t + variance * z


def fixed_reverse_step(alpha_bar, x_t, x0_hat, t, z):
    abar, before = alpha_bar[t], alpha_bar[t - 1]
    alpha = abar / before
    on_x0 = before.sqrt() * (1 - alpha) / (1 - abar)
    on_x_t = alpha.sqrt() * (1 - before) / (1 - abar)
    variance = (1 - alpha) * (1 - before) / (1 - abar)
    return on_x0 * x0_hat + on_x_t * x_t + variance.sqrt() * z


def example_step(alpha_bar, x_t, x0_hat, t, z):
    return x0_hat


def step_is_wrong(program):
    alpha_bar = torch.tensor([1, 0.8, 0.5, 0.1], dtype=torch.float64)
    zero, one = torch.tensor([0, 1], dtype=torch.float64)
    for t in (2, 3):  # if x_0 is 0, x_t has the variance 1 - alpha_bar[t]
        from_x = program(alpha_bar, one, zero, t, zero)
        from_z = program(alpha_bar, zero, zero, t, one)
        variance = from_x**2 * (1 - alpha_bar[t]) + from_z**2
        if abs(variance - (1 - alpha_bar[t - 1])) > 1e-5:
            return True
    return False


def _step(spread: Callable, share: float = 1.0) -> Callable:
    def step(alpha_bar: Tensor, x_t: Tensor, x0: Tensor, t: int, z: Tensor) -> Tensor:
        mean = fixed_reverse_step(alpha_bar, x_t, x0, t, 0 * z)
        return share * mean + spread(alpha_bar[t], alpha_bar[t - 1]) * z

    return step


def _beta_tilde(a: Tensor, b: Tensor) -> Tensor:
    return (1 - a / b) * (1 - b) / (1 - a)


def step_by_noise(alpha_bar, x_t, x0_hat, t, z):
    a, b = alpha_bar[t], alpha_bar[t - 1]
    eps_hat = (x_t - a.sqrt() * x0_hat) / (1 - a).sqrt()
    mean = (x_t - (1 - a / b) / (1 - a).sqrt() * eps_hat) / (a / b).sqrt()
    return mean + ((1 - b) * (b - a) / (b - a * b)).sqrt() * z


def step_by_precisions(alpha_bar, x_t, x0_hat, t, z):
    if t == 1:
        return x0_hat
    kept, before = alpha_bar[t] / alpha_bar[t - 1], alpha_bar[t - 1]
    variance = 1 / (kept / (1 - kept) + 1 / (1 - before))
    sure = kept.sqrt() * x_t / (1 - kept) + before.sqrt() * x0_hat / (1 - before)
    return variance * sure + variance.sqrt() * z


def step_with_two_roots(alpha_bar, x_t, x0_hat, t, z):
    a, b = alpha_bar[t], alpha_bar[t - 1]
    mean = fixed_reverse_step(alpha_bar, x_t, x0_hat, t, 0 * z)
    return mean + _beta_tilde(a, b).sqrt().sqrt() * z


def _step_variance(program: Callable, t: int) -> float:
    """What the variance of x_{t-1} is too large by, for x_0 = 0."""
    alpha_bar, zero, one = float64(1, 0.8, 0.5, 0.1), float64(0), float64(1)
    from_x = program(alpha_bar, one, zero, t, zero)
    from_z = program(alpha_bar, zero, zero, t, one)
    variance = from_x**2 * (1 - alpha_bar[t]) + from_z**2
    return (variance - (1 - alpha_bar[t - 1])).item()


_FOUR = float64(1.0, 0.8, 0.5, 0.1)

_STEP = hunt(
    number="F.1",
    title="Calm samples",
    difficulty="easy",
    minutes=15,
    experiment=Experiment(
        step_is_wrong,
        lineup(
            reverse_step,
            fixed_reverse_step,
            example_step,
            Suspect(step_by_noise, False, "a program that goes by the noise"),
            Suspect(step_by_precisions, False, "a program that works with precisions"),
            Suspect(_in_float32(fixed_reverse_step), False, _FLOAT32),
            Suspect(step_with_two_roots, True, "a program with one root too many"),
        ),
        "At t = 1, or with z = 0, there is nothing to see. Take another t, and look at "
        "the variance of x_{t-1}: with x_0 = 0 you know what it should be.",
        {
            "too little noise only": Mistake(
                lambda program: _step_variance(program, 3) < -1e-5,
                "It finds too little noise, but not too much: one root too many is as "
                "wrong as one too few.",
            ),
            "no tolerance": Mistake(
                lambda program: (
                    max(abs(_step_variance(program, t)) for t in (2, 3)) > 1e-12
                ),
                "It accuses a right program that computes in 32 bits. Allow for "
                "rounding.",
            ),
        },
    ),
    repair=fixed_reverse_step,
    meaning="The variance of x_{t-1} has two parts, and they must add up to 1 - "
    "alpha_bar[t - 1]. That finds a wrong factor in any sampler.",
    hint="Only the last line needs a change. By what must you multiply standard normal "
    "noise so that it has this variance?",
    inputs=tuple((_FOUR, *randn(2, 1, 2, seed=t), t, randn(1, 2)) for t in (1, 2, 3)),
    mistakes={
        "unchanged": Mistake(
            reverse_step,
            "It computes the same as before.",
        ),
        "two roots": Mistake(
            step_with_two_roots,
            "That is one root too many: z must get the standard deviation.",
        ),
        "β for β̃": Mistake(
            _step(lambda a, b: (1 - a / b).sqrt()),
            "You took the root, and also another variance: leave the one in the "
            "program.",
        ),
        "no noise": Mistake(
            _step(lambda a, b: 0 * a),
            "Without noise the samples get calmer still.",
        ),
        "all of the noise": Mistake(
            _step(lambda a, b: (1 - b).sqrt()),
            "So much noise is in x_{t-1} altogether, but part of it comes from x_t.",
        ),
        "standard normal noise": Mistake(
            _step(lambda a, b: torch.ones_like(a)),
            "Give z a factor: this step replaces only part of the noise.",
        ),
        "the mean stretched": Mistake(
            _step(_beta_tilde, share=1.1),
            "The mean was right. Look at the factor of z.",
        ),
    },
)


# --- F.2 --------------------------------------------------------------------------


def make_alpha_bar(T):
    """ᾱ_0 … ᾱ_T of the linear schedule with T steps."""
    beta = torch.linspace(1e-4, 0.02, T)
    alpha_bar = (1 - beta).cumprod(dim=0)
    return torch.cat([torch.ones(1), alpha_bar])


def fixed_make_alpha_bar(T):
    beta = 1000 / T * torch.linspace(1e-4, 0.02, T)
    alpha_bar = (1 - beta).cumprod(dim=0)
    return torch.cat([torch.ones(1), alpha_bar])


def example_alpha_bar(T):
    return torch.linspace(1, 0.5, T + 1)


def schedule_is_wrong(program):
    return bool(program(50)[-1] > 0.01)  # what is left of the image


def _ends(first: Callable, last: Callable) -> Callable:
    """A linear schedule with betas between these multiples of the usual ones."""

    def make(T: int) -> Tensor:
        beta = torch.linspace(1e-4 * first(T), 0.02 * last(T), T)
        return torch.cat([torch.ones(1), (1 - beta).cumprod(0)])

    return make


def every_tenth(T):
    alpha_bar = make_alpha_bar(1000)
    return alpha_bar[(torch.arange(T + 1) * 1000 / T).round().long()]


def cosine_alpha_bar(T):
    angle = (torch.arange(T + 1) / T + 0.008) / 1.008 * torch.pi / 2
    alpha_bar = angle.cos().square() / angle[0].cos().square()
    alpha_bar[-1] = alpha_bar[-2] / 1000  # beta is at most 0.999
    return alpha_bar


def scaled_by_a_root(T):
    beta = (1000 / T) ** 0.5 * torch.linspace(1e-4, 0.02, T)
    return torch.cat([torch.ones(1), (1 - beta).cumprod(dim=0)])


def betas_times_5(T):
    beta = 5 * torch.linspace(1e-4, 0.02, T)
    return torch.cat([torch.ones(1), (1 - beta).cumprod(dim=0)])


def first_beta_scaled(T):
    beta = torch.linspace(1000 / T * 1e-4, 0.02, T)
    return torch.cat([torch.ones(1), (1 - beta).cumprod(dim=0)])


def _last(T: int) -> Tensor:
    beta = torch.linspace(1e-4, 0.02, T)
    beta[-1] = 0.999
    return torch.cat([torch.ones(1), (1 - beta).cumprod(0)])


_BETAS = hunt(
    number="F.2",
    title="A hundred steps will do",
    difficulty="easy",
    minutes=10,
    experiment=Experiment(
        schedule_is_wrong,
        lineup(
            make_alpha_bar,
            fixed_make_alpha_bar,
            example_alpha_bar,
            Suspect(every_tenth, False, "every tenth entry of the schedule with 1000"),
            Suspect(cosine_alpha_bar, False, "the cosine schedule"),
            Suspect(
                scaled_by_a_root, True, "a program whose betas are a bit too small"
            ),
            Suspect(first_beta_scaled, True, "a program that scales the first beta"),
            Suspect(betas_times_5, True, "a program that multiplies the betas by 5"),
        ),
        "With 1000 steps the program is right. How much of the image is left at the "
        "end of fewer?",
        {
            "100 steps only": Mistake(
                lambda program: bool(program(100)[-1] > 0.01),
                "It clears a program that leaves 7 % after 50 steps. Try the smallest "
                "T, too.",
            ),
            "a tenth may be left": Mistake(
                lambda program: bool(program(100)[-1] > 0.1),
                "It clears a schedule that leaves 4 % of the variance: that is a fifth "
                "of the image's contrast.",
            ),
            "one schedule only": Mistake(
                lambda program: (
                    not torch.allclose(
                        program(100), fixed_make_alpha_bar(100), atol=1e-3
                    )
                ),
                "It accuses every schedule but one. What must the end of each of them "
                "be like?",
            ),
        },
    ),
    repair=fixed_make_alpha_bar,
    meaning="The chain starts from pure noise, so the forward process has to end "
    "there, whatever T is.",
    hint="The sum of the betas should not depend on T. Multiply all of them by the "
    "same number, which is 1 for T = 1000.",
    inputs=((50,), (100,), (300,), (1000,)),
    mistakes={
        "unchanged": Mistake(make_alpha_bar, "It computes the same as before."),
        "times 10": Mistake(
            _ends(lambda T: 10, lambda T: 10),
            "That number is right for T = 100 only. It has to depend on T.",
        ),
        "the wrong way": Mistake(
            _ends(lambda T: T / 1000, lambda T: T / 1000),
            "Now the betas are smaller still. Fewer steps have to add more noise each.",
        ),
        "the root": Mistake(
            scaled_by_a_root,
            "That is too little: with a tenth of the steps, each must add ten times "
            "the variance.",
        ),
        "the first beta": Mistake(
            first_beta_scaled,
            "Nearly all of the noise comes from the large betas at the end.",
        ),
        "the last end": Mistake(
            _ends(lambda T: 1.0, lambda T: 1000 / T),
            "Both ends of the line must be scaled: the first steps are ten times as "
            "long, too.",
        ),
        "a last beta of 0.999": Mistake(
            _last,
            "That jumps to pure noise in the last step: the network never sees what "
            "lies between. Scale all of the betas.",
        ),
        "a power": Mistake(
            lambda T: make_alpha_bar(T) ** (1000 / T),
            "A good schedule, but another one. We asked you to multiply the betas.",
        ),
    },
)


# --- F.3 --------------------------------------------------------------------------


def sample(denoiser, alpha_bar, x, noise):
    """From x_T to x_0; noise[t - 1] is for the step from t to t - 1."""
    for t in range(len(alpha_bar) - 1, 0, -1):
        abar, before = alpha_bar[t], alpha_bar[t - 1]
        alpha = abar / before
        on_x0 = before.sqrt() * (1 - alpha) / (1 - abar)
        on_x_t = alpha.sqrt() * (1 - before) / (1 - abar)
        z = noise[t - 1] if t > 0 else torch.zeros_like(x)
        x = on_x0 * denoiser(x, t) + on_x_t * x + (1 - alpha).sqrt() * z
    return x


def fixed_sample(denoiser, alpha_bar, x, noise):
    for t in range(len(alpha_bar) - 1, 0, -1):
        abar, before = alpha_bar[t], alpha_bar[t - 1]
        alpha = abar / before
        on_x0 = before.sqrt() * (1 - alpha) / (1 - abar)
        on_x_t = alpha.sqrt() * (1 - before) / (1 - abar)
        z = noise[t - 1] if t > 1 else torch.zeros_like(x)
        x = on_x0 * denoiser(x, t) + on_x_t * x + (1 - alpha).sqrt() * z
    return x


def example_sample(denoiser, alpha_bar, x, noise):
    return x


def end_is_noisy(program):
    alpha_bar = torch.linspace(1, 0.01, 11, dtype=torch.float64)
    x, noise = torch.ones(5), torch.ones(10, 5)
    image = program(lambda x, t: torch.zeros_like(x), alpha_bar, x, noise)
    return bool(image.abs().max() > 1e-4)


def _chain(
    noise_at: Callable = lambda t: t > 1,
    spread: Callable = lambda a, b: (1 - a / b).sqrt(),
    last: int = 0,
    shift: int = 1,
) -> Callable:
    """The sampler, with noise in the steps and of the size that are given."""

    def run(denoiser: Callable, alpha_bar: Tensor, x: Tensor, noise: Tensor) -> Tensor:
        for t in range(len(alpha_bar) - 1, last, -1):
            mean = fixed_reverse_step(alpha_bar, x, denoiser(x, t), t, 0 * x)
            z = float(noise_at(t)) * noise[t - shift]
            x = mean + spread(alpha_bar[t], alpha_bar[t - 1]) * z
        return x

    return run


def sample_from_zero(denoiser, alpha_bar, x, noise):
    for i in reversed(range(len(noise))):  # i = t - 1
        zero = torch.zeros_like(x)
        x_0 = denoiser(x, i + 1)
        x = fixed_reverse_step(alpha_bar, x, x_0, i + 1, zero)
        if i > 0:
            x = x + (1 - alpha_bar[i + 1] / alpha_bar[i]).sqrt() * noise[i]
    return x


def sample_with_beta_tilde(denoiser, alpha_bar, x, noise):
    for t in range(len(noise), 0, -1):  # β̃ is 0 at t = 1
        x = fixed_reverse_step(alpha_bar, x, denoiser(x, t), t, noise[t - 1])
    return x


def sample_without_guard(denoiser, alpha_bar, x, noise):
    for i in reversed(range(len(noise))):
        x = fixed_reverse_step(alpha_bar, x, denoiser(x, i + 1), i + 1, 0 * x)
        x = x + (1 - alpha_bar[i + 1] / alpha_bar[i]).sqrt() * noise[i]
    return x


def sample_with_a_quiet_end(denoiser, alpha_bar, x, noise):
    for t in range(len(noise), 0, -1):
        z = noise[t - 1] if t > 1 else 0.3 * noise[0]
        x = fixed_reverse_step(alpha_bar, x, denoiser(x, t), t, 0 * x)
        x = x + (1 - alpha_bar[t] / alpha_bar[t - 1]).sqrt() * z
    return x


def _run(answer: Callable, alpha_bar: Tensor, x_T: Tensor, noise: Tensor) -> Tensor:
    """With a denoiser that depends on x and t."""
    return answer(lambda x, t: x / (1 + t), alpha_bar, x_T, noise)


def _nothing(x: Tensor, t: int) -> Tensor:
    return torch.zeros_like(x)


def _last_noise_counts(program: Callable) -> bool:
    alpha_bar, x, noise = _TEN
    other = torch.cat([2 * noise[:1], noise[1:]])
    end, changed = (program(_nothing, alpha_bar, x, n) for n in (noise, other))
    return not torch.allclose(end, changed, atol=1e-5)


_TEN = (
    torch.linspace(1, 0.01, 11, dtype=torch.float64),
    *torch.ones(2, 10, 1, dtype=torch.float64),
)

_LAST = hunt(
    number="F.3",
    title="A little grain",
    difficulty="easy",
    minutes=15,
    experiment=Experiment(
        end_is_noisy,
        lineup(
            sample,
            fixed_sample,
            example_sample,
            Suspect(sample_from_zero, False, "a program that counts from 0"),
            Suspect(sample_with_beta_tilde, False, "a program with β̃ for β"),
            Suspect(_in_float32(fixed_sample), False, _FLOAT32),
            Suspect(sample_without_guard, True, "a program without any guard"),
            Suspect(
                sample_with_a_quiet_end, True, "a program with less noise at the end"
            ),
        ),
        "In the last step β is small. Give it a denoiser whose answer you know, such "
        "as zeros: what should come out, exactly?",
        {
            "one sampler only": Mistake(
                lambda program: (
                    not torch.allclose(
                        _run(program, *_TEN).double(), _run(fixed_sample, *_TEN)
                    )
                ),
                "It accuses a right program that has the other variance, β̃. Ask for "
                "something that every right sampler does.",
            ),
            "whether the last noise counts": Mistake(
                _last_noise_counts,
                "It asks only whether the noise of the last step counts. So it clears "
                "the program of the example, which returns x. What should come out?",
            ),
            "half of the noise": Mistake(
                lambda program: bool(program(_nothing, *_TEN).abs().max() > 0.2),
                "It clears a program that adds only some noise at the end. How much "
                "should there be?",
            ),
        },
    ),
    repair=fixed_sample,
    meaning="The guard belongs to a loop that counts from 0. Two habits, each of them "
    "fine, were mixed.",
    hint="Write down t for the last pass through the loop, and then what the guard "
    "says.",
    inputs=(
        (float64(1.0, 0.6), randn(1, 1), randn(1, 1, 1)),
        (float64(1.0, 0.8, 0.5), randn(1, 2), randn(2, 1, 2)),
        (_FOUR, randn(2, 1), randn(3, 2, 1)),
    ),
    trial=_run,
    mistakes={
        "unchanged": Mistake(sample, "It computes the same as before."),
        "never any noise": Mistake(
            _chain(lambda t: False),
            "Now no step adds noise. Only the last one should not.",
        ),
        "too early": Mistake(
            _chain(lambda t: t > 2),
            "Now the step from 2 to 1 has lost its noise, too.",
        ),
        "upside down": Mistake(
            _chain(lambda t: t <= 1),
            "Upside down: now only the last step adds noise.",
        ),
        "stops early": Mistake(
            _chain(lambda t: True, last=1),
            "You leave out the last step, and return x_1. It has noise in it, too.",
        ),
        "the next noise": Mistake(
            _chain(shift=2),
            "You use the noise of the next step. noise[t - 1] is for the step from t.",
        ),
        "β̃": Mistake(
            sample_with_beta_tilde,
            "A right sampler, but another one: the variance is no longer beta.",
        ),
    },
)


# --- F.4 --------------------------------------------------------------------------


def min_snr_weight(snr, gamma=5.0):
    """The weight min(SNR, γ) / SNR of the loss of ε."""
    return snr.clamp(min=gamma) / snr


def fixed_min_snr_weight(snr, gamma=5.0):
    return snr.clamp(max=gamma) / snr


def example_weight(snr, gamma=5.0):
    return snr


def weight_is_wrong(program):
    weight = program(torch.tensor([0.01, 1.0, 50.0]))
    return not torch.allclose(weight, torch.tensor([1.0, 1.0, 0.1]))


def weight_by_minimum(snr, gamma=5.0):
    return (gamma / snr).clamp(max=1)


def weight_by_where(snr, gamma=5.0):
    return torch.where(snr < gamma, torch.ones_like(snr), gamma / snr)


def weight_by_maximum(snr, gamma=5.0):
    return torch.maximum(snr, torch.full_like(snr, gamma)) / snr


def weight_without_limit(snr, gamma=5.0):
    return gamma / snr


def weight_of_one(snr, gamma=5.0):
    return torch.ones_like(snr)


_WEIGHT = hunt(
    number="F.4",
    title="A weight for the loss",
    difficulty="easy",
    minutes=10,
    experiment=Experiment(
        weight_is_wrong,
        lineup(
            min_snr_weight,
            fixed_min_snr_weight,
            example_weight,
            Suspect(weight_by_minimum, False, "a program that divides first"),
            Suspect(weight_by_where, False, "a program that goes case by case"),
            Suspect(weight_by_maximum, True, "the same mistake without clamp"),
            Suspect(weight_without_limit, True, "a program without the minimum"),
            Suspect(weight_of_one, True, "a program whose weight is always 1"),
        ),
        "At SNR = γ both are 1, and all weights are positive. Look far away from γ, "
        "on both sides.",
        {
            "clear images only": Mistake(
                lambda program: abs(program(torch.tensor(50.0)) - 0.1).item() > 1e-4,
                "It looks at a large SNR only. A weight of gamma / snr is right "
                "there, and enormous where the SNR is small.",
            ),
            "noisy images only": Mistake(
                lambda program: abs(program(torch.tensor(0.01)) - 1).item() > 1e-4,
                "It clears a program whose weight is always 1. That is right for a "
                "small SNR, and never above 1, but it does nothing at all.",
            ),
        },
    ),
    repair=fixed_min_snr_weight,
    meaning="clamp(min=γ) is a maximum. Say it aloud once, and you will not forget.",
    hint="Which of the two numbers does clamp(min=gamma) choose?",
    inputs=(
        (float64(2.0), 5.0),
        (float64(50.0), 5.0),
        (float64(0.1, 1.0, 4.0, 40.0), 5.0),
        (float64(0.5, 2.0, 3.0), 1.0),
    ),
    mistakes={
        "unchanged": Mistake(min_snr_weight, "It computes the same as before."),
        "not divided": Mistake(
            lambda snr, gamma=5.0: snr.clamp(max=gamma),
            "That is the weight for the loss of x_0. For the loss of ε, divide by the "
            "SNR.",
        ),
        "for v": Mistake(
            lambda snr, gamma=5.0: snr.clamp(max=gamma) / (snr + 1),
            "That is the weight for the loss of v. For the loss of ε, divide by the "
            "SNR alone.",
        ),
        "no limit": Mistake(
            weight_without_limit,
            "For an SNR below γ the minimum is the SNR itself, and the weight is 1.",
        ),
        "always 1": Mistake(
            weight_of_one,
            "Now there is no weight. For a large SNR it should be small.",
        ),
        "upside down": Mistake(
            lambda snr, gamma=5.0: snr / snr.clamp(max=gamma),
            "The quotient is upside down.",
        ),
        "the other clamp": Mistake(
            lambda snr, gamma=5.0: snr.clamp(max=gamma) / snr.clamp(min=gamma),
            "Only the numerator is a minimum; the denominator is the SNR itself.",
        ),
    },
)


# --- F.5 --------------------------------------------------------------------------


class Tiny(nn.Module):
    """A network with dropout; without it, x / t."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x, t):
        return self.dropout(x) / t


def predict(network, x, t):
    """The network's answer, for a sampler."""
    with torch.no_grad():
        return network(x, t)


def fixed_predict(network, x, t):
    training = network.training
    network.eval()
    with torch.no_grad():
        answer = network(x, t)
    network.train(training)
    return answer


def example_predict(network, x, t):
    return network(x, t)


def answer_is_random(program):
    x = torch.ones(100)
    return not torch.equal(program(Tiny().train(), x, 2), x / 2)


def predict_with_a_copy(network, x, t):
    with torch.inference_mode():
        return copy.deepcopy(network).eval()(x, t).clone()


def predict_with_train_off(network, x, t):
    before = network.training
    try:
        with torch.no_grad():
            return network.train(False)(x, t)
    finally:
        network.train(before)


def predict_with_a_flag(network, x, t):
    network.training = False
    with torch.no_grad():
        return network(x, t)


def predict_too_late(network, x, t):
    with torch.no_grad():
        answer = network(x, t)
    network.eval()
    return answer


def predict_with_a_seed(network, x, t):
    torch.manual_seed(0)
    with torch.no_grad():
        return network(x, t)


def predict_on_average(network, x, t):
    with torch.no_grad():
        return torch.stack([network(x, t) for _ in range(32)]).mean(0)


def _random(program: Callable) -> bool:
    network, x = Tiny().train(), torch.ones(100)
    return not torch.equal(program(network, x, 2), program(network, x, 2))


def _still_training(program: Callable) -> bool:
    network = Tiny().train()
    program(network, torch.ones(100), 2)
    return network.training


def _predicted(answer: Callable, training: int) -> Any:
    """The answer; raises Trouble if the network is not left in the mode it was in."""
    network, x = Tiny().train(bool(training)), torch.ones(20, dtype=torch.float64)
    with seeded(1):
        predicted = answer(network, x, 2)
    modes = {layer.training for layer in network.modules()}
    right = torch.is_tensor(predicted) and torch.equal(predicted, x / 2)
    if right and modes != {bool(training)}:
        mode = "training" if training else "eval"
        raise Trouble(f"your function doesn't leave the network in {mode} mode.")
    return predicted


def _ends_in(training: bool) -> Callable:
    def predicts(network: nn.Module, x: Tensor, t: int) -> Tensor:
        answer = fixed_predict(network, x, t)
        network.train(training)
        return answer

    return predicts


_EVAL = hunt(
    number="F.5",
    title="The same image twice",
    difficulty="easy",
    minutes=15,
    experiment=Experiment(
        answer_is_random,
        lineup(
            predict,
            fixed_predict,
            example_predict,
            Suspect(predict_with_a_copy, False, "a program that asks a copy"),
            Suspect(predict_with_train_off, False, "a program with train(False)"),
            Suspect(predict_with_a_flag, True, "a program that sets a flag only"),
            Suspect(predict_too_late, True, "a program that does it too late"),
            Suspect(predict_with_a_seed, True, "a program that fixes the seed"),
            Suspect(predict_on_average, True, "a program that averages 32 calls"),
        ),
        "Give it a network in training mode, with dropout: Tiny() is one. You know "
        "what it should answer.",
        {
            "two calls": Mistake(
                _random,
                "It calls the program twice. A fixed seed makes both answers equal, "
                "and both wrong: what should the answer be?",
            ),
            "the mode afterwards": Mistake(
                _still_training,
                "It looks at the network's mode after the call. A good program puts "
                "that back. Look at the answer.",
            ),
            "zeros": Mistake(
                lambda program: bool(
                    (program(Tiny().train(), torch.ones(100), 2) == 0).any()
                ),
                "It looks for zeros. The average of 32 calls has none, and is still "
                "wrong.",
            ),
        },
    ),
    repair=fixed_predict,
    meaning="no_grad saves memory and time. Only eval turns dropout off.",
    hint="Turn dropout off before the call, and leave the network in the mode in "
    "which you found it.",
    inputs=((1,), (0,)),
    trial=_predicted,
    mistakes={
        "unchanged": Mistake(
            predict,
            "It computes the same as before: no_grad does not turn dropout off, and "
            "after the call it is too late.",
        ),
        "left in eval mode": Mistake(
            _ends_in(training=False),
            "The answer is right, but the network stays in eval mode, and training "
            "goes on without dropout. Put it back into the mode in which it was.",
        ),
        "always back to training": Mistake(
            _ends_in(training=True),
            "If the network was in eval mode before, you put it into training mode. "
            "Remember network.training.",
        ),
        "a seed": Mistake(
            predict_with_a_seed,
            "A fixed seed makes the answers equal, not right: half of the network is "
            "still switched off.",
        ),
        "an average": Mistake(
            predict_on_average,
            "An average of many calls is closer, and many times as slow.",
        ),
    },
)


# --- F.6 --------------------------------------------------------------------------


def average(weights, decay=0.999):
    """The running average of the weights; row 0 is the random start."""
    ema = weights[0]
    for current in weights[1:]:
        ema = decay * ema + (1 - decay) * current
    return ema


def fixed_average(weights, decay=0.999):
    ema = weights[0]
    for step, current in enumerate(weights[1:]):
        own = min(decay, (1 + step) / (10 + step))
        ema = own * ema + (1 - own) * current
    return ema


def example_average(weights, decay=0.999):
    return weights[0]


def start_stays(program):
    weights = torch.cat([torch.tensor([5.0]), torch.ones(100)])
    return bool(abs(program(weights) - 1) > 0.4)  # 10 % of the way from 5 to 1


def average_without_bias(weights, decay=0.999):
    total, share = torch.zeros_like(weights[0]), 0.0
    for current in weights[1:]:
        total = decay * total + (1 - decay) * current
        share = decay * share + 1 - decay
    return total / share


def average_of_all(weights, decay=0.999):
    ema = weights[0]
    for n, current in enumerate(weights[1:], start=1):
        ema = ema + max(1 - decay, 1 / n) * (current - ema)
    return ema


def average_from_step_50(weights, decay=0.999):
    ema = weights[0]
    for n, current in enumerate(weights[1:]):
        ema = current if n < 50 else decay * ema + (1 - decay) * current
    return ema


def average_with_decay_0_97(weights, decay=0.999):
    ema = weights[0]
    for current in weights[1:]:
        ema = 0.97 * ema + 0.03 * current
    return ema


def average_with_decay_0_995(weights, decay=0.999):
    ema = weights[0]
    for current in weights[1:]:
        ema = 0.995 * ema + 0.005 * current
    return ema


def average_from_zero(weights, decay=0.999):
    ema = torch.zeros_like(weights[0])
    for current in weights[1:]:
        ema = decay * ema + (1 - decay) * current
    return ema


def average_with_the_maximum(weights, decay=0.999):
    ema = weights[0]
    for step, current in enumerate(weights[1:]):
        own = max(decay, (1 + step) / (10 + step))
        ema = own * ema + (1 - own) * current
    return ema


def _averaged(decay_at: Callable, first: int = 0) -> Callable:
    def run(weights: Tensor, decay: float = 0.999) -> Tensor:
        ema = weights[first]
        for step, current in enumerate(weights[first + 1 :]):
            own = decay_at(decay, step)
            ema = own * ema + (1 - own) * current
        return ema

    return run


_AVERAGE = hunt(
    number="F.6",
    title="The average is worse",
    difficulty="medium",
    minutes=15,
    experiment=Experiment(
        start_stays,
        lineup(
            average,
            fixed_average,
            example_average,
            Suspect(average_without_bias, False, "an average without bias, as in Adam"),
            Suspect(average_of_all, False, "an average of all weights at first"),
            Suspect(average_from_step_50, False, "an average that starts late"),
            Suspect(average_with_decay_0_97, False, "an average with a decay of 0.97"),
            Suspect(average_with_decay_0_995, True, "an average with a decay of 0.995"),
            Suspect(average_from_zero, True, "a program whose average starts at 0"),
            Suspect(average_with_the_maximum, True, "a program with max for min"),
        ),
        "After many thousands of steps the start is forgotten. Give it a strange first "
        "row, and then 100 rows that are all the same.",
        {
            "too strict": Mistake(
                lambda program: bool(
                    abs(program(torch.cat([float64(5), torch.ones(100)])) - 1) > 0.1
                ),
                "It accuses a program that leaves 5 % of the start. Allow for 10 % of "
                "the way from your first row to the others.",
            ),
            "no strange start": Mistake(
                lambda program: bool(abs(program(torch.ones(101)) - 1) > 0.1),
                "All of its rows are the same, the first one too. Any average of those "
                "is right, if its weights add up to 1.",
            ),
            "an end of zeros": Mistake(
                lambda program: bool(
                    program(torch.cat([torch.tensor([5.0]), torch.zeros(100)])) > 0.5
                ),
                "Its last rows are 0, and so is the answer of a program whose average "
                "starts at 0.",
            ),
            "one rule only": Mistake(
                lambda program: (
                    not torch.allclose(
                        program(randn(101)), fixed_average(randn(101)), atol=1e-3
                    )
                ),
                "It accuses every average but one. What must hold for each of them, "
                "after 100 steps with the same weights?",
            ),
        },
    ),
    repair=fixed_average,
    meaning="With a decay of 0.999 the start still counts for 90 % after 100 steps, "
    "and for 37 % after 1000.",
    hint="In step 0, 1, 2, … the decay is the smaller one of decay and "
    "(1 + step) / (10 + step).",
    inputs=(
        (randn(2, 1), 0.9),
        (randn(4, 2), 0.9),
        (randn(60, 1), 0.8),
        (randn(3, 1), 0.05),
    ),
    mistakes={
        "unchanged": Mistake(average, "It computes the same as before."),
        "max for min": Mistake(
            average_with_the_maximum,
            "You take the larger one of the two decays. Early on it has to be small.",
        ),
        "starts at 0": Mistake(
            average_from_zero,
            "Now the average starts at 0 instead, and stays near it for as long.",
        ),
        "as in Adam": Mistake(
            average_without_bias,
            "A good average: it is what Adam does. But we asked for a smaller decay in "
            "the first steps.",
        ),
        "steps from 1": Mistake(
            _averaged(lambda decay, step: min(decay, (2 + step) / (11 + step))),
            "Your first step has the number 1. It should be 0.",
        ),
        "no limit": Mistake(
            _averaged(lambda decay, step: (1 + step) / (10 + step)),
            "Your decay grows beyond the one that was asked for.",
        ),
        "shares exchanged": Mistake(
            _averaged(lambda decay, step: 1 - min(decay, (1 + step) / (10 + step))),
            "You exchanged the two shares: the decay belongs to the average so far.",
        ),
        "starts at row 1": Mistake(
            _averaged(lambda decay, step: decay, first=1),
            "You leave out the random start, but row 1 is nearly as random.",
        ),
    },
)


# --- F.7 --------------------------------------------------------------------------


def predicted_noise(x_t, abar):
    """The best ε̂ for data that are 1 or -1, each half of the time."""
    x0_hat = torch.tanh(abar.sqrt() * x_t / (1 - abar))
    return (x_t - abar.sqrt() * x0_hat) / (1 - abar).sqrt()


def same_predicted_noise(x_t, abar):
    return predicted_noise(x_t, abar)


def example_noise(x_t, abar):
    return 0 * x_t


def noise_is_wrong(program):
    rng = torch.Generator().manual_seed(0)
    x0 = torch.tensor([1.0, -1.0]).repeat(20_000)
    eps = torch.randn(40_000, generator=rng)
    for abar in torch.tensor([0.2, 0.5, 0.8]):
        x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
        error = (eps - program(x_t, abar))[x_t.argsort()]
        if error.view(40, 1000).mean(1).abs().max() > 0.15:  # x_t nearly equal
            return True
    return False


def noise_by_sigmoid(x_t, abar):
    one = torch.sigmoid(2 * abar.sqrt() * x_t / (1 - abar))  # P(x_0 = 1 | x_t)
    return (x_t - abar.sqrt() * (2 * one - 1)) / (1 - abar).sqrt()


def noise_by_bayes(x_t, abar):
    answers = [(x_t - x0 * abar.sqrt()) / (1 - abar).sqrt() for x0 in (1, -1)]
    eps = torch.stack(answers)
    return ((-eps.square() / 2).softmax(0) * eps).sum(0)


def noise_scaled_up(x_t, abar):
    eps_hat = predicted_noise(x_t, abar)
    return eps_hat / eps_hat.std()


def noise_of_the_nearest(x_t, abar):
    return (x_t - abar.sqrt() * x_t.sign()) / (1 - abar).sqrt()


def noise_times_1_2(x_t, abar):
    return 1.2 * predicted_noise(x_t, abar)


def _noisy_pairs(abar: float, n: int = 40_000) -> tuple[Tensor, Tensor, Tensor]:
    """x_t, ε and ᾱ, for data that are 1 and -1."""
    eps = torch.randn(n, generator=torch.Generator().manual_seed(0))
    x0 = torch.tensor([1.0, -1.0]).repeat(n // 2)
    return abar**0.5 * x0 + (1 - abar) ** 0.5 * eps, eps, torch.tensor(abar)


def _too_quiet(program: Callable) -> bool:
    x_t, _, abar = _noisy_pairs(0.5)
    return bool(program(x_t, abar).std() < 0.9)


def _not_1(program: Callable) -> bool:
    x_t, _, abar = _noisy_pairs(0.5)
    return bool(abs(program(x_t, abar).std() - 1) > 0.05)


def _off_somewhere(program: Callable) -> bool:
    x_t, eps, abar = _noisy_pairs(0.5)
    return bool((program(x_t, abar) - eps).square().mean() > 0.2)


_QUIET = hunt(
    number="F.7",
    title="Quiet noise",
    difficulty="hard",
    minutes=25,
    experiment=Experiment(
        noise_is_wrong,
        [
            Suspect(predicted_noise, False, PAGE),
            Suspect(example_noise, True, EXAMPLE),
            Suspect(noise_by_sigmoid, False, "a program with a sigmoid"),
            Suspect(noise_by_bayes, False, "a program that uses Bayes' rule"),
            Suspect(noise_scaled_up, True, "a program that scales ε̂ up to variance 1"),
            Suspect(noise_times_1_2, True, "a program that multiplies ε̂ by 1.2"),
            Suspect(noise_of_the_nearest, True, "a program that takes the nearer x_0"),
        ],
        "The mean of ε̂ is 0 for right and wrong programs. Draw x_0 and ε, make x_t, "
        "and compare the average of ε near some x_t with ε̂ there.",
        {
            "too quiet": Mistake(
                _too_quiet,
                "It asks for a standard deviation of 1, as ε has. So it accuses the "
                "best answer there is, and clears one that was scaled up. Compare ε̂ "
                "with ε, not with its spread.",
            ),
            "x_0 = ±1": Mistake(
                lambda program: (
                    not torch.allclose(
                        program(*_noisy_pairs(0.5)[::2]),
                        noise_of_the_nearest(*_noisy_pairs(0.5)[::2]),
                    )
                ),
                "It takes the nearer x_0 for the true one. Between the two, x_t does "
                "not tell.",
            ),
        },
    ),
    repair=same_predicted_noise,
    meaning="Nothing was wrong. ε̂ is the average of ε given x_t, and an average varies "
    "less than what it averages: var ε = var ε̂ + E(ε - ε̂)².",
    hint="Which change would make the mean of (ε - ε̂)² smaller? Try some.",
    inputs=(
        (float64(0.5, -1.5), torch.tensor(0.5, dtype=torch.float64)),
        (float64(0.1, 2.0, -0.7), torch.tensor(0.9, dtype=torch.float64)),
        (randn(4, 3), torch.tensor(0.2, dtype=torch.float64)),
    ),
    mistakes={
        "scaled up": Mistake(
            noise_scaled_up,
            "Its variance is 1 now, and its squared error is larger. Measure both "
            "before and after.",
        ),
        "times 1.2": Mistake(
            noise_times_1_2,
            "Louder, but further from ε, on average. Measure it.",
        ),
        "the nearest": Mistake(
            noise_of_the_nearest,
            "You decide for the nearer x_0. Where x_t lies between the two, that is "
            "wrong half of the time.",
        ),
        "no root": Mistake(
            lambda x, a: (x - a.sqrt() * torch.tanh(a * x / (1 - a))) / (1 - a).sqrt(),
            "Inside tanh, the root of ᾱ was right.",
        ),
        "not divided": Mistake(
            lambda x, a: (x - a.sqrt() * torch.tanh(a.sqrt() * x)) / (1 - a).sqrt(),
            "Inside tanh, the division by 1 - ᾱ was right: it is the variance of the "
            "noise.",
        ),
        "all of x_t": Mistake(
            lambda x, a: x,
            "For little noise, x_t is nearly all image.",
        ),
        "by the variance": Mistake(
            lambda x, a: (x - a.sqrt() * torch.tanh(a.sqrt() * x / (1 - a))) / (1 - a),
            "The noise in x_t has the factor √(1 - ᾱ). That was right.",
        ),
    },
)


# --- F.8 --------------------------------------------------------------------------


def ddim_sample(network, alpha_bar, x):
    """From x_T to x_0. The network was trained as in noisy: t = 0 … T - 1."""
    for t in range(len(alpha_bar), 0, -1):
        abar = alpha_bar[t - 1]
        before = alpha_bar[t - 2] if t > 1 else torch.ones_like(abar)
        eps_hat = network(x, t)
        x0_hat = (x - (1 - abar).sqrt() * eps_hat) / abar.sqrt()
        x = before.sqrt() * x0_hat + (1 - before).sqrt() * eps_hat
    return x


def fixed_ddim_sample(network, alpha_bar, x):
    for t in range(len(alpha_bar), 0, -1):
        abar = alpha_bar[t - 1]
        before = alpha_bar[t - 2] if t > 1 else torch.ones_like(abar)
        eps_hat = network(x, t - 1)
        x0_hat = (x - (1 - abar).sqrt() * eps_hat) / abar.sqrt()
        x = before.sqrt() * x0_hat + (1 - before).sqrt() * eps_hat
    return x


def example_ddim_sample(network, alpha_bar, x):
    return x


def times_disagree(program):
    alpha_bar = torch.linspace(0.95, 0.05, 10, dtype=torch.float64)

    def network(x, t):  # perfect if the only image is gray, x_0 = 0
        abar = alpha_bar[t] if t < 10 else torch.zeros(())
        return x / (1 - abar).sqrt()

    return bool(program(network, alpha_bar, torch.ones(3)).abs().max() > 1e-4)


def _ddim(
    told: Callable = lambda t, T: t - 1,
    here: Callable = lambda t, T: t - 1,
    last: int = 0,
) -> Callable:
    def run(network: Callable, alpha_bar: Tensor, x: Tensor) -> Tensor:
        T = len(alpha_bar)
        for t in range(T, last, -1):
            abar = alpha_bar[here(t, T)]
            before = alpha_bar[t - 2] if t > 1 else torch.ones_like(abar)
            eps_hat = network(x, told(t, T))
            x0_hat = (x - (1 - abar).sqrt() * eps_hat) / abar.sqrt()
            x = before.sqrt() * x0_hat + (1 - before).sqrt() * eps_hat
        return x

    return run


def ddim_from_zero(network, alpha_bar, x):
    one = torch.ones_like(alpha_bar[:1])
    levels = torch.cat([one, alpha_bar])
    for t in reversed(range(len(alpha_bar))):
        a, b = levels[t + 1], levels[t]
        eps_hat = network(x, t)
        x = (b / a).sqrt() * x + ((1 - b).sqrt() - (b / a * (1 - a)).sqrt()) * eps_hat
    return x


def ddim_with_noise(network, alpha_bar, x):
    levels = torch.cat([torch.ones_like(alpha_bar[:1]), alpha_bar])
    for t in reversed(range(len(alpha_bar))):
        a, b = levels[t + 1], levels[t]
        sigma = _beta_tilde(a, b).sqrt()
        eps_hat = network(x, t)
        x0_hat = (x - (1 - a).sqrt() * eps_hat) / a.sqrt()
        x = b.sqrt() * x0_hat + (1 - b - sigma**2).clamp(min=0).sqrt() * eps_hat
        x = x + sigma * torch.randn_like(x)
    return x


def ddim_that_stops_early(network, alpha_bar, x):
    for t in range(len(alpha_bar) - 1, 0, -1):
        abar = alpha_bar[t - 1]
        before = alpha_bar[t - 2] if t > 1 else torch.ones_like(abar)
        eps_hat = network(x, t)
        x0_hat = (x - (1 - abar).sqrt() * eps_hat) / abar.sqrt()
        x = before.sqrt() * x0_hat + (1 - before).sqrt() * eps_hat
    return x


def ddim_with_other_levels(network, alpha_bar, x):
    T = len(alpha_bar)
    for t in reversed(range(T)):
        abar = alpha_bar[min(t + 1, T - 1)]
        before = alpha_bar[t] if t > 0 else torch.ones_like(abar)
        eps_hat = network(x, t)
        x0_hat = (x - (1 - abar).sqrt() * eps_hat) / abar.sqrt()
        x = before.sqrt() * x0_hat + (1 - before).sqrt() * eps_hat
    return x


def _times_told(program: Callable) -> list[int]:
    told: list[int] = []

    def network(x, t):
        told.append(t)
        return x

    program(network, torch.linspace(0.95, 0.05, 10), torch.ones(3))
    return told


def _ddim_run(answer: Callable, alpha_bar: Tensor, x_T: Tensor) -> Tensor:
    """With a network that depends on x and t."""
    return answer(lambda x, t: x / (2 + t), alpha_bar, x_T)


_FROM_0 = torch.linspace(0.9, 0.1, 5, dtype=torch.float64)

_OFF_BY_ONE = hunt(
    number="F.8",
    title="Two files that agree",
    difficulty="medium",
    minutes=20,
    experiment=Experiment(
        times_disagree,
        lineup(
            ddim_sample,
            fixed_ddim_sample,
            example_ddim_sample,
            Suspect(ddim_from_zero, False, "a program that counts from 0"),
            Suspect(ddim_with_noise, False, "a program that draws noise"),
            Suspect(ddim_that_stops_early, True, "a program that never asks for T - 1"),
            Suspect(
                ddim_with_other_levels, True, "a program that takes the next alpha_bar"
            ),
        ),
        "A network that ignores t can't notice. Give it one that is perfect for some "
        "simple data, such as x_0 = 0: it must know which noise level t stands for.",
        {
            "a spy": Mistake(
                lambda program: _times_told(program) != list(range(9, -1, -1)),
                "It looks at the times that the network is told. Those can be right, "
                "and the noise levels beside them wrong.",
            ),
            "the first time": Mistake(
                lambda program: max(_times_told(program), default=0) > 9,
                "It looks at the largest time only.",
            ),
            "one sampler only": Mistake(
                lambda program: (
                    not torch.allclose(
                        _ddim_run(program, _FROM_0, torch.ones(3).double()),
                        _ddim_run(fixed_ddim_sample, _FROM_0, torch.ones(3).double()),
                    )
                ),
                "It accuses a right sampler that draws noise. What comes out of every "
                "right one if the network is perfect and x_0 is known?",
            ),
        },
    ),
    repair=fixed_ddim_sample,
    meaning="A network with a sine embedding takes any t, so nothing crashes. A table "
    "of T entries would have raised an IndexError at once.",
    hint="In training, the network was told the index of alpha_bar. What is that index "
    "here?",
    inputs=(
        (float64(0.5), randn(1, 1)),
        (float64(0.8, 0.3), randn(1, 2)),
        (_FROM_0, randn(2, 2)),
    ),
    trial=_ddim_run,
    mistakes={
        "unchanged": Mistake(ddim_sample, "It computes the same as before."),
        "the other way": Mistake(
            _ddim(told=lambda t, T: t + 1),
            "Now the network is told a time that is off by two.",
        ),
        "one too many": Mistake(
            _ddim(told=lambda t, T: max(t - 2, 0)),
            "Now the network is told too small a time: the first must be T - 1, the "
            "last 0.",
        ),
        "stops early": Mistake(
            _ddim(last=1),
            "The times are right, but the last step is missing.",
        ),
        "starts late": Mistake(
            ddim_that_stops_early,
            "You shortened the loop. It has T steps, and the network must be told one "
            "less than t.",
        ),
        "the levels": Mistake(
            _ddim(told=lambda t, T: t, here=lambda t, T: min(t, T - 1)),
            "You moved alpha_bar instead. Then x_T has no noise level of its own, and "
            "the step is wrong.",
        ),
        "both": Mistake(
            _ddim(here=lambda t, T: min(t, T - 1)),
            "The network is told the right time now, but you moved alpha_bar, too.",
        ),
    },
)


# --- F.9 --------------------------------------------------------------------------


def ddim_step(alpha_bar, x_t, x0_hat, t, s, z, eta):
    """A DDIM step from t to s, with a share eta of new noise."""
    a, b = alpha_bar[t], alpha_bar[s]
    sigma = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
    eps_hat = (x_t - a.sqrt() * x0_hat) / (1 - a).sqrt()
    return b.sqrt() * x0_hat + (1 - b).sqrt() * eps_hat + sigma * z


def fixed_ddim_step(alpha_bar, x_t, x0_hat, t, s, z, eta):
    a, b = alpha_bar[t], alpha_bar[s]
    sigma = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
    eps_hat = (x_t - a.sqrt() * x0_hat) / (1 - a).sqrt()
    kept = (1 - b - sigma**2).sqrt()
    return b.sqrt() * x0_hat + kept * eps_hat + sigma * z


def example_ddim_step(alpha_bar, x_t, x0_hat, t, s, z, eta):
    return x_t


def step_leaks(program):
    alpha_bar = torch.tensor([1, 0.8, 0.5, 0.1], dtype=torch.float64)
    zero, one = torch.tensor([0, 1], dtype=torch.float64)
    from_x = program(alpha_bar, one, zero, 3, 1, zero, 1.0)
    from_z = program(alpha_bar, zero, zero, 3, 1, one, 1.0)
    variance = from_x**2 * (1 - alpha_bar[3]) + from_z**2
    return bool(abs(variance - (1 - alpha_bar[1])) > 1e-5)


def _skip(
    kept: Callable = lambda b, sigma: (1 - b - sigma**2).sqrt(),
    spread: Callable = lambda a, b, eta: eta * _beta_tilde(a, b).sqrt(),
    signal: Callable = lambda a, b: b.sqrt(),
) -> Callable:
    def step(
        alpha_bar: Tensor,
        x_t: Tensor,
        x0_hat: Tensor,
        t: int,
        s: int,
        z: Tensor,
        eta: float,
    ) -> Tensor:
        a, b = alpha_bar[t], alpha_bar[s]
        sigma = spread(a, b, eta)
        eps_hat = (x_t - a.sqrt() * x0_hat) / (1 - a).sqrt()
        return signal(a, b) * x0_hat + kept(b, sigma) * eps_hat + sigma * z

    return step


def ddim_by_x_t(alpha_bar, x_t, x0_hat, t, s, z, eta):
    a, b = alpha_bar[t], alpha_bar[s]
    variance = eta**2 * (1 - b) * (b - a) / (b - a * b)
    on_x_t = ((1 - b - variance) / (1 - a)).sqrt()
    return on_x_t * x_t + (b.sqrt() - on_x_t * a.sqrt()) * x0_hat + variance.sqrt() * z


def ddim_with_other_sigma(alpha_bar, x_t, x0_hat, t, s, z, eta):
    a, b = alpha_bar[t], alpha_bar[s]
    eps_hat = (x_t - a.sqrt() * x0_hat) / (1 - a).sqrt()
    angle = torch.tensor(eta, dtype=b.dtype) * torch.pi / 3
    mixed = angle.cos() * eps_hat + angle.sin() * z
    return b.sqrt() * x0_hat + (1 - b).sqrt() * mixed


def ddim_minus_sigma(alpha_bar, x_t, x0_hat, t, s, z, eta):
    a, b = alpha_bar[t], alpha_bar[s]
    sigma = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
    eps_hat = (x_t - a.sqrt() * x0_hat) / (1 - a).sqrt()
    return b.sqrt() * x0_hat + ((1 - b).sqrt() - sigma) * eps_hat + sigma * z


def ddim_with_a_clamp(alpha_bar, x_t, x0_hat, t, s, z, eta):
    a, b = alpha_bar[t], alpha_bar[s]
    sigma = eta * (1 - a).sqrt()
    eps_hat = (x_t - a.sqrt() * x0_hat) / (1 - a).sqrt()
    kept = (1 - b - sigma**2).clamp(min=0).sqrt()
    return b.sqrt() * x0_hat + kept * eps_hat + sigma * z


def _leak(program: Callable, eta: float = 1.0) -> float:
    """What the variance of x_s is too large by, for x_0 = 0, from 3 to 1."""
    zero, one = float64(0), float64(1)
    from_x = program(_FOUR, one, zero, 3, 1, zero, eta)
    from_z = program(_FOUR, zero, zero, 3, 1, one, eta)
    return (from_x**2 * (1 - _FOUR[3]) + from_z**2 - (1 - _FOUR[1])).item()


def _skips(t: int, s: int, eta: float, shape: tuple = (1, 2)) -> tuple:
    x_t, x0_hat, z = randn(3, *shape, seed=t + s)
    return _FOUR, x_t, x0_hat, t, s, z, eta


_SKIP = hunt(
    number="F.9",
    title="A dial from 0 to 1",
    difficulty="medium",
    minutes=20,
    experiment=Experiment(
        step_leaks,
        lineup(
            ddim_step,
            fixed_ddim_step,
            example_ddim_step,
            Suspect(ddim_by_x_t, False, "a program that goes by the factor of x_t"),
            Suspect(ddim_with_other_sigma, False, "a program with another sigma"),
            Suspect(ddim_minus_sigma, True, "a program that subtracts sigma itself"),
            Suspect(ddim_with_a_clamp, True, "a program that clamps what is left"),
        ),
        "With eta = 0, or s = 0, there is nothing to see. Take eta = 1, and look at "
        "the variance of x_s: with x_0 = 0 you know what it should be.",
        {
            "too much noise only": Mistake(
                lambda program: _leak(program) > 1e-5,
                "It finds too much noise, but not too little.",
            ),
            "one sigma only": Mistake(
                lambda program: (
                    not torch.allclose(
                        program(*_skips(3, 1, 1.0)), fixed_ddim_step(*_skips(3, 1, 1.0))
                    )
                ),
                "It accuses a program that has another sigma and is right: any sigma "
                "will do, if the rest fits.",
            ),
        },
    ),
    repair=fixed_ddim_step,
    meaning="eta moves noise from the old to the new; the sum stays 1 - alpha_bar[s].",
    hint="The variances of the old and of the new noise add up. What is left for the "
    "old if the new has sigma²?",
    inputs=(
        _skips(1, 0, 0.5),
        _skips(2, 1, 1.0),
        _skips(3, 1, 0.5),
        _skips(3, 2, 0.0),
        _skips(3, 1, 1.0, (2, 2)),
    ),
    mistakes={
        "unchanged": Mistake(ddim_step, "It computes the same as before."),
        "σ for σ²": Mistake(
            _skip(kept=lambda b, sigma: (1 - b - sigma).clamp(min=0).sqrt()),
            "Under the root there are variances: sigma is a standard deviation.",
        ),
        "outside the root": Mistake(
            ddim_minus_sigma,
            "Standard deviations do not add up; variances do.",
        ),
        "added": Mistake(
            _skip(kept=lambda b, sigma: (1 - b + sigma**2).sqrt()),
            "You add where you should subtract: now there is still more noise.",
        ),
        "no new noise": Mistake(
            _skip(spread=lambda a, b, eta: 0 * a),
            "Now eta does nothing. The new noise was right.",
        ),
        "the old noise twice": Mistake(
            _skip(kept=lambda b, sigma: (1 - b).sqrt() * (1 - sigma**2).sqrt()),
            "The new noise has the variance sigma² itself, not that share of 1 - "
            "alpha_bar[s].",
        ),
        "by eta": Mistake(
            lambda alpha_bar, x_t, x0, t, s, z, eta: _skip(
                kept=lambda b, sigma: ((1 - b) * (1 - eta**2)).sqrt()
            )(alpha_bar, x_t, x0, t, s, z, eta),
            "At eta = 1 your step forgets x_t. An ancestral step does not.",
        ),
    },
)


# --- F.10 -------------------------------------------------------------------------


def clipped_step(x_t, eps_hat, abar_t, abar_s):
    """A DDIM step without new noise; images lie in [-1, 1]."""
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps_hat) / abar_t.sqrt()
    x0_hat = x0_hat.clamp(-1, 1)
    return abar_s.sqrt() * x0_hat + (1 - abar_s).sqrt() * eps_hat


def fixed_clipped_step(x_t, eps_hat, abar_t, abar_s):
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps_hat) / abar_t.sqrt()
    x0_hat = x0_hat.clamp(-1, 1)
    eps_hat = (x_t - abar_t.sqrt() * x0_hat) / (1 - abar_t).sqrt()
    return abar_s.sqrt() * x0_hat + (1 - abar_s).sqrt() * eps_hat


def example_clipped_step(x_t, eps_hat, abar_t, abar_s):
    return eps_hat


def parts_disagree(program):
    x_t = torch.linspace(-3, 3, 7, dtype=torch.float64)
    abar = torch.tensor(0.2, dtype=torch.float64)
    stayed = program(x_t, -x_t, abar, abar)  # a step of length 0
    return bool((stayed - x_t).abs().max() > 1e-5)


def clipped_by_x_t(x_t, eps_hat, abar_t, abar_s):
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps_hat) / abar_t.sqrt()
    kept = ((1 - abar_s) / (1 - abar_t)).sqrt()
    return kept * x_t + (abar_s.sqrt() - kept * abar_t.sqrt()) * x0_hat.clamp(-1, 1)


def clipped_softly(x_t, eps_hat, abar_t, abar_s):
    x0_hat = torch.tanh((x_t - (1 - abar_t).sqrt() * eps_hat) / abar_t.sqrt())
    eps_hat = (x_t - abar_t.sqrt() * x0_hat) / (1 - abar_t).sqrt()
    return abar_s.sqrt() * x0_hat + (1 - abar_s).sqrt() * eps_hat


def clipped_after_the_noise(x_t, eps_hat, abar_t, abar_s):
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps_hat) / abar_t.sqrt()
    eps_hat = (x_t - abar_t.sqrt() * x0_hat) / (1 - abar_t).sqrt()
    return abar_s.sqrt() * x0_hat.clamp(-1, 1) + (1 - abar_s).sqrt() * eps_hat


def clipped_on_one_side(x_t, eps_hat, abar_t, abar_s):
    raw = (x_t - (1 - abar_t).sqrt() * eps_hat) / abar_t.sqrt()
    own = (x_t - abar_t.sqrt() * raw.clamp(-1, 1)) / (1 - abar_t).sqrt()
    eps_hat = torch.where(raw > 1, own, eps_hat)
    return abar_s.sqrt() * raw.clamp(-1, 1) + (1 - abar_s).sqrt() * eps_hat


def _moved(program: Callable, x: float, eps: float) -> bool:
    """Whether a step of length 0 leads elsewhere."""
    x_t, eps_hat, abar = (float64(v) for v in (x, eps, 0.2))
    return bool((program(x_t, eps_hat, abar, abar) - x_t).abs() > 1e-5)


def _clip_inputs(abar_t: float, abar_s: float, *shape: int) -> tuple:
    x_t, eps_hat = 2 * randn(2, *shape, seed=3)
    return x_t, eps_hat, *float64(abar_t, abar_s)


_CLIP = hunt(
    number="F.10",
    title="Clipped and carried on",
    difficulty="medium",
    minutes=20,
    experiment=Experiment(
        parts_disagree,
        lineup(
            clipped_step,
            fixed_clipped_step,
            example_clipped_step,
            Suspect(clipped_by_x_t, False, "a program that goes by the factor of x_t"),
            Suspect(clipped_softly, False, "a program that clips softly"),
            Suspect(
                clipped_after_the_noise, True, "a program that clips a line too late"
            ),
            Suspect(
                clipped_on_one_side, True, "a program that is right for x̂₀ above 1"
            ),
        ),
        "It shows only where x̂₀ is clipped, and not for abar_s = 1. Where should a "
        "step of length 0 lead, from abar_t to abar_s = abar_t?",
        {
            "one side": Mistake(
                lambda program: _moved(program, 2.0, -1.0),
                "Its x̂₀ is above 1. Try one below -1, too.",
            ),
            "one way of clipping": Mistake(
                lambda program: (
                    not torch.allclose(
                        program(*_clip_inputs(0.2, 0.6, 2, 3)),
                        fixed_clipped_step(*_clip_inputs(0.2, 0.6, 2, 3)),
                    )
                ),
                "It accuses a program that clips in another way, and then goes on "
                "right. What must hold for each way?",
            ),
        },
    ),
    repair=fixed_clipped_step,
    meaning="x̂₀ and ε̂ are two views of one guess, so they change together. And a step "
    "of length 0 is a fine test for any sampler.",
    hint="With the clipped x̂₀, which ε̂ would have given x_t?",
    inputs=(
        _clip_inputs(0.9, 0.95, 1),
        _clip_inputs(0.2, 0.6, 3),
        _clip_inputs(0.02, 0.5, 2, 3),
        _clip_inputs(0.5, 1.0, 4),
    ),
    mistakes={
        "unchanged": Mistake(
            clipped_step,
            "It computes the same as before. Perhaps you recompute ε̂ before you clip: "
            "that gives back the old one.",
        ),
        "not clipped": Mistake(
            lambda x, e, a, s: (
                s.sqrt() * (x - (1 - a).sqrt() * e) / a.sqrt() + (1 - s).sqrt() * e
            ),
            "Without clipping the two agree, but then x̂₀ leaves [-1, 1].",
        ),
        "noise clipped": Mistake(
            lambda x, e, a, s: clipped_step(x, e.clamp(-1, 1), a, s),
            "Noise has no reason to lie in [-1, 1]. Clip the image, and let the noise "
            "follow.",
        ),
        "at s": Mistake(
            lambda x, e, a, s: _carried(x, e, a, s, level=s),
            "You recompute ε̂ at the level of s. x_t has the level of t.",
        ),
        "no root": Mistake(
            lambda x, e, a, s: _carried(x, e, a, s, power=1.0),
            "The noise in x_t has the factor √(1 - ᾱ_t): there is a root.",
        ),
        "the result clipped": Mistake(
            lambda x, e, a, s: clipped_step(x, e, a, s).clamp(-1, 1),
            "There is noise in x_s, so it has no limits.",
        ),
    },
)


def _carried(
    x: Tensor,
    e: Tensor,
    a: Tensor,
    s: Tensor,
    level: Tensor | None = None,
    power: float = 0.5,
) -> Tensor:
    """The repaired step, with ε̂ from another level or without its root."""
    x0_hat = ((x - (1 - a).sqrt() * e) / a.sqrt()).clamp(-1, 1)
    at = a if level is None else level
    eps_hat = (x - at.sqrt() * x0_hat) / (1 - at).clamp(min=1e-3) ** power
    return s.sqrt() * x0_hat + (1 - s).sqrt() * eps_hat


# --- F.11 -------------------------------------------------------------------------


def self_check(denoiser):
    """Whether a denoiser of data that are 1 or -1 is right."""
    x0 = torch.tensor([1.0, -1.0]).repeat(500)
    eps = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    abar = torch.tensor(0.5)
    x0_hat = denoiser(abar.sqrt() * x0 + (1 - abar).sqrt() * eps, abar)
    in_range = bool((x0_hat.abs() <= 1).all())
    error = (x0_hat - x0).square().mean()
    return x0_hat.shape == x0.shape and in_range and bool(error <= 1)


def fixed_self_check(denoiser):
    x_t = torch.linspace(-2, 2, 101)
    for abar in torch.tensor([0.1, 0.5, 0.9]):
        x0_hat = denoiser(x_t, abar)
        best = torch.tanh(abar.sqrt() * x_t / (1 - abar))
        if x0_hat.shape != x_t.shape:
            return False
        if not torch.allclose(x0_hat, best, atol=1e-3):
            return False
    return True


def example_check(denoiser):
    return True


def check_is_blind(program):
    def right(x_t, abar):
        return torch.tanh(abar.sqrt() * x_t / (1 - abar))

    return program(lambda x_t, abar: 0 * x_t) or not program(right)


def check_by_error(denoiser):
    x_t, eps, abar = _noisy_pairs(0.5, 2000)
    x0 = (x_t - (1 - abar).sqrt() * eps) / abar.sqrt()
    best = torch.tanh(abar.sqrt() * x_t / (1 - abar))
    error, least = ((x - x0).square().mean() for x in (denoiser(x_t, abar), best))
    return bool(error < 1.01 * least)


def check_by_sign(denoiser):
    x_t = torch.tensor([-2.0, -1.0, 1.0, 2.0])
    return bool((denoiser(x_t, torch.tensor(0.5)).sign() == x_t.sign()).all())


def check_of_the_shape(denoiser):
    x_t = torch.linspace(-2, 2, 101)
    return denoiser(x_t, torch.tensor(0.5)).shape == x_t.shape


def check_of_the_mean(denoiser):
    x_t = torch.linspace(-2, 2, 101)
    return bool(denoiser(x_t, torch.tensor(0.5)).mean().abs() < 0.01)


def check_that_fails_all(denoiser):
    x_t, eps, abar = _noisy_pairs(0.5, 2000)
    x0 = (x_t - (1 - abar).sqrt() * eps) / abar.sqrt()
    return torch.allclose(denoiser(x_t, abar), x0)


def _best(x_t: Tensor, abar: Tensor) -> Tensor:
    return torch.tanh(abar.sqrt() * x_t / (1 - abar))


#: Denoisers that a self-check is tried on: whether they are right, and what they are.
#: The first that a check is wrong about is named, so the worst come first.
DENOISERS: tuple[tuple[bool, str, Callable], ...] = (
    (False, "a denoiser that returns 0", lambda x, a: 0 * x),
    (True, "the exact denoiser", _best),
    (
        True,
        "the exact denoiser, by a sigmoid",
        lambda x, a: 2 * torch.sigmoid(2 * a.sqrt() * x / (1 - a)) - 1,
    ),
    (False, "a denoiser that returns 1", lambda x, a: 0 * x + 1),
    (False, "a denoiser that returns the sign of x_t", lambda x, a: x.sign()),
    (False, "the best linear denoiser", lambda x, a: a.sqrt() * x),
    (
        False,
        "a denoiser that clips x_t / √ᾱ",
        lambda x, a: (x / a.sqrt()).clamp(-1, 1),
    ),
    (
        False,
        "a denoiser that forgets a root",
        lambda x, a: torch.tanh(a * x / (1 - a)),
    ),
    (
        False,
        "a denoiser that always assumes ᾱ = 0.5",
        lambda x, a: _best(x, torch.tensor(0.5)),
    ),
    (
        False,
        "a denoiser that is right from ᾱ = 0.5 on, and takes 0.5 below",
        lambda x, a: _best(x, a.clamp(min=0.5)),
    ),
    (
        False,
        "a denoiser that is right up to ᾱ = 0.5, and takes 0.5 above",
        lambda x, a: _best(x, a.clamp(max=0.5)),
    ),
    (
        False,
        "a denoiser that ignores the sign of x_t",
        lambda x, a: _best(x.abs(), a),
    ),
    (
        False,
        "a denoiser that is right for x_t > 0, and returns 0 below",
        lambda x, a: _best(x.clamp(min=0), a),
    ),
    (
        False,
        "a denoiser that is right up to |x_t| = 1.5, and returns 0 beyond",
        lambda x, a: _best(x, a) * (x.abs() <= 1.5),
    ),
    (
        False,
        "a denoiser that adds 0.2 to the exact one",
        lambda x, a: _best(x, a) + 0.2,
    ),
    (
        False,
        "a denoiser that returns shape (1, n) if x_t has shape (n,)",
        lambda x, a: _best(x, a)[None],
    ),
)


def _checked(answer: Callable, denoiser: int) -> Any:
    """1 if the check is right about this denoiser. Raises Trouble if it isn't."""
    right, what, program = DENOISERS[denoiser]
    with seeded(0):
        passed = answer(program)
    if passed is ... or passed is None:
        return passed
    if bool(passed) != right:
        act = "passes" if passed else "rejects"
        raise Trouble(f"your check {act} {what}.")
    return 1.0


def _error_below(limit: float) -> Callable:
    def check(denoiser: Callable) -> bool:
        x_t, eps, abar = _noisy_pairs(0.5, 2000)
        x0 = (x_t - (1 - abar).sqrt() * eps) / abar.sqrt()
        x0_hat = denoiser(x_t, abar)
        return x0_hat.shape == x0.shape and bool((x0_hat - x0).square().mean() < limit)

    return check


def _matches(abar: float, *x_t: float) -> Callable:
    """A check of a few points at one noise level."""

    def check(denoiser: Callable) -> bool:
        x, a = torch.tensor(x_t), torch.tensor(abar)
        x0_hat = denoiser(x, a)
        return x0_hat.shape == x.shape and torch.allclose(x0_hat, _best(x, a))

    return check


_SELF_CHECK = hunt(
    number="F.11",
    title="All tests pass",
    difficulty="hard",
    minutes=30,
    experiment=Experiment(
        check_is_blind,
        lineup(
            self_check,
            fixed_self_check,
            example_check,
            Suspect(check_by_error, False, "a check by the squared error"),
            Suspect(check_by_sign, False, "a check that looks at signs"),
            Suspect(check_of_the_shape, True, "a check of the shape"),
            Suspect(check_of_the_mean, True, "a check of the mean"),
            Suspect(check_that_fails_all, True, "a check that no denoiser passes"),
        ),
        "Here the program is a check. Give it the laziest denoiser you can write.",
        {
            "zeros only": Mistake(
                lambda program: program(DENOISERS[0][2]),
                "It clears a check that no denoiser passes. Give it a right one, too.",
            ),
            "right ones only": Mistake(
                lambda program: not program(_best),
                "It asks only whether right denoisers pass. A check that says True to "
                "everything does that.",
            ),
            "the sign": Mistake(
                lambda program: program(DENOISERS[4][2]),
                "It gives the check the sign of x_t, which is a fair denoiser. Try "
                "one that does nothing.",
            ),
        },
    ),
    repair=fixed_self_check,
    meaning="Before you trust a check, see it fail. We did that with every test of "
    "this page.",
    hint="For these data the best answer is known: x̂₀ = tanh(√ᾱ x_t / (1 - ᾱ)). "
    "Compare with it, at more than one ᾱ.",
    inputs=tuple((i,) for i in range(len(DENOISERS))),
    trial=_checked,
    mistakes={
        "unchanged": Mistake(
            self_check,
            "It still passes a denoiser that returns 0: its mean squared error is 1.",
        ),
        "strictly less": Mistake(
            _error_below(1.0),
            "0 fails now, but anything a little better than 0 passes.",
        ),
        "an error below 0.5": Mistake(
            _error_below(0.5),
            "How large is the error of the exact denoiser? Take that for the limit, or "
            "compare the answers themselves.",
        ),
        "one point": Mistake(
            _matches(0.5, 0.0),
            "At x_t = 0 the right answer is 0: that is where return 0 is right.",
        ),
        "one level": Mistake(
            _matches(0.5, -1.0, 0.3, 1.0),
            "It looks at a single ᾱ, and passes a denoiser that is right only there.",
        ),
        "nothing passes": Mistake(
            check_that_fails_all,
            "It asks for x_0 itself, and no denoiser can know that.",
        ),
        "the shape": Mistake(
            check_of_the_shape,
            "It looks at the shape only.",
        ),
        "always": Mistake(lambda denoiser: True, "It passes everything."),
    },
)


EXERCISES = (
    _STEP,
    _BETAS,
    _LAST,
    _WEIGHT,
    _EVAL,
    _AVERAGE,
    _QUIET,
    _OFF_BY_ONE,
    _SKIP,
    _CLIP,
    _SELF_CHECK,
)
"""The exercises, by number."""
