"""``python -m ddpm_course``: training, sampling and measuring outside a notebook."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ddpm_course import __version__, training
from ddpm_course.lab import commands, datasets, drawing
from ddpm_course.lab.checkpoints import CheckpointError
from ddpm_course.parameterization import KINDS
from ddpm_course.posterior import VARIANCES
from ddpm_course.schedules import SCHEDULES

EPILOG = (
    "Environment: DDPM_DEVICE is the device if --device isn't given (cpu, cuda, "
    "cuda:1); DDPM_DATA is the folder for downloaded data sets."
)
Add = Callable[..., None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if it went well, else one clear line on stderr and 1 or more."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal may lack letters such as σ
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            options.run(options)
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped; nothing new was saved", file=sys.stderr)
        return 130
    except (
        ValueError,
        TypeError,
        OSError,
        ImportError,
        CheckpointError,
        FloatingPointError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        print(
            "error: out of memory; a smaller --chunk needs less, or in train a smaller "
            "--batch-size, --channels or --size",
            file=sys.stderr,
        )
        return 1
    return 0


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; on a CPU torch says so in words only."""
    said = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "not enough memory" in said
        or "can't allocate memory" in said
    )


def _number(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number >= {least}")
    return value


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _count(text: str) -> int:
    return _number(text, 1)


def _several(text: str) -> int:
    return _number(text, 2)


def _seed(text: str) -> int:
    return _number(text, 0)


def _label(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected the number of a class, counted from 0, such as 3"
        ) from None


def _scale(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a number >= 0, where 0 ignores the label and 1 is "
            "conditional"
        )
    return value


def _size(text: str) -> int | tuple[int, int]:
    try:
        sides = [int(side) for side in text.lower().split("x")]
    except ValueError:
        sides = []
    if not 1 <= len(sides) <= 2 or min(sides) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a side such as 32, or height and width such as 32x48"
        )
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _width(text: str) -> int:
    value = _number(text, 1)
    if value < 4 or value % 2:
        raise argparse.ArgumentTypeError(
            f"{text!r}: the width of the network is an even number >= 4; for gray "
            "pictures use --gray, for colored ones --color"
        )
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ddpm-course",
        description="Denoising diffusion probabilistic models from the command line.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable, help: str, description: str) -> Add:
        one = subparsers.add_parser(
            name,
            help=help,
            description=description,
            epilog=EPILOG,
        )
        one.set_defaults(run=run)

        def add(*names: str, help: str, default: Any = None, **kinds: Any) -> None:
            """An argument, whose help says its default if there is one."""
            if default is not None:
                help, kinds = (
                    f"{help} (default: %(default)s)",
                    kinds | {"default": default},
                )
            one.add_argument(*names, help=help, **kinds)

        return add

    _train(command)
    _sample(command)
    _evaluate(command)

    add = command(
        "export",
        commands.run_export,
        "keep only what sampling needs of a checkpoint",
        "Write the averaged weights of a checkpoint, and what they were trained on.",
    )
    add("checkpoint", type=_path, help="a checkpoint that train wrote")
    _out(add, Path("network.pt"), "the file to write")

    add = command(
        "classifier",
        commands.run_classifier,
        "train the classifier whose features the Fréchet distance uses",
        "Train a small classifier on labeled images and write its weights.",
    )
    _data(add, "digits")
    _out(add, Path("classifier.pt"), "the file to write")
    add("--steps", type=_count, default=1000, help="steps of 128 images")
    add("--seed", type=_seed, default=0, help="the same seed gives the same weights")
    add("--device", help="where to compute: cpu, cuda or cuda:1")

    add = command(
        "grade",
        commands.run_grade,
        "run students' notebooks and write which exercises are solved",
        "Run every notebook of a folder and write a table of the exercises that are "
        "solved. Notebooks are programs: run those of others in a container.",
    )
    add("folder", type=_path, help="where the notebooks are, also in subfolders")
    _out(add, Path("grades.csv"), "the table to write")
    add("--seconds", type=_count, default=1200, help="time limit for one cell")
    return parser


def _out(add: Add, default: Path | None, help: str) -> None:
    add("--out", type=_path, default=default, help=help)
    add("--overwrite", action="store_true", help="replace what is there")


def _data(add: Add, default: str) -> None:
    known = ", ".join(datasets.DATA)
    add(
        "--data",
        default=default,
        help=f"{known}, or a folder of at least 20 pictures; subfolders are classes, "
        "which only the command classifier uses",
    )
    add(
        "--size",
        type=_size,
        default=32,
        help="for a folder: the pictures are cropped around their center and scaled to "
        "this side, or height x width",
    )
    add(
        "--gray",
        action="store_true",
        help="for a folder: one channel (default: decided from the pictures)",
    )
    add("--color", action="store_true", help="for a folder: three channels, RGB")


def _train(command: Callable[..., Add]) -> None:
    settings = training.Settings()
    add = command(
        "train",
        commands.run_train,
        "train a network and write a checkpoint",
        "Train a network on points or images and write a checkpoint, its losses as CSV "
        "and a picture of them. Ctrl-C stops after the current step and saves. "
        "Several processes: torchrun --nproc-per-node=2 -m ddpm_course train …",
    )
    _data(add, "digits")
    _out(add, None, "the checkpoint to write; named after the data unless given")
    add(
        "--resume",
        action="store_true",
        help="go on from --out, if it is there, with the same settings; a larger "
        "--steps prolongs the run",
    )
    add(
        "--start-from",
        help="fine-tune: start from the weights of a file of train or export, or of "
        "fashion-mnist; a smaller --lr suits",
    )
    add("--steps", type=int, default=settings.steps, help="steps of gradient descent")
    add("--batch-size", type=int, default=settings.batch_size, help="images per step")
    add("--lr", type=float, default=settings.lr, help="the highest learning rate")
    add("--kind", choices=KINDS, default="v", help="what the network predicts")
    add("--schedule", choices=SCHEDULES, default="cosine", help="the noise schedule")
    add("--T", type=int, default=1000, help="steps of the forward process")
    add("--channels", type=_width, default=32, help="width of the network")
    add("--blocks", type=int, default=2, help="residual blocks per level")
    add(
        "--patch",
        type=int,
        default=1,
        help="side of the squares of pixels that the network takes as one: 2 is faster",
    )
    add("--warmup", type=int, default=settings.warmup, help="steps up to --lr")
    add("--ema", type=float, default=settings.ema, help="decay of averaged weights")
    add("--seed", type=_seed, default=0, help="the same seed gives the same weights")
    add("--amp", action="store_true", help="run the network in bfloat16")
    add("--compile", action="store_true", help="compile the network first")
    add("--save-every", type=int, default=500, help="steps between checkpoints")
    add("--device", help="where to compute: cpu, cuda or cuda:1")


def _network(add: Add, folder: str) -> None:
    """What sample and evaluate have in common."""
    add(
        "--checkpoint",
        help="a file that train or export wrote, or a network that comes with the "
        "package: fashion-mnist, or fashion-mnist-by-class or digits-by-class, which "
        "take labels (default: the first, and with --label the second)",
    )
    _out(add, Path(folder), "the folder to write to")
    add(
        "--steps",
        type=_count,
        help="number of sampling steps, at most the network's T; 100 unless given",
    )
    add(
        "--sampler",
        choices=drawing.SAMPLERS,
        default="ancestral",
        help="how to step: ancestral draws fresh noise at every step; ddim, heun and "
        "multistep follow the probability flow of chapter 8 and make do with fewer "
        "steps, multistep with the fewest; heun calls the network twice in each step "
        "but the last",
    )
    add(
        "--variance",
        choices=VARIANCES,
        default="beta_tilde",
        help="of the ancestral step; beta needs many steps",
    )
    add("--eta", type=float, default=0.0, help="fresh noise of the DDIM step, 0 … 1")
    add("--chunk", type=_count, help="images per call, if memory is short")
    add(
        "--seed",
        type=_seed,
        default=0,
        help="the same seed gives the same samples; with a larger --n, more of them",
    )
    add("--device", help="where to compute: cpu, cuda or cuda:1")


def _sample(command: Callable[..., Add]) -> None:
    add = command(
        "sample",
        commands.run_sample,
        "draw new images or points from a trained network",
        "Draw samples and write each as an image, all as a grid, and a JSON that says "
        "how they were made.",
    )
    add("--n", type=_count, default=64, help="how many samples")
    add(
        "--label",
        type=_label,
        nargs="+",
        metavar="CLASS",
        help="draw images of this class, counted from 0, or of several in turn, for a "
        "network that takes labels",
    )
    add(
        "--guidance",
        type=_scale,
        metavar="W",
        help="scale of what the label adds: 0 ignores the label, 1 is conditional, "
        "and more makes images more typical and less diverse; unless it is 1, the "
        "network is called twice as often (default: 1)",
    )
    add("--gif", action="store_true", help="write the chain as an animation, too")
    _network(add, "samples")


def _evaluate(command: Callable[..., Add]) -> None:
    add = command(
        "evaluate",
        commands.run_evaluate,
        "measure a trained network: bits per dimension, distance of its samples",
        "Bound the bits per dimension of held-out data, with its standard error, and "
        "measure how far samples are from them, beside the distance of real data "
        "(the floor). Writes evaluation.json and the grid of samples.",
    )
    add("--n", type=_several, default=1000, help="samples for the distance, at most")
    add("--images", type=_several, default=200, help="held-out data for the bound")
    add("--times", type=_count, default=50, help="random times for each of them")
    add(
        "--data",
        help="the data the network was trained on, if the folder has moved",
    )
    add(
        "--classifier",
        type=_path,
        help="a file that classifier wrote, for the features of the Fréchet distance; "
        "digits and fashion-mnist have one in the package",
    )
    _network(add, "evaluation")


if __name__ == "__main__":
    sys.exit(main())
