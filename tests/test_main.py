"""The command line, as a newcomer meets it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_course import checkpoints
from ddpm_course.__main__ import load, main, network_for

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
    for i in range(4):
        pixels = np.full((9, 12, 3), 60 * i, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    assert load(str(tmp_path), size=8).shape == (4, 3, 8, 8)
    out = tmp_path / "run.pt"
    arguments = ["train", "--data", str(tmp_path), "--size", "8", "--out", str(out)]
    assert main([*arguments, *FAST]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "--data nowhere"),
        (["--steps", "0"], "steps=0"),
        (["--T", "0"], "T=0"),
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
def test_two_processes_under_torchrun_train_as_one(tmp_path):
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
