"""A training run that nothing is lost of: faults made on purpose, and what is left."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import torchrun
from test_training import SCHEDULE, SMALL, interrupted, network, points, run, weights

from ddpm_course.__main__ import main
from ddpm_course.lab import checkpoints, pretrained, runs
from ddpm_course.lab.checkpoints import CheckpointError
from ddpm_course.lab.runs import About
from ddpm_course.schedules import make_schedule
from ddpm_course.training import Settings, train
from ddpm_course.unet import MLP

FAST = ["--batch-size", "4", "--channels", "8", "--T", "20", "--data", "ring"]
ABOUT = About("ring", 32, "cosine", 50, (2,), 8, 1, 1)


# --- values that a checkpoint can hold ------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"lr": np.logspace(-4, -2, 3)[1]},
        {"lr": np.float32(0.01), "ema": np.float64(0.5), "clip": np.float16(2)},
        {"steps": np.int64(4), "batch_size": np.int32(3), "warmup": np.uint8(1)},
        {"amp": np.bool_(False), "seed": np.int64(3)},
        {"lr": torch.tensor(0.01), "steps": torch.tensor(4)},
        {"kind": np.str_("v")},
    ],
)
def test_numbers_of_other_libraries_become_plain(tmp_path, values):
    settings = replace(SMALL, **values)
    run(settings, checkpoint=tmp_path / "run.pt")
    kept = checkpoints.read(tmp_path / "run.pt")["settings"]
    assert all(type(kept[name]) in (int, float, bool, str) for name in kept)
    assert kept == vars(settings)


def test_what_is_trained_becomes_plain(tmp_path):
    about = replace(
        ABOUT,
        data=Path("a/b"),
        T=np.int64(50),
        shape=[np.int32(2)],
        reach=np.float32(2),
    )
    run(checkpoint=tmp_path / "run.pt", about=about)
    kept = checkpoints.read(tmp_path / "run.pt")["about"]
    assert kept == vars(ABOUT) | {"data": str(Path("a/b")), "reach": 2.0}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 2.5}, r"steps=2.5 is a float: expected int"),
        ({"steps": "many"}, "steps='many' is a str: expected int"),
        ({"lr": "high"}, "lr='high' is a str: expected float"),
        ({"lr": None}, "lr=None is a NoneType: expected float"),
        ({"kind": 3}, "kind=3 is a int: expected str"),
        ({"amp": "no"}, "amp='no' is a str: expected bool"),
        ({"warmup": float("nan")}, "warmup=nan is a float: expected int"),
    ],
)
def test_values_of_another_type_are_refused(values, message):
    with pytest.raises(TypeError, match=message):
        Settings(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"lr": float("nan")},
        {"lr": float("inf")},
        {"ema": float("nan")},
        {"clip": float("nan")},
        {"warmup": -1},
        {"seed": -1},
        {"batch_size": 0},
    ],
)
def test_values_out_of_range_are_refused(values):
    (name,) = values
    with pytest.raises(ValueError, match=f"{name}=.*: expected"):
        Settings(**values)


# --- damage ---------------------------------------------------------------------------


def flipped(content: bytes, seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    damaged = bytearray(content)
    damaged[generator.integers(len(damaged))] ^= 1 << generator.integers(8)
    return bytes(damaged)


def tensors(content: object) -> list:
    if isinstance(content, dict):
        return [t for v in content.values() for t in tensors(v)]
    if isinstance(content, list | tuple):
        return [t for v in content for t in tensors(v)]
    return [content]


def same(one: object, other: object) -> bool:
    mine, its = tensors(one), tensors(other)
    return len(mine) == len(its) and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
        for a, b in zip(mine, its, strict=True)
    )


@pytest.mark.slow
def test_a_flipped_bit_never_changes_what_is_loaded(tmp_path):
    path = tmp_path / "run.pt"
    run(checkpoint=path)
    whole, content = path.read_bytes(), checkpoints.read(path)
    refused = 0
    for seed in range(200):
        path.write_bytes(flipped(whole, seed))
        try:
            assert same(checkpoints.read(path), content)
        except CheckpointError as error:
            assert "run.pt cannot be read" in str(error)
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("fashion_mnist.pt", pretrained.fashion_mnist),
        ("fashion_mnist_by_class.pt", pretrained.fashion_mnist_by_class),
        ("digits_by_class.pt", pretrained.digits_by_class),
        ("digits_classifier.pt", partial(pretrained.load_classifier, "digits")),
    ],
)
def test_a_flipped_bit_in_what_comes_with_the_package_is_seen(
    tmp_path, monkeypatch, name, load
):
    for path in pretrained.WEIGHTS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path)
    whole = (tmp_path / name).read_bytes()
    for seed in range(10):
        (tmp_path / name).write_bytes(flipped(whole, seed))
        with pytest.raises(CheckpointError, match=f"{name} is not the file that"):
            load()


FULL = """
import resource, sys
from ddpm_course.__main__ import main
arguments = {arguments!r}
sys.exit(main(arguments))
"""


def limited(arguments, bytes_, cwd):
    """A command in a process whose files may not grow beyond that: a full disk."""
    return subprocess.run(
        [sys.executable, "-c", FULL.format(arguments=arguments)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_)),
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_a_full_disk_is_told_and_the_last_good_file_is_whole(tmp_path):
    out = tmp_path / "run.pt"
    arguments = ["train", "--out", str(out), *FAST, "--save-every", "2"]
    assert main([*arguments, "--steps", "2"]) == 0
    before = out.read_bytes()
    done = limited([*arguments, "--steps", "6", "--resume"], 20_000, tmp_path)
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: cannot write {out}") and "File too large" in last
    assert "whole" in last and "resume" in last and "Traceback" not in done.stderr
    assert out.read_bytes() == before
    kept = {"run.pt", "run.loss.csv", "run.loss.png"}
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert main([*arguments, "--steps", "6", "--resume"]) == 0
    assert checkpoints.read(out)["step"] == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "--n", "1", "--steps", "1", "--out", "there"],
        ["classifier", "--steps", "1", "--out", "there.pt"],
        ["export", "run.pt", "--out", "there.pt"],
    ],
)
def test_every_command_tells_of_a_full_disk(tmp_path, arguments):
    if arguments[0] == "export":
        assert (
            main(["train", "--steps", "1", *FAST, "--out", f"{tmp_path}/run.pt"]) == 0
        )
    done = limited(arguments, 50, tmp_path)
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: cannot write there"), done.stderr
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", *FAST, "--steps", "1"],
        ["classifier", "--steps", "1"],
        ["sample", "--steps", "1"],
        ["evaluate", "--steps", "1"],
    ],
)
def test_an_out_that_cannot_be_written_is_found_before_the_work(
    tmp_path, capsys, monkeypatch, arguments
):
    (tmp_path / "file").write_text("mine")
    for work in ("torch.nn.Module.__call__", "ddpm_course.data.digits"):
        monkeypatch.setattr(work, lambda *_: pytest.fail("too late"))
    assert main([*arguments, "--out", str(tmp_path / "file" / "x")]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: cannot write") and "file" in said
    assert (tmp_path / "file").read_text() == "mine"


# --- nothing of yours is replaced -----------------------------------------------------


def test_a_run_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "run.pt"
    run(checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=r"run\.pt exists: resume .* overwrite"):
        run(checkpoint=path)
    assert path.read_bytes() == before
    run(replace(SMALL, seed=4), checkpoint=path, overwrite=True)
    assert checkpoints.read(path)["settings"]["seed"] == 4


def test_a_foreign_file_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "thesis.doc"
    path.write_bytes(b"three years of work")
    with pytest.raises(CheckpointError, match="exists"):
        run(checkpoint=path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        run(checkpoint=path, resume=True)
    assert path.read_bytes() == b"three years of work"


def test_commands_refuse_to_replace_and_name_the_option(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *FAST, "--steps", "2"]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {
        "ring.pt",
        "ring.loss.csv",
        "ring.loss.png",
    }
    before = Path("ring.pt").read_bytes()
    for arguments in (
        ["train", *FAST, "--steps", "2"],
        ["export", "ring.pt", "--out", "ring.pt"],
        ["classifier", "--steps", "1", "--out", "ring.pt"],
    ):
        assert main(arguments) == 1
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert "ring.pt exists: give --overwrite" in said
        assert Path("ring.pt").read_bytes() == before
    assert main(["train", *FAST, "--steps", "2", "--overwrite", "--seed", "1"]) == 0
    assert Path("ring.pt").read_bytes() != before


def test_the_losses_of_a_run_replace_nothing_of_yours(tmp_path, capsys):
    (tmp_path / "a.loss.csv").write_text("mine")
    assert main(["train", *FAST, "--steps", "1", "--out", f"{tmp_path}/a.pt"]) == 1
    assert "a.loss.csv exists" in capsys.readouterr().err
    assert (tmp_path / "a.loss.csv").read_text() == "mine"


# --- two at a time --------------------------------------------------------------------


def test_two_runs_do_not_share_a_checkpoint(tmp_path):
    path = tmp_path / "run.pt"
    with (
        runs._claimed(path),
        pytest.raises(CheckpointError, match=r"run\.pt is in use by another training"),
    ):
        run(checkpoint=path)
    run(checkpoint=path)  # the lock is gone with its owner
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"run.pt", "run.previous.pt"}


@pytest.mark.slow
@pytest.mark.long
def test_of_two_processes_with_one_out_one_is_told(tmp_path):
    command = [sys.executable, "-m", "ddpm_course", "train", *FAST]
    command += ["--steps", "2000", "--out", "a.pt"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]
    codes = sorted(process.returncode for process in both)
    if codes == [0, 1]:
        assert any("in use" in s or "exists" in s for s in said)
    assert codes == [0, 1], said
    assert checkpoints.read(tmp_path / "a.pt")["step"] == 2000


def test_temporary_names_are_unique_and_leftovers_go(tmp_path):
    path = tmp_path / "run.pt"
    with checkpoints.replacing(path) as one, checkpoints.replacing(path) as other:
        assert one.name != other.name
    stale = tmp_path / ".run.pt.123-abc.part"
    stale.write_bytes(b"half a checkpoint")
    run(checkpoint=path, overwrite=True)
    assert not stale.exists()


# --- resuming -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"schedule": make_schedule("linear", T=1000)}, "T=50"),
        ({"schedule": make_schedule("cosine", T=50, s=0.02)}, "schedule values"),
        ({"data": points(seed=5)}, "data values"),
        ({"data": points(n=63)}, r"data shape=\(64, 2\)"),
        ({"settings": replace(SMALL, seed=8)}, r"seed=0 \(now 8\)"),
    ],
)
def test_a_run_is_not_resumed_with_something_else(tmp_path, other, named):
    path = tmp_path / "run.pt"
    interrupted(path, 4)
    arguments = {"schedule": SCHEDULE, "data": points(), "settings": SMALL} | other
    with pytest.raises(CheckpointError, match=named):
        train(
            MLP(2, 8, 2),
            **arguments,
            checkpoint=path,
            resume=True,
            progress=False,
        )


def test_more_steps_prolong_a_run(tmp_path):
    path = tmp_path / "run.pt"
    short = run(checkpoint=path)
    longer = run(replace(SMALL, steps=20), checkpoint=path, resume=True)
    assert torch.equal(longer.losses[:12], short.losses) and len(longer.losses) == 20
    assert longer.losses[12:].min() > 0
    before = path.read_bytes(), checkpoints.previous(path).read_bytes()
    with pytest.raises(CheckpointError, match="has done 20 steps, more than steps=12"):
        run(checkpoint=path, resume=True)
    assert before == (path.read_bytes(), checkpoints.previous(path).read_bytes())


def test_the_checkpoint_before_is_for_damage_not_for_another_run(tmp_path):
    """The one before has fewer steps: going on from it would lose the last."""
    path = tmp_path / "run.pt"
    run(replace(SMALL, steps=8), checkpoint=path)
    assert checkpoints.read(checkpoints.previous(path))["step"] == 4
    with pytest.raises(CheckpointError, match="has done 8 steps, more than steps=6"):
        run(replace(SMALL, steps=6), checkpoint=path, resume=True)
    assert checkpoints.read(path)["step"] == 8


def test_another_number_of_threads_is_told(tmp_path):
    path = tmp_path / "run.pt"
    interrupted(path, 4)
    content = checkpoints.read(path) | {"threads": torch.get_num_threads() + 1}
    checkpoints.write(path, content)
    with pytest.warns(UserWarning, match="threads.*may differ in the last digits"):
        run(checkpoint=path, resume=True)


# --- being stopped --------------------------------------------------------------------


def stopped(tmp_path, *signals, arguments=()):
    command = [sys.executable, "-m", "ddpm_course", "train", *FAST, "--steps", "100000"]
    process = subprocess.Popen(
        [*command, "--out", "a.pt", *arguments],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    said = ""
    while "it/s" not in said:  # the loop runs
        said += process.stderr.read(1)
    time.sleep(0.3)
    for number in signals:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, said + err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_stopped_run_saves_says_so_and_resumes(tmp_path, number, code):
    returned, said = stopped(tmp_path, number)
    assert returned == code, said
    kept = checkpoints.read(tmp_path / "a.pt")
    assert kept["step"] > 0
    assert f"stopped after step {kept['step']}, saved in a.pt; resume" in said
    assert "Traceback" not in said
    assert len((tmp_path / "a.loss.csv").read_text().splitlines()) == kept["step"] + 1
    steps = ["--steps", "100000"]
    assert main(["train", *FAST, *steps, "--out", f"{tmp_path}/a.pt"]) == 1  # not anew
    returned, said = stopped(tmp_path, number, arguments=["--resume"])
    assert returned == code
    assert checkpoints.read(tmp_path / "a.pt")["step"] > kept["step"]


def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path):
    """The signal comes in the midst of a step; the step is finished first."""
    path, model = tmp_path / "run.pt", network()
    calls = []

    def hook(*_):
        calls.append(1)
        if len(calls) == 7:
            os.kill(os.getpid(), signal.SIGINT)

    handle = model.register_forward_pre_hook(hook)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(
        KeyboardInterrupt, match=r"stopped after step 7, saved in .*run"
    ):
        run(model=model, checkpoint=path)
    handle.remove()
    assert signal.getsignal(signal.SIGINT) is before
    assert checkpoints.read(path)["step"] == 7
    assert torch.equal(weights(run(checkpoint=path, resume=True)), weights(run()))


# --- the data that train is given -----------------------------------------------------


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((points(), torch.ones(64)), TypeError, r"data is a tuple of 2.*data\[0\]"),
        ([points()], TypeError, "data is a list of 1"),
        (points().numpy(), TypeError, r"data is a ndarray.*torch\.as_tensor"),
        (points().byte(), TypeError, r"dtype torch\.uint8.*127\.5"),
        (points().long(), TypeError, r"dtype torch\.int64"),
        (points() > 0, TypeError, r"dtype torch\.bool"),
        (points()[:0], ValueError, r"shape \(0, 2\)"),
        (points()[0], ValueError, r"shape \(2,\)"),
        (points() / 0, ValueError, "nan or inf"),
        (None, TypeError, "data is a NoneType"),
    ],
)
def test_data_that_make_no_sense_are_refused(data, error, message):
    with pytest.raises(error, match=message):
        train(network(), SCHEDULE, data, SMALL, progress=False)


@pytest.mark.parametrize("scale", ["0 ... 255", "0 ... 1", "1e10"])
def test_images_of_another_range_are_warned_of(scale):
    images = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    images = {"0 ... 255": 255 * images, "0 ... 1": images, "1e10": 1e10 * images}[
        scale
    ]
    from ddpm_course.unet import UNet

    settings = Settings(steps=1, batch_size=2)
    with pytest.warns(UserWarning, match=r"data runs from .* expected \[-1, 1\]"):
        train(UNet(1, 8, (1,), 1, ()), SCHEDULE, images, settings, progress=False)


def test_float64_data_train_a_float32_network():
    assert run(data=points().double()).losses.isfinite().all()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (torch.nn.Identity(), "model has 0 parameters"),
        (MLP(2, 8).requires_grad_(False), "none of which requires a gradient"),
    ],
)
def test_a_model_that_cannot_learn_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        train(model, SCHEDULE, points(), SMALL, progress=False)


def test_a_function_is_no_model():
    with pytest.raises(TypeError, match="model is a function"):
        train(lambda x, t: x, SCHEDULE, points(), SMALL, progress=False)


def test_betas_are_no_schedule():
    with pytest.raises(
        TypeError, match="schedule is a Tensor: expected a NoiseSchedule"
    ):
        train(network(), SCHEDULE.beta, points(), SMALL, progress=False)


# --- several processes ----------------------------------------------------------------

WORKER = """
import sys, torch, torch.distributed as dist
sys.path[:0] = {paths!r}
from dataclasses import replace
from test_training import SMALL, points, run
dist.init_process_group("gloo")
rank = dist.get_rank()
try:
    run({settings}, data={data})
except ValueError as error:
    print("REFUSED", error)
"""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    ("settings", "data", "named"),
    [
        ("replace(SMALL, seed=rank)", "points()", "seed"),
        ("replace(SMALL, steps=12 + rank)", "points()", "steps"),
        ("SMALL", "points(seed=rank)", "data values"),
    ],
)
def test_processes_that_disagree_stop_with_an_error(tmp_path, settings, data, named):
    script = tmp_path / "worker.py"
    paths = [os.path.dirname(__file__)]
    script.write_text(WORKER.format(paths=paths, settings=settings, data=data))
    done = torchrun(script)
    # two processes print at once: their words may interleave
    assert "REFUSED" in done.stdout, done.stderr
    assert f"the processes differ in {named}" in done.stdout


# --- the life of a run, from the command line -----------------------------------------


@pytest.mark.slow
def test_a_run_is_named_after_its_data_prolonged_and_fine_tuned(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *FAST, "--steps", "3"]) == 0
    assert main(["train", *FAST, "--steps", "5", "--resume"]) == 0
    assert checkpoints.read("ring.pt")["step"] == 5
    tuned = ["train", *FAST, "--steps", "2", "--out", "b.pt", "--start-from", "ring.pt"]
    assert main([*tuned, "--lr", "1e-9", "--ema", "0"]) == 0
    before, after = (checkpoints.read(path)["ema"] for path in ("ring.pt", "b.pt"))
    assert all(torch.allclose(before[k], after[k], atol=1e-6) for k in before)
    assert main([*tuned, "--overwrite", "--channels", "16"]) == 1
    assert "has channels=8 (now 16): train with its values" in capsys.readouterr().err
    assert main(["sample", "--checkpoint", "b.pt", "--n", "3"]) == 0  # T is 20
    assert json.loads(Path("samples/samples.json").read_text())["steps"] == 20


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [["--variance", "beta"], ["--sampler", "ddim"]])
def test_more_samples_of_a_seed_begin_with_the_same_ones(tmp_path, sampler):
    run_ = tmp_path / "run.pt"
    assert main(["train", *FAST, "--steps", "2", "--out", str(run_)]) == 0
    drawn = {}
    for seed in ("0", "1"):
        for n in ("3", "8"):
            out = tmp_path / f"{seed}-{n}"
            arguments = ["--checkpoint", str(run_), "--n", n, "--out", str(out)]
            assert main(["sample", *arguments, "--seed", seed, *sampler]) == 0
            drawn[seed, n] = np.loadtxt(out / "points.csv", delimiter=",")
    assert np.allclose(drawn["0", "3"], drawn["0", "8"][:3], atol=1e-5)
    assert not np.allclose(drawn["0", "3"], drawn["1", "3"], atol=1e-2)


@pytest.mark.slow
def test_the_chain_is_drawn_as_a_gif(tmp_path):
    from PIL import Image

    run_ = tmp_path / "digits.pt"
    arguments = [*FAST[:-2], "--steps", "1", "--out", str(run_)]
    assert main(["train", *arguments]) == 0
    out = tmp_path / "a"
    arguments = ["--checkpoint", str(run_), "--n", "5", "--gif", "--out", str(out)]
    assert main(["sample", *arguments]) == 0
    with Image.open(out / "chain.gif") as gif:
        assert gif.n_frames == 21  # x_T and one after each step
        gif.seek(20)
        last = np.asarray(gif.convert("L")).astype(int)
    with Image.open(out / "grid.png") as grid:
        whole = np.asarray(grid.convert("L")).astype(int)
    assert last.shape[0] % whole.shape[0] == 0
    assert main(["sample", *arguments[:-3], "--out", str(out)]) == 0  # without --gif
    assert not (out / "chain.gif").exists()


def test_a_picture_of_yours_is_not_replaced(tmp_path, capsys):
    out = tmp_path / "pictures"
    out.mkdir()
    (out / "00003.png").write_bytes(b"mine")
    arguments = ["sample", "--n", "5", "--steps", "1", "--out", str(out)]
    assert main(arguments) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "already contains 00003.png, not written by this command" in said
    assert "give --overwrite" in said
    assert [p.name for p in out.iterdir()] == ["00003.png"]
    assert (out / "00003.png").read_bytes() == b"mine"
    assert main([*arguments, "--overwrite"]) == 0
    assert (out / "00003.png").read_bytes() != b"mine"


@pytest.mark.parametrize("encoding", ["cp437", "cp932", "ascii", "cp1252"])
@pytest.mark.parametrize("command", [[], ["train"], ["sample"], ["evaluate"]])
def test_help_on_a_terminal_that_lacks_our_letters(monkeypatch, encoding, command):
    import io

    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    stream.flush()
    assert b"usage" in stream.buffer.getvalue()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), True),
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("size mismatch"), False),
    ],
)
def test_memory_that_runs_out_is_told(monkeypatch, capsys, error, told):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(pretrained, "load_network", fail)
    if told:
        assert main(["sample", "--n", "1"]) == 1
        assert "error: out of memory; a smaller --chunk" in capsys.readouterr().err
    else:
        with pytest.raises(RuntimeError, match="size mismatch"):
            main(["sample", "--n", "1"])


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_two_processes_that_are_stopped_save_the_same_step(tmp_path, number):
    """torchrun passes a signal on to all; they must leave the loop together."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", "-m", "ddpm_course", "train", *FAST]
    process = subprocess.Popen(
        [*command, "--steps", "1000000", "--out", "a.pt"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "DDPM_DEVICE": "cpu"},
    )
    said = ""
    while "it/s" not in said:
        said += process.stderr.read(1)
    process.send_signal(number)
    _, err = process.communicate(timeout=90)
    kept = checkpoints.read(tmp_path / "a.pt")
    assert kept["step"] > 0 and kept["step"] % 50 == 0, said + err
    assert len(kept["losses"]) == kept["step"]


@pytest.mark.slow
@pytest.mark.long
def test_processes_of_which_one_has_no_checkpoint_are_refused(tmp_path):
    """Each loads its own file; where folders are not shared they would drift apart."""
    script = tmp_path / "worker.py"
    script.write_text(
        WORKER.format(paths=[os.path.dirname(__file__)], settings="SMALL", data="x")
        .replace("    run(SMALL, data=x)", "    run(checkpoint=path, resume=True)")
        .replace("try:", f"path = '{tmp_path}/%d.pt' % rank\ntry:")
    )
    interrupted(tmp_path / "0.pt", 4)
    done = torchrun(script)
    assert "REFUSED the processes differ in steps done" in done.stdout, done.stderr


def test_a_run_that_is_replaced_is_not_restored(tmp_path):
    """nan before the first checkpoint of the new run: the old one is another run."""
    path, model = tmp_path / "run.pt", network()
    run(checkpoint=path)
    with torch.no_grad():
        model.first.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="nothing was kept"):
        run(model=model, checkpoint=path, overwrite=True)


def test_resume_and_overwrite_exclude_each_other(tmp_path):
    with pytest.raises(ValueError, match="resume and overwrite are both set"):
        run(checkpoint=tmp_path / "a.pt", resume=True, overwrite=True)


def test_a_model_in_16_bits_is_refused():
    with pytest.raises(TypeError, match=r"parameters in torch\.bfloat16"):
        run(model=network().bfloat16())


def test_a_checkpoint_leaves_the_model_ready_for_use(tmp_path):
    model = network()
    with pytest.raises(ValueError):  # whatever happens inside
        run(model=model, data=points()[:, :1])
    assert not model.training


# --- what a first user stumbled over ------------------------------------------------


def folder_of_pictures(folder, n=40, seed=0):
    from PIL import Image

    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for i in range(n):
        pixels = generator.integers(0, 255, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")


SMALL_PICTURES = ["--size", "8", "--steps", "1", *FAST[:-2]]


@pytest.mark.slow
def test_a_folder_with_the_name_of_a_data_set_is_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder_of_pictures(Path("digits"))
    arguments = ["--data", "./digits", *SMALL_PICTURES]
    assert main(["train", *arguments, "--out", "run.pt"]) == 0
    assert main(["export", "run.pt", "--out", "net.pt"]) == 0
    few = ["--n", "4", "--images", "2", "--times", "2", "--steps", "2"]
    for checkpoint in ("run.pt", "net.pt"):
        out = f"{checkpoint}-measured"
        arguments = ["--checkpoint", checkpoint, "--out", out, *few]
        assert main(["evaluate", *arguments]) == 0
        report = json.loads(Path(out, "evaluation.json").read_text())
        assert report["network"]["data"] == "digits/"
        assert report["frechet_distance"]["value"] is None
        assert report["bits_per_dim"]["bins"] == 256


@pytest.mark.slow
def test_pictures_that_changed_are_warned_of_and_not_resumed(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    folder_of_pictures(Path("mine"))
    arguments = ["train", "--data", "mine", *SMALL_PICTURES]
    assert main(arguments) == 0
    Path("mine/00.png").write_bytes(Path("mine/01.png").read_bytes())
    capsys.readouterr()
    assert main([*arguments, "--resume"]) == 1
    said = capsys.readouterr().err
    assert "the data have changed since mine.pt was written" in said
    few = ["--n", "4", "--images", "2", "--times", "2", "--steps", "2"]
    assert main(["evaluate", "--checkpoint", "mine.pt", *few]) == 0
    assert "warning: " in capsys.readouterr().err


@pytest.mark.slow
def test_a_checkpoint_does_not_land_among_the_pictures(tmp_path, monkeypatch, capsys):
    folder_of_pictures(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    assert main(["train", "--data", ".", *SMALL_PICTURES]) == 1
    assert "lies in the folder of the pictures" in capsys.readouterr().err
    assert main(["train", "--data", ".", *SMALL_PICTURES, "--out", "../a.pt"]) == 0


@pytest.mark.slow
def test_a_sample_that_you_changed_is_yours(tmp_path, capsys):
    run_, out = tmp_path / "d.pt", tmp_path / "s"
    assert main(["train", *FAST[:-2], "--steps", "1", "--out", str(run_)]) == 0
    arguments = ["sample", "--checkpoint", str(run_), "--n", "3", "--out", str(out)]
    assert main(arguments) == 0
    assert main(arguments) == 0  # what it wrote itself it may replace
    (out / "00001.png").write_bytes(b"mine")
    assert main([*arguments[:-4], "--n", "1", "--out", str(out)]) == 0  # not in the way
    assert (out / "00001.png").read_bytes() == b"mine"
    assert main(arguments) == 1
    assert "00001.png, not written by this command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--data", "pisc"], "there is no such folder"),
        (["--gray", "--color"], "--gray and --color are both given"),
        (["--device", "gpu"], "--device 'gpu' names no device"),
        (["--patch", "0"], "patch=0"),
    ],
)
def test_mistakes_on_the_command_line_are_told(tmp_path, capsys, arguments, told):
    out = ["--out", str(tmp_path / "x.pt")]
    assert main(["train", *FAST, "--steps", "1", *out, *arguments]) == 1
    assert told in capsys.readouterr().err


def test_nothing_to_resume_is_told(tmp_path, capsys):
    out = ["--out", str(tmp_path / "x.pt")]
    assert main(["train", *FAST, "--steps", "1", "--resume", *out]) == 0
    assert "to resume: a new run starts" in capsys.readouterr().err


@pytest.mark.slow
def test_an_out_in_the_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["train", *FAST, "--steps", "1", "--out", "~/a.pt"]) == 0
    assert main(["sample", "--checkpoint", "~/a.pt", "--n", "2", "--out", "~/s"]) == 0
    assert (tmp_path / "a.pt").exists() and (tmp_path / "s" / "grid.png").exists()
