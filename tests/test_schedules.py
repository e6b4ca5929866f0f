"""The noise schedules, against their closed forms and the published values."""

import math
import warnings

import numpy as np
import pytest
import torch

from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import (
    Denoiser,
    mean_from_eps,
    x0_from_eps,
    x0_from_score,
)
from ddpm_course.schedules import (
    MAX_FINAL_ALPHA_BAR,
    SCHEDULES,
    NoiseSchedule,
    along_batch,
    betas_from_alpha_bar,
    cosine_alpha_bar,
    cosine_betas,
    linear_betas,
    make_schedule,
    quadratic_betas,
    sigmoid_betas,
    signal_and_noise,
    zero_terminal_snr_betas,
)

CPU = torch.device("cpu")
ARRAYS = ("beta", "alpha", "alpha_bar", "snr")


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    return make_schedule(request.param)


# --- the four shapes --------------------------------------------------------------


def test_linear_betas_stand_on_a_line():
    betas = linear_betas(5, 0.1, 0.5)
    np.testing.assert_allclose(betas, [0.1, 0.2, 0.3, 0.4, 0.5], rtol=1e-15)


def test_quadratic_betas_are_the_squares_of_a_line():
    # roots 0.1, 0.3, 0.5: the root is interpolated, then squared
    np.testing.assert_allclose(
        quadratic_betas(3, 0.01, 0.25), [0.01, 0.09, 0.25], rtol=1e-15
    )


def test_quadratic_betas_with_the_root_forgotten_would_add_no_noise():
    """linspace(β_1, β_T)² is the slip of an early annotated post: ᾱ_T is near 1."""
    wrong = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64) ** 2
    assert torch.prod(1 - wrong) > 0.8
    assert make_schedule("quadratic").alpha_bar[-1] < 1e-3
    assert quadratic_betas(1000)[-1] == pytest.approx(0.02, rel=1e-15)


def test_sigmoid_betas_lie_on_a_logistic_curve():
    betas = sigmoid_betas(3, 0.1, 0.5, steepness=math.log(3))
    # the logistic function of -ln 3, 0, ln 3 is 1/4, 1/2, 3/4
    np.testing.assert_allclose(betas, [0.2, 0.3, 0.4], rtol=1e-15)
    # and by default it is read from -6 to 6
    first = 1e-4 + (0.02 - 1e-4) / (1 + math.exp(6))
    assert sigmoid_betas(10)[0] == pytest.approx(first, rel=1e-14)


def test_cosine_alpha_bar_is_a_squared_cosine():
    # with s = 0 it is cos²(π t / 2T): 1, 3/4, 1/4, 0 for T = 3
    np.testing.assert_allclose(cosine_alpha_bar(3, 0), [1, 3 / 4, 1 / 4, 0], atol=1e-15)
    # s moves the start along the cosine: s = 1 begins at π/4, so f(0) = 1/2
    np.testing.assert_allclose(
        cosine_alpha_bar(2, 1), [1, 2 * math.cos(3 * math.pi / 8) ** 2, 0], atol=1e-15
    )
    assert cosine_alpha_bar(1000)[1] == pytest.approx(1 - 4.1e-5, abs=1e-6)


def test_cosine_clips_the_last_beta_only():
    T = 1000
    ratio = cosine_alpha_bar(T)
    unclipped = 1 - ratio[1:] / ratio[:-1]
    betas = cosine_betas(T)
    assert (betas != unclipped).nonzero().flatten().tolist() == [T - 1]
    assert betas[-1] == 0.999
    # the clip is all that keeps the end from 0
    assert make_schedule("cosine").alpha_bar[-1] == pytest.approx(2.4e-9, rel=0.02)


def test_betas_from_alpha_bar_undoes_the_product(schedule):
    torch.testing.assert_close(
        betas_from_alpha_bar(schedule.alpha_bar), schedule.beta[1:], rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("name", SCHEDULES)
def test_betas_are_float64_of_shape_T(name):
    betas = SCHEDULES[name](7)
    assert betas.shape == (7,) and betas.dtype == torch.float64


@pytest.mark.parametrize(
    "betas", [linear_betas, quadratic_betas, lambda *a: sigmoid_betas(*a, 0.0)]
)
def test_equal_ends_make_a_constant_schedule(betas):
    np.testing.assert_allclose(betas(4, 0.3, 0.3), [0.3] * 4, rtol=1e-15)


# --- the schedule as a value ------------------------------------------------------


def test_arrays_are_indexed_by_t_and_start_with_the_clean_image(schedule):
    assert schedule.T == 1000
    for name in ARRAYS:
        values = getattr(schedule, name)
        assert values.shape == (1001,) and values.dtype == torch.float64, name
    assert schedule.beta[0] == 0 and schedule.alpha[0] == 1
    assert schedule.alpha_bar[0] == 1 and schedule.snr[0] == math.inf


def test_small_schedule_by_hand():
    schedule = NoiseSchedule.from_betas(torch.tensor([0.5, 0.75, 0.96875]))
    assert schedule.beta.tolist() == [0, 0.5, 0.75, 0.96875]
    assert schedule.alpha.tolist() == [1, 0.5, 0.25, 0.03125]
    assert schedule.alpha_bar.tolist() == [1, 1 / 2, 1 / 8, 1 / 256]
    assert schedule.snr.tolist() == [math.inf, 1, 1 / 7, 1 / 255]
    assert schedule.T == 3


def test_snr_falls_and_alpha_bar_falls(schedule):
    assert (schedule.alpha_bar.diff() < 0).all()
    assert (schedule.snr.diff()[1:] < 0).all()


def test_published_values():
    """Linear, T = 1000: √ᾱ_T = 0.00635, so the image's amplitude is gone."""
    assert make_schedule("linear").alpha_bar[-1].sqrt() == pytest.approx(
        0.00635, abs=5e-6
    )
    # ᾱ_T = exp Σ log(1 - β), summed exactly
    for name in SCHEDULES:
        schedule = make_schedule(name)
        exact = math.exp(math.fsum(math.log1p(-b) for b in schedule.beta.tolist()))
        assert schedule.alpha_bar[-1] == pytest.approx(exact, rel=1e-12), name


def test_few_steps_with_the_betas_of_a_thousand_are_not_noise_and_warn():
    with pytest.warns(UserWarning, match=r"alpha_bar\[T\] = 0.13\d* with T = 200.*36%"):
        schedule = NoiseSchedule.from_betas(linear_betas(200))
    assert schedule.alpha_bar[-1] == pytest.approx(0.13, abs=0.005)
    # the remedy of the message: multiply beta_1 and beta_T by 1000 / T
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NoiseSchedule.from_betas(linear_betas(200, 5e-4, 0.1))


def test_the_warning_names_the_last_alpha_bar():
    with pytest.warns(
        UserWarning, match=r"alpha_bar\[T\] = 0.125 with T = 2: x_T keeps 35%"
    ):
        NoiseSchedule.from_betas([0.5, 0.75])


def test_the_warning_points_at_the_caller():
    with pytest.warns(UserWarning, match="Use more steps or larger betas") as caught:
        NoiseSchedule.from_betas(torch.tensor([0.5]))
    assert caught[0].filename == __file__


def test_the_warning_starts_above_a_hundredth():
    assert MAX_FINAL_ALPHA_BAR == 0.01
    NoiseSchedule.from_betas(torch.tensor([0.9901]))
    with pytest.warns(UserWarning, match="not pure"):
        NoiseSchedule.from_betas(torch.tensor([0.9899]))


def test_a_schedule_is_frozen(schedule):
    with pytest.raises(AttributeError):
        schedule.beta = schedule.alpha


def test_a_schedule_can_be_compared_and_be_a_key(schedule):
    # by identity: equality of tensors would be a tensor
    assert schedule == schedule and schedule != make_schedule("linear")
    assert {schedule: 1}[schedule] == 1


def test_to_moves_every_array(schedule):
    moved = schedule.to("meta")
    assert {getattr(moved, name).device.type for name in ARRAYS} == {"meta"}
    same = schedule.to(CPU)
    assert all(
        torch.equal(getattr(same, name), getattr(schedule, name)) for name in ARRAYS
    )


def test_from_betas_takes_lists_and_lower_precision():
    single = NoiseSchedule.from_betas(linear_betas(1000).float())
    assert single.alpha_bar.dtype == torch.float64
    listed = NoiseSchedule.from_betas([0.5, 0.99])
    assert listed.T == 2


@pytest.mark.parametrize("name", SCHEDULES)
def test_make_schedule_passes_its_parameters_on(name):
    parameters = {"s": 0.02} if name == "cosine" else {"beta_1": 2e-3, "beta_T": 0.2}
    schedule = make_schedule(name, T=100, **parameters)
    assert schedule.T == 100
    assert torch.equal(schedule.beta[1:], SCHEDULES[name](100, **parameters))


# --- errors: argument, value, remedy ----------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: linear_betas(0), "T=0: expected the number of steps, an int >= 1"),
        (lambda: quadratic_betas(-3), "T=-3: expected the number"),
        (lambda: sigmoid_betas(2.5), "T=2.5: expected the number"),
        (lambda: cosine_betas(True), "T=True: expected the number"),
        (
            lambda: linear_betas(9, 0.0, 0.5),
            "beta_1=0.0, beta_T=0.5: expected 0 < beta_1 <= beta_T < 1, such as 1e-4",
        ),
        (lambda: quadratic_betas(9, 0.5, 0.4), "beta_1=0.5, beta_T=0.4: expected 0 <"),
        (lambda: sigmoid_betas(9, 0.5, 1.0), "beta_1=0.5, beta_T=1.0: expected 0 <"),
        (lambda: linear_betas(9, math.nan, 0.4), "beta_1=nan, beta_T=0.4: expected"),
        (
            lambda: sigmoid_betas(9, steepness=-1.0),
            "steepness=-1.0: expected a number >= 0, such as 6",
        ),
        (lambda: sigmoid_betas(9, steepness=math.inf), "steepness=inf: expected"),
        (
            lambda: cosine_betas(9, s=-0.1),
            "s=-0.1: expected a small offset >= 0, such as 0.008",
        ),
        (lambda: cosine_betas(9, s=math.inf), "s=inf: expected a small offset"),
        (
            lambda: cosine_betas(9, max_beta=1),
            "max_beta=1: expected 0 < max_beta < 1, such as 0.999",
        ),
        (lambda: cosine_betas(9, max_beta=0), "max_beta=0: expected 0 <"),
        (
            lambda: make_schedule("cosin"),
            "name='cosin': no such schedule. Use one of 'linear', 'quadratic', "
            "'cosine', 'sigmoid', or build your own with NoiseSchedule.from_betas",
        ),
        (
            lambda: NoiseSchedule.from_betas(torch.zeros(2, 3)),
            r"betas has shape (2, 3): expected (T,), one variance a step",
        ),
        (lambda: NoiseSchedule.from_betas([]), "betas has shape (0,): expected (T,)"),
        (lambda: NoiseSchedule.from_betas(0.1), "betas has shape (): expected (T,)"),
        (
            lambda: NoiseSchedule.from_betas([0.1, 0.2, 1.0]),
            "betas[2] = 1 (t = 3): expected 0 < beta < 1, since beta is a variance",
        ),
        (lambda: NoiseSchedule.from_betas([0.0]), "betas[0] = 0 (t = 1): expected"),
        (
            lambda: NoiseSchedule.from_betas([0.1, math.nan, -1.0]),
            "betas[1] = nan (t = 2): expected",
        ),
    ],
)
def test_bad_arguments_are_named_with_value_and_remedy(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_the_ends_of_the_allowed_ranges_are_allowed():
    assert linear_betas(1).tolist() == [1e-4]
    assert sigmoid_betas(2, 0.1, 0.3, steepness=0).tolist() == pytest.approx([0.2, 0.2])
    assert len(cosine_betas(4, s=0)) == 4
    with pytest.warns(UserWarning, match="not pure"):
        NoiseSchedule.from_betas([0.5, 0.5])


# --- ᾱ at a time, and coefficients along the batch ---------------------------------


def test_abar_is_a_number_at_an_int_and_a_tensor_at_a_batch():
    schedule, t = make_schedule("cosine"), torch.tensor([0, 1, 500, 1000])
    assert torch.equal(schedule.abar(t), schedule.alpha_bar[t])
    for time in t.tolist():
        assert schedule.abar(time) == schedule.alpha_bar[time].item()
        assert isinstance(schedule.abar(time), float)


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 3, 8, 8)])
def test_a_coefficient_multiplies_along_the_batch(shape):
    values, x = torch.tensor([1.0, 81, 9, 9], dtype=torch.float64), torch.ones(shape)
    spread = along_batch(values, x)
    assert spread.shape == (4,) + (1,) * (len(shape) - 1)
    assert spread.dtype == x.dtype
    for row, value in zip(spread * x, values, strict=True):
        assert (row == value).all()


def test_a_number_multiplies_everything():
    assert along_batch(0.3, torch.ones(4, 2)) == 0.3


@pytest.mark.parametrize("t", [1, 700, torch.tensor([1, 700, 1000])])
def test_signal_and_noise_share_the_variance(t):
    schedule, x = make_schedule("linear"), torch.ones(3, 2).double()
    signal, noise = signal_and_noise(schedule, t, x)
    total = signal**2 + noise**2
    torch.testing.assert_close(total * x, x)
    abar = np.cumprod(1 - schedule.beta.numpy())[np.asarray(t)]
    assert np.allclose(np.square(np.asarray(signal)).ravel(), abar)


# --- schedules that are legitimate, and some that are not -------------------------


@pytest.mark.parametrize(
    "betas",
    [
        betas_from_alpha_bar(0.98 ** torch.arange(301, dtype=torch.float64)),
        betas_from_alpha_bar(make_schedule("linear").alpha_bar[::10]),  # respaced
        betas_from_alpha_bar(  # respaced unevenly, as 1000 -> 300 is
            make_schedule("linear").alpha_bar[
                torch.linspace(0, 1000, 301).round().long()
            ]
        ),
        betas_from_alpha_bar(  # the square root schedule: large steps first
            1 - torch.linspace(1e-4, 1, 1001).double().sqrt() * 0.9999
        ),
        torch.tensor([0.9, 0.5, 0.9, 0.99]),
    ],
    ids=["constant", "each tenth", "300 of 1000", "square root", "up and down"],
)
def test_betas_may_rise_and_fall(betas):
    schedule = NoiseSchedule.from_betas(betas)
    assert len(betas) == schedule.T
    assert (schedule.alpha_bar.diff() < 0).all()


@pytest.mark.parametrize("beta", [1e-17, 5e-17, 1 - 1e-17])
def test_a_beta_that_vanishes_in_the_arithmetic_is_refused(beta):
    with pytest.raises(ValueError, match=r"betas\[1\] = .*differ from 1"):
        NoiseSchedule.from_betas(torch.tensor([0.5, beta], dtype=torch.float64))


def test_complex_betas_are_refused():
    with pytest.raises(TypeError, match=r"betas has dtype .*complex64"):
        NoiseSchedule.from_betas(torch.tensor([0.1 + 0j]))


# --- nothing left of the data -------------------------------------------------------


@pytest.mark.parametrize("name", SCHEDULES)
def test_zero_terminal_snr_moves_the_signal_down_and_stretches_it(name):
    schedule = make_schedule(name)
    rescaled = make_schedule(name, zero_terminal_snr=True)
    assert rescaled.numbers[-1] == 0 and rescaled.snr[-1] == 0
    assert rescaled.beta[-1] == 1 and rescaled.beta[1] == pytest.approx(
        schedule.beta[1].item(), rel=1e-9
    )
    before, after = (s.alpha_bar[1:].sqrt() for s in (schedule, rescaled))
    slope = (after[400] - after[-1]) / (before[400] - before[-1])
    line = after[0] + slope * (before - before[0])
    torch.testing.assert_close(after, line, rtol=0, atol=1e-9)


def test_the_shift_and_the_scale_of_zero_terminal_snr():
    # signals 0.8 and 0.2: minus 0.2, times 0.8 / 0.6
    betas = [1 - 0.64, 1 - 0.5**2 / 0.64, 1 - 0.2**2 / 0.5**2]
    found = zero_terminal_snr_betas(torch.tensor(betas, dtype=torch.float64))
    signal = torch.cumprod(1 - found, dim=0).sqrt()
    np.testing.assert_allclose(signal, [0.8, 0.4, 0], rtol=1e-12)


def test_zero_terminal_snr_takes_two_steps_at_least():
    with pytest.raises(ValueError, match="expected T >= 2"):
        make_schedule("linear", 1, zero_terminal_snr=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda s, x, t: x0_from_eps(s, x, t, x),
        lambda s, x, t: x0_from_score(s, x, t, x),
        lambda s, x, t: mean_from_eps(s, x, t, x),
        lambda s, x, t: Denoiser(lambda x, t: x, s, "eps")(x, t),
    ],
)
@pytest.mark.parametrize("at", [1000, torch.tensor([3, 1000])])
def test_where_nothing_is_left_noise_does_not_tell_the_data(call, at):
    zero, x = make_schedule("cosine", zero_terminal_snr=True), torch.ones(2, 2)
    with pytest.raises(ValueError, match=r"t=1000: alpha_bar is 0 .* predicts v"):
        call(zero, x, at)
    before = at - 1
    assert call(zero, x, before).isfinite().all()
    assert Denoiser(lambda x, t: x, zero, "v")(x, at).isfinite().all()


def test_the_exact_denoiser_knows_where_nothing_is_left():
    zero, ring = make_schedule("linear", zero_terminal_snr=True), GaussianMixture.ring()
    x = torch.tensor([[3.0, 1.0], [0.0, -2.0]]).double()
    assert ring.x0_mean(zero, x, 1000).abs().max() < 1e-12  # the mean of all data
    torch.testing.assert_close(ring.eps_mean(zero, x, 1000), x)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1)
    torch.testing.assert_close(ring.log_prob_t(zero, x, 1000), normal)
