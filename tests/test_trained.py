"""Networks trained for about a minute of one core each: how good their samples are."""

from functools import partial

import pytest
import torch
from helpers import COSINE, seeded

from ddpm_course.data import digits
from ddpm_course.lab import pretrained
from ddpm_course.lab.classifier import features, predict
from ddpm_course.metrics import energy_distance, frechet_distance, mode_width
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import Denoiser
from ddpm_course.sampling import ancestral_step, sample
from ddpm_course.training import Settings, train
from ddpm_course.unet import MLP, UNet

RING = GaussianMixture.ring()
STEP = partial(ancestral_step, variance="beta_tilde")


@pytest.mark.slow
@pytest.mark.long
def test_a_network_for_the_ring_gives_samples_at_the_floor():
    """Energy distance within twice the largest floor, width right to 5 %."""
    generator = seeded()
    x0 = RING.sample(50_000, generator).float()
    held_out = RING.sample(5000, generator).float()
    floor = [
        energy_distance(RING.sample(5000, generator).float(), held_out)
        for _ in range(5)
    ]
    torch.manual_seed(0)
    settings = Settings(12_000, batch_size=256, lr=4e-3, kind="v")
    network = train(MLP(2, 128), COSINE, x0, settings, progress=False).ema
    denoiser = Denoiser(network, COSINE, "v", clip=1.25)
    x = sample(denoiser, COSINE, (5000, 2), step=STEP, generator=seeded(1))
    assert energy_distance(x, held_out) < 2 * max(floor)
    assert mode_width(x, RING) == pytest.approx(1, abs=0.05)


@pytest.mark.slow
@pytest.mark.long
def test_a_network_for_digits_gives_all_ten_near_the_floor():
    """Fréchet distance at most 2.0 / 1.3 of the floor, on digits of other writers."""
    seen, held_out = digits()[:1197], digits()[1197:]
    torch.manual_seed(0)
    network = UNet(1, 16, (1, 2), blocks=1, attention_levels=(1,))
    settings = Settings(650, batch_size=128, lr=5e-3, kind="v", ema=0.99)
    network = train(network, COSINE, seen, settings, progress=False).ema
    denoiser = Denoiser(network, COSINE, "v", clip=1)
    options = {"step": STEP, "steps": 100, "generator": seeded(1)}
    x = sample(denoiser, COSINE, (600, 1, 8, 8), **options)
    eye = pretrained.load_classifier("digits")
    one, other, samples = (features(eye, v) for v in (held_out, seen[:600], x))
    floor = frechet_distance(other, one)
    assert frechet_distance(samples, one) <= 2.0 / 1.3 * floor
    assert torch.bincount(predict(eye, x), minlength=10).min() >= 20
