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

from ddpm_course import data, plotting, sampling, training
from ddpm_course.lab import checkpoints, evaluation, pretrained
from ddpm_course.lab.classifier import features, predict, train_classifier
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
        images = data.image_folder(name, size)
        if len(images) < 20:
            raise ValueError(
                f"--data {name}: {len(images)} images; expected at least 20, of which "
                "every tenth is held out"
            )
        tenth = torch.arange(len(images)) % 10 == 9
        return images[tenth if split == "test" else ~tenth]
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
        on_gpu = training.device().type == "cuda"
        if on_gpu:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if on_gpu else "gloo")
    if options.data not in DATA and Path(options.data).is_dir():
        # evaluate may be called from another folder
        options.data = str(Path(options.data).resolve())
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
        *labelled(options.data, "train"), options.steps, options.seed, progress=True
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
    record = options.out / "samples.json"
    if record.exists():  # of an earlier call, perhaps with more samples
        earlier = json.loads(record.read_text(encoding="utf-8"))
        for i in range(earlier["n"]):
            (options.out / f"{i:05}.png").unlink(missing_ok=True)
    _write_grid(x, options.out)
    if x.ndim > 2:
        for i, image in enumerate(x):
            with checkpoints.replacing(options.out / f"{i:05}.png") as file:
                _write_image(image, file)
    else:
        with checkpoints.replacing(options.out / "points.csv") as file:
            np.savetxt(file, x, delimiter=",")
    report = {"n": len(x), "shape": list(model.shape)} | _how(model, options)
    _write_json(record, report)


def evaluate(options: Namespace) -> None:
    model = _load(options.checkpoint)
    name, size = model.about["data"], model.about["size"]
    seen, held_out = (load(name, size, split) for split in ("train", "test"))
    if options.classifier:  # a wrong one fails before the work
        features(pretrained.classifier(options.classifier), held_out[:1])
    bits = evaluation.bits(
        model,
        held_out[: options.images],
        times=options.times,
        variance=options.variance,
        chunk=options.chunk,
        seed=options.seed,
    )
    options.n = min(options.n, len(seen), len(held_out))
    x = _draw(model, options)
    report = _how(model, options) | {"samples": len(x), "bits_per_dim": bits}
    report |= evaluation.distances(
        name, x, seen, held_out, options.seed, options.classifier
    )
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
    denoiser = model.denoiser()
    device = denoiser.schedule.beta.device
    step = {
        "ancestral": partial(sampling.ancestral_step, variance=options.variance),
        "ddim": partial(sampling.ddim_step, eta=options.eta),
    }[options.sampler]
    return sampling.sample(
        denoiser,
        denoiser.schedule,
        (options.n, *model.shape),
        step=step,
        steps=options.steps,
        chunk=options.chunk,
        generator=torch.Generator(device).manual_seed(options.seed),
        progress=True,
    ).cpu()


def _how(model: pretrained.Pretrained, options: Namespace) -> dict:
    option = "variance" if options.sampler == "ancestral" else "eta"
    names = ("checkpoint", "steps", "sampler", option, "seed")
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
    from PIL import Image

    pixels = (plotting.to_pixels(image) * 255).round().byte().squeeze(-1)
    Image.fromarray(pixels.numpy()).save(file, format="png")


def _write_json(path: Path, report: dict) -> None:
    text = json.dumps(report, indent=1, allow_nan=False)
    with checkpoints.replacing(path) as file:
        file.write(text.encode())
    print(text)
