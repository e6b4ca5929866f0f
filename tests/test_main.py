"""The command line, as a newcomer meets it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_course.__main__ import main
from ddpm_course.lab import checkpoints, evaluation, output
from ddpm_course.lab.datasets import load_data
from ddpm_course.unet import network_for

FAST = ["--steps", "6", "--batch-size", "4", "--channels", "8", "--T", "20"]


def test_help_names_every_option_and_its_default(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = capsys.readouterr().out
    for word in ("--data", "--resume", "fashion-mnist", "default: cosine", "torchrun"):
        assert word in said


@pytest.mark.parametrize("data", ["digits", "ring", "moons"])
def test_train_writes_a_checkpoint_and_says_where(tmp_path, capsys, data):
    out = tmp_path / "run.pt"
    assert main(["train", "--data", data, "--out", str(out), *FAST]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["checkpoint"] == str(out) and 0 < said["loss"] < 10
    kept = checkpoints.read(out)
    assert kept["step"] == 6
    assert kept["about"]["data"] == data and kept["about"]["schedule"] == "cosine"


def test_resume_goes_on_from_the_checkpoint(tmp_path, capsys):
    out = str(tmp_path / "run.pt")
    assert main(["train", "--out", out, *FAST]) == 0
    first = checkpoints.read(out)
    assert main(["train", "--out", out, "--resume", *FAST]) == 0
    again = checkpoints.read(out)
    assert torch.equal(first["losses"], again["losses"])
    assert main(["train", "--out", out, "--resume", *FAST, "--lr", "0.5"]) == 1
    assert "lr=0.002 (now 0.5)" in capsys.readouterr().err


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


def test_sample_of_points_writes_them_as_text(runs, tmp_path):
    out, checkpoint = tmp_path / "points", str(runs / "ring.pt")
    for options in (["--sampler", "ddim", "--eta", "0.5"], ["--variance", "beta"]):
        arguments = ["--checkpoint", checkpoint, "--steps", "5", "--n", "7", *options]
        assert main(["sample", *arguments, "--out", str(out)]) == 0
        assert np.loadtxt(out / "points.csv", delimiter=",").shape == (7, 2)
        assert (out / "grid.png").exists()


def test_evaluate_states_the_bound_and_each_distance_beside_its_floor(runs, tmp_path):
    small = ["--n", "70", "--images", "5", "--times", "3", "--steps", "4"]
    for data in ("digits", "ring"):
        out = tmp_path / data
        arguments = ["--checkpoint", str(runs / f"{data}.pt"), "--out", str(out)]
        assert main(["evaluate", *arguments, *small]) == 0
        report = json.loads((out / "evaluation.json").read_text())
        bits = report["bits_per_dim"]
        assert bits["images"] == 5 and bits["standard_error"] > 0
        assert bits["decoder"] == ("discrete" if data == "digits" else "continuous")
        name = "frechet_distance" if data == "digits" else "energy_distance"
        distance = report[name]
        if data == "digits":
            assert "70 samples are few for 64 features" in distance["note"]
        assert distance["value"] > 2 * distance["floor"] > 0  # hardly trained
        if data == "digits":
            near = report["nearest"]["samples"]
            assert 0 < near["smallest"] < near["mean"]
        else:
            assert report["mode_width"]["value"] > 2
            assert report["mode_width"]["floor"] == pytest.approx(1, abs=0.2)


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


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_evaluate_bounds_held_out_data_with_the_variance_asked_for(
    runs, tmp_path, monkeypatch, variance
):
    seen = {}

    def bits(model, x0, **options):
        seen.update(options, x0=x0)
        return {}

    monkeypatch.setattr(evaluation, "bits", bits)
    arguments = ["--checkpoint", str(runs / "digits.pt"), "--out", str(tmp_path)]
    arguments += ["--n", "4", "--images", "7", "--steps", "2", "--seed", "5"]
    assert main(["evaluate", *arguments, "--variance", variance]) == 0
    assert torch.equal(seen["x0"], load_data("digits").test[:7])
    assert seen["variance"] == variance and seen["seed"] == 5
