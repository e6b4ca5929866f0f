"""What comes with the package: networks, classifiers, images; and their files."""

import hashlib
import json
import pickletools
import re
import zipfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers import seeded

from ddpm_course import data, metrics
from ddpm_course.__main__ import main
from ddpm_course.lab import checkpoints, pretrained
from ddpm_course.lab.checkpoints import CheckpointError
from ddpm_course.lab.classifier import Classifier, features, predict, train_classifier
from ddpm_course.lab.runs import About
from ddpm_course.parameterization import Denoiser
from ddpm_course.sampling import ddim_step, sample
from ddpm_course.unet import network_for

FILES = sorted(p for p in pretrained.WEIGHTS.iterdir() if p.suffix not in ("", ".md"))
BY_CLASS = pretrained.WEIGHTS / "fashion_mnist_by_class.pt"


def test_the_files_are_small_and_their_sums_are_recorded():
    readme = (pretrained.WEIGHTS / "README.md").read_text(encoding="utf-8")
    sums = (pretrained.WEIGHTS / "SHA256SUMS").read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in FILES) < 6.5e6
    assert len(sums.splitlines()) == len(FILES)
    for path in FILES:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert f"`{path.name}`" in readme and f"{digest}  {path.name}" in sums


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.suffix == ".pt"], ids=lambda p: p.stem
)
def test_the_weights_name_nothing_that_could_run(path):
    """The pickle in the file asks for tensors and nothing else."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("data.pkl"))
        operations = list(pickletools.genops(archive.read(name)))
    asked = {argument for op, argument, _ in operations if op.name == "GLOBAL"}
    assert asked <= {
        "collections OrderedDict",
        "torch FloatStorage",
        "torch HalfStorage",
        "torch LongStorage",
        "torch._utils _rebuild_tensor_v2",
    }


def test_the_network_of_fashion_mnist_denoises():
    """Held-out images, far better than the best constant answer."""
    model, x0 = pretrained.fashion_mnist(), data.fashion_mnist_held_out()[:50]
    assert model.shape == (1, 28, 28) and model.kind == "v"
    assert not model.network.training
    assert not any(p.requires_grad for p in model.network.parameters())
    schedule, denoiser = model.schedule(), model.denoiser()
    spread = (x0 - x0.mean(0)).square().mean()
    for t, most in [(200, 0.05), (500, 0.2)]:
        eps = torch.randn(x0.shape, generator=seeded())
        abar = schedule.alpha_bar[t].float()
        x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
        assert (denoiser(x_t, t) - x0).square().mean() < most * spread


@pytest.mark.slow
def test_its_samples_are_near_real_images_and_no_copies():
    model = pretrained.fashion_mnist()
    x = sample(
        model.denoiser(),
        model.schedule(),
        (200, 1, 28, 28),
        step=ddim_step,
        steps=25,
        generator=seeded(),
    )
    eye, real = (
        pretrained.load_classifier("fashion-mnist"),
        data.fashion_mnist_held_out(),
    )
    seen = [
        features(eye, v) for v in (x, real[:200], real[200:400], torch.rand_like(x))
    ]
    samples, one, other, noise = seen
    floor = metrics.frechet_distance(one, other)
    score = metrics.frechet_distance(samples, other)
    assert score < 8 * floor
    assert metrics.frechet_distance(noise, other) > 10 * score
    assert len(predict(eye, x).unique()) == 10


def test_the_record_is_that_of_the_command():
    record = json.loads((pretrained.WEIGHTS / "fashion_mnist.json").read_text())
    assert record["network"]["data"] == "fashion-mnist"
    assert record["frechet_distance"]["value"] > record["frechet_distance"]["floor"] > 0
    assert (
        record["nearest"]["samples"]["mean"]
        > 0.5 * record["nearest"]["held out"]["mean"]
    )
    assert (
        0 < record["bits_per_dim"]["standard_error"] < record["bits_per_dim"]["value"]
    )
    readme = (pretrained.WEIGHTS / "README.md").read_text(encoding="utf-8")
    command = re.search(r"python -m ddpm_course evaluate (.*)", readme)[1]
    assert f"--n {record['samples']}" in command
    assert f"--steps {record['steps']}" in command


@pytest.mark.slow
def test_the_network_by_class_is_told_what_to_look_for():
    """The right label helps to denoise, a wrong one hurts, and none is in between."""
    model, x0 = pretrained.fashion_mnist_by_class(), data.fashion_mnist_held_out()[:60]
    y = predict(pretrained.load_classifier("fashion-mnist"), x0)
    eps, t = torch.randn(x0.shape, generator=seeded()), 800
    abar = model.schedule().alpha_bar[t].float()
    x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    denoisers = [model.denoiser(y), model.denoiser(), model.denoiser((y + 5) % 10)]
    right, none, wrong = ((d(x_t, t) - x0).square().mean() for d in denoisers)
    assert right < 0.95 * none and none < 0.8 * wrong
    unlabeled = pretrained.fashion_mnist().denoiser()(x_t, t)
    assert (none / (unlabeled - x0).square().mean() - 1).abs() < 0.1


def test_the_record_by_class_says_what_guidance_does():
    """It makes images more typical and less diverse; in an interval, less so."""
    path = pretrained.WEIGHTS / "fashion_mnist_by_class.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["seeds"] >= 3 and record["samples"] >= 100 and record["cpu"]
    assert record["training"]["steps"] > 0
    readme = (pretrained.WEIGHTS / "README.md").read_text(encoding="utf-8")
    for command in (record["command"], record["training"]["command"]):
        assert command in readme
    rows = list(record["by_scale"].values())
    accuracy, diversity = ([r[n] for r in rows] for n in ("accuracy", "diversity"))
    assert accuracy == sorted(accuracy)
    assert diversity[:4] == sorted(diversity[:4])[::-1]  # from 4 to 8 it stays
    assert diversity[4] < diversity[2]
    assert accuracy[0] < 0.2 and diversity[0] > 1.5  # w = 0 hears no label
    assert rows[2]["accuracy"] - rows[1]["accuracy"] > 3 * rows[1]["accuracy_error"]
    assert rows[1]["diversity"] - rows[2]["diversity"] > 3 * rows[1]["diversity_error"]
    real, inside = record["real_images"], record["in_interval"]
    floor = real["frechet_distance"] + real["frechet_distance_error"]
    assert all(row["frechet_distance"] > floor for row in (*rows, inside))
    assert real["diversity"] == pytest.approx(1, abs=0.05)
    whole = record["by_scale"][f"{inside['w']:g}"]
    assert whole["diversity"] < inside["diversity"] < diversity[1]
    assert accuracy[1] < inside["accuracy"] < whole["accuracy"]


def test_digits_by_class_is_told_what_to_look_for():
    """Held-out digits, by the labels that people gave them."""
    model = pretrained.digits_by_class()
    assert (pretrained.WEIGHTS / "digits_by_class.pt").stat().st_size < 1e6
    x0, y = data.digits()[1197:1397], data.digit_labels()[1197:1397]
    eps, t = torch.randn(x0.shape, generator=seeded()), 800
    abar = model.schedule().alpha_bar[t].float()
    x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    denoisers = [model.denoiser(y), model.denoiser(), model.denoiser((y + 5) % 10)]
    right, none, wrong = ((d(x_t, t) - x0).square().mean() for d in denoisers)
    assert right < 0.9 * none and none < 0.9 * wrong


def test_the_record_of_digits_is_what_its_commands_made():
    path = pretrained.WEIGHTS / "digits_by_class.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    readme = (pretrained.WEIGHTS / "README.md").read_text(encoding="utf-8")
    for command in (record["command"], record["training"]["command"]):
        assert command in readme
    assert record["seeds"] >= 3 and record["samples"] >= 100 and record["cpu"]
    rows = record["by_scale"]
    assert list(rows) == ["0", "1", "2", "4"]
    accuracy, diversity = (
        [row[name] for row in rows.values()] for name in ("accuracy", "pixel_diversity")
    )
    assert accuracy == sorted(accuracy)
    assert accuracy[0] < 0.2  # w = 0 hears no label
    assert diversity == sorted(diversity)[::-1]
    lost = diversity[1] - diversity[2]
    assert lost > 3 * rows["1"]["pixel_diversity_error"]
    real = record["real_images"]
    assert real["pixel_diversity"] == pytest.approx(1, abs=0.1)
    assert real["diversity"] < 0.6  # the classifier knows these by heart
    assert record["accuracy_on_test_images"] > 0.95


@pytest.mark.slow
def test_the_record_of_digits_can_be_measured_again():
    """The same number, from other noise, through the public functions."""
    path = pretrained.WEIGHTS / "digits_by_class.json"
    row = json.loads(path.read_text(encoding="utf-8"))["by_scale"]["1"]
    model, eye = pretrained.digits_by_class(), pretrained.load_classifier("digits")
    labels = torch.arange(10).repeat(10)
    options = {"step": ddim_step, "steps": 25, "generator": seeded(99)}
    x0 = sample(model.denoiser(labels), model.schedule(), (100, 1, 8, 8), **options)
    right = (predict(eye, x0) == labels).float().mean().item()
    error = (row["accuracy"] * (1 - row["accuracy"]) / 100) ** 0.5
    assert right == pytest.approx(row["accuracy"], abs=4 * error)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("digits", 0.95), ("fashion-mnist", 0.85)])
def test_the_classifiers_are_right_on_what_they_have_not_seen(request, name, least):
    if name == "digits":
        images, labels = data.digits()[1197:], data.digit_labels()[1197:]
    else:
        folder = request.getfixturevalue("fashion_mnist_folder")
        images, labels = data.fashion_mnist("test", folder)
        assert torch.equal(images[:1000], data.fashion_mnist_held_out())
    classifier = pretrained.load_classifier(name)
    accuracy = (predict(classifier, images) == labels).float().mean()
    assert accuracy > least
    assert features(classifier, images[:501]).shape == (501, 64)


@pytest.mark.slow
def test_a_classifier_learns_and_is_seeded():
    images, labels = data.digits(), data.digit_labels()
    first, second = (train_classifier(images, labels, steps=40) for _ in range(2))
    assert (predict(first, images) == labels).float().mean() > 0.6
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            first.state_dict().values(), second.state_dict().values(), strict=True
        )
    )
    assert not first.training


def test_the_features_of_an_image_are_its_own():
    """Batch norm has learned its averages, whatever else is in the batch."""
    eye, images = pretrained.load_classifier("digits"), data.digits()[:9]
    assert torch.allclose(features(eye, images)[:1], features(eye, images[:1]))


def test_the_classifier_command_writes_what_pretrained_reads(tmp_path):
    out = tmp_path / "mine.pt"
    assert main(["classifier", "--steps", "2", "--out", str(out)]) == 0
    assert isinstance(pretrained.load_classifier(out), Classifier)
    assert isinstance(pretrained.load_classifier(Path("digits")), Classifier)
    with pytest.raises(ValueError, match="no classifier 'moons'"):
        pretrained.load_classifier("moons")


FAST = ["--steps", "3", "--batch-size", "4", "--channels", "8", "--T", "20"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ring", "digits"])
def test_a_checkpoint_and_its_export_give_one_network(tmp_path, name):
    run, out = tmp_path / "run.pt", tmp_path / "network.pt"
    assert main(["train", "--data", name, "--out", str(run), *FAST]) == 0
    assert main(["export", str(run), "--out", str(out)]) == 0
    assert out.stat().st_size < run.stat().st_size / 2
    trained, exported = pretrained.load_network(run), pretrained.load_network(out)
    x = torch.randn(2, *trained.shape, generator=seeded())
    assert torch.equal(trained.denoiser()(x, 7), exported.denoiser()(x, 7))
    assert trained.schedule().T == 20 and trained.about.data == name
    averaged = checkpoints.read(run)["ema"]
    for key, value in exported.network.state_dict().items():
        assert torch.equal(value, averaged[key])


def test_a_network_with_labels_keeps_them(tmp_path):
    """In 16 bits too, which halve the file."""
    about = About("digits", 32, "cosine", 20, (1, 8, 8), 8, 1, 1, classes=3)
    network = network_for((1, 8, 8), 8, 1, 1, 20, classes=3)
    for p in network.parameters():
        torch.nn.init.normal_(p, std=0.2, generator=seeded(p.numel()))
    weights = {name: w.half() for name, w in network.state_dict().items()}
    content = {"format": pretrained.NETWORK, "settings": {"kind": "v"}}
    content |= {"about": asdict(about), "weights": weights}
    checkpoints.write(tmp_path / "x.pt", content)
    model = pretrained.load_network(tmp_path / "x.pt")
    x, y = torch.randn(3, 1, 8, 8, generator=seeded()), torch.tensor([2, -1, 0])
    network.load_state_dict(weights)
    wanted = Denoiser(partial(network, label=y), model.schedule(), "v", clip=1)
    with torch.no_grad():
        assert torch.equal(model.denoiser(y)(x, 7), wanted(x, 7))
        told = [model.denoiser(label)(x, 7) for label in (2, -1, 0)]
        each = torch.stack([told[i][i] for i in range(3)])
        assert torch.allclose(each, wanted(x, 7), atol=1e-5)
        assert torch.allclose(model.denoiser()(x, 7), told[1], atol=1e-5)
    assert (told[0] - told[1]).abs().max() > 1e-2


def test_labels_in_an_order_that_nobody_knows_are_refused(tmp_path):
    """Older files called the rows a table, with no label last, or first."""
    content = checkpoints.read(BY_CLASS, pretrained.NETWORK)
    content["weights"]["label.table"] = content["weights"].pop("label.rows")
    checkpoints.write(tmp_path / "x.pt", content)
    with pytest.raises(CheckpointError, match=r"x\.pt has label\.table, .* train it"):
        pretrained.load_network(tmp_path / "x.pt")


def test_files_that_are_no_networks_are_refused(tmp_path):
    path = tmp_path / "x.pt"
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        pretrained.load_network(path)
    path.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="cannot be read"):
        pretrained.load_network(path)
    checkpoints.write(path, {"format": "another"})
    with pytest.raises(CheckpointError, match="not a checkpoint of this package"):
        pretrained.load_network(path)
    checkpoints.write(path, {"format": checkpoints.FORMAT, "about": {}, "ema": {}})
    with pytest.raises(CheckpointError, match=r"does not say its .*shape"):
        pretrained.load_network(path)
    about = {"shape": (2,), "channels": 8, "blocks": 1, "patch": 1, "T": 20}
    about |= {"schedule": "cosine", "data": "ring", "size": 32}
    checkpoints.write(
        path, {"format": pretrained.NETWORK, "about": about, "weights": {}}
    )
    with pytest.raises(CheckpointError, match="Missing key"):
        pretrained.load_network(path)
