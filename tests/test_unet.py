"""The network against plain computations and published sizes."""

import math

import numpy as np
import pytest
import torch

from ddpm_course.unet import (
    MLP,
    ResidualBlock,
    SelfAttention,
    UNet,
    group_norm,
    network_for,
    time_embedding,
)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def randomize(module, seed=0):
    """Give zero-initialised layers something to do."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(0.2 * torch.randn(p.shape, generator=generator))
    return module


def test_it_has_the_size_of_ddpms_network_for_cifar10():
    # counted alike by the reference implementations of DDPM and Improved DDPM
    network = UNet(3, 128, (1, 2, 2, 2), blocks=2, attention_levels=(1,), dropout=0.1)
    assert parameters(network) == 35_746_307


def test_time_embedding_against_the_formula():
    t = torch.tensor([0, 1, 37, 1000])
    dim = 32
    for row, time in zip(time_embedding(t, dim), t.tolist(), strict=True):
        waves = [10_000 ** (-i / (dim / 2 - 1)) for i in range(dim // 2)]
        expected = [math.sin(time * w) for w in waves]
        expected += [math.cos(time * w) for w in waves]
        assert np.allclose(row, expected, atol=1e-4)


def test_time_embedding_keeps_float64_and_never_falls_below_float32():
    for given, got in [
        (torch.int64, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float64, torch.float64),
    ]:
        assert time_embedding(torch.tensor([7]).to(given), 8).dtype == got


def test_times_are_told_apart_and_near_ones_are_near():
    all_times = time_embedding(torch.arange(1, 1001), 64).double()
    distance = torch.cdist(all_times, all_times)
    assert (distance + 10 * torch.eye(1000)).min() > 0.1
    assert distance[500, 501] < distance[500, 510] < distance[500, 700]


def test_group_norm_against_the_formula():
    x = torch.randn(3, 48, 5, 5, generator=torch.Generator().manual_seed(0))
    norm = group_norm(48)
    assert norm.num_groups == 12  # DDPM's groups have four channels at least
    grouped = x.reshape(3, 12, -1)
    mean = grouped.mean(-1, keepdim=True)
    variance = ((grouped - mean) ** 2).mean(-1, keepdim=True)
    expected = ((grouped - mean) / (variance + 1e-5).sqrt()).reshape(x.shape)
    assert torch.allclose(norm(x), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 7, 8, 30, 32, 96, 128, 256])
def test_groups_divide_the_channels(channels):
    norm = group_norm(channels)
    assert norm(torch.randn(2, channels, 2, 2)).shape[1] == channels
    assert norm.num_groups == 1 or channels // norm.num_groups >= 4
    assert norm.num_groups == 32 or channels < 128


@pytest.mark.parametrize("channels", [8, 32, 64])
def test_the_norm_does_not_wash_the_time_out(channels):
    """A constant in each channel survives, unless each channel is its own group."""
    x = torch.randn(2, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    constants = torch.linspace(-1, 1, channels)[:, None, None]
    norm = group_norm(channels)
    assert (norm(x + constants) - norm(x)).abs().max() > 0.05


@pytest.mark.parametrize("heads", [1, 4])
def test_attention_against_a_loop_over_pixels(heads):
    x = torch.randn(2, 16, 3, 5, generator=torch.Generator().manual_seed(0))
    attention = randomize(SelfAttention(16, heads))
    qkv = attention.qkv(attention.norm(x)).flatten(2)  # (B, 3 C, pixels)
    q, k, v = (part.double() for part in qkv.chunk(3, dim=1))
    mixed, width = torch.zeros_like(v), 16 // heads
    for b in range(2):
        for head in range(heads):
            rows = slice(head * width, (head + 1) * width)
            for i in range(15):
                scores = (q[b, rows, i, None] * k[b, rows]).sum(0) / width**0.5
                weights = scores.exp() / scores.exp().sum()
                mixed[b, rows, i] = (weights * v[b, rows]).sum(-1)
    expected = x + attention.out(mixed.float().reshape(x.shape))
    assert torch.allclose(attention(x), expected, atol=1e-4)


def test_attention_does_not_care_for_the_order_of_pixels():
    x = torch.randn(1, 8, 4, 4)
    attention = randomize(SelfAttention(8))
    order = torch.randperm(16)

    def shuffled(y):
        return y.flatten(2)[:, :, order].reshape(y.shape)

    assert torch.allclose(attention(shuffled(x)), shuffled(attention(x)), atol=1e-5)


def test_a_block_begins_as_the_identity_and_hears_the_time():
    x, time = torch.randn(2, 8, 4, 4), torch.randn(2, 16)
    block = ResidualBlock(8, 8, 16, dropout=0.0)
    assert torch.equal(block(x, time), x)
    randomize(block)
    assert (block(x, time) - block(x, time + 1)).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, (2, 1, 28, 28)),
        ({"in_channels": 3}, (2, 3, 16, 24)),
        ({"multipliers": (1, 2), "attention_levels": ()}, (1, 1, 8, 8)),
        ({"multipliers": (1,), "attention_levels": (0,), "blocks": 1}, (3, 1, 5, 5)),
        ({"channels": 20, "heads": 2}, (2, 1, 8, 8)),
        ({"in_channels": 3, "patch": 2}, (2, 3, 16, 8)),
    ],
)
def test_output_has_the_shape_of_the_input_and_begins_at_zero(settings, shape):
    network = UNet(**settings)
    t = torch.arange(1, shape[0] + 1)
    out = network(torch.randn(shape), t)
    assert out.shape == shape
    assert torch.equal(out, torch.zeros(shape))


def test_each_image_is_treated_by_itself_with_its_own_time():
    network = randomize(UNet(channels=8)).eval()
    x, t = torch.randn(3, 1, 8, 8), torch.tensor([1, 50, 900])
    together = network(x, t)
    for i in range(3):
        alone = network(x[i : i + 1], t[i : i + 1])
        assert torch.allclose(together[i : i + 1], alone, atol=1e-4)
    assert not torch.allclose(together, network(x, t.flip(0)), atol=1e-3)


def test_all_parameters_learn():
    network = randomize(UNet(channels=8))
    network(torch.randn(2, 1, 8, 8), torch.tensor([1, 2])).square().sum().backward()
    silent = [n for n, p in network.named_parameters() if not p.grad.abs().sum() > 0]
    assert silent == []


def test_dropout_is_off_in_eval_mode():
    network = randomize(UNet(channels=8, dropout=0.5))
    x, t = torch.randn(1, 1, 8, 8), torch.tensor([3])
    assert not torch.equal(network(x, t), network(x, t))
    network.eval()
    assert torch.equal(network(x, t), network(x, t))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: UNet()(torch.randn(1, 1, 30, 28), torch.ones(1)), "30 x 28 pixels"),
        (lambda: UNet(patch=2)(torch.randn(1, 1, 28, 28), torch.ones(1)), "of 8"),
        (lambda: UNet(attention_levels=(3,)), "attention_levels=(3,)"),
        (lambda: UNet(multipliers=()), "levels=0: expected an int >= 1"),
        (lambda: SelfAttention(10, heads=4), "heads=4"),
        (lambda: SelfAttention(8, heads=0), "heads=0"),
        (lambda: time_embedding(torch.ones(1), 7), "dim=7"),
        (lambda: UNet(channels=7), "dim=7: expected an even number >= 4"),
        (lambda: UNet(channels=2), "the channels of a UNet"),
        (lambda: MLP(width=9), "the width of an MLP"),
        (lambda: UNet(multipliers=(1, 0)), "multipliers[1]=0: expected an int >= 1"),
        (lambda: UNet(dropout=1.0), "dropout=1.0: expected a number in [0, 1)"),
        (lambda: UNet(dropout=-0.1), "dropout=-0.1"),
        (lambda: UNet(dropout=math.nan), "dropout=nan"),
        (lambda: network_for((2,), 8, blocks=0), "blocks=0"),
        (lambda: network_for((1, 28), 8), "shape=(1, 28): expected (D,) or (C, H, W)"),
        (lambda: network_for((), 8), "shape=()"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.parametrize("size", [0, 1.5, True, None])
@pytest.mark.parametrize(
    ("network", "name"),
    [
        *((UNet, n) for n in ("in_channels", "channels", "blocks", "heads", "patch")),
        *((MLP, name) for name in ("dim", "width", "depth")),
        (UNet, "T"),
        (MLP, "T"),
    ],
)
def test_a_network_is_made_of_whole_parts(network, name, size):
    with pytest.raises(ValueError) as error:
        network(**{name: size})
    assert str(error.value).startswith(f"{name}={size!r}: expected an ")


IMAGE, POINT, NOW = torch.zeros(2, 1, 8, 8), torch.zeros(2, 2), torch.tensor([5, 5])


@pytest.mark.parametrize(
    ("network", "x"), [(UNet(channels=8, T=9), IMAGE), (MLP(2, 8, T=9), POINT)]
)
@pytest.mark.parametrize(
    ("t", "error", "message"),
    [
        (3, TypeError, "t is of type int: expected a tensor; for one time"),
        ([3, 3], TypeError, "t is of type list"),
        (NOW[0], ValueError, "t has shape (): expected (2,)"),
        (NOW[:1], ValueError, "t has shape (1,): expected (2,)"),
        (NOW[:, None], ValueError, "t has shape (2, 1): expected (2,)"),
        (NOW - 6, ValueError, "t runs from -1 to -1, the network knows 0 … 9"),
        (NOW + torch.tensor([0, 5]), ValueError, "t runs from 5 to 10, the network"),
        (torch.tensor([10]).expand(2), ValueError, "t runs from 10 to 10"),
        (NOW.bool(), TypeError, "t has dtype torch.bool: expected torch.int64"),
        (NOW.int(), TypeError, "t has dtype torch.int32: expected torch.int64"),
        (NOW.bfloat16(), TypeError, "t has dtype torch.bfloat16"),
    ],
)
def test_times_that_a_network_does_not_know(network, x, t, error, message):
    with pytest.raises(error) as raised:
        network(x, t)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("network", "x", "error", "message"),
    [
        (UNet(3, 8), IMAGE, ValueError, "shape (2, 1, 8, 8): expected (B, 3, H, W)"),
        (UNet(1, 8), IMAGE[0], ValueError, "x has shape (1, 8, 8): expected (B, 1, H"),
        (UNet(1, 8), POINT, ValueError, "x has shape (2, 2): expected (B, 1, H, W)"),
        (UNet(1, 8), 0.0, TypeError, "x is of type float: expected a tensor"),
        (UNet(1, 8), IMAGE.numpy(), TypeError, "x is of type ndarray"),
        (UNet(1, 8), IMAGE.byte(), TypeError, "x has dtype torch.uint8: expected torc"),
        (
            UNet(1, 8),
            IMAGE.double(),
            TypeError,
            "torch.float64: expected torch.float32",
        ),
        (MLP(), torch.zeros(2, 3), ValueError, "x has shape (2, 3): expected (B, 2)"),
        (MLP(), IMAGE, ValueError, "x has shape (2, 1, 8, 8): expected (B, 2)"),
        (MLP(), POINT.long(), TypeError, "x has dtype torch.int64"),
    ],
)
def test_data_that_a_network_does_not_take(network, x, error, message):
    with pytest.raises(error) as raised:
        network(x, NOW)
    assert message in str(raised.value)


LABELED = randomize(UNet(channels=8, T=9, classes=3)).eval()


def test_a_network_without_classes_is_the_one_that_it_was():
    """Names and numbers of the parameters, draws and outputs, all of a seed."""
    torch.manual_seed(0)
    plain = UNet(channels=8, T=9)
    torch.manual_seed(0)
    labeled = UNet(channels=8, T=9, classes=3)
    before, after = plain.state_dict(), labeled.state_dict()
    assert [name for name in after if name not in before] == ["label.rows"]
    assert "label.rows" not in before and after["label.rows"].shape == (4, 32)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert parameters(labeled) == parameters(plain) + 4 * 32


def test_labels_begin_silent():
    plain = randomize(UNet(channels=8, T=9))
    labeled = UNet(channels=8, T=9, classes=3)
    labeled.load_state_dict(plain.state_dict(), strict=False)
    for label in (None, torch.tensor([-1, 2])):
        assert torch.equal(labeled(IMAGE, NOW, label), plain(IMAGE, NOW))


def test_a_label_is_added_to_the_time():
    """As in exercise 7.6, but row 0 is for no label, and row k + 1 for class k."""
    x, label = torch.randn(4, 1, 8, 8), torch.tensor([0, 2, -1, 1])
    t, shared = torch.tensor([5, 1, 5, 9]), torch.tensor([5]).expand(4)
    plain = UNet(channels=8, T=9)
    plain.load_state_dict(LABELED.state_dict(), strict=False)
    table = LABELED.label.rows
    rows = torch.stack([table[1], table[3], table[0], table[2]])
    plain.time.register_forward_hook(lambda layer, given, time: time + rows)
    for times in (t, shared):
        assert torch.allclose(LABELED(x, times, label), plain(x, times), atol=1e-5)
    assert not torch.allclose(LABELED(x, t, label.flip(0)), plain(x, t), atol=1e-2)


@pytest.mark.parametrize("t", [NOW, torch.tensor([5]).expand(2)])
def test_no_label_at_all_means_none_for_each(t):
    x = torch.randn(2, 1, 8, 8)
    nothing = torch.full((2,), -1)
    assert torch.allclose(LABELED(x, t), LABELED(x, t, nothing), atol=1e-6)
    assert not torch.allclose(LABELED(x, t), LABELED(x, t, 0 * nothing), atol=1e-2)


@pytest.mark.slow
def test_each_row_learns_from_its_own_label():
    network = randomize(UNet(channels=8, T=9, classes=3))
    network(IMAGE, NOW, torch.tensor([1, -1])).square().sum().backward()
    assert (network.label.rows.grad.abs().sum(1) > 0).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("label", "error", "message"),
    [
        (1, TypeError, "label is of type int: expected a tensor; for one label"),
        (NOW[:1] % 3, ValueError, "label has shape (1,): expected (2,)"),
        (NOW.float() % 3, TypeError, "label has dtype torch.float32: expected"),
        (NOW.int() % 3, TypeError, "label has dtype torch.int32"),
        (NOW - 2, ValueError, "label runs from 3 to 3, the network knows 0 … 2"),
        (NOW - 7, ValueError, "label runs from -2 to -2, the network knows"),
    ],
)
def test_labels_that_a_network_does_not_know(label, error, message):
    with pytest.raises(error) as raised:
        LABELED(IMAGE, NOW, label)
    assert message in str(raised.value)


def test_a_network_without_classes_takes_no_label():
    with pytest.raises(ValueError, match="the network has no classes: build it with"):
        UNet(channels=8)(IMAGE, NOW, NOW)


@pytest.mark.parametrize("classes", [-1, 1.5, True, None])
def test_classes_are_counted(classes):
    with pytest.raises(ValueError) as error:
        UNet(classes=classes)
    assert str(error.value).startswith(f"classes={classes!r}: expected an int >= 0")


def test_network_for_classes():
    assert network_for((1, 8, 8), 8, classes=3).label.rows.shape == (4, 32)
    assert network_for((1, 8, 8), 8).label is None
    with pytest.raises(ValueError, match="classes=3: an MLP takes no labels"):
        network_for((2,), 8, classes=3)


def test_off_the_cpu_no_label_is_read():
    network = UNet(channels=8, T=9, classes=3).to("meta")
    x, t = IMAGE.to("meta"), NOW.to("meta")
    assert network(x, t, t + 99).shape == x.shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_16_bits_a_network_takes_both(dtype):
    with torch.autocast("cpu", torch.bfloat16):
        assert UNet(channels=8)(IMAGE.to(dtype), NOW).shape == IMAGE.shape


@pytest.mark.parametrize(
    ("network", "x"), [(UNet(channels=8, T=9), IMAGE), (MLP(2, 8, T=9), POINT)]
)
def test_off_the_cpu_no_value_is_read(network, x):
    network, x, t = network.to("meta"), x.to("meta"), NOW.to("meta") + 99
    assert network(x, t).shape == x.shape
    with pytest.raises(ValueError, match="t has shape"):
        network(x, t[:1])


def test_mlp_keeps_the_shape_and_hears_the_time():
    network = MLP(dim=3, width=32)
    x = torch.randn(5, 3)
    out = network(x, torch.full((5,), 7))
    assert out.shape == (5, 3)
    assert not torch.allclose(out, network(x, torch.full((5,), 500)))
