"""What the commands of ``python -m ddpm_course`` do."""

from __future__ import annotations

import json
import math
import os
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from ddpm_course import (
    checkpoints,
    data,
    metrics,
    plotting,
    pretrained,
    sampling,
    training,
)
from ddpm_course.bound import variational_bound
from ddpm_course.classifier import features, predict, train_classifier
from ddpm_course.oracle import GaussianMixture
from ddpm_course.schedules import make_schedule

DATA = ("ring", "moons", "digits", "mnist", "fashion-mnist")
LABELLED = ("digits", "mnist", "fashion-mnist")
SAMPLERS = ("ancestral", "ddim")
#: The last 600 of the 1797 digits, of other writers than most, are held out.
DIGITS_TO_TRAIN = 1197


def load(name: str, size: int = 32, split: str = "train") -> Tensor:
    """The data of that name, "train" or "test", or all images of a folder."""
    if name in ("ring", "moons"):
        generator = torch.Generator().manual_seed(0 if split == "train" else 1)
        if name == "ring":
            return GaussianMixture.ring().sample(50_000, generator).float()
        return data.moons(50_000, generator)
    if name in LABELLED:
        return labelled(name, split)[0]
    if Path(name).is_dir():
        return data.image_folder(name, size)
    raise ValueError(
        f"--data {name}: expected {', '.join(DATA)}, or a folder of images"
    )


def labelled(name: str, split: str) -> tuple[Tensor, Tensor]:
    """Images and labels of that name."""
    if name == "digits":
        part = (
            slice(DIGITS_TO_TRAIN) if split == "train" else slice(DIGITS_TO_TRAIN, None)
        )
        return data.digits()[part], data.digit_labels()[part]
    return {"mnist": data.mnist, "fashion-mnist": data.fashion_mnist}[name](split)


def train(options: Namespace) -> None:
    if "RANK" in os.environ:  # started by torchrun
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    x = load(options.data, options.size)
    torch.manual_seed(options.seed)
    form = {
        name: getattr(options, name) for name in ("channels", "blocks", "patch", "T")
    }
    form["shape"] = tuple(x.shape[1:])
    network = pretrained.network_for(**form).to(training.device())
    fields = training.Settings.__dataclass_fields__
    settings = training.Settings(
        **{name: value for name, value in vars(options).items() if name in fields}
    )
    about = {name: getattr(options, name) for name in ("data", "size", "schedule")}
    trained = training.train(
        network,
        make_schedule(options.schedule, options.T),
        x,
        settings,
        checkpoint=options.out,
        save_every=options.save_every,
        resume=options.resume,
        about=about | form | {"reach": x.abs().max().item()},
    )
    last = trained.losses[-100:].mean().item()
    print(json.dumps({"checkpoint": str(options.out), "loss": round(last, 4)}))
    if dist.is_initialized():
        dist.destroy_process_group()


def export(options: Namespace) -> None:
    pretrained.export(options.checkpoint, options.out)
    print(json.dumps({"network": str(options.out)}))


def classifier(options: Namespace) -> None:
    network = train_classifier(
        *labelled(options.data, "train"), steps=options.steps, seed=options.seed
    )
    images, labels = labelled(options.data, "test")
    accuracy = (predict(network, images) == labels).float().mean().item()
    about = {"data": options.data, "steps": options.steps, "accuracy": accuracy}
    checkpoints.write(
        options.out,
        {
            "format": pretrained.CLASSIFIER,
            "about": about,
            "weights": network.state_dict(),
        },
    )
    print(json.dumps({"classifier": str(options.out)} | about))


def sample(options: Namespace) -> None:
    model = _load(options.checkpoint)
    x = _draw(model, options)
    _write_grid(x, options.out)
    if x.ndim > 2:
        for i, image in enumerate(x):
            with checkpoints.replacing(options.out / f"{i:05}.png") as file:
                _write_image(image, file)
    else:
        with checkpoints.replacing(options.out / "points.csv") as file:
            np.savetxt(file, x, delimiter=",")
    report = {"n": len(x), "shape": list(model.shape)} | _how(model, options)
    _write_json(options.out / "samples.json", report)


def evaluate(options: Namespace) -> None:
    model = _load(options.checkpoint)
    name = model.about["data"]
    held_out = load(name, model.about["size"], "test")
    generator = torch.Generator().manual_seed(options.seed)
    report = _how(model, options) | {"bits_per_dim": _bits(model, held_out, options)}
    x = _draw(model, options).cpu()
    n = min(len(x), len(held_out))
    seen = load(name, model.about["size"], "train")
    other = seen[torch.randperm(len(seen), generator=generator)[:n]]
    held_out = held_out[torch.randperm(len(held_out), generator=generator)[:n]]
    report["samples"] = n
    if x.ndim == 2:
        report["energy_distance"] = _beside_floor(
            metrics.energy_distance, x[:n], other, held_out
        )
        if name == "ring":
            ring = GaussianMixture.ring()
            report["mode_width"] = metrics.mode_width(x, ring)
    else:
        report["nearest"] = {
            "samples": metrics.nearest_distance(x[:n], seen).mean().item(),
            "held out": metrics.nearest_distance(held_out, seen).mean().item(),
        }
        report["frechet_distance"] = _frechet(name, x[:n], other, held_out)
    _write_grid(x[:100] if x.ndim > 2 else x, options.out)
    _write_json(options.out / "evaluation.json", report)


def _load(checkpoint: str) -> pretrained.Pretrained:
    if checkpoint == "fashion-mnist":
        model = pretrained.fashion_mnist()
    else:
        model = pretrained.load(checkpoint)
    model.network.to(training.device())
    return model


def _draw(model: pretrained.Pretrained, options: Namespace) -> Tensor:
    schedule = model.schedule()
    device = schedule.beta.device
    step = {
        "ancestral": partial(sampling.ancestral_step, variance=options.variance),
        "ddim": partial(sampling.ddim_step, eta=options.eta),
    }[options.sampler]
    return sampling.sample(
        model.denoiser(),
        schedule,
        (options.n, *model.shape),
        step=step,
        steps=options.steps,
        chunk=options.chunk,
        generator=torch.Generator(device).manual_seed(options.seed),
        progress=True,
    ).cpu()


def _bits(model: pretrained.Pretrained, held_out: Tensor, options: Namespace) -> dict:
    """The bound on held-out data, in bits a coordinate, with its standard error."""
    schedule = model.schedule()
    device = schedule.beta.device
    x0 = held_out[: options.images].to(device)
    if x0.ndim == 2:
        kind: dict = {"decoder": "continuous"}
    else:
        # the digits of scikit-learn have 17 grey levels, all others 256
        bins = 17 if model.about["data"] == "digits" else 256
        kind = {"decoder": "discrete", "bins": bins}
    bound = variational_bound(
        model.denoiser(),
        schedule,
        x0,
        generator=torch.Generator(device).manual_seed(options.seed),
        times=options.times,
        **kind,
    )
    return {
        "value": bound.bits_per_dim,
        "standard_error": bound.standard_error,
        "images": len(x0),
        "times": options.times,
    } | kind


def _frechet(name: str, x: Tensor, other: Tensor, held_out: Tensor) -> dict:
    try:
        network = pretrained.classifier(name)
    except ValueError as error:
        return {"value": None, "why": str(error)}
    x, other, held_out = (features(network, v) for v in (x, other, held_out))
    return _beside_floor(metrics.frechet_distance, x, other, held_out) | {
        "features": f"the {x.shape[1]} of the package's classifier of {name}"
    }


def _beside_floor(distance, x: Tensor, other: Tensor, held_out: Tensor) -> dict:
    """The distance of samples from held-out data, and that of as much real data."""
    return {"value": distance(x, held_out), "floor": distance(other, held_out)}


def _how(model: pretrained.Pretrained, options: Namespace) -> dict:
    names = ("checkpoint", "steps", "sampler", "variance", "eta", "seed")
    about = {k: list(v) if isinstance(v, tuple) else v for k, v in model.about.items()}
    return {name: getattr(options, name) for name in names} | {"network": about}


def _write_grid(x: Tensor, folder: Path) -> None:
    """All samples as one picture: a grid of images, or points in the plane."""
    with checkpoints.replacing(folder / "grid.png") as file:
        if x.ndim > 2:
            _write_image(plotting.tiled(x, columns=math.ceil(len(x) ** 0.5)), file)
        else:
            figure, ax = plt.subplots()
            ax.plot(*x[:, :2].T, ".", markersize=2)
            ax.set_aspect("equal")
            figure.savefig(file, format="png")
            plt.close(figure)


def _write_image(image: Tensor, file: BinaryIO) -> None:
    pixels = plotting.to_pixels(image).squeeze(-1).numpy()
    plt.imsave(file, pixels, cmap="gray", vmin=0, vmax=1, format="png")


def _write_json(path: Path, report: dict) -> None:
    text = json.dumps(report, indent=1)
    with checkpoints.replacing(path) as file:
        file.write(text.encode())
    print(text)
