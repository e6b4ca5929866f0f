"""Arguments that cannot be meant: which are refused, and in what words."""

import math

import pytest
import torch

from ddpm_course.bound import (
    bits_per_dim,
    decoder_nll,
    gaussian_kl,
    variational_bound,
)
from ddpm_course.checks import check_data, check_time
from ddpm_course.forward import q_sample, q_step
from ddpm_course.metrics import mode_width
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import Denoiser, loss_weight
from ddpm_course.plotting import to_pixels
from ddpm_course.posterior import posterior_mean
from ddpm_course.sampling import ddim_step, sample
from ddpm_course.schedules import (
    NoiseSchedule,
    cosine_betas,
    linear_betas,
    make_schedule,
)
from ddpm_course.training import squared_errors
from ddpm_course.trajectories import log_p_path
from ddpm_course.unet import MLP, UNet, time_embedding

LINEAR, BATCH = make_schedule("linear"), torch.zeros(3, 2)


@pytest.mark.parametrize("t", [1, 1000, torch.tensor([1, 500, 1000])])
def test_times_in_range_pass(t):
    check_time(LINEAR, t, BATCH)


@pytest.mark.parametrize(
    "t, error, message",
    [
        (0, ValueError, "t=0 is outside 1 … 1000: times are counted from 1"),
        (1001, ValueError, "t=1001 is outside 1 … 1000"),
        (torch.tensor([1, 0, 1000]), ValueError, "t=0 is outside 1 … 1000"),
        (torch.tensor([1, 1001, 2]), ValueError, "t=1001 is outside 1 … 1000"),
        (0.5, TypeError, "t=0.5 is a float: expected an int, or an int64 tensor"),
        (True, TypeError, "t=True is a bool: expected an int, or an int64 tensor"),
        (torch.ones(3), TypeError, "t has dtype torch.float32: expected an int"),
        (torch.ones(3).int(), TypeError, "in 1 … 1000; use t.long()"),
        (
            torch.tensor([1, 2]),
            ValueError,
            "t has shape (2,) for data of shape (3, 2): expected an int, or an int64 "
            "tensor of shape (batch,), in 1 … 1000, one time for each element",
        ),
        (torch.ones(3, 1).long(), ValueError, "t has shape (3, 1) for data of shape"),
        (torch.tensor(1), ValueError, "t has shape () for data of shape (3, 2)"),
    ],
)
def test_other_times_are_refused(t, error, message):
    with pytest.raises(error) as caught:
        check_time(LINEAR, t, BATCH)
    assert message in str(caught.value)


def test_a_batch_of_times_needs_a_batch_of_data():
    with pytest.raises(ValueError, match=r"t has shape \(1,\) for data of shape \(\)"):
        check_time(LINEAR, torch.tensor([1]), torch.tensor(0.0))


def test_times_without_data_need_only_be_a_batch():
    check_time(LINEAR, torch.tensor([1, 1000]))
    with pytest.raises(ValueError, match=r"t has shape \(2, 1\): expected an int, or"):
        check_time(LINEAR, torch.ones(2, 1).long())


def test_no_times_at_all_are_in_range():
    check_time(LINEAR, torch.tensor([], dtype=torch.int64), BATCH[:0])
    with pytest.raises(ValueError, match=r"t has shape \(0,\) for data of shape"):
        check_time(LINEAR, torch.tensor([], dtype=torch.int64), BATCH)


def test_check_time_knows_another_first_time_and_name():
    check_time(LINEAR, 0, BATCH, first=0, name="s")
    with pytest.raises(ValueError, match="s=-1 is outside 0 … 1000"):
        check_time(LINEAR, -1, BATCH, first=0, name="s")
    with pytest.raises(TypeError, match=r"use s.long\(\)"):
        check_time(LINEAR, torch.ones(3), BATCH, name="s")


def test_off_the_cpu_no_value_is_read():
    """A tensor on "meta" has no values: reading one would raise."""
    schedule, x = LINEAR.to("meta"), torch.zeros(3, 2, device="meta")
    check_time(schedule, torch.ones(3, dtype=torch.int64, device="meta"), x)
    check_data(schedule, x=x)


X = torch.zeros(3, 2)


@pytest.mark.parametrize(
    "tensors, error, message",
    [
        ({"x0": 1.0}, TypeError, "x0 is a float: expected a torch tensor; use torch"),
        (
            {"x0": X.bfloat16()},
            TypeError,
            "x0 has dtype torch.bfloat16: expected float32 or float64 (in 16 bits the "
            "noise of small t rounds away); use x0.float()",
        ),
        ({"x0": X.long()}, TypeError, "x0 has dtype torch.int64"),
        (
            {"x0": X, "eps": X[:1]},
            ValueError,
            "eps has shape (1, 2), x0 has (3, 2): expected the same shape",
        ),
        (
            {"x0": X, "eps": X.to("meta")},
            ValueError,
            "eps is on meta, the schedule on cpu: use schedule.to(eps.device)",
        ),
        ({"x0": X / 0}, ValueError, "x0 contains nan or inf: expected finite numbers"),
        ({"x0": X, "eps": X + math.inf}, ValueError, "eps contains nan or inf"),
    ],
)
def test_bad_data_is_named_with_value_and_remedy(tensors, error, message):
    with pytest.raises(error) as caught:
        check_data(LINEAR, **tensors)
    assert message in str(caught.value)


def test_good_data_passes():
    check_data(LINEAR, x=X, eps=X)
    check_data(LINEAR, x=X.double())


# --- likely mistakes, by the function that gets them -----------------

T5, NET = torch.tensor([5, 6, 7]), MLP(2, 8)
IDENTITY = lambda x, t: x  # noqa: E731


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: q_sample(LINEAR.beta, X, 3, X), "schedule is a Tensor"),
        (lambda: q_sample("linear", X, 3, X), "schedule is a str"),
        (lambda: q_step(None, X, 3, X), "schedule is a NoneType"),
        (lambda: posterior_mean([0.1], X, X, 3), "schedule is a list"),
        (lambda: loss_weight(LINEAR.beta, 3, "eps", "beta"), "schedule is a Tensor"),
        (lambda: sample(IDENTITY, LINEAR.beta, (3, 2)), "schedule is a Tensor"),
        (lambda: sample(NET, LINEAR, 3), "shape=3: expected"),
        (lambda: sample(3, LINEAR, (3, 2)), "denoiser is a int"),
        (lambda: sample(IDENTITY, LINEAR, (3, 2), step="ddim"), "step is a str"),
        (lambda: sample(IDENTITY, LINEAR, (3, 2), generator=0), "generator|invalid"),
        (lambda: sample(IDENTITY, LINEAR, (3, 2), chunk=2.5), "chunk=2.5"),
        (lambda: sample(IDENTITY, LINEAR, (3, 2), steps=2.5), "steps=2.5"),
        (lambda: sample(IDENTITY, LINEAR, (3, 2), steps="all"), "steps='all'"),
        (lambda: ddim_step(LINEAR, X, X, 5, 4, X, eta=1j), "eta=1j"),
        (lambda: Denoiser(None, LINEAR), "network is a NoneType"),
        (lambda: Denoiser(NET, LINEAR, clip="data"), "clip=data"),
        (lambda: Denoiser(NET, LINEAR, kind=["eps"]), r"kind=\['eps'\]"),
        (lambda: squared_errors(None, LINEAR, X, T5, X), "model is a NoneType"),
        (lambda: linear_betas(9, None), "beta_1=None"),
        (lambda: linear_betas(9, 1j), "beta_1=1j"),
        (lambda: cosine_betas(9, s="small"), "s=small"),
        (lambda: cosine_betas(9, max_beta=None), "max_beta=None"),
        (lambda: make_schedule(3), "name=3"),
        (lambda: NoiseSchedule.from_betas("linear"), "betas is a str"),
        (lambda: NoiseSchedule.from_betas(None), "betas is a NoneType"),
        (lambda: GaussianMixture.ring(radius=None), "radius=None"),
        (lambda: GaussianMixture.ring(std=-1), "std=-1"),
        (lambda: GaussianMixture.ring().denoiser(LINEAR.beta), "schedule is a Tensor"),
        (lambda: UNet(multipliers=None), "multipliers is a NoneType"),
        (lambda: UNet(attention_levels=2), "attention_levels is a int"),
        (lambda: UNet(dropout="half"), "dropout='half'"),
        (lambda: time_embedding(3, 8), "t is int"),
        (lambda: time_embedding(T5, "wide"), "dim=wide"),
        (lambda: bits_per_dim("many", 3), "nats is a str"),
        (lambda: gaussian_kl(X, X + 1, X.T, X + 1), r"mean_2 \(2, 3\)"),
        (lambda: decoder_nll(LINEAR, X, X, bins="all"), "bins=all"),
        (lambda: mode_width(X, X), "mixture is a Tensor"),
        (lambda: to_pixels(X.numpy()), "images is"),
        (lambda: to_pixels(X), r"images is \(3, 2\)"),
        (
            lambda: variational_bound(None, LINEAR, X, generator=torch.Generator()),
            "denoiser is a NoneType",
        ),
        (
            lambda: variational_bound(IDENTITY, LINEAR, X[:0], generator=None),
            r"x0 has shape \(0, 2\)",
        ),
        (lambda: log_p_path(None, LINEAR, torch.zeros(1001, 2)), "denoiser is a None"),
        (
            lambda: log_p_path(lambda x, t: x[:, :1], LINEAR, torch.zeros(1001, 2)),
            r"denoiser\(x_t, t\) has shape \(1000, 1\)",
        ),
    ],
)
def test_likely_mistakes_name_the_argument(call, named):
    with pytest.raises((TypeError, ValueError), match=named):
        call()
