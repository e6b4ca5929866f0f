"""Training: the loss against formulas, and runs that are cut off, damaged or split."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import torchrun
from torch import nn

from ddpm_course import checks, training
from ddpm_course.data import digits
from ddpm_course.lab import checkpoints
from ddpm_course.lab.checkpoints import CheckpointError
from ddpm_course.lab.runs import share_of_batch
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import eps_from_x0, v_from_x0_eps
from ddpm_course.schedules import make_schedule
from ddpm_course.training import Settings, simple_loss, squared_errors, train
from ddpm_course.unet import MLP, UNet

SCHEDULE = make_schedule("cosine", T=50)
SMALL = Settings(steps=12, batch_size=8, warmup=3, ema=0.9)


def points(n=64, seed=0):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def network(seed=0):
    torch.manual_seed(seed)
    return MLP(dim=2, width=8, depth=2)


def run(settings=SMALL, model=None, data=None, **options):
    options = {"progress": False, "check_every": 4, "save_every": 4} | options
    data = points() if data is None else data
    return train(model or network(), SCHEDULE, data, settings, **options)


def weights(trained):
    both = [*trained.model.state_dict().values(), *trained.ema.state_dict().values()]
    return torch.cat([w.flatten() for w in both])


# --- the loss ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["eps", "x0", "v"])
def test_loss_is_that_of_the_formula(kind):
    x0, eps = points(5, 1).double(), points(5, 2).double()
    t = torch.tensor([1, 7, 20, 49, 50])
    guess = points(5, 3).double()
    errors = squared_errors(lambda x_t, t: guess, SCHEDULE, x0, t, eps, kind)
    abar = np.cumprod(1 - SCHEDULE.beta.numpy()[1:])[t.numpy() - 1, None]
    target = {
        "eps": eps.numpy(),
        "x0": x0.numpy(),
        "v": np.sqrt(abar) * eps.numpy() - np.sqrt(1 - abar) * x0.numpy(),
    }[kind]
    expected = ((guess.numpy() - target) ** 2).mean(axis=1)
    assert np.allclose(errors, expected)
    loss = simple_loss(lambda x_t, t: guess, SCHEDULE, x0, t, eps, kind)
    assert np.isclose(loss, expected.mean())


def test_another_kind_is_refused():
    x0, t = points(3), torch.tensor([1, 2, 3])
    with pytest.raises(ValueError, match="kind='mean'"):
        squared_errors(lambda x_t, t: x_t, SCHEDULE, x0, t, x0, "mean")


def test_the_network_sees_the_noisy_data_and_the_time():
    seen = {}

    def model(x_t, t):
        seen.update(x_t=x_t, t=t)
        return torch.zeros_like(x_t)

    x0, eps, t = points(3, 1), points(3, 2), torch.tensor([1, 25, 50])
    simple_loss(model, SCHEDULE, x0, t, eps)
    abar = SCHEDULE.alpha_bar[t].float()[:, None]
    assert torch.allclose(seen["x_t"], abar.sqrt() * x0 + (1 - abar).sqrt() * eps)
    assert seen["t"] is t


@pytest.mark.parametrize("shape", [(3, 1), (1, 2), (3,), (3, 2, 1)])
def test_an_answer_of_another_shape_is_refused(shape):
    """A network that returns (n, 1) for (n, 2) would broadcast, and seem to learn."""
    x0, t = points(3), torch.tensor([1, 2, 3])
    with pytest.raises(ValueError, match=rf"model\(x_t, t\) has shape .*{shape[-1]}"):
        squared_errors(lambda x_t, t: torch.zeros(shape), SCHEDULE, x0, t, x0)


@pytest.mark.parametrize("answer", [None, (1, 2), 0.5])
def test_an_answer_that_is_no_tensor_is_refused(answer):
    x0, t = points(3), torch.tensor([1, 2, 3])
    with pytest.raises(TypeError, match=r"model\(x_t, t\) returned a"):
        squared_errors(lambda x_t, t: answer, SCHEDULE, x0, t, x0)


@pytest.mark.parametrize("kind", ["eps", "x0", "v"])
def test_the_data_and_the_noise_are_scanned_once(monkeypatch, kind):
    scans = []
    monkeypatch.setattr(checks, "is_finite", lambda x: scans.append(x) or True)
    x0, eps, t = points(3, 1), points(3, 2), torch.tensor([1, 25, 50])
    squared_errors(lambda x_t, t: x_t, SCHEDULE, x0, t, eps, kind)
    assert [x is x0 or x is eps for x in scans] == [True, True]


def test_a_batch_has_all_times_and_images_and_noise_alike():
    """t from 1 to T, both included: chapter 6 names the pitfall."""
    generator = torch.Generator().manual_seed(0)
    data = torch.arange(20.0)[:, None]
    x0, t, eps = training.draw_batch(data, 10, 4000, generator)
    counts = torch.bincount(t), torch.bincount(x0.flatten().long())
    assert counts[0][0] == 0 and len(counts[0]) == 11 and len(counts[1]) == 20
    assert (counts[0][1:] - 400).abs().max() < 100  # five standard deviations
    assert (counts[1] - 200).abs().max() < 70
    assert abs(eps.mean()) < 0.08 and abs(eps.std() - 1) < 0.06
    together = np.corrcoef([t.numpy(), x0.flatten().numpy(), eps.flatten().numpy()])
    assert abs(together - np.eye(3)).max() < 0.08
    assert t.dtype == torch.int64 and x0.shape == eps.shape == (4000, 1)


def test_learning_rate_rises_in_a_line_and_falls_on_a_cosine():
    settings = Settings(steps=110, warmup=10, lr=0.5)
    rates = [training.learning_rate(step, settings) for step in range(111)]
    assert np.allclose(rates[:10], 0.05 * np.arange(1, 11))
    assert np.allclose(rates[10], 0.5) and np.allclose(rates[60], 0.25)
    assert np.isclose(rates[110], 0)
    assert (np.diff(rates[9:]) <= 0).all()


def test_the_average_has_the_buffers_as_they_are():
    """An average of a batch norm's counts and variances would make no sense."""
    model, ema = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    model(points())
    training.update_ema(ema, model, step=0, decay=0.9)
    for name, value in model.named_buffers():
        assert torch.equal(ema.get_buffer(name), value)


# --- the loop ---------------------------------------------------------------------


def test_same_seed_same_weights_other_seed_others():
    first, second = run(), run()
    assert torch.equal(weights(first), weights(second))
    assert torch.equal(first.losses, second.losses)
    assert not torch.equal(weights(first), weights(run(replace(SMALL, seed=1))))


def test_loss_falls_and_the_average_follows_the_weights():
    settings = replace(SMALL, steps=300, batch_size=64)
    trained = run(settings)
    assert trained.losses[-50:].mean() < 0.8 * trained.losses[:20].mean()
    assert not trained.model.training and not trained.ema.training
    difference = weights(trained).chunk(2)
    assert 0 < (difference[0] - difference[1]).abs().max() < 0.5


def test_a_run_is_algorithm_1_written_out():
    """Warm-up, clipping, Adam and the average by their formulas, step by step."""
    settings = Settings(8, 8, lr=0.05, warmup=3, kind="v", ema=0.28, clip=0.75, seed=3)
    data = points().double()
    trained = run(settings, network().double(), data)

    cosine = (1 + np.cos(np.pi * np.arange(5) / 5)) / 2
    rates = 0.05 * np.array([1 / 3, 2 / 3, 3 / 3, *cosine])
    decays = [1 / 10, 2 / 11, 3 / 12, 0.28, 0.28, 0.28, 0.28, 0.28]
    generator, model = torch.Generator().manual_seed(3), network().double()
    weights = list(model.parameters())
    first, second = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    average = [w.detach().clone() for w in weights]
    losses, norms = [], []
    for k, (rate, decay) in enumerate(zip(rates, decays, strict=False), 1):
        x0, t, eps = training.draw_batch(data, 50, 8, generator)
        abar = SCHEDULE.alpha_bar[t, None]
        signal, noise = abar.sqrt(), (1 - abar).sqrt()
        answer = model(signal * x0 + noise * eps, t)
        loss = (answer - (signal * eps - noise * x0)).square().mean()
        gradients = torch.autograd.grad(loss, weights)
        norm = sum(g.square().sum() for g in gradients) ** 0.5
        losses.append(loss.item())
        norms.append(norm.item())
        with torch.no_grad():
            for w, g, m, v, a in zip(
                weights, gradients, first, second, average, strict=True
            ):
                g = g * min(1, 0.75 / norm)
                m += 0.1 * (g - m)
                v += 0.001 * (g**2 - v)
                w -= rate * (m / (1 - 0.9**k)) / ((v / (1 - 0.999**k)).sqrt() + 1e-8)
                a += (1 - decay) * (w - a)
    assert min(norms) < 0.75 < max(norms)  # some are clipped, others not
    assert trained.losses.tolist() == pytest.approx(losses, rel=1e-4)
    for ours, by_hand in ((trained.model, weights), (trained.ema, average)):
        for w, expected in zip(ours.parameters(), by_hand, strict=True):
            torch.testing.assert_close(w, expected.detach(), rtol=1e-4, atol=1e-6)


def test_the_network_trains_in_train_mode():
    """Dropout is on; of a network that was in eval mode, too."""
    modes, model = [], network().eval()
    model.register_forward_pre_hook(lambda *_: modes.append(model.training))
    run(model=model)
    assert modes == [True] * 12


def test_the_progress_bar_shows_the_mean_of_the_last_losses(capsys):
    mean = run(progress=True, check_every=4).losses[-4:].mean()
    assert capsys.readouterr().err.rstrip().endswith(f"loss={mean:.4f}]")


def test_16_bits_are_close_to_32():
    full = run(replace(SMALL, steps=40))
    half = run(replace(SMALL, steps=40, amp=True))
    assert half.losses.dtype == torch.float32
    assert next(half.model.parameters()).dtype == torch.float32
    assert torch.allclose(half.losses, full.losses, rtol=0.05)
    assert not torch.equal(half.losses, full.losses)


@pytest.mark.slow
def test_it_comes_near_the_optimum_that_the_oracle_gives():
    """Ring of eight: at most 2 % of the noise's variance above the exact denoiser."""
    generator = torch.Generator().manual_seed(0)
    ring = GaussianMixture.ring(modes=8, radius=1.0, std=0.1)
    data = ring.sample(20_000, generator).float()
    torch.manual_seed(0)
    schedule = make_schedule("cosine", T=100)
    settings = Settings(steps=2500, batch_size=512, lr=3e-3, kind="eps", ema=0.99)
    trained = train(MLP(2, 128), schedule, data, settings, progress=False)
    x0 = ring.sample(20_000, generator).float()
    t = torch.randint(1, 101, (20_000,), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    exact = squared_errors(
        lambda x_t, t: ring.eps_mean(schedule, x_t, t), schedule, x0, t, eps
    )
    learned = squared_errors(trained.ema, schedule, x0, t, eps)
    excess = (learned - exact).mean() / eps.square().mean()
    assert -0.005 < excess < 0.02


@pytest.mark.slow
def test_it_comes_near_the_optimum_of_the_digits():
    """The digits are 1500 points, whose exact denoiser is the optimum of the loss.

    At most 0.13 of the noise's variance above it, and within 8 % of it where images
    are so noisy that the optimum does not know them by heart.
    """
    schedule, x0 = make_schedule("linear"), digits()[:1500]
    torch.manual_seed(0)
    network = UNet(1, 16, (1, 2), blocks=1, attention_levels=(1,))
    settings = Settings(steps=260, batch_size=64, kind="v", ema=0.98, lr=4e-3)
    trained = train(network, schedule, x0, settings, progress=False)
    memory = GaussianMixture.of_points(x0)

    def optimal(x_t, t):
        x0_hat = memory.x0_mean(schedule, x_t, t)
        return v_from_x0_eps(schedule, x0_hat, t, eps_from_x0(schedule, x_t, t, x0_hat))

    generator = torch.Generator().manual_seed(4)
    t = torch.randint(1, 1001, (1500,), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    with torch.no_grad():
        best, mine = (
            squared_errors(model, schedule, x0, t, eps, "v")
            for model in (optimal, trained.ema)
        )
    assert 0 < mine.mean() - best.mean() < 0.13
    assert 1 < mine[t > 300].mean() / best[t > 300].mean() < 1.08


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps=0"),
        ({"lr": -1.0}, "lr=-1.0"),
        ({"ema": 1.0}, "ema=1.0"),
        ({"kind": "mean"}, "kind='mean'"),
    ],
)
def test_bad_settings_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Settings(**values)


# --- runs that break off ----------------------------------------------------------


def test_resuming_gives_the_same_bits(tmp_path):
    whole = run()
    for stop in (4, 8):
        path = tmp_path / f"{stop}.pt"
        interrupted(path, stop)
        assert checkpoints.read(path)["step"] == stop
        resumed = run(checkpoint=path, resume=True)
        assert torch.equal(weights(resumed), weights(whole))
        assert torch.equal(resumed.losses, whole.losses)


class Stop(Exception):
    pass


def interrupted(path, after):
    """A run that stops in the step after ``after``, with a checkpoint behind it."""
    calls, model = [], network()

    def count(*_):
        calls.append(1)
        if len(calls) > after:
            raise Stop

    handle = model.register_forward_pre_hook(count)
    with pytest.raises(Stop):
        run(model=model, checkpoint=path)
    handle.remove()


def test_a_finished_run_is_not_run_again(tmp_path):
    first = run(checkpoint=tmp_path / "a.pt")
    again = run(checkpoint=tmp_path / "a.pt", resume=True)
    assert torch.equal(weights(first), weights(again))


KILLED = """
import os, signal, sys
import torch
sys.path[:0] = {paths!r}
from test_training import SMALL, network, run
{trap}
run(checkpoint={checkpoint!r}, resume=True)
"""
TRAPS = {
    "in a step": """
model_call, calls = torch.nn.Linear.forward, []
def trap(self, x):
    calls.append(1)
    if len(calls) == 17:
        os.kill(os.getpid(), signal.SIGKILL)
    return model_call(self, x)
torch.nn.Linear.forward = trap""",
    "in the midst of writing": """
save = torch.save
def trap(content, file):
    if content["step"] == 8:
        file.write(b"half a checkpoint")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(content, file)
torch.save = trap""",
    "between two renames": """
replace, calls = os.replace, []
def trap(old, new):
    calls.append(1)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(old, new)
os.replace = trap""",
}


@pytest.mark.skipif(os.name == "nt", reason="kills a process by SIGKILL")
@pytest.mark.slow
@pytest.mark.parametrize("when", TRAPS)
def test_a_killed_process_resumes_to_the_same_bits(tmp_path, when):
    path = tmp_path / "run.pt"
    script = KILLED.format(
        paths=[os.path.dirname(__file__)], trap=TRAPS[when], checkpoint=str(path)
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not path.exists() or checkpoints.read(path)["step"] < 12
    resumed = run(checkpoint=path, resume=True)
    assert torch.equal(weights(resumed), weights(run()))


# --- checkpoints that are not what they should be ---------------------------------


def test_a_truncated_checkpoint_is_refused_and_the_one_before_is_used(tmp_path):
    path = tmp_path / "run.pt"
    interrupted(path, 8)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cut off"):
        checkpoints.read(path)
    with pytest.warns(UserWarning, match=r"going on from .*run\.previous\.pt"):
        resumed = run(checkpoint=path, resume=True)
    assert torch.equal(weights(resumed), weights(run()))


class Bomb:
    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize(
    "content",
    [{"weights": torch.ones(2)}, [1, 2], Bomb(), b"plain bytes", b"hello world"],
)
def test_a_foreign_checkpoint_is_refused_unrun(tmp_path, content, capsys):
    path = tmp_path / "run.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"run\.pt"):
        run(checkpoint=path, resume=True)
    assert "must not run" not in capsys.readouterr().out


def test_a_checkpoint_of_another_run_or_network_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    run(checkpoint=path)
    with pytest.raises(CheckpointError, match=r"lr=0\.002 \(now 0\.1\)"):
        run(replace(SMALL, lr=0.1), checkpoint=path, resume=True)
    with pytest.raises(CheckpointError, match="another network"):
        run(model=MLP(2, 16, 2), checkpoint=path, resume=True)


def test_a_missing_checkpoint_starts_from_the_beginning_but_cannot_be_read(tmp_path):
    resumed = run(checkpoint=tmp_path / "none.pt", resume=True)
    assert torch.equal(weights(resumed), weights(run()))
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        checkpoints.read(tmp_path / "nowhere.pt")


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    interrupted(path, 4)
    before = path.read_bytes()

    def full(content, file):
        file.write(b"some bytes")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        run(checkpoint=path, resume=True)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def once(call, factor):
    """A function for a hook: its last argument, in one of its calls times a factor."""
    calls = []

    def hook(*arguments):
        calls.append(1)
        return arguments[-1] * factor if len(calls) == call else arguments[-1]

    return hook


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            lambda model: model.register_forward_hook(once(10, math.nan)),
            "the loss is nan .* before step 12",
        ),
        (  # the loss of the step whose gradient overflows is still finite
            lambda model: model.rest[0].weight.register_hook(once(12, math.inf)),
            "step 12, the norm of the weights nan; the state of step 8 is restored",
        ),
    ],
)
def test_what_is_not_finite_stops_and_restores_the_last_good_state(
    tmp_path, spoil, message
):
    path, model = tmp_path / "run.pt", network()
    handle = spoil(model)
    with pytest.raises(FloatingPointError, match=message):
        run(model=model, checkpoint=path)
    handle.remove()
    kept = checkpoints.read(path)
    assert kept["step"] == 8
    for name, value in model.state_dict().items():
        assert torch.equal(value, kept["model"][name])


def test_a_checkpoint_of_another_kind_of_device_is_refused(tmp_path):
    """The state of a GPU's generator has 16 bytes."""
    path, model = tmp_path / "run.pt", network()
    interrupted(path, 4)
    content = checkpoints.read(path) | {"generator": torch.zeros(16, dtype=torch.uint8)}
    checkpoints.write(path, content)
    before = model.state_dict()["first.weight"].clone()
    with pytest.raises(CheckpointError, match="another kind of device than cpu"):
        run(model=model, checkpoint=path, resume=True)
    assert torch.equal(model.state_dict()["first.weight"], before)


def test_a_folder_or_no_steps_between_checkpoints_are_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder: give a file in it"):
        run(checkpoint=tmp_path)
    with pytest.raises(ValueError, match="save_every=0"):
        run(save_every=0)
    assert tmp_path.is_dir() and not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["points", "images"])
def test_a_step_is_on_the_device_of_the_model(monkeypatch, kind):
    """On the device "meta", which has shapes and no values, in the place of a GPU.

    Most operations on two devices are an error there too. The run ends at the first
    look at a value, which nothing before it needs.
    """

    class Generator:
        def __init__(self, device):
            assert device.type == "meta"

        def manual_seed(self, seed):
            return None  # the draws ask for none

    monkeypatch.setattr(torch, "Generator", Generator)
    steps = []
    monkeypatch.setattr(training, "update_ema", lambda *_: steps.append(1))
    model = network() if kind == "points" else UNet(channels=8, blocks=1)
    data = torch.zeros(64, *((2,) if kind == "points" else (1, 8, 8)))
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        run(model=model.to("meta"), data=data)
    assert len(steps) == 4


# --- several processes ------------------------------------------------------------

WORKER = """
import sys
import torch, torch.distributed as dist
sys.path[:0] = {paths!r}
from test_training import SMALL, network, run, weights
dist.init_process_group("gloo")
trained = run()
if dist.get_rank() == 0:
    torch.save(weights(trained), {out!r})
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_give_the_weights_of_one(tmp_path):
    out, script = tmp_path / "weights.pt", tmp_path / "worker.py"
    script.write_text(
        textwrap.dedent(WORKER).format(paths=[os.path.dirname(__file__)], out=str(out)),
        encoding="utf-8",
    )
    done = torchrun(script)
    assert done.returncode == 0, done.stderr
    assert torch.allclose(torch.load(out), weights(run()), atol=1e-6)


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    with pytest.raises(ValueError, match="8 cannot be shared equally by 3 processes"):
        share_of_batch(8)
    assert share_of_batch(9) == slice(3, 6)


def test_a_network_that_does_not_know_all_times_is_refused():
    with pytest.raises(ValueError, match="up to T = 49"):
        run(model=MLP(2, 8, T=49))


def test_a_good_run_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run()
