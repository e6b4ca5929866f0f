"""Exercises of chapter 9, conditions and guidance. 9.6 has an answer in words."""

from collections.abc import Callable

import sympy as sp
import torch
from torch import Tensor

from ddpm_course.equations import abar_t, eps_hat, pull, scale, var_1, var_rho
from ddpm_course.exercises.checker import Exercise, Mistake
from ddpm_course.exercises.inputs import float64, no_tensor, randn

# --- 9.1 --------------------------------------------------------------------------

_NOISE = sp.sqrt(1 - abar_t)

_PUSH = Exercise(
    number="9.1",
    title="The same push, in the noise",
    difficulty="easy",
    minutes=10,
    reference=eps_hat - scale * _NOISE * pull,
    meaning="This is how papers print classifier guidance. The minus is there because "
    "noise points away from the data.",
    hint="A guess of the image belongs to each guess of the noise, by the equation for "
    "eps from x_0 (chapter 4). By how much does the noise move if the image moves?",
    mistakes={
        "a plus": Mistake(
            eps_hat + scale * _NOISE * pull,
            "The sign. If the image moves toward the label, more of x_t is image: "
            "what happens to the noise?",
        ),
        "no root": Mistake(
            eps_hat - scale * (1 - abar_t) * pull,
            "Close. One root of 1 - abar_t cancels when the image's shift becomes one "
            "of the noise.",
        ),
        "no root, and a plus": Mistake(
            eps_hat + scale * (1 - abar_t) * pull,
            "Two things: the sign, and one root of 1 - abar_t cancels.",
        ),
        "the image's factor": Mistake(
            eps_hat - scale * (1 - abar_t) / sp.sqrt(abar_t) * pull,
            "That is the factor for the image. The noise moves by another one.",
        ),
        "the image's factor and sign": Mistake(
            eps_hat + scale * (1 - abar_t) / sp.sqrt(abar_t) * pull,
            "That shift belongs to the image. Translate it into one of the noise.",
        ),
        "the root below": Mistake(
            eps_hat - scale / _NOISE * pull,
            "The root of 1 - abar_t is on the wrong side: a score is the noise divided "
            "by it, so the noise is the score times it.",
        ),
        "the pull alone": Mistake(
            eps_hat - scale * pull,
            "The pull is a score. A score and a guess of the noise differ by a factor.",
        ),
        "the pull alone, a plus": Mistake(
            eps_hat + scale * pull,
            "The pull is a score. A score and a guess of the noise differ by a factor "
            "and a sign.",
        ),
        "no scale": Mistake(
            eps_hat - _NOISE * pull,
            "That is right for w = 1. Where does the scale go?",
        ),
        "the shift alone": Mistake(
            -scale * _NOISE * pull,
            "That is the shift. Add what it shifts: eps_hat.",
        ),
        "the scale on both": Mistake(
            scale * (eps_hat - _NOISE * pull),
            "The scale multiplies the pull, not the network's own answer.",
        ),
        "the root of the image": Mistake(
            eps_hat - scale * sp.sqrt(abar_t) * pull,
            "The factor has to do with the noise in x_t: sqrt(1 - abar_t), not "
            "sqrt(abar_t).",
        ),
    },
)

# --- 9.2 --------------------------------------------------------------------------

_V_T = abar_t * var_1 + 1 - abar_t
_LEFT = (1 - abar_t) * var_1 / _V_T  # variance of x_0 given x_t

_TRUST = Exercise(
    number="9.2",
    title="How much to trust a measurement",
    difficulty="medium",
    minutes=15,
    reference=1 / (2 * (var_rho + _LEFT)),
    meaning="At large t the guess is vague, so a large error says little. Toward t = 0 "
    "only the measurement's own noise is left.",
    hint="Given x_t, the clean number has the variance of its posterior, and the "
    "measurement has its own noise on top. What is the variance of y?",
    mistakes={
        "as if the guess were the image": Mistake(
            1 / (2 * var_rho),
            "That takes the guess for the image itself, as DPS does. It is right at "
            "t = 0 only: before that, the guess is uncertain, too.",
        ),
        "the data's variance": Mistake(
            1 / (2 * (var_rho + var_1)),
            "This is how uncertain x_0 is before anybody has seen x_t. What is left "
            "once x_t is known?",
        ),
        "no factor 2": Mistake(
            1 / (var_rho + _LEFT),
            "Close. In the exponent of a Gaussian, the square is divided by twice the "
            "variance.",
        ),
        "the variance": Mistake(
            var_rho + _LEFT,
            "That is the variance of y given x_t, and it is right. The strength is one "
            "over twice that.",
        ),
        "the guess alone": Mistake(
            1 / (2 * _LEFT),
            "That forgets the measurement's own noise.",
        ),
        "the spread of x_t": Mistake(
            1 / (2 * (var_rho + _V_T)),
            "You took the variance of x_t itself, abar_t var_1 + 1 - abar_t. You need "
            "that of x_0, given x_t.",
        ),
        "the spread of the guess": Mistake(
            1 / (2 * (var_rho + abar_t * var_1**2 / _V_T)),
            "That is how much the guess varies from one x_t to another. You need what "
            "is left of the variance of x_0 when x_t is known.",
        ),
        "the noise of x_t": Mistake(
            1 / (2 * (var_rho + 1 - abar_t)),
            "You took the variance of the noise in x_t, 1 - abar_t. How uncertain is "
            "x_0?",
        ),
        "the noise, rescaled": Mistake(
            1 / (2 * (var_rho + (1 - abar_t) / abar_t)),
            "That would be right if nothing were known about x_0 beforehand. The data "
            "have the variance var_1: precisions add up.",
        ),
        "the standard deviation": Mistake(
            1 / (2 * sp.sqrt(var_rho + _LEFT)),
            "In the exponent stands the variance, not its root.",
        ),
        "the product": Mistake(
            1 / (2 * (var_rho * _LEFT)),
            "The two errors are independent: their variances add up.",
        ),
        "the gain": Mistake(
            _LEFT / (var_rho + _LEFT),
            "That is the share of the error by which the guess moves in the end, the "
            "fraction in the chapter's last equation. The strength comes before the "
            "gradient.",
        ),
    },
)

# --- 9.3 --------------------------------------------------------------------------


def guided(
    x0_told: Tensor, x0_untold: Tensor, w: float, first: int, last: int, t: int
) -> Tensor:
    if not first <= t <= last:
        return x0_told
    return x0_untold + w * (x0_told - x0_untold)


def _mixed(mix: Callable) -> Callable:
    """Guidance with another rule inside the interval."""

    def wrong(x0_told, x0_untold, w, first, last, t):
        return mix(x0_told, x0_untold, w) if first <= t <= last else x0_told

    return wrong


def _within(
    inside: Callable, outside: Callable = lambda told, untold: told
) -> Callable:
    """Guidance with another interval, or another rule outside."""

    def wrong(x0_told, x0_untold, w, first, last, t):
        if inside(first, last, t):
            return x0_untold + w * (x0_told - x0_untold)
        return outside(x0_told, x0_untold)

    return wrong


def _right(first: int, last: int, t: int) -> bool:
    return first <= t <= last


def _pair(w: float, first: int, last: int, t: int, *shape: int) -> tuple:
    return (*randn(2, *shape), w, first, last, t)


_INTERVAL = Exercise(
    number="9.3",
    unfit=lambda guide: no_tensor(guide(*_pair(2.0, 1, 9, 5, 1, 1))),
    title="Guidance in an interval",
    difficulty="medium",
    minutes=15,
    reference=guided,
    meaning="Two guesses and a line between them: guidance with a scale above 1 goes "
    "past the end of it.",
    hint="First the rule, without the interval: try w = 0 and w = 1 by hand. Then look "
    "at which guess you return outside.",
    inputs=(
        _pair(2.0, 1, 9, 5, 1, 1),
        _pair(3.0, 10, 20, 25, 1, 2),
        _pair(3.0, 10, 20, 5, 2, 1),
        _pair(0.0, 1, 9, 4, 2, 2),
        _pair(1.0, 1, 9, 4, 2, 2),
        _pair(1.5, 10, 20, 10, 2, 3),
        _pair(1.5, 10, 20, 20, 3, 2),
        *(
            _pair(2.5, first, last, t, 1, 1)
            for first in range(1, 7)
            for last in range(first, 7)
            for t in range(1, 8)
        ),
        _pair(4.0, 7, 7, 7, 2, 2),
        _pair(0.0, 2, 4, 5, 2, 2),
    ),
    mistakes={
        "one more": Mistake(
            _mixed(lambda told, untold, w: told + w * (told - untold)),
            "You start from the guess with the label. That is the form with 1 + w, in "
            "which 0 is conditional. Here 0 is unconditional.",
        ),
        "upside down": Mistake(
            _mixed(lambda told, untold, w: told + w * (untold - told)),
            "The two guesses are swapped: w = 1 must give the one with the label.",
        ),
        "away from the label": Mistake(
            _mixed(lambda told, untold, w: untold + w * (untold - told)),
            "Your shift leads away from the label: the difference is with minus "
            "without.",
        ),
        "the difference alone": Mistake(
            _mixed(lambda told, untold, w: w * (told - untold)),
            "That is the shift. Add what it shifts.",
        ),
        "a sum": Mistake(
            _mixed(lambda told, untold, w: untold + w * told),
            "The two factors must add up to 1, or two equal guesses would not give the "
            "same again.",
        ),
        "a mean": Mistake(
            _mixed(lambda told, untold, w: (untold + w * told) / (1 + w)),
            "That is a mean of both: it never goes past the guess with the label.",
        ),
        "untold outside": Mistake(
            _within(_right, lambda told, untold: untold),
            "Outside the interval you return the guess without the label. There the "
            "plain conditional guess is asked for.",
        ),
        "the interval swapped": Mistake(
            _within(lambda first, last, t: not first <= t <= last),
            "You guide outside the interval, and not inside.",
        ),
        "no interval": Mistake(
            _within(lambda first, last, t: True),
            "You guide at all times. Look at first and last.",
        ),
        "without its last time": Mistake(
            _within(lambda first, last, t: first <= t < last),
            "The last time belongs to the interval.",
        ),
        "without its first time": Mistake(
            _within(lambda first, last, t: first < t <= last),
            "The first time belongs to the interval.",
        ),
        "without both ends": Mistake(
            _within(lambda first, last, t: first < t < last),
            "Both ends belong to the interval.",
        ),
        "first alone": Mistake(
            _within(lambda first, last, t: first <= t),
            "The interval has two ends: look at last.",
        ),
        "last alone": Mistake(
            _within(lambda first, last, t: t <= last),
            "The interval has two ends: look at first.",
        ),
    },
)

# --- 9.4 --------------------------------------------------------------------------


def replaced(
    alpha_bar: Tensor, x_s: Tensor, image: Tensor, known: Tensor, eps: Tensor, s: int
) -> Tensor:
    noisy = alpha_bar[s].sqrt() * image + (1 - alpha_bar[s]).sqrt() * eps
    return known * noisy + (1 - known) * x_s


def _put(known: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return known * new + (1 - known) * old


def _replacing(noisy: Callable, put: Callable = _put) -> Callable:
    """Replacement with other pixels, or put together in another way."""

    def wrong(alpha_bar, x_s, image, known, eps, s):
        return put(known, noisy(alpha_bar, image, eps, s), x_s)

    return wrong


def _diffused(alpha_bar: Tensor, image: Tensor, eps: Tensor, s: int) -> Tensor:
    return alpha_bar[s].sqrt() * image + (1 - alpha_bar[s]).sqrt() * eps


_ALPHA_BAR = float64(1.0, 0.97, 0.9, 0.7, 0.45, 0.2, 0.05)


def _masked(s: int, rows: int, *known: int) -> tuple:
    x_s, image, eps = randn(3, rows, len(known))
    return _ALPHA_BAR, x_s, image, float64(*known).expand(rows, -1), eps, s


_REPLACE = Exercise(
    number="9.4",
    title="Inpainting by replacement",
    difficulty="medium",
    minutes=15,
    reference=replaced,
    meaning="That is one line after every step, for any sampler and any network. What "
    "it gets wrong is in the chapter.",
    hint="What does a known pixel look like at time s? It must have as much noise as "
    "its neighbors.",
    inputs=(
        _masked(3, 1, 1),
        _masked(4, 1, 0, 1),
        _masked(6, 2, 1, 0, 1),
        _masked(0, 2, 1, 0),
        _masked(1, 3, 0, 1, 1, 0),
        _masked(2, 1, 0, 0, 1),
        _masked(5, 2, 1, 1, 0),
    ),
    mistakes={
        "without noise": Mistake(
            _replacing(lambda a, image, eps, s: image),
            "You put clean pixels next to noisy ones. At time s a known pixel has its "
            "share of noise, too.",
        ),
        "the mask inverted": Mistake(
            _replacing(_diffused, lambda known, new, old: _put(known, old, new)),
            "You replace what is not known, and keep the sampler's pixels where the "
            "image is known.",
        ),
        "all of it": Mistake(
            _replacing(_diffused, lambda known, new, old: new),
            "You replace every pixel. Where the image isn't known, x_s stays.",
        ),
        "no roots": Mistake(
            _replacing(lambda a, image, eps, s: a[s] * image + (1 - a[s]) * eps),
            "The factors are roots: variances add up to 1.",
        ),
        "no root on the noise": Mistake(
            _replacing(lambda a, image, eps, s: a[s].sqrt() * image + (1 - a[s]) * eps),
            "The noise has the factor sqrt(1 - alpha_bar).",
        ),
        "no root on the image": Mistake(
            _replacing(lambda a, image, eps, s: a[s] * image + (1 - a[s]).sqrt() * eps),
            "The image has the factor sqrt(alpha_bar).",
        ),
        "the roles swapped": Mistake(
            _replacing(
                lambda a, image, eps, s: (1 - a[s]).sqrt() * image + a[s].sqrt() * eps
            ),
            "The factors of image and noise are swapped.",
        ),
        "the image full size": Mistake(
            _replacing(lambda a, image, eps, s: image + (1 - a[s]).sqrt() * eps),
            "The image shrinks, too: its factor is sqrt(alpha_bar).",
        ),
        "the noise left out": Mistake(
            _replacing(lambda a, image, eps, s: a[s].sqrt() * image),
            "The known pixels have shrunk, but where is their noise?",
        ),
        "added": Mistake(
            _replacing(_diffused, lambda known, new, old: old + known * new),
            "You add the known pixels to those of the sampler. They take their place.",
        ),
        "zero elsewhere": Mistake(
            _replacing(_diffused, lambda known, new, old: known * new),
            "Where the image isn't known, the sampler's x_s has to stay.",
        ),
        "one time too late": Mistake(
            _replacing(
                lambda a, image, eps, s: _diffused(
                    a, image, eps, min(s + 1, len(a) - 1)
                )
            ),
            "Look up alpha_bar by the time itself: alpha_bar[s].",
        ),
    },
)

# --- 9.5 --------------------------------------------------------------------------


def cross_attention(
    pixels: Tensor,
    words: Tensor,
    is_word: Tensor,
    W_q: Tensor,
    W_k: Tensor,
    W_v: Tensor,
) -> Tensor:
    q, k, v = pixels @ W_q, words @ W_k, words @ W_v
    scores = q @ k.T / q.shape[1] ** 0.5
    scores = scores.masked_fill(is_word == 0, -torch.inf)
    return scores.softmax(dim=1) @ v


def _left_out(scores: Tensor, is_word: Tensor) -> Tensor:
    return scores.masked_fill(is_word == 0, -torch.inf)


def _attend(
    score: Callable = lambda q, k: q @ k.T / q.shape[1] ** 0.5,
    mask: Callable = _left_out,
    norm: Callable = lambda scores: scores.softmax(1),
) -> Callable:
    """Cross-attention with other scores, another mask or other weights."""

    def wrong(pixels, words, is_word, W_q, W_k, W_v):
        weights = norm(mask(score(pixels @ W_q, words @ W_k), is_word))
        return weights @ (words @ W_v)

    return wrong


def _masked_weights(pixels, words, is_word, W_q, W_k, W_v):
    q, k, v = pixels @ W_q, words @ W_k, words @ W_v
    return (q @ k.T / q.shape[1] ** 0.5).softmax(1) * is_word @ v


def _blank_words(pixels, words, is_word, W_q, W_k, W_v):
    words = words * is_word[:, None]
    q, k, v = pixels @ W_q, words @ W_k, words @ W_v
    return (q @ k.T / q.shape[1] ** 0.5).softmax(1) @ v


def _of_itself(pixels, words, is_word, W_q, W_k, W_v):
    q, k, v = pixels @ W_q, pixels @ W_k, pixels @ W_v
    return (q @ k.T / q.shape[1] ** 0.5).softmax(1) @ v


def _of_keys(pixels, words, is_word, W_q, W_k, W_v):
    return cross_attention(pixels, words, is_word, W_q, W_k, W_k)


def _of_words(pixels, words, is_word, W_q, W_k, W_v):
    same = torch.eye(len(W_v), dtype=W_v.dtype)
    return cross_attention(pixels, words, is_word, W_q, W_k, same)


def _keys_and_values_swapped(pixels, words, is_word, W_q, W_k, W_v):
    return cross_attention(pixels, words, is_word, W_q, W_v, W_k)


def _queries_and_keys_swapped(pixels, words, is_word, W_q, W_k, W_v):
    return cross_attention(pixels, words, is_word, W_k, W_q, W_v)


def _look(places: int, width: int, *is_word: int) -> tuple:
    weights = (randn(width, width, seed=n) for n in (1, 2, 3))
    pixels, words = randn(places, width, seed=4), randn(len(is_word), width, seed=5)
    return pixels, words, float64(*is_word), *weights


_CROSS = Exercise(
    number="9.5",
    title="Every pixel asks the words",
    difficulty="hard",
    minutes=20,
    reference=cross_attention,
    meaning="Compare it with the attention of chapter 5: what is new is where the keys "
    "and values come from, and the mask.",
    hint="Write down the shapes. There is one weight for each place and word, and the "
    "weights of a place add up to 1 over the words that are none of the blanks.",
    inputs=(
        _look(1, 1, 1, 1),
        _look(2, 2, 1, 1, 0),
        _look(3, 2, 1, 0),
        _look(4, 3, 1),
        _look(2, 4, 1, 1, 1, 0, 0),
        _look(3, 2, 0, 1, 0, 1),
        _look(5, 3, 1, 1, 1, 1),
    ),
    mistakes={
        "no mask": Mistake(
            _attend(mask=lambda scores, is_word: scores),
            "Your places look at the blanks, too.",
        ),
        "scores of 0": Mistake(
            _attend(mask=lambda scores, is_word: scores * is_word),
            "You set the scores of the blanks to 0. The exponential of 0 is 1: they "
            "still get a share. Which score has an exponential of 0?",
        ),
        "blanks set to 0": Mistake(
            _blank_words,
            "Blank words have a score of 0 and a value of 0, but the softmax still "
            "gives them a share, which the others lack.",
        ),
        "masked too late": Mistake(
            _masked_weights,
            "You leave out the blanks after the softmax, so that the other weights no "
            "longer add up to 1.",
        ),
        "the blanks alone": Mistake(
            _attend(
                mask=lambda scores, is_word: scores.masked_fill(is_word == 1, -1e9)
            ),
            "Your mask is inverted: the blanks are what is looked at.",
        ),
        "self-attention": Mistake(
            _of_itself,
            "Your words are never used: that is self-attention. Keys and values come "
            "from the words.",
        ),
        "not divided": Mistake(
            _attend(score=lambda q, k: q @ k.T),
            "Divide the products by the root of their length, or large widths make the "
            "softmax nearly one-hot.",
        ),
        "divided by the width": Mistake(
            _attend(score=lambda q, k: q @ k.T / q.shape[1]),
            "A product of two random vectors grows with the root of their length: "
            "divide by the root.",
        ),
        "divided by the number of words": Mistake(
            _attend(score=lambda q, k: q @ k.T / k.shape[0] ** 0.5),
            "The root is that of the vectors' length, not of the number of words.",
        ),
        "over the places": Mistake(
            _attend(norm=lambda scores: scores.softmax(0).nan_to_num(0)),
            "Your softmax runs over the places. The weights of each place must add up "
            "to 1 over the words.",
        ),
        "not normalized": Mistake(
            _attend(norm=lambda scores: scores.exp()),
            "Your weights don't add up to 1: divide each row by its sum.",
        ),
        "softmax over all": Mistake(
            _attend(norm=lambda s: s.flatten().softmax(0).reshape(s.shape)),
            "Your softmax runs over all places and words at once. Each place has "
            "weights of its own.",
        ),
        "the keys returned": Mistake(
            _of_keys,
            "You average the keys. The values, words @ W_v, are what a place takes.",
        ),
        "the words returned": Mistake(
            _of_words,
            "You average the words themselves. The values are words @ W_v.",
        ),
        "keys and values swapped": Mistake(
            _keys_and_values_swapped,
            "The matrices of keys and values are swapped: W_k is for comparing, W_v "
            "for what is taken.",
        ),
        "queries and keys swapped": Mistake(
            _queries_and_keys_swapped,
            "The matrices of queries and keys are swapped: W_q belongs to the places.",
        ),
        "the plain mean": Mistake(
            _attend(score=lambda q, k: 0 * (q @ k.T)),
            "Each place gets the plain mean of the values: your weights don't depend "
            "on the queries.",
        ),
    },
)

EXERCISES = [_PUSH, _TRUST, _INTERVAL, _REPLACE, _CROSS]
