"""What the commands of ``python -m ddpm_course`` do."""

from __future__ import annotations

import json
import math
import os
from argparse import Namespace
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import BinaryIO

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from ddpm_course import plotting, sampling, training
from ddpm_course.devices import device
from ddpm_course.lab import checkpoints, datasets, evaluation, pretrained
from ddpm_course.lab.classifier import features, predict, train_classifier
from ddpm_course.lab.datasets import load_data, load_labeled
from ddpm_course.lab.runs import About
from ddpm_course.schedules import make_schedule
from ddpm_course.unet import network_for

SAMPLERS = ("ancestral", "ddim")


def run_train(options: Namespace) -> None:
    if "RANK" in os.environ:  # started by torchrun
        on_gpu = device().type == "cuda"
        if on_gpu:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if on_gpu else "gloo")
    if options.data not in datasets.DATA and Path(options.data).is_dir():
        # evaluate may be called from another folder
        options.data = str(Path(options.data).resolve())
    x = load_data(options.data, options.size)
    torch.manual_seed(options.seed)
    about = About(
        data=options.data,
        size=options.size,
        schedule=options.schedule,
        T=options.T,
        shape=tuple(x.shape[1:]),
        channels=options.channels,
        blocks=options.blocks,
        patch=options.patch,
        reach=x.abs().max().item(),
    )
    network = network_for(
        about.shape, about.channels, about.blocks, about.patch, about.T
    ).to(device())
    fields = training.Settings.__dataclass_fields__
    settings = training.Settings(
        **{name: value for name, value in vars(options).items() if name in fields}
    )
    trained = training.train(
        network,
        make_schedule(options.schedule, options.T),
        x,
        settings,
        checkpoint=options.out,
        save_every=options.save_every,
        resume=options.resume,
        about=about,
    )
    last = trained.losses[-100:].mean().item()
    print(json.dumps({"checkpoint": str(options.out), "loss": round(last, 4)}))
    if dist.is_initialized():
        dist.destroy_process_group()


def run_export(options: Namespace) -> None:
    pretrained.export(options.checkpoint, options.out)
    print(json.dumps({"network": str(options.out)}))


def run_classifier(options: Namespace) -> None:
    network = train_classifier(
        *load_labeled(options.data, "train"), options.steps, options.seed, progress=True
    )
    images, labels = load_labeled(options.data, "test")
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


def run_sample(options: Namespace) -> None:
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


def run_evaluate(options: Namespace) -> None:
    model = _load(options.checkpoint)
    name, size = model.about.data, model.about.size
    seen, held_out = (load_data(name, size, split) for split in ("train", "test"))
    if options.classifier:  # a wrong one fails before the work
        features(pretrained.load_classifier(options.classifier), held_out[:1])
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
        model = pretrained.load_network(checkpoint)
    model.network.to(device())
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
    how = {name: getattr(options, name) for name in names}
    return how | {"network": asdict(model.about)}


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
