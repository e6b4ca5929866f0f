"""Training and sampling on a GPU: the same numbers, no waiting, bounded memory."""

import math
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest
import torch
from helpers import no_waiting, normal, seeded
from torch.nn.attention import SDPBackend, sdpa_kernel
from witnesses import CHAPTERS

from ddpm_course.bound import variational_bound
from ddpm_course.data import digits
from ddpm_course.lab.checkpoints import CheckpointError
from ddpm_course.lab.pretrained import load_network
from ddpm_course.lab.runs import About
from ddpm_course.parameterization import Denoiser
from ddpm_course.sampling import ancestral_step, ddim_step, reverse_process, sample
from ddpm_course.schedules import make_schedule
from ddpm_course.training import Settings, train
from ddpm_course.unet import UNet

gpu = pytest.mark.gpu
SETTINGS = Settings(steps=40, batch_size=64, warmup=5)
#: Within the warm-up the learning rate does not depend on the number of steps.
ONE_STEP, TWO_STEPS = replace(SETTINGS, steps=1), replace(SETTINGS, steps=2)
SCHEDULE = make_schedule("cosine", T=50)


def run(settings=SETTINGS, hook=None, device="cuda", **options):
    torch.manual_seed(0)
    network = UNet(channels=16, attention_levels=(2,)).to(device)
    if hook:
        network.register_forward_pre_hook(hook)
    schedule = make_schedule("cosine")
    return train(network, schedule, digits(), settings, progress=False, **options)


def last(trained):
    return trained.losses[-10:].mean()


# --- training ---------------------------------------------------------------------


@gpu
def test_16_bits_are_close_to_32():
    full, half = run(), run(replace(SETTINGS, amp=True))
    assert torch.isclose(last(half), last(full), rtol=0.05)


@gpu
def test_compiled_is_close_to_eager():
    eager, compiled = run(), run(replace(SETTINGS, compile=True))
    assert torch.isclose(last(compiled), last(eager), rtol=0.05)


@gpu
def test_a_cpu_gives_a_like_loss():
    assert torch.isclose(last(run()), last(run(device="cpu")), rtol=0.15)


@gpu
def test_the_loop_never_waits_for_the_gpu():
    """Any synchronization between the second step and the last is an error."""
    calls = []

    def watch(*_):
        calls.append(1)
        inside = 2 <= len(calls) < SETTINGS.steps
        torch.cuda.set_sync_debug_mode("error" if inside else "default")

    try:
        run(hook=watch, check_every=1000)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(calls) == SETTINGS.steps


@gpu
def test_memory_does_not_grow_with_the_steps():
    peaks = []
    for steps in (20, 80):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        run(replace(SETTINGS, steps=steps), check_every=5)
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] <= 1.05 * peaks[0]


# --- checkpoints ------------------------------------------------------------------


@gpu
def test_resuming_gives_the_same_bits(tmp_path, monkeypatch):
    """With kernels that give the same bits twice, which are not the fastest."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    path = tmp_path / "run.pt"
    with sdpa_kernel(SDPBackend.MATH):
        whole = run(TWO_STEPS)
        run(ONE_STEP, checkpoint=path)
        resumed = run(TWO_STEPS, checkpoint=path, resume=True)
    assert torch.equal(resumed.losses, whole.losses)
    for mine, its in ((resumed.model, whole.model), (resumed.ema, whole.ema)):
        for name, value in its.state_dict().items():
            assert torch.equal(mine.state_dict()[name], value), name


@gpu
@pytest.mark.parametrize(("first", "then"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_checkpoint_of_another_kind_of_device_is_refused(tmp_path, first, then):
    path = tmp_path / "run.pt"
    run(ONE_STEP, device=first, checkpoint=path)
    kept = path.read_bytes()
    with pytest.raises(CheckpointError, match=f"another kind of device than {then}"):
        run(TWO_STEPS, device=then, checkpoint=path, resume=True)
    assert path.read_bytes() == kept


@gpu
def test_a_checkpoint_of_the_gpu_gives_a_network_on_the_cpu(tmp_path):
    path = tmp_path / "run.pt"
    about = About(
        "digits", 8, "cosine", 1000, (1, 8, 8), channels=16, blocks=2, patch=1
    )
    ema = run(ONE_STEP, checkpoint=path, about=about).ema
    loaded = load_network(path)
    for name, value in loaded.network.state_dict().items():
        assert value.device.type == "cpu"
        assert torch.equal(value, ema.state_dict()[name].cpu()), name
    x_t = normal(4, 1, 8, 8, dtype=torch.float32)
    there = Denoiser(ema, make_schedule("cosine").to("cuda"), loaded.kind, clip=1)
    x0_hat = there(x_t.cuda(), 500).cpu()
    torch.testing.assert_close(loaded.denoiser()(x_t, 500), x0_hat, rtol=0, atol=1e-2)


# --- sampling and the bound -------------------------------------------------------


def by_the_slides(schedule, x_t, x0_hat, t, s, z):
    """A step of your own: Algorithm 2 as it is printed, with tensors of the GPU."""
    alpha, abar, beta = schedule.alpha[t], schedule.alpha_bar[t], schedule.beta[t]
    eps = (x_t - abar.sqrt() * x0_hat) / (1 - abar).sqrt()
    mean = (x_t - beta / (1 - abar).sqrt() * eps) / alpha.sqrt()
    return mean + beta.sqrt() * z if t > 1 else mean


STEPS = {
    "beta": ancestral_step,
    "beta_tilde": partial(ancestral_step, variance="beta_tilde"),
    "ddim": ddim_step,
    "ddim with noise": partial(ddim_step, eta=1.0),
    "by the slides": by_the_slides,
}


def small_denoiser(device="cuda"):
    """The same weights on every device."""
    torch.manual_seed(0)
    network = UNet(channels=16, blocks=1).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return Denoiser(network.to(device), SCHEDULE.to(device), "v", clip=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "steps"), [("meta", 2), pytest.param("cuda", 50, marks=gpu)]
)
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_the_loop_of_the_sampler_never_waits_for_the_gpu(step, device, steps):
    """Or, where there is none, reads no value: on "meta" there is none to read."""
    denoiser, x_T = small_denoiser(device), torch.randn(8, 1, 8, 8, device=device)
    states = reverse_process(
        denoiser,
        denoiser.schedule,
        x_T,
        step=step,
        steps=steps,
        chunk=3,
        generator=seeded(0, device) if device == "cuda" else None,
    )
    next(states)  # the first call of each convolution looks for its kernel
    with no_waiting() if device == "cuda" else nullcontext():
        rest = list(states)
    assert len(rest) == steps - 1 and rest[-1][0] == 0
    for _, x_s, x0_hat in rest:
        assert x_s.device == x0_hat.device == x_T.device
        assert device == "meta" or x_s.isfinite().all()


@gpu
def test_the_sampler_repeats_itself_and_does_not_care_for_chunks():
    denoiser = small_denoiser()
    x, again, parts = (
        sample(
            denoiser,
            denoiser.schedule,
            (8, 1, 8, 8),
            steps=10,
            generator=seeded(0, "cuda"),
            chunk=chunk,
        )
        for chunk in (None, None, 3)
    )
    assert torch.equal(x, again)
    torch.testing.assert_close(x, parts, rtol=1e-2, atol=1e-2)


@gpu
@pytest.mark.parametrize("times", [None, 25])
def test_the_bound_agrees_with_that_of_a_cpu(times):
    """Within its standard error: the two draw other noise."""
    x0, found = digits()[:32], []
    for device in ("cpu", "cuda"):
        denoiser = small_denoiser(device)
        bound = variational_bound(
            denoiser,
            denoiser.schedule,
            x0.to(device),
            generator=seeded(1, device),
            times=times,
            bins=17,  # the digits have 17 gray levels
        )
        found.append(bound)
    here, there = found
    assert math.isfinite(there.bits_per_dim) and there.standard_error > 0
    assert there.prior == pytest.approx(here.prior, rel=1e-9)
    error = math.hypot(here.standard_error, there.standard_error)
    assert abs(here.bits_per_dim - there.bits_per_dim) < 4 * error
    assert times or there.terms.sum().item() == pytest.approx(there.total)


# --- chapters ---------------------------------------------------------------------


@gpu
@pytest.mark.slow
@pytest.mark.parametrize("number", ["06", "07"])
def test_the_stored_outputs_of_a_chapter_hold_on_a_gpu(number):
    """Chapter 7 computes on the CPU wherever it runs."""
    chapter = next(path for path in CHAPTERS if path.stem.startswith(number))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "-q", str(chapter)],
        env=os.environ | {"DDPM_DEVICE": "cuda", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout[-2000:]
