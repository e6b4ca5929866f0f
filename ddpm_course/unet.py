"""The network: a function of an image and a time, (x, t) → an image of that shape.

It knows nothing of diffusion. Whether its output means the noise, the clean image or
the velocity is decided by the loss that it is trained with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def time_embedding(t: Tensor, dim: int, max_period: float = 10_000.0) -> Tensor:
    """Sines and cosines of t (equation ``time-embedding``).

    The frequencies run geometrically from 1 to 1 / max_period, so nearby times get
    nearby vectors, and distant times distant ones.

    Args:
        t: Times, shape (batch,).
        dim: Length of the vectors, an even number >= 4.
        max_period: 1 over the lowest frequency.

    Returns:
        Shape (batch, dim), in [-1, 1]: float64 for a t in float64, else float32.

    Raises:
        ValueError: If ``dim`` is odd or too small.
    """
    if not isinstance(t, Tensor) or t.ndim != 1:
        what = tuple(t.shape) if isinstance(t, Tensor) else type(t).__name__
        raise TypeError(f"t is {what}: expected a tensor of times, shape (batch,)")
    if not isinstance(dim, int) or dim < 4 or dim % 2:
        raise ValueError(
            f"dim={dim}: expected an even number >= 4, half for each wave; it is the "
            "channels of a UNet, the width of an MLP"
        )
    dtype = torch.promote_types(t.dtype, torch.float32)  # 16 bits would round t
    steps = torch.arange(dim // 2, device=t.device, dtype=dtype) / (dim // 2 - 1)
    angles = t.to(dtype)[:, None] * torch.exp(-math.log(max_period) * steps)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class TimeEmbedding(nn.Module):
    """``time_embedding`` from a table of the times 0 … T: (B,) → (B, dim).

    A time that all elements share (an expanded tensor) is looked up once, (1, dim), and
    broadcasts. Times that are not int64 are computed.
    """

    table: Tensor

    def __init__(self, dim: int, T: int) -> None:
        super().__init__()
        table = time_embedding(torch.arange(T + 1), dim)
        self.register_buffer("table", table, persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        one = t[:1] if t.stride(0) == 0 else t
        if t.dtype != torch.int64:
            return time_embedding(one, self.table.shape[1]).to(self.table.dtype)
        try:
            return F.embedding(one, self.table)
        except IndexError:  # free on a CPU; a GPU stops with its own error
            raise ValueError(
                f"t runs from {int(t.min())} to {int(t.max())}, the network knows "
                f"0 … {len(self.table) - 1}: build it with a larger T"
            ) from None


class LabelEmbedding(nn.Module):
    """A learned vector for each class, and one for no label, -1: (B,) → (B, dim).

    Row 0 belongs to no label, row k + 1 to class k. All start at 0, so that a network
    with labels begins as the one without them.
    """

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.classes = classes
        self.rows = nn.Parameter(torch.zeros(classes + 1, dim))

    def forward(self, label: Tensor) -> Tensor:
        try:
            return F.embedding(label + 1, self.rows)
        except IndexError:  # free on a CPU; a GPU stops with its own error
            raise ValueError(
                f"label runs from {int(label.min())} to {int(label.max())}, the "
                f"network knows 0 … {self.classes - 1}, and -1 for no label"
            ) from None


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with up to 32 groups of at least four channels, if there are four.

    Each group gets mean 0 and variance 1 (equation ``group-norm``), then a learned
    scale and shift. A block adds the time to each channel as a constant: if a channel
    were a group of its own, the norm would subtract it again, and the block would be
    deaf to time.
    """
    most = max(1, min(32, channels // 4))
    groups = max(n for n in range(1, most + 1) if channels % n == 0)
    return nn.GroupNorm(groups, channels)


def zero(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with its parameters set to 0, so that its block starts as identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class ResidualBlock(nn.Module):
    """x + f(x, time): (B, C_in, H, W), (B, E) → (B, C_out, H, W)."""

    def __init__(self, c_in: int, c_out: int, c_time: int, dropout: float) -> None:
        super().__init__()
        self.norm_1 = group_norm(c_in)
        self.conv_1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time = nn.Linear(c_time, c_out)
        self.norm_2 = group_norm(c_out)
        self.dropout = nn.Dropout(dropout)
        self.conv_2 = zero(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv_1(F.silu(self.norm_1(x)))
        h = h + self.time(time)[:, :, None, None]
        h = self.conv_2(self.dropout(F.silu(self.norm_2(h))))
        return self.skip(x) + h


class SelfAttention(nn.Module):
    """Every pixel looks at every other pixel: (B, C, H, W) → (B, C, H, W).

    Raises:
        ValueError: If ``heads`` does not divide ``channels``.
    """

    def __init__(self, channels: int, heads: int = 1) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise ValueError(
                f"heads={heads} does not divide the {channels} channels: use a divisor"
            )
        self.heads = heads
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x))
        qkv = qkv.reshape(batch, 3, self.heads, channels // self.heads, height * width)
        # contiguous, because the fast attention kernels require it
        q, k, v = qkv.transpose(-1, -2).contiguous().unbind(1)  # (B, heads, HW, C')
        h = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(h.transpose(-1, -2).reshape(x.shape))


class Downsample(nn.Module):
    """Half the height and width, by a convolution with stride 2; ignores the time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Twice the height and width: each pixel four times, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """A residual block, followed by attention unless ``heads`` is 0."""

    def __init__(
        self, c_in: int, c_out: int, c_time: int, dropout: float, heads: int
    ) -> None:
        super().__init__()
        self.block = ResidualBlock(c_in, c_out, c_time, dropout)
        self.attention = SelfAttention(c_out, heads) if heads else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.attention(self.block(x, time))


class UNet(nn.Module):
    """DDPM's U-Net: (x, t) or (x, t, label) → an image of the shape of x.

    Call it with x of shape (B, in_channels, H, W) and int64 times (B,) in 0 … T. H and
    W must be multiples of ``patch`` * 2 ** (number of levels - 1). A network with
    classes also takes int64 labels (B,): 0 … classes - 1, or -1 where there is none. No
    ``label`` at all means -1 for every image.

    Args:
        in_channels: Channels of an image.
        channels: Width of the network, an even number >= 4.
        multipliers: Level i has channels * multipliers[i] channels.
        blocks: Residual blocks a level.
        attention_levels: Levels with attention after each block; the middle has it too.
        heads: Attention heads.
        dropout: Dropout rate, in [0, 1).
        patch: Squares with this side become the channels of one pixel first, so that
            the network works at a lower resolution, and faster.
        T: The largest time.
        classes: Number of classes of the labels; 0 makes a network without labels.

    Raises:
        TypeError, ValueError: If a setting, or an input, makes no sense.
    """

    def __init__(
        self,
        in_channels: int = 1,
        channels: int = 32,
        multipliers: Sequence[int] = (1, 2, 2),
        blocks: int = 2,
        attention_levels: Sequence[int] = (2,),
        heads: int = 1,
        dropout: float = 0.0,
        patch: int = 1,
        T: int = 1000,
        classes: int = 0,
    ) -> None:
        super().__init__()
        for name, given in (
            ("multipliers", multipliers),
            ("attention_levels", attention_levels),
        ):
            if not isinstance(given, Sequence):
                raise TypeError(
                    f"{name} is a {type(given).__name__}: expected a sequence of ints"
                )
        _check_sizes(in_channels=in_channels, channels=channels, blocks=blocks)
        _check_sizes(heads=heads, patch=patch, T=T, levels=len(multipliers))
        _check_classes(classes)
        _check_sizes(**{f"multipliers[{i}]": m for i, m in enumerate(multipliers)})
        if not set(attention_levels) <= set(range(len(multipliers))):
            raise ValueError(
                f"attention_levels={tuple(attention_levels)}: expected levels among "
                f"0 … {len(multipliers) - 1}, one for each of the multipliers"
            )
        if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout!r}: expected a number in [0, 1)")
        self.in_channels, self.patch, self.T = in_channels, patch, T
        self.classes = classes
        self.factor = patch * 2 ** (len(multipliers) - 1)
        c_time = 4 * channels
        self.embedding = TimeEmbedding(channels, T)
        self.time = nn.Sequential(
            nn.Linear(channels, c_time), nn.SiLU(), nn.Linear(c_time, c_time), nn.SiLU()
        )
        self.label = LabelEmbedding(classes, c_time) if classes else None
        widths = [channels * m for m in multipliers]
        with_heads = [heads if i in attention_levels else 0 for i in range(len(widths))]

        c_image = in_channels * patch**2
        self.first = nn.Conv2d(c_image, channels, 3, padding=1)
        self.down, skips, c = nn.ModuleList(), [channels], channels
        for i, width in enumerate(widths):
            for _ in range(blocks):
                self.down.append(Level(c, width, c_time, dropout, with_heads[i]))
                c = width
                skips.append(c)
            if i < len(widths) - 1:
                self.down.append(Downsample(c))
                skips.append(c)

        self.middle = nn.ModuleList(
            [Level(c, c, c_time, dropout, heads), Level(c, c, c_time, dropout, 0)]
        )

        self.up = nn.ModuleList()
        for i, width in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                c_in = c + skips.pop()
                self.up.append(Level(c_in, width, c_time, dropout, with_heads[i]))
                c = width
            if i > 0:
                self.up.append(Upsample(c))
        self.norm = group_norm(c)
        self.last = zero(nn.Conv2d(c, c_image, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        _check_input(x, t, self.first.weight, self.in_channels, "H", "W")
        height, width = x.shape[-2:]
        if height % self.factor or width % self.factor:
            raise ValueError(
                f"x has {height} x {width} pixels: expected multiples of "
                f"{self.factor}, since each level halves them; pad the images or use "
                "fewer multipliers"
            )
        _check_label(label, len(x), self.classes)
        time = self.time(self.embedding(t))
        if self.label is not None:
            time = time + self.label(_no_label(t) if label is None else label)
        h = self.first(F.pixel_unshuffle(x, self.patch))
        skips = [h]
        for layer in self.down:
            h = layer(h, time)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, time)
        for layer in self.up:
            if isinstance(layer, Level):
                h = torch.cat([h, skips.pop()], dim=1)
            h = layer(h, time)
        h = self.last(F.silu(self.norm(h)))
        return F.pixel_shuffle(h, self.patch)


class MLP(nn.Module):
    """A small network for points: (x, t) → (B, dim).

    Call it with x of shape (B, dim) and int64 times (B,) in 0 … T.

    Args:
        dim: Coordinates of a point.
        width: Width of the hidden layers, an even number >= 4.
        depth: Number of hidden layers.
        T: The largest time.

    Raises:
        TypeError, ValueError: If a setting, or an input, makes no sense.
    """

    def __init__(
        self, dim: int = 2, width: int = 128, depth: int = 3, T: int = 1000
    ) -> None:
        super().__init__()
        _check_sizes(dim=dim, width=width, depth=depth, T=T)
        self.dim, self.T = dim, T
        self.embedding = TimeEmbedding(width, T)
        self.first = nn.Linear(dim + width, width)
        sizes = [width] * (depth - 1) + [dim]
        self.rest = nn.ModuleList(nn.Linear(width, size) for size in sizes)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        _check_input(x, t, self.first.weight, self.dim)
        # the first layer of (x, time) in two parts: a shared time is multiplied once
        on_x, on_time = self.first.weight.tensor_split([self.dim], dim=1)
        time = F.linear(self.embedding(t), on_time, self.first.bias)
        h = torch.addmm(time, x, on_x.T)
        for layer in self.rest:
            h = layer(F.silu(h))
        return h


def network_for(
    shape: Sequence[int],
    channels: int,
    blocks: int = 2,
    patch: int = 1,
    T: int = 1000,
    classes: int = 0,
) -> nn.Module:
    """An ``MLP`` for points, or a ``UNet`` with up to three levels for images.

    Args:
        shape: (D,) of a point, or (C, H, W) of an image.
        channels: Width of the U-Net; the MLP is 4 times as wide.
        blocks: Residual blocks a level of the U-Net.
        patch: As in ``UNet``.
        T: The largest time.
        classes: As in ``UNet``; an MLP takes no labels.

    Raises:
        ValueError: If there is no such network.
    """
    _check_sizes(channels=channels, blocks=blocks, patch=patch)
    if len(shape) not in (1, 3):
        raise ValueError(f"shape={tuple(shape)}: expected (D,) or (C, H, W)")
    if len(shape) == 1 and classes:
        raise ValueError(f"classes={classes}: an MLP takes no labels; use classes=0")
    if len(shape) == 1:
        return MLP(shape[0], 4 * channels, T=T)
    side = math.gcd(*shape[1:])
    levels = 1 + sum(side % (patch * factor) == 0 for factor in (2, 4))
    multipliers, attention = (1, 2, 2)[:levels], (levels - 1,)
    settings = {"patch": patch, "T": T, "classes": classes}
    return UNet(shape[0], channels, multipliers, blocks, attention, **settings)


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if type(size) is not int or size < 1:
            raise ValueError(f"{name}={size!r}: expected an int >= 1")


def _check_classes(classes: int) -> None:
    if type(classes) is not int or classes < 0:
        raise ValueError(
            f"classes={classes!r}: expected an int >= 0, where 0 means no labels"
        )


def _no_label(t: Tensor) -> Tensor:
    """-1 for each element: one that all share, (1,), which broadcasts."""
    return torch.full_like(t[:1], -1, dtype=torch.int64)


def _check_label(label: Tensor | None, batch: int, classes: int) -> None:
    """Raise unless ``label`` is None, or int64 (batch,) and there are classes."""
    if label is None:
        return
    if not classes:
        raise ValueError(
            "label is given, but the network has no classes: build it with "
            "UNet(…, classes=…), or leave the label out"
        )
    if not isinstance(label, Tensor):
        raise TypeError(
            f"label is of type {type(label).__name__}: expected a tensor; for one "
            "label use torch.full((len(x),), label)"
        )
    if label.shape != (batch,):
        raise ValueError(
            f"label has shape {tuple(label.shape)}: expected ({batch},), a label for "
            "each x, or -1 for none"
        )
    if label.dtype != torch.int64:
        raise TypeError(
            f"label has dtype {label.dtype}: expected torch.int64; use label.long()"
        )


def _check_input(x: Tensor, t: Tensor, weight: Tensor, *form: int | str) -> None:
    """Raise unless x is (B, *form), like the weights in dtype, and t is (B,).

    Reads no values, so a GPU doesn't have to wait.
    """
    for name, value in (("x", x), ("t", t)):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name} is of type {type(value).__name__}: expected a tensor; for one "
                "time use torch.full((len(x),), t)"
            )
    if x.ndim != 1 + len(form) or x.shape[1] != form[0]:
        expected = ", ".join(map(str, ("B", *form)))
        raise ValueError(f"x has shape {tuple(x.shape)}: expected ({expected})")
    wide = (x.dtype == torch.float64) != (weight.dtype == torch.float64)
    if wide or not x.is_floating_point():  # of 16 bits autocast takes care
        raise TypeError(f"x has dtype {x.dtype}: expected {weight.dtype}; use x.to(…)")
    if t.shape != x.shape[:1]:
        raise ValueError(
            f"t has shape {tuple(t.shape)}: expected ({len(x)},), a time for each x"
        )
    if t.dtype not in (torch.int64, torch.float32, torch.float64):
        raise TypeError(f"t has dtype {t.dtype}: expected torch.int64; use t.long()")
