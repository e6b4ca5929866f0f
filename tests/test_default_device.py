"""With another default device, everything is still made where its inputs are.

``torch.set_default_device("meta")`` stands for a GPU: a tensor that is made without a
device has no values there, so what follows from it fails or differs.
"""

from copy import deepcopy
from functools import partial

import matplotlib.pyplot as plt
import pytest
import torch
from helpers import seeded

from ddpm_course import bound, data, metrics, plotting
from ddpm_course.flows import log_likelihood, straight, transport
from ddpm_course.forward import q_sample
from ddpm_course.guidance import classifier_guided, guided, measured
from ddpm_course.lab import classifier, evaluation, pretrained
from ddpm_course.lab.datasets import DataSet
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import Denoiser, loss_weight
from ddpm_course.sampling import ddim_step, sample
from ddpm_course.schedules import NoiseSchedule, make_schedule
from ddpm_course.solvers import heun_step, spaced_times
from ddpm_course.training import Settings, squared_errors, train
from ddpm_course.trajectories import log_p_path, log_q_marginals, log_ratios
from ddpm_course.unet import MLP, UNet, time_embedding

LINEAR = make_schedule("linear", 20, beta_1=1e-2, beta_T=0.6)
RING, T = GaussianMixture.ring(), torch.tensor([2, 7, 20])
POINTS = torch.tensor([[0.1, 0.2], [-1.0, 0.3], [0.5, -0.5]])
IMAGES = (torch.arange(192).reshape(3, 1, 8, 8) - 96) / 96
LEVELS = IMAGES.add(1).mul(8).round().div(8).sub(1)  # centers of 17 bins
LABELS = torch.tensor([0, 1, 2])
UNET, NETWORK = UNet(channels=8).eval(), MLP(2, 8)
LABELED = UNet(channels=8, classes=3).eval()
EYE = classifier.Classifier(classes=3).eval()


def whole_bound(**options):
    found = bound.variational_bound(
        RING.denoiser(LINEAR),
        LINEAR,
        POINTS,
        generator=seeded(),
        decoder="continuous",
        **options,
    )
    return torch.tensor([found.total, found.standard_error], device="cpu")


def mixture(*arguments):
    return GaussianMixture(*arguments).sample(3, seeded())


def distance():
    seen, held_out = 2 * POINTS, POINTS.flip(0)
    found = evaluation.distances(POINTS[:2], DataSet(seen, held_out), name="moons")
    return torch.tensor(list(found["energy_distance"].values()), device="cpu")


def half(x_t, t):
    return x_t / 2


PATH = torch.linspace(-1, 1, 42).reshape(21, 2)


def drawn(figure):
    figure.canvas.draw()
    plt.close(figure)
    return torch.ones(1, device="cpu")


CALLS = {
    "gaussian_kl": lambda: bound.gaussian_kl(
        POINTS, POINTS.exp(), 0 * POINTS, POINTS**2
    ),
    "prior_kl": lambda: bound.prior_kl(LINEAR, POINTS),
    "vlb_term": lambda: bound.vlb_term(LINEAR, POINTS, POINTS, T, 0 * POINTS),
    "decoder_nll": lambda: bound.decoder_nll(
        LINEAR, LEVELS, IMAGES, bins=17, variance=0.1
    ),
    "bound at every t": whole_bound,
    "bound at some t": lambda: whole_bound(times=3),
    "mixture of lists": lambda: mixture([0.5, 0.5], [[0.0], [1.0]], [0.1, 0.2]),
    "mixture of tensors": lambda: mixture(
        torch.full_like(T, 1 / 3.0, dtype=torch.double), POINTS, 0.1
    ),
    "ring": lambda: GaussianMixture.ring().means,
    "of_points": lambda: GaussianMixture.of_points(POINTS).weights,
    "log_prob": lambda: RING.log_prob(POINTS),
    "log_prob_t": lambda: RING.log_prob_t(LINEAR, POINTS, T),
    "x0_mean": lambda: RING.x0_mean(LINEAR, POINTS, T),
    "x0_variance": lambda: RING.x0_variance(LINEAR, POINTS, 5),
    "score": lambda: RING.score(LINEAR, POINTS, T),
    "nearest_distance": lambda: metrics.nearest_distance(POINTS, 2 * POINTS),
    "energy_distance": lambda: POINTS * metrics.energy_distance(POINTS, 2 * POINTS),
    "frechet_distance": lambda: POINTS * metrics.frechet_distance(POINTS, 2 * POINTS),
    "mode_width": lambda: POINTS * metrics.mode_width(RING.sample(99, seeded()), RING),
    "time_embedding": lambda: time_embedding(T, 8),
    "UNet": lambda: UNET(IMAGES, T),
    "MLP": lambda: NETWORK(POINTS, T.double()),
    "tiled": lambda: plotting.tiled(IMAGES, 2),
    "image_grid": lambda: drawn(plotting.image_grid([IMAGES])),
    "gallery": lambda: drawn(plotting.gallery(IMAGES)),
    "slider": lambda: IMAGES * len(plotting.slider(IMAGES, "abc", "letters").data),
    "photo": lambda: data.photo(16),
    "digits": data.digits,
    "digit_labels": data.digit_labels,
    "moons": lambda: data.moons(5, seeded()),
    "fashion_mnist_held_out": data.fashion_mnist_held_out,
    "features": lambda: classifier.features(EYE, IMAGES),
    "predict": lambda: classifier.predict(EYE, IMAGES),
    "train_classifier": lambda: (
        classifier.train_classifier(IMAGES, LABELS, steps=3).head.weight
    ),
    "distances": distance,
    "make_schedule": lambda: make_schedule("cosine").alpha_bar,
    "from_betas": lambda: NoiseSchedule.from_betas([0.5, 0.9, 0.999]).alpha_bar,
    "q_sample": lambda: q_sample(LINEAR, POINTS, T, POINTS),
    "loss_weight": lambda: loss_weight(LINEAR, 3, "eps", "beta"),
    "Denoiser": lambda: Denoiser(lambda x, t: x, LINEAR)(POINTS, 3),
    "sample": lambda: sample(half, LINEAR, (3, 2), generator=seeded()),
    "sample in chunks": lambda: sample(
        half, LINEAR, (3, 2), step=ddim_step, steps=4, chunk=2, generator=seeded()
    ),
    "spaced_times": lambda: POINTS * sum(spaced_times(LINEAR, 5, "karras")),
    "sample with Heun": lambda: sample(
        RING.denoiser(LINEAR),
        LINEAR,
        (3, 2),
        step=partial(heun_step, RING.denoiser(LINEAR)),
        steps=4,
        generator=seeded(),
    ),
    "transport": lambda: transport(RING.denoiser(LINEAR), LINEAR, POINTS, [1, 9, 20]),
    "log_likelihood": lambda: log_likelihood(
        RING.denoiser(LINEAR), LINEAR, POINTS, [1, 9, 20]
    ),
    "straight": lambda: straight(LINEAR, POINTS, T)[0],
    "guided": lambda: guided(half, RING.denoiser(LINEAR), 1.5, times=(1, 9))(POINTS, T),
    "classifier_guided": lambda: classifier_guided(
        half, lambda x, t: RING.log_prob_t(LINEAR, x, t), LINEAR
    )(POINTS, T),
    "measured": lambda: measured(half, LINEAR, lambda x0: x0 - 1, 1.0)(POINTS, T),
    "UNet with labels": lambda: LABELED(IMAGES, T),
    "zero terminal SNR": lambda: make_schedule("cosine", zero_terminal_snr=True).beta,
    "log_p_path": lambda: log_p_path(half, LINEAR, PATH),
    "log_ratios": lambda: log_ratios(half, LINEAR, PATH),
    "log_q_marginals": lambda: log_q_marginals(LINEAR, PATH),
    "squared_errors": lambda: squared_errors(half, LINEAR, POINTS, T, POINTS, "v"),
    "train": lambda: (
        train(
            deepcopy(NETWORK),
            LINEAR,
            POINTS,
            Settings(steps=3, batch_size=2),
            progress=False,
        ).losses
    ),
    "load_network": lambda: pretrained.fashion_mnist().network.last.weight,
    "load_classifier": lambda: pretrained.load_classifier("digits").head.weight,
}


@pytest.mark.parametrize("name", CALLS)
def test_the_default_device_changes_nothing(name):
    expected = CALLS[name]()
    torch.set_default_device("meta")
    try:
        found = CALLS[name]()
    finally:
        torch.set_default_device(None)
    assert found.device.type == "cpu"
    assert torch.equal(found, expected)


def test_files_are_read_onto_the_cpu(fashion_mnist_folder):
    torch.set_default_device("meta")
    try:
        images, labels = data.fashion_mnist("test", fashion_mnist_folder)
    finally:
        torch.set_default_device(None)
    assert images.device.type == labels.device.type == "cpu"
