"""Training and sampling on a GPU: the same numbers, no waiting, bounded memory."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
from witnesses import CHAPTERS

from ddpm_course.data import digits
from ddpm_course.parameterization import Denoiser
from ddpm_course.sampling import ddim_step, reverse_process, sample
from ddpm_course.schedules import make_schedule
from ddpm_course.training import Settings, train
from ddpm_course.unet import UNet

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
SETTINGS = Settings(steps=40, batch_size=64, warmup=5)


def run(settings=SETTINGS, hook=None, **options):
    torch.manual_seed(0)
    network = UNet(channels=16, attention_levels=(2,)).cuda()
    if hook:
        network.register_forward_pre_hook(hook)
    schedule = make_schedule("cosine")
    return train(network, schedule, digits(), settings, progress=False, **options)


def last(trained):
    return trained.losses[-10:].mean()


def test_16_bits_are_close_to_32():
    full, half = run(), run(replace(SETTINGS, amp=True))
    assert torch.isclose(last(half), last(full), rtol=0.05)


def test_compiled_is_close_to_eager():
    eager, compiled = run(), run(replace(SETTINGS, compile=True))
    assert torch.isclose(last(compiled), last(eager), rtol=0.05)


def test_a_cpu_gives_a_like_loss():
    torch.manual_seed(0)
    network = UNet(channels=16, attention_levels=(2,))
    schedule = make_schedule("cosine")
    on_cpu = train(network, schedule, digits(), SETTINGS, progress=False)
    assert torch.isclose(last(run()), last(on_cpu), rtol=0.15)


def test_the_loop_never_waits_for_the_gpu():
    """Any synchronisation between the second step and the last is an error."""
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


def test_memory_does_not_grow_with_the_steps():
    peaks = []
    for steps in (20, 80):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        run(replace(SETTINGS, steps=steps), check_every=5)
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] <= 1.05 * peaks[0]


def small_denoiser():
    torch.manual_seed(0)
    network = UNet(channels=16).cuda().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return Denoiser(network, make_schedule("cosine").to("cuda"), "v", clip=1)


def seeded():
    return torch.Generator("cuda").manual_seed(0)


def test_the_loop_of_the_sampler_never_waits_for_the_gpu():
    denoiser, x_T = small_denoiser(), torch.randn(8, 1, 8, 8, device="cuda")
    step = partial(ddim_step, eta=1.0)
    states = reverse_process(
        denoiser,
        denoiser.schedule,
        x_T,
        step=step,
        steps=20,
        chunk=3,
        generator=seeded(),
    )
    next(states)  # makes the coefficients
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert [s for s, _, _ in states][-1] == 0
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_sampler_repeats_itself_and_does_not_care_for_chunks():
    denoiser = small_denoiser()
    x, again, parts = (
        sample(
            denoiser,
            denoiser.schedule,
            (8, 1, 8, 8),
            steps=10,
            generator=seeded(),
            chunk=chunk,
        )
        for chunk in (None, None, 3)
    )
    assert torch.equal(x, again)
    torch.testing.assert_close(x, parts, rtol=1e-2, atol=1e-2)


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
