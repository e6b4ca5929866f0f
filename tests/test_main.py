"""The command line, as a newcomer meets it."""

import json
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import exact, seeded
from PIL import Image
from scipy.linalg import sqrtm
from torch import nn

from ddpm_course.__main__ import main
from ddpm_course.data import digits
from ddpm_course.lab import checkpoints, commands, output, pretrained
from ddpm_course.lab.classifier import features
from ddpm_course.lab.datasets import DATA, DataSet, load_data
from ddpm_course.lab.pretrained import Pretrained
from ddpm_course.lab.runs import About, identity
from ddpm_course.oracle import GaussianMixture
from ddpm_course.posterior import VARIANCES
from ddpm_course.schedules import make_schedule
from ddpm_course.unet import network_for

FAST = ["--steps", "6", "--batch-size", "4", "--channels", "8", "--T", "20"]


def test_help_names_every_option_and_its_default(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = capsys.readouterr().out
    for word in ("--data", "--resume", "fashion-mnist", "default: cosine", "torchrun"):
        assert word in said


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "ring", "moons"])
def test_train_writes_a_checkpoint_and_says_where(tmp_path, capsys, data):
    out = tmp_path / "run.pt"
    assert main(["train", "--data", data, "--out", str(out), *FAST]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["checkpoint"] == str(out)
    kept = checkpoints.read(out)
    assert kept["step"] == 6
    assert kept["about"]["data"] == data and kept["about"]["schedule"] == "cosine"


@pytest.mark.slow
def test_resume_goes_on_from_the_checkpoint(tmp_path, capsys):
    out = str(tmp_path / "run.pt")
    assert main(["train", "--out", out, *FAST]) == 0
    first = checkpoints.read(out)
    assert main(["train", "--out", out, "--resume", *FAST]) == 0
    again = checkpoints.read(out)
    assert torch.equal(first["losses"], again["losses"])
    assert main(["train", "--out", out, "--resume", *FAST, "--lr", "0.5"]) == 1
    assert "lr=0.002 (now 0.5)" in capsys.readouterr().err


@pytest.mark.slow
def test_a_folder_of_images_is_data_too(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for i in range(20):
        pixels = np.full((9, 12, 3), 12 * i, np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    found = load_data(str(folder), size=8)
    assert found.train.shape == (18, 1, 8, 8)  # gray, as the pictures are
    assert load_data(str(folder), 8, channels=3).train.shape == (18, 3, 8, 8)
    held_out = ((found.test[:, 0, 0, 0] + 1) * 127.5).round()
    assert held_out.tolist() == [9 * 12, 19 * 12]
    out = tmp_path / "run.pt"
    arguments = ["train", "--data", str(folder), "--size", "8", "--out", str(out)]
    assert main([*arguments, *FAST]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA)
def test_what_is_held_out_was_not_learned_from(monkeypatch, name):
    def splits(split):  # of mnist, which would be downloaded
        return torch.full((3, 1, 2, 2), float(split == "test")), torch.arange(3)

    monkeypatch.setattr("ddpm_course.data.mnist", splits)
    monkeypatch.setattr("ddpm_course.data.fashion_mnist", splits)
    found = load_data(name)
    train, test = found.train.unique(dim=0), found.test.unique(dim=0)
    assert len(torch.cat([train, test]).unique(dim=0)) == len(train) + len(test)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "--data nowhere"),
        (["--steps", "0"], "steps=0"),
        (["--T", "0"], "T=0"),
        (["--patch", "0"], "patch=0"),
        (["--save-every", "0"], "save_every=0"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path, capsys, arguments, message):
    assert main(["train", "--out", str(tmp_path / "x.pt"), *FAST, *arguments]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("error: ") and message in said[0]


@pytest.mark.parametrize("shape", [(2, 2), (2, 1, 28, 28), (2, 3, 7, 7), (2, 1, 8, 8)])
def test_the_network_fits_the_data(shape):
    x = torch.randn(shape)
    assert network_for(shape[1:], 8)(x, torch.tensor([1, 2])).shape == shape


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_under_torchrun_train_as_one(tmp_path, monkeypatch):
    monkeypatch.setenv("DDPM_DEVICE", "cpu")  # one GPU would not do for two
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    two, one = tmp_path / "two.pt", tmp_path / "one.pt"
    done = subprocess.run(
        [
            *(*command, "--nproc-per-node=2", "-m", "ddpm_course"),
            *("train", "--data", "ring", "--out", str(two), *FAST),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert main(["train", "--data", "ring", "--out", str(one), *FAST]) == 0
    a, b = (checkpoints.read(path)["model"] for path in (two, one))
    assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)


# --- sample and evaluate ----------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A barely trained checkpoint of each kind of data."""
    folder = tmp_path_factory.mktemp("runs")
    for data in ("ring", "digits"):
        out = str(folder / f"{data}.pt")
        assert main(["train", "--data", data, "--out", out, *FAST]) == 0
    return folder


@pytest.mark.slow
def test_sample_writes_images_a_grid_and_how_they_were_made(runs, tmp_path, capsys):
    arguments = ["sample", "--checkpoint", str(runs / "digits.pt"), "--n", "5"]
    out = tmp_path / "a"
    assert main([*arguments, "--steps", "4", "--out", str(out)]) == 0
    written = sorted(path.name for path in out.iterdir())
    assert written == [*(f"{i:05}.png" for i in range(5)), "grid.png", "samples.json"]
    with Image.open(out / "00003.png") as image, Image.open(out / "grid.png") as grid:
        assert image.size == (8, 8) and grid.size == (3 * 9 - 1, 2 * 9 - 1)
    report = json.loads((out / "samples.json").read_text())
    files = ["grid.png", *(f"{i:05}.png" for i in range(5))]
    assert list(report.pop("files")) == files
    assert report == json.loads(capsys.readouterr().out)
    assert report["n"] == 5 and report["steps"] == 4 and report["shape"] == [1, 8, 8]
    again = tmp_path / "b"
    assert main([*arguments, "--steps", "4", "--chunk", "2", "--out", str(again)]) == 0
    images = [
        np.asarray(Image.open(folder / "00003.png")).astype(int)
        for folder in (out, again)
    ]
    assert abs(images[0] - images[1]).max() <= 1  # the same seed, whatever the chunk


@pytest.mark.slow
def test_sample_removes_what_it_wrote_before_and_nothing_else(runs, tmp_path):
    out = tmp_path / "pictures"
    out.mkdir()
    for name in ("2024-holiday.png", "1.png"):
        (out / name).write_bytes(b"mine")
    arguments = ["sample", "--checkpoint", str(runs / "digits.pt"), "--out", str(out)]
    for n in (5, 3):
        assert main([*arguments, "--steps", "2", "--n", str(n)]) == 0
    written = {path.name for path in out.glob("*.png")} - {"grid.png"}
    assert written == {"2024-holiday.png", "1.png", *(f"{i:05}.png" for i in range(3))}


@pytest.mark.slow
def test_a_hardly_trained_network_is_far_beyond_the_floor(runs, tmp_path):
    small = ["--n", "70", "--images", "5", "--times", "3", "--steps", "4"]
    for data, name in (("digits", "frechet_distance"), ("ring", "energy_distance")):
        out = tmp_path / data
        arguments = ["--checkpoint", str(runs / f"{data}.pt"), "--out", str(out)]
        assert main(["evaluate", *arguments, *small]) == 0
        report = json.loads((out / "evaluation.json").read_text())
        assert report[name]["value"] > 2 * report[name]["floor"] > 0
        if data == "digits":
            assert "70 samples are few for 64 features" in report[name]["note"]
        else:
            assert report["mode_width"]["value"] > 2
            assert report["mode_width"]["floor"] == pytest.approx(1, abs=0.2)


@pytest.mark.slow
def test_evaluate_looks_through_the_classifier_that_is_given(runs, tmp_path, capsys):
    look, out = tmp_path / "look.pt", tmp_path / "out"
    assert main(["classifier", "--steps", "2", "--out", str(look)]) == 0
    arguments = ["evaluate", "--checkpoint", str(runs / "digits.pt"), "--out", str(out)]
    arguments += ["--n", "70", "--images", "2", "--times", "2", "--steps", "2"]
    values = []
    for more in ([], ["--classifier", str(look)]):
        assert main([*arguments, *more]) == 0
        report = json.loads((out / "evaluation.json").read_text())
        values.append(report["frechet_distance"])
    assert values[0]["value"] != values[1]["value"]
    assert values[1]["features"] == f"the 64 of the classifier {look}"
    capsys.readouterr()
    for wrong, message in ((runs / "digits.pt", "classifier"), ("no.pt", "no.pt")):
        assert main([*arguments, "--classifier", str(wrong)]) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1  # before any progress


@pytest.mark.slow
def test_evaluate_without_a_classifier_says_so(tmp_path, capsys):
    """A folder of one's own has no classifier: the other numbers still come."""
    folder, run = tmp_path / "images", tmp_path / "run.pt"
    folder.mkdir()
    for i in range(40):
        pixels = np.full((8, 8, 3), (6 * i, 0, 255), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    arguments = ["--data", str(folder), "--size", "8", "--out", str(run)]
    assert main(["train", *arguments, *FAST]) == 0
    small = ["--n", "4", "--images", "2", "--times", "2", "--steps", "2"]
    out = tmp_path / "out"
    assert main(["evaluate", "--checkpoint", str(run), "--out", str(out), *small]) == 0
    report = json.loads((out / "evaluation.json").read_text())
    assert report["frechet_distance"]["value"] is None
    assert "no classifier" in report["frechet_distance"]["why"]
    assert report["nearest"]["held out"]["mean"] > 0
    look = tmp_path / "look.pt"
    assert main(["classifier", "--steps", "2", "--out", str(look)]) == 0
    arguments = ["--checkpoint", str(run), "--classifier", str(look), *small]
    assert main(["evaluate", *arguments]) == 1  # grey digits, coloured images
    assert "expected (n, 1, H, W)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "--checkpoint", "nowhere.pt"], "no checkpoint at nowhere.pt"),
        (["sample", "--steps", "1001"], "steps=1001"),
        (["sample", "--sampler", "ddim", "--eta", "2"], "eta=2.0"),
        (["sample", "--label", "3", "10"], "--label 10: expected 0 … 9, the classes"),
        (["sample", "--label", "-1"], "--label -1: expected 0 … 9"),
        (["sample", "--guidance", "2"], "--guidance 2 has no label to lead to"),
        (
            ["sample", "--label", "3", "--checkpoint", "fashion-mnist"],
            "--label 3: fashion-mnist was trained without labels; leave --label out, "
            "or use --checkpoint fashion-mnist-by-class",
        ),
        (["export", "nowhere.pt"], "no checkpoint at nowhere.pt"),
    ],
)
def test_mistakes_of_the_other_commands(tmp_path, capsys, arguments, message):
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ") and message in said


@pytest.mark.parametrize(
    "arguments", [["sample", "--n", "0"], ["evaluate", "--images", "1"]]
)
def test_counts_are_refused_before_anything_is_done(capsys, arguments):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "expected a number >= " in capsys.readouterr().err


def test_an_image_is_written_as_it_is(tmp_path):
    levels = torch.arange(192).reshape(3, 8, 8)
    output.write_image(levels / 127.5 - 1, tmp_path / "a.png")
    back = np.asarray(Image.open(tmp_path / "a.png"))
    assert torch.equal(torch.from_numpy(back.copy()).permute(2, 0, 1).long(), levels)


def test_help_of_each_command(capsys):
    for name in ("train", "sample", "evaluate", "export", "classifier"):
        with pytest.raises(SystemExit):
            main([name, "--help"])
        said = capsys.readouterr().out
        assert "default" in said and "usage" in said


# --- numbers whose truth is known -------------------------------------------------


class Planted(nn.Module):
    """A function (x_t, t) or (x_t, t, label) → x̂_0 instead of a trained network."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.weight = answer, nn.Parameter(torch.zeros(()))

    def forward(self, *given):
        return self.answer(*given)


@pytest.fixture
def report(tmp_path, monkeypatch):
    """What a command writes of a planted network and planted data; 10 cosine steps."""

    def run(
        command,
        answer,
        train,
        test,
        *options,
        name="moons",
        levels=256,
        reach=99,
        classes=0,
    ):
        shape = tuple(train.shape[1:])
        about = About(name, 32, "cosine", 10, shape, 8, 1, 1, reach, classes)
        model = Pretrained(Planted(answer), "x0", about)
        data = DataSet(train, test, levels=levels)
        monkeypatch.setattr(pretrained, "load_network", lambda path: model)
        monkeypatch.setattr(commands, "load_data", lambda *_: data)
        out = tmp_path / "planted"
        assert main([command, "--out", str(out), *map(str, options)]) == 0
        return json.loads(next(out.glob("*.json")).read_text())

    return run


def always(x0):
    return lambda x_t, t: x0.expand_as(x_t)


TEN = make_schedule("cosine", 10)
EXACT = exact(TEN)  # for data N(0, 1)


def bits_of_normal(x0, variance):
    """The bound of each number in bits, with the exact denoiser of N(0, 1).

    With σ² = β the reverse chain is exact, and the bound is -log N(x_0; 0, 1). The KL
    divergence to a normal with β̃ instead is larger by a known amount.
    """
    nats = (np.log(2 * np.pi) + x0**2) / 2
    if variance == "beta_tilde":
        abar, beta = TEN.alpha_bar[2:].numpy(), TEN.beta[2:].numpy()
        before = TEN.alpha_bar[1:-1].numpy()
        ratio = (1 - before) / (1 - abar)  # of β̃ to β
        on_x0 = np.sqrt(before) * beta / (1 - abar)
        error = (1 - abar) ** 2 * x0[:, None] ** 2 + abar * (1 - abar)
        more = on_x0**2 * error * (1 / ratio - 1) / beta + np.log(ratio) + 1 - ratio
        nats = nats + more.sum(1) / 2
    return nats / np.log(2)


@pytest.mark.parametrize("variance", VARIANCES)
def test_bits_are_those_of_a_normal_and_its_exact_denoiser(report, variance):
    """Held out are 1 and 2, which cost more than the 0 that was learned from."""
    train, test = torch.zeros(210, 64), torch.ones(200, 64)
    test[::2] = 2
    options = ("--images", 200, "--times", 100, "--variance", variance)
    found = report("evaluate", EXACT, train, test, *options)
    expected = bits_of_normal(test[:, 0].numpy(), variance)
    bits, error = found["bits_per_dim"], expected.std(ddof=1) / 200**0.5
    assert bits["value"] == pytest.approx(expected.mean(), abs=0.1)
    assert bits["standard_error"] == pytest.approx(error, rel=0.15)
    assert (bits["images"], bits["times"], bits["decoder"]) == (200, 100, "continuous")
    assert found["samples"] == 200


def test_bits_of_images_count_the_levels_of_a_pixel(report):
    """Of 17 levels on [-1, 1], a bin is 1/8 wide: 3 bits more than the density."""
    train, test = torch.ones(200, 1, 8, 8), torch.full((200, 1, 8, 8), 0.5)
    options = ("--images", 200, "--times", 100, "--variance", "beta")
    bits = report("evaluate", EXACT, train, test, *options, levels=17)["bits_per_dim"]
    expected = bits_of_normal(np.array([0.5]), "beta")[0] + 3
    assert bits["value"] == pytest.approx(expected, abs=0.1)
    assert (bits["decoder"], bits["bins"]) == ("discrete", 17)


def test_a_seed_of_evaluate_repeats_and_another_differs(report):
    x = torch.randn(20, 2, generator=seeded())
    first, again, other = (
        report("evaluate", EXACT, x[:10], x[10:], "--n", 7, "--seed", seed)
        for seed in (3, 3, 4)
    )
    assert first["samples"] == 7 and first == again
    for name in ("bits_per_dim", "energy_distance"):
        assert first[name]["value"] != other[name]["value"]
    assert first["energy_distance"]["floor"] != other["energy_distance"]["floor"]


def test_distances_of_a_network_that_repeats_one_training_image(report):
    """Its samples are that image; numpy and scipy have the rest."""
    train, test = (part.clone() for part in digits()[:300].split(150))
    options = ("--images", 2, "--times", 1)
    planted = (always(train[3]), train, test)
    found = report("evaluate", *planted, *options, name="digits", levels=17)
    assert found["nearest"]["samples"] == {"mean": 0, "smallest": 0}
    a, b = (part.flatten(1).double().numpy() for part in (train, test))
    rms = np.sqrt(((b[:, None] - a) ** 2).mean(2)).min(1)
    held_out = {"mean": rms.mean(), "smallest": rms.min()}
    assert found["nearest"]["held out"] == pytest.approx(held_out, rel=1e-5)

    eye = pretrained.load_classifier("digits")
    one, a, b = (
        features(eye, part).double().numpy() for part in (train[3:4], train, test)
    )
    floor = ((a.mean(0) - b.mean(0)) ** 2).sum()
    a_cov, b_cov = np.cov(a.T), np.cov(b.T)
    floor += np.trace(a_cov + b_cov - 2 * sqrtm(a_cov @ b_cov).real)
    value = ((one - b.mean(0)) ** 2).sum() + np.trace(b_cov)
    distance = found["frechet_distance"]
    assert distance["value"] == pytest.approx(value, rel=1e-4)
    assert distance["floor"] == pytest.approx(floor, rel=1e-4)
    assert distance["features"] == "the 64 of the package's classifier of digits"
    assert "note" not in distance


def test_distances_of_a_network_that_repeats_one_point(report):
    """Two training points around each of the ring's means; others are held out."""
    means, std = GaussianMixture.ring().means, GaussianMixture.ring().stds[0].item()
    train = torch.cat([means + 0.03, means - 0.03]).float()
    test = torch.cat([means, means + 0.1]).float()
    planted = (always(train[0]), train, test)
    found = report("evaluate", *planted, "--images", 2, name="ring")

    def mean_distance(x, y):
        return np.linalg.norm(x[:, None].numpy() - y.numpy(), axis=2).mean()

    within = mean_distance(test, test)
    value = 2 * mean_distance(train[:1], test) - within
    floor = 2 * mean_distance(train, test) - within - mean_distance(train, train)
    energy = {"value": value, "floor": floor}
    assert found["energy_distance"] == pytest.approx(energy, rel=1e-4)
    # 8 modes of two points, 0.03 away on both axes, of which each average takes one
    assert found["mode_width"]["value"] == pytest.approx(0, abs=1e-4)
    assert found["mode_width"]["floor"] == pytest.approx(2**0.5 * 0.03 / std, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "variance", "eta"),
    [
        (["--variance", "beta"], "beta", None),
        ([], "beta_tilde", None),
        (["--sampler", "ddim"], None, 0),
        (["--sampler", "ddim", "--eta", "0.6"], None, 0.6),
        (["--sampler", "ddim", "--eta", "1"], None, 1),
    ],
)
def test_the_width_of_samples_is_that_of_the_recursion(
    report, tmp_path, options, variance, eta
):
    """x̂_0 = √ᾱ_t x_t makes each step linear, so the variance has a recursion."""
    width, abar = 1.0, TEN.alpha_bar.numpy()
    for t, s in ((10, 8), (8, 5), (5, 2), (2, 0)):
        beta = 1 - abar[t] / abar[s]
        sigma2 = beta * (1 if variance == "beta" else (1 - abar[s]) / (1 - abar[t]))
        if variance:
            factor = np.sqrt(abar[t] / abar[s])
        else:
            sigma2 *= eta**2
            factor = np.sqrt(abar[s] * abar[t])
            factor += np.sqrt((1 - abar[s] - sigma2) * (1 - abar[t]))
        width = factor**2 * width + (sigma2 if s > 0 else 0)
    x = torch.zeros(2, 2000)
    record = report("sample", EXACT, x, x, "--n", 30, "--steps", 4, *options)
    drawn = np.loadtxt(tmp_path / "planted" / "points.csv", delimiter=",")
    assert (drawn**2).mean() == pytest.approx(width, rel=0.03)
    assert (drawn.mean(0) ** 2).mean() == pytest.approx(width / 30, rel=0.2)
    assert record["steps"] == 4 and record["n"] == 30
    assert {"variance": record.get("variance"), "eta": record.get("eta")} == {
        "variance": variance,
        "eta": eta,
    }


def by_guidance(x_t, t, label=None):
    """Guidance of scale 2 toward class 1 is the exact denoiser of N(0, 1)."""
    if label is None:
        return 0 * x_t
    assert (label == 1).all()
    return EXACT(x_t, t) / 2


@pytest.mark.parametrize("label", [(), ("--label", 1, "--guidance", 2)])
@pytest.mark.parametrize("sampler", ["heun", "multistep"])
def test_the_width_of_samples_of_second_order(report, tmp_path, sampler, label):
    """Each x_t is a multiple of x_T; here are the multiples, in u and w."""
    abar, times = TEN.alpha_bar.numpy(), [10, 8, 5, 2]
    noise, w = np.sqrt(1 - abar), np.sqrt(abar / np.maximum(1 - abar, 1e-9))
    x, past = 1.0, []
    for t, s in pairwise(times):
        guess = mean = np.sqrt(abar[t]) * x
        if sampler == "heun":
            end = noise[s] * (x / noise[t] + (w[s] - w[t]) * guess)
            mean = (guess + np.sqrt(abar[s]) * end) / 2
        elif past:
            slope = (guess - past[0]) / np.log(w[t] / past[1])
            mean = guess + slope * np.log(w[s] / w[t]) / 2
        past = [guess, w[t]]
        x = noise[s] * (x / noise[t] + (w[s] - w[t]) * mean)
    x = np.sqrt(abar[2]) * x
    zeros = torch.zeros(2, 2000)
    options = ("--n", 30, "--steps", 4, "--sampler", sampler, "--chunk", 7, *label)
    answer = by_guidance if label else EXACT
    record = report("sample", answer, zeros, zeros, *options, classes=2)
    drawn = np.loadtxt(tmp_path / "planted" / "points.csv", delimiter=",")
    assert (drawn**2).mean() == pytest.approx(x**2, rel=0.03)
    assert record["sampler"] == sampler and not {"eta", "variance"} & set(record)


@pytest.mark.slow
def test_guidance_leads_each_image_to_its_label(report, tmp_path):
    """Labels take turns; the last step ends at x̂_0(∅) + w (x̂_0(y) - x̂_0(∅))."""

    def answer(x_t, t, label=None):
        assert len(x_t) <= 3  # --chunk
        none = torch.full((len(x_t),), -1) if label is None else label
        return torch.where(none < 0, 0.1, none / 8)[:, None].expand_as(x_t)

    x, label = torch.zeros(2, 3), ("--label", 3, 1, 0)
    for w, sampler in ((0, "ddim"), (1, "ancestral"), (2, "heun"), (2.5, "multistep")):
        options = ("--n", 8, *label, "--sampler", sampler, "--chunk", 3)
        options += () if w == 1 else ("--guidance", w)
        record = report("sample", answer, x, x, *options, classes=4)
        drawn = np.loadtxt(tmp_path / "planted" / "points.csv", delimiter=",")
        told = np.array([3, 1, 0, 3, 1, 0, 3, 1]) / 8
        wanted = np.repeat((0.1 + w * (told - 0.1))[:, None], 3, 1)
        assert drawn == pytest.approx(wanted, abs=1e-5)
        assert record["label"] == [3, 1, 0] and record["guidance"] == w
    report("sample", answer, x, x, *options, classes=4, reach=0.3)
    drawn = np.loadtxt(tmp_path / "planted" / "points.csv", delimiter=",")
    assert drawn[0] == pytest.approx(0.3)  # where guidance would leave the data's range


@pytest.mark.parametrize("arguments", [["--label", "shirt"], ["--guidance", "-1"]])
def test_labels_and_scales_that_are_none(capsys, arguments):
    with pytest.raises(SystemExit):
        main(["sample", *arguments])
    said = capsys.readouterr().err
    assert f"argument {arguments[0]}: {arguments[1]!r}: expected " in said


def test_labels_and_the_network_that_comes_with_the_package(tmp_path):
    """With a label it is the one that takes them; the same seed, another class."""
    pixels = []
    for label in ("1", "8"):
        out = tmp_path / label
        arguments = ["sample", "--n", "1", "--steps", "2", "--out", str(out)]
        assert main([*arguments, "--label", label, "--guidance", "2"]) == 0
        record = json.loads((out / "samples.json").read_text())
        assert record["checkpoint"] == "fashion-mnist-by-class"
        pixels.append(np.asarray(Image.open(out / "00000.png")).astype(float))
    trousers, bag = pixels
    assert bag[12:20, 4:24].mean() > 1.5 * trousers[12:20, 4:24].mean()


def test_digits_by_class_draws_the_digit_that_was_asked_for(tmp_path):
    """The hole of a zero is dark, and a one is a bright column."""
    pixels = []
    for label in ("0", "1"):
        out = tmp_path / label
        options = ["--checkpoint", "digits-by-class", "--steps", "10", "--n", "8"]
        options += ["--sampler", "ddim", "--label", label, "--guidance", "2"]
        assert main(["sample", *options, "--out", str(out)]) == 0
        images = [np.asarray(Image.open(p)) for p in sorted(out.glob("0*.png"))]
        pixels.append(np.mean(images, axis=0))
    zero, one = pixels
    assert zero.shape == one.shape == (8, 8)
    assert one[2:6, 3:5].mean() > 2 * zero[2:6, 3:5].mean()


def test_the_frames_of_the_chain_are_its_states(report, tmp_path):
    """DDIM with x̂_0 = 0.5 moves each pixel along a known curve from x_T."""
    x = torch.zeros(2, 1, 8, 8)
    planted = (lambda x_t, t: torch.full_like(x_t, 0.5), x, x)
    report("sample", *planted, "--n", 1, "--sampler", "ddim", "--gif")
    with Image.open(tmp_path / "planted" / "chain.gif") as gif:
        side = gif.width // 8
        frames = []
        for k in range(gif.n_frames):
            gif.seek(k)
            small = np.asarray(gif.convert("L"))[side // 2 :: side, side // 2 :: side]
            frames.append(small / 127.5 - 1)
    abar = TEN.alpha_bar.numpy()
    signal, noise = np.sqrt(abar), np.sqrt(1 - abar)
    x_T = frames[0]
    seen = abs(x_T) < 1  # the others were cut off
    assert len(frames) == 11 and seen.sum() > 30
    for k in range(10, -1, -1):
        x_k = signal[k] * 0.5 + noise[k] * (x_T - signal[10] * 0.5) / noise[10]
        assert frames[10 - k][seen] == pytest.approx(x_k[seen].clip(-1, 1), abs=0.02)


def test_of_a_long_chain_every_so_many_states_are_kept():
    last, frames = commands._last((torch.tensor(k) for k in range(101)), keep=True)
    assert last == 100 and torch.stack(frames).tolist() == [*range(0, 100, 2), 100]
    last, frames = commands._last((torch.tensor(k) for k in range(60)), keep=True)
    assert torch.stack(frames).tolist() == [*range(60)]


@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_a_chunk_is_the_most_that_the_network_is_given(report, command):
    sizes, x = [], torch.zeros(20, 2)

    def answer(x_t, t):
        sizes.append(len(x_t))
        return x_t

    report(command, answer, x, x + 1, "--chunk", 7)
    assert max(sizes) == 7


def test_samples_stay_in_the_range_of_the_data(report, tmp_path):
    x = torch.zeros(2, 3)
    report("sample", lambda x_t, t: 9 + x_t, x, x, "--n", 2, reach=0.7)
    drawn = np.loadtxt(tmp_path / "planted" / "points.csv", delimiter=",")
    assert drawn == pytest.approx(0.7)


def test_every_option_of_train_reaches_the_run(tmp_path):
    out = tmp_path / "run.pt"
    settings = {"steps": 3, "batch_size": 5, "lr": 0.01, "warmup": 2, "kind": "x0"}
    settings |= {"ema": 0.5, "seed": 9, "amp": True}
    about = {"data": "ring", "schedule": "linear", "T": 500, "channels": 10}
    options = [
        f"--{name.replace('_', '-')}={value}"
        for name, value in (settings | about).items()
        if name != "amp"
    ]
    assert main(["train", "--out", str(out), "--amp", *options]) == 0
    kept, x = checkpoints.read(out), load_data("ring").train
    assert settings.items() <= kept["settings"].items()
    assert (about | {"reach": x.abs().max().item()}).items() <= kept["about"].items()
    assert kept["identity"] == identity(make_schedule("linear", 500), x)


@pytest.mark.slow
def test_a_seed_of_train_decides_the_first_weights(tmp_path):
    """At a rate of 1e-12 they stay what they were."""
    out, options = str(tmp_path / "run.pt"), [*FAST[2:], "--data=ring", "--overwrite"]
    options += ["--steps=1", "--lr=1e-12", "--out", out]
    first, again, other = (
        (main(["train", *options, "--seed", seed]), checkpoints.read(out)["model"])[1]
        for seed in "334"
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["first.weight"], other["first.weight"])


def test_the_losses_that_are_reported_are_those_of_the_run(tmp_path, capsys):
    """The mean of the last 100, a table of all; for export, of the last 1000."""
    out, table = tmp_path / "run.pt", tmp_path / "run.loss.csv"
    assert main(["train", "--data=ring", "--out", str(out), *FAST, "--steps=120"]) == 0
    said = json.loads(capsys.readouterr().out)["loss"]
    content = checkpoints.read(out)
    losses = content["losses"].numpy()
    assert said == pytest.approx(losses[20:].mean(), abs=1e-4)
    steps, written = np.loadtxt(table, delimiter=",", skiprows=1).T
    assert steps.tolist() == list(range(1, 121))
    assert written == pytest.approx(losses, rel=1e-5)
    checkpoints.write(out, content | {"losses": torch.arange(2000.0)})
    assert main(["export", str(out), "--out", str(tmp_path / "network.pt")]) == 0
    exported = checkpoints.read(tmp_path / "network.pt", pretrained.NETWORK)
    assert exported["loss"] == 1499.5


@pytest.mark.slow
def test_the_classifiers_accuracy_is_that_on_held_out_images(
    tmp_path, monkeypatch, capsys
):
    """Dark and bright images; two of the eight held-out ones have the wrong label."""
    out, labels = tmp_path / "look.pt", torch.arange(100) % 2
    x = 0.1 * torch.randn(100, 1, 8, 8, generator=seeded())
    x += labels[:, None, None, None] - 0.5
    test_labels = labels[:8].clone()
    test_labels[:2] = 1 - test_labels[:2]
    data = DataSet(x, x[:8], labels, test_labels)
    monkeypatch.setattr(commands, "load_data", lambda *_: data)

    def trained(steps, seed):
        options = ["--steps", steps, "--seed", seed, "--overwrite", "--out", str(out)]
        assert main(["classifier", *options]) == 0
        return checkpoints.read(out, pretrained.CLASSIFIER)

    about = trained("30", "0")["about"]
    assert about == {"data": "digits", "steps": 30, "accuracy": 0.75}
    said = json.loads(capsys.readouterr().out)
    assert said == {"classifier": str(out)} | about
    first, again, other, longer = (
        trained(steps, seed)["weights"]["head.weight"]
        for steps, seed in (("1", "3"), ("1", "3"), ("1", "4"), ("2", "3"))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other) and not torch.equal(first, longer)
