"""What the commands of ``python -m ddpm_course`` do."""

from __future__ import annotations

import json
import math
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ddpm_course import training
from ddpm_course.devices import device, named_device
from ddpm_course.lab import checkpoints, evaluation, grading, output, pretrained
from ddpm_course.lab.classifier import features, predict, train_classifier
from ddpm_course.lab.datasets import DATA, DataSet, load_data
from ddpm_course.lab.drawing import draw
from ddpm_course.lab.pretrained import Pretrained
from ddpm_course.lab.runs import About, fingerprint, rank
from ddpm_course.schedules import make_schedule
from ddpm_course.unet import network_for


def run_train(options: Namespace) -> None:
    settings = training.Settings(**_known(options, training.Settings))
    folder = Path(options.data).expanduser().resolve()
    out = options.out or Path(f"{folder.name or 'run'}.pt")
    if options.data not in DATA and folder in out.resolve().parents:
        raise ValueError(
            f"--out {out} lies in the folder of the pictures: give another place"
        )
    if options.resume and not (out.exists() or checkpoints.previous(out).exists()):
        print(f"nothing at {out} to resume: a new run starts", file=sys.stderr)
    if not (options.resume or options.overwrite):
        for path in (out, *output.loss_files(out)):
            output.check_free(path, False)
    checkpoints.check_writable(out)
    with _processes(options):
        where = _device(options)
        x = _data(options, options.data).train
        about = _about(options, x)
        torch.manual_seed(settings.seed)
        network = _network(about, settings, options.start_from).to(where)
        try:
            trained = training.train(
                network,
                make_schedule(about.schedule, about.T),
                x,
                settings,
                checkpoint=out,
                save_every=options.save_every,
                resume=options.resume,
                overwrite=options.overwrite,
                about=about,
            )
        except (KeyboardInterrupt, SystemExit):
            if rank() == 0:
                output.write_losses(out)
            raise
        if rank() == 0:
            curve = output.write_losses(out)
            loss = round(trained.losses[-100:].mean().item(), 4)
            print(json.dumps({"checkpoint": str(out), "loss": loss, "curve": curve}))


def run_export(options: Namespace) -> None:
    output.check_free(options.out, options.overwrite)
    pretrained.export(options.checkpoint, options.out)
    print(json.dumps({"network": str(options.out)}))


def run_classifier(options: Namespace) -> None:
    output.check_free(options.out, options.overwrite)
    data = _data(options, options.data)
    if data.train_labels is None or data.test_labels is None:
        raise ValueError(
            f"--data {options.data} has no labels: put the pictures of each class into "
            "a subfolder of its own, or use digits, mnist or fashion-mnist"
        )
    images = data.train.to(_device(options))
    network = train_classifier(
        images, data.train_labels, options.steps, options.seed, progress=True
    ).cpu()
    right = predict(network, data.test) == data.test_labels
    about = {
        "data": _name(options.data),
        "steps": options.steps,
        "accuracy": right.float().mean().item(),
    }
    content = {"format": pretrained.CLASSIFIER, "about": about}
    checkpoints.write(options.out, content | {"weights": network.state_dict()})
    print(json.dumps({"classifier": str(options.out)} | about))


def run_grade(options: Namespace) -> None:
    if not options.folder.is_dir():
        raise ValueError(f"{options.folder}: expected a folder that holds notebooks")
    output.check_free(options.out, options.overwrite)
    grades = []
    for grade in grading.grade(options.folder, options.seconds):
        grades.append(grade)
        said = f"{grade.name}: {grade.solved} of {len(grade.states)} solved"
        print(f"{said}; {grade.trouble}" if grade.trouble else said, file=sys.stderr)
    with checkpoints.replacing(options.out) as file:
        file.write(grading.table(grades).encode())
    print(json.dumps({"table": str(options.out), "notebooks": len(grades)}))


def run_sample(options: Namespace) -> None:
    folder = output.Folder(options.out, "samples.json", options.overwrite)
    model, told = _load(options, labels=bool(options.label)), _told(options)
    _check_labels(model, options)
    image = len(model.shape) > 1
    names = ["grid.png", *(["chain.gif"] if options.gif else [])]
    names += [f"{i:05}.png" for i in range(options.n)] if image else ["points.csv"]
    with folder.replacing(names) as write:
        chain = draw(model, options.n, options, **told)
        x, frames = _last(chain, options.gif)
        output.write_grid(x, write("grid.png"))
        if image:
            for i, one in enumerate(x):
                output.write_image(one, write(f"{i:05}.png"))
        else:
            output.write_points(x, write("points.csv"))
        if options.gif:
            output.write_gif(frames, write("chain.gif"))
        report = {"n": len(x), "shape": list(model.shape)} | told
        report |= _how(model, options)
        folder.write_record(report, names)
    print(f"{len(x)} samples in {folder.path}, all in grid.png", file=sys.stderr)
    print(json.dumps(report, indent=1))


def run_evaluate(options: Namespace) -> None:
    folder = output.Folder(options.out, "evaluation.json", options.overwrite)
    model = _load(options)
    data = _data_of(model, options)
    if options.classifier:  # a wrong one fails before the work
        features(pretrained.load_classifier(options.classifier), data.test[:1])
    with folder.replacing(["grid.png"]) as write:
        bits = evaluation.bits(
            model,
            data.test[: options.images],
            levels=data.levels,
            times=options.times,
            variance=options.variance,
            chunk=options.chunk,
            seed=options.seed,
        )
        n = min(options.n, len(data.train), len(data.test))
        x, _ = _last(draw(model, n, options))
        report = _how(model, options) | {"samples": n, "bits_per_dim": bits}
        report |= evaluation.distances(
            x,
            data,
            name=_name(model.about.data),
            classifier=options.classifier,
            seed=options.seed,
        )
        output.write_grid(x[:100] if x.ndim > 2 else x, write("grid.png"))
        folder.write_record(report, ["grid.png"])
    print(json.dumps(report, indent=1))


# --- what a run is made of ----------------------------------------------------------


@contextmanager
def _processes(options: Namespace) -> Iterator[None]:
    """Join the other processes, where torchrun started them."""
    if "RANK" not in os.environ:
        yield
        return
    on_gpu = _device(options).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def _device(options: Namespace) -> torch.device:
    return named_device(options.device, "--device ") if options.device else device()


def _known(options: Namespace, settings: Any) -> dict:
    names = {field.name for field in fields(settings)}
    return {name: value for name, value in vars(options).items() if name in names}


def _channels(options: Namespace) -> int | None:
    if options.gray and options.color:
        raise ValueError("--gray and --color are both given: choose one")
    return 1 if options.gray else 3 if options.color else None


def _data(options: Namespace, name: str) -> DataSet:
    data = load_data(name, options.size, _channels(options))
    if rank() == 0 and data.summary:
        split = f"{len(data.train)} to learn from, {len(data.test)} held out"
        print(f"{data.summary}; {split}", file=sys.stderr)
    if rank() == 0 and name in DATA and Path(name).is_dir():
        print(f"{name} is the data set; for the folder say ./{name}", file=sys.stderr)
    return data


def _data_of(model: Pretrained, options: Namespace) -> DataSet:
    """The data that the network was trained on, or those that --data names."""
    about = model.about
    name = options.data or about.data
    if name not in DATA and not Path(name).expanduser().is_dir():
        raise ValueError(
            f"{options.checkpoint} was trained on the folder {name!r}, which is not "
            "there: say where it is with --data FOLDER"
        )
    data = load_data(name, about.size, about.shape[0] if len(about.shape) > 1 else None)
    if tuple(data.train.shape[1:]) != about.shape:
        raise ValueError(
            f"--data {name} has elements of shape {tuple(data.train.shape[1:])}, the "
            f"network was trained on {about.shape}: give data of that shape"
        )
    known = model.identity.get("data values")
    if known and known != fingerprint(data.train):
        print(
            f"warning: {name} has changed since the network was trained: pictures that "
            "it learned from may be held out now",
            file=sys.stderr,
        )
    return data


def _name(data: str) -> str:
    """A data set's name, or the last part of a folder's path and a slash."""
    return data if data in DATA else f"{Path(data).name}/"


def _about(options: Namespace, x: Tensor) -> About:
    shape = tuple(x.shape[1:])
    step = 2 * max(1, options.patch)
    if options.data not in DATA and any(side % step for side in shape[1:]):
        raise ValueError(
            f"--size {'x'.join(map(str, shape[1:]))}: expected multiples of {step} "
            f"(better of {2 * step}) with --patch {options.patch}, since the network "
            "halves the pictures: without that it is many times slower"
        )
    # evaluate may be called from another folder
    known = options.data in DATA
    return About(
        data=options.data if known else str(Path(options.data).expanduser().resolve()),
        size=options.size,
        schedule=options.schedule,
        T=options.T,
        shape=shape,
        channels=options.channels,
        blocks=options.blocks,
        patch=options.patch,
        reach=x.abs().max().item(),
    )


def _network(about: About, settings: training.Settings, start: str | None) -> nn.Module:
    """A new network, or a copy of a trained one to go on from."""
    if start is None:
        return network_for(
            about.shape, about.channels, about.blocks, about.patch, about.T
        )
    model = pretrained.load_network(pretrained.file_of(start))
    mine, its = asdict(about), asdict(model.about)
    mine, its = mine | {"kind": settings.kind}, its | {"kind": model.kind}
    names = ("shape", "channels", "blocks", "patch", "T", "schedule", "kind", "classes")
    told = [f"{n}={its[n]!r} (now {mine[n]!r})" for n in names if mine[n] != its[n]]
    if told:
        raise ValueError(
            f"--start-from {start} has {', '.join(told)}: train with its values"
        )
    return model.network.requires_grad_(True)


def _told(options: Namespace) -> dict:
    """What ``draw`` is told of labels, and the record too. Raises without a label."""
    if options.label:
        w = 1.0 if options.guidance is None else options.guidance
        return {"label": options.label, "guidance": w}
    if options.guidance is not None:
        raise ValueError(
            f"--guidance {options.guidance:g} has no label to lead to: expected "
            "--label, too, such as --label 3"
        )
    return {}


def _check_labels(model: Pretrained, options: Namespace) -> None:
    """Raise ValueError unless the network knows the labels."""
    classes = model.about.classes
    for label in options.label or ():
        if not classes:
            raise ValueError(
                f"--label {label}: {options.checkpoint} was trained without labels; "
                f"leave --label out, or use --checkpoint {pretrained.NETWORKS[1]}"
            )
        if not 0 <= label < classes:
            raise ValueError(
                f"--label {label}: expected 0 … {classes - 1}, the classes of "
                f"{options.checkpoint}; for images of all classes leave it out"
            )


def _load(options: Namespace, labels: bool = False) -> Pretrained:
    plain, by_class, _ = pretrained.NETWORKS
    options.checkpoint = options.checkpoint or (by_class if labels else plain)
    model = pretrained.load_network(pretrained.file_of(options.checkpoint))
    model.network.to(_device(options))
    options.steps = options.steps or min(100, model.about.T)
    return model


def _last(chain: Iterator[Tensor], keep: bool = False) -> tuple[Tensor, list[Tensor]]:
    """The last state of a chain and, if asked for, up to 60 of those before."""
    states: list[Tensor] = []
    for x in chain:
        if not keep:
            states.clear()
        states.append(x.cpu())
    every = math.ceil(len(states) / 60)
    return states[-1], [*states[:-1:every], states[-1]]


def _how(model: Pretrained, options: Namespace) -> dict:
    option = {"ancestral": ["variance"], "ddim": ["eta"]}.get(options.sampler, [])
    names = ("checkpoint", "steps", "sampler", *option, "seed")
    how = {name: getattr(options, name) for name in names}
    about = asdict(model.about) | {"data": _name(model.about.data)}
    return how | {"network": about}
