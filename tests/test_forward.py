"""The forward process, against the exact moments of a linear recursion."""

import math

import pytest
import torch
from helpers import LINEAR, no_waiting, normal

from ddpm_course.forward import q_sample, q_step
from ddpm_course.schedules import NoiseSchedule


def gains(function, schedule, t):
    """What a linear function multiplies the data and the noise with."""
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    return function(schedule, one, t, zero).item(), function(
        schedule, zero, t, one
    ).item()


def test_forward_step_by_hand():
    schedule = NoiseSchedule.from_betas([0.36, 0.9999])
    x, eps = torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, -5.0]])
    torch.testing.assert_close(q_step(schedule, x, 1, eps), 0.8 * x + 0.6 * eps)
    torch.testing.assert_close(q_step(schedule, x, 2, eps), 0.01 * x + 0.99995 * eps)


def test_closed_form_by_hand():
    schedule = NoiseSchedule.from_betas([0.19, 0.99])  # ᾱ = 0.81, 0.0081
    x, eps = torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, -5.0]])
    torch.testing.assert_close(
        q_sample(schedule, x, 1, eps), 0.9 * x + math.sqrt(0.19) * eps
    )
    torch.testing.assert_close(
        q_sample(schedule, x, 2, eps), 0.09 * x + math.sqrt(0.9919) * eps
    )


@pytest.mark.slow
def test_t_steps_have_the_moments_of_the_closed_form(schedule):
    """Steps are linear: mean and variance go by an exact recursion, at every t."""
    gain, variance = 1.0, 0.0
    for t in range(1, schedule.T + 1):
        a, b = gains(q_step, schedule, t)
        gain, variance = a * gain, a**2 * variance + b**2
        closed_gain, closed_noise = gains(q_sample, schedule, t)
        assert closed_gain == pytest.approx(gain, rel=1e-12)
        assert closed_noise**2 == pytest.approx(variance, rel=1e-11)


def test_a_step_preserves_unit_variance(schedule):
    for t in (1, 2, 500, 1000):
        for function in (q_step, q_sample):
            a, b = gains(function, schedule, t)
            assert a**2 + b**2 == pytest.approx(1, abs=1e-15)


def test_the_last_sample_of_linear_is_noise():
    signal, noise = gains(q_sample, LINEAR, 1000)
    assert signal == pytest.approx(0.00635, abs=5e-6)
    assert noise == pytest.approx(0.99998, abs=5e-6)


@pytest.mark.parametrize("function", [q_step, q_sample])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_int_and_tensor_times_agree(function, dtype):
    x, eps = normal(4, 3, 8, 8, dtype=dtype), normal(4, 3, 8, 8, seed=1, dtype=dtype)
    for t in (1, 2, 999, 1000):
        one = function(LINEAR, x, t, eps)
        many = function(LINEAR, x, torch.full((4,), t), eps)
        torch.testing.assert_close(one, many)
        assert one.shape == x.shape and one.dtype == dtype
    # each image has its own time
    t = torch.tensor([1, 10, 100, 1000])
    mixed = function(LINEAR, x, t, eps)
    for i, time in enumerate(t.tolist()):
        alone = function(LINEAR, x[i : i + 1], time, eps[i : i + 1])
        torch.testing.assert_close(mixed[i : i + 1], alone)


@pytest.mark.parametrize("function", [q_step, q_sample])
def test_single_precision_is_as_good_as_single_precision_can_be(function):
    x, eps = normal(100, 4), normal(100, 4, seed=1)
    t = torch.linspace(1, 1000, 100).long()
    exact = function(LINEAR, x, t, eps)
    single = function(LINEAR, x.float(), t, eps.float())
    torch.testing.assert_close(single, exact.float(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("function", [q_step, q_sample])
def test_the_noise_is_the_argument_and_nothing_is_changed(function):
    x, eps = normal(5, 2), normal(5, 2, seed=1)
    kept = x.clone(), eps.clone()
    assert torch.equal(function(LINEAR, x, 7, eps), function(LINEAR, x, 7, eps))
    assert torch.equal(x, kept[0]) and torch.equal(eps, kept[1])


def test_gradients_flow_to_data_and_noise():
    x, eps = normal(2, 3).requires_grad_(), normal(2, 3, seed=1).requires_grad_()
    q_sample(LINEAR, x, 500, eps).sum().backward()
    assert (x.grad == LINEAR.alpha_bar[500].sqrt()).all()
    assert (eps.grad == (1 - LINEAR.alpha_bar[500]).sqrt()).all()


@pytest.mark.parametrize("function", [q_step, q_sample])
def test_everything_stays_on_its_device_and_nothing_is_read(function):
    """On "meta" there are shapes but no values: a look at one would raise."""
    x = torch.zeros(4, 3, 8, 8, device="meta")
    t = torch.ones(4, dtype=torch.int64, device="meta")
    moved = LINEAR.to("meta")
    for time in (t, 1):
        assert function(moved, x, time, x).device.type == "meta"


@pytest.mark.gpu
@pytest.mark.parametrize("function", [q_step, q_sample])
def test_on_a_gpu_the_host_never_waits(function):
    schedule, t = LINEAR.to("cuda"), torch.tensor([1, 10, 100, 1000])
    x, eps = normal(4, 3, 8, 8), normal(4, 3, 8, 8, seed=1)
    on_gpu = [v.cuda() for v in (x, t, eps)]
    with no_waiting():
        got = function(schedule, *on_gpu)
        function(schedule, on_gpu[0], 3, on_gpu[2])
    torch.testing.assert_close(got.cpu(), function(LINEAR, x, t, eps))


@pytest.mark.parametrize("function, name", [(q_step, "x_prev"), (q_sample, "x0")])
def test_bad_arguments_are_named_with_value_and_remedy(function, name):
    x = torch.zeros(3, 2)
    for data, t, eps, error, message in [
        (x.half(), 1, x, TypeError, rf"{name} has dtype .*use {name}.float\(\)"),
        (x, 1, x.half(), TypeError, r"eps has dtype torch.float16.*eps.float\(\)"),
        (x, 1, x[:, :1], ValueError, rf"eps has shape \(3, 1\), {name} has \(3, 2\)"),
        (x * math.nan, 1, x, ValueError, f"{name} contains nan"),
        (x.to("meta"), 1, x, ValueError, rf"use schedule.to\({name}.device\)"),
        (x, 0, x, ValueError, "t=0 is outside 1 … 1000"),
        (x, 1001, x, ValueError, "t=1001 is outside 1 … 1000"),
        (x, torch.tensor([5]), x, ValueError, r"t has shape \(1,\) for data of shape"),
        (x, 1.0, x, TypeError, "t=1.0 is a float"),
    ]:
        with pytest.raises(error, match=message):
            function(LINEAR, data, t, eps)
