"""``python -m ddpm_course``: training, sampling and measuring outside a notebook."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ddpm_course import training
from ddpm_course.lab import commands, datasets
from ddpm_course.lab.checkpoints import CheckpointError
from ddpm_course.parameterization import KINDS
from ddpm_course.schedules import SCHEDULES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if it went well, 1 with one clear line on stderr if not."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError, CheckpointError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except torch.OutOfMemoryError:
        print(
            "error: out of memory; a smaller --chunk needs less, or a smaller "
            "--batch-size in train",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(f"stopped; {options.stopped}", file=sys.stderr)
        return 130
    return 0


def _count(text: str, least: int = 1) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number >= {least}")
    return value


def _several(text: str) -> int:
    return _count(text, 2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ddpm_course",
        description="Denoising diffusion probabilistic models from the command line.",
    )
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, help, description, stopped="what was written is whole"):
        one = commands_.add_parser(
            name,
            help=help,
            description=description,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        one.set_defaults(run=run, stopped=stopped)
        return one.add_argument

    _train(command)
    _sample(command)
    _evaluate(command)

    add = command(
        "export",
        commands.run_export,
        "keep of a checkpoint what sampling needs",
        "Write the averaged weights of a checkpoint, and what they were trained on.",
    )
    add("checkpoint", type=Path, help="a checkpoint that train wrote")
    add("--out", type=Path, default=Path("network.pt"), help="the file to write")

    add = command(
        "classifier",
        commands.run_classifier,
        "train the classifier whose features the Fréchet distance uses",
        "Train a small classifier on labelled images and write its weights.",
    )
    add("--data", choices=datasets.LABELED, default="digits", help="labelled images")
    add("--out", type=Path, default=Path("classifier.pt"), help="the file to write")
    add("--steps", type=int, default=1000, help="steps of 128 images")
    add("--seed", type=int, default=0, help="the same seed gives the same weights")
    return parser


def _train(command) -> None:
    settings = training.Settings()
    add = command(
        "train",
        commands.run_train,
        "train a network and write a checkpoint",
        "Train a network on points or images and write a checkpoint. "
        "Several processes: torchrun --nproc-per-node=2 -m ddpm_course train …",
        "--resume goes on from the last checkpoint",
    )
    data = f"{', '.join(datasets.DATA)}, or a folder of images"
    add("--data", default="digits", help=data)
    add("--size", type=int, default=32, help="height and width for a folder of images")
    add("--out", type=Path, default=Path("run.pt"), help="the checkpoint to write")
    add("--resume", action="store_true", help="go on from --out, if it is there")
    add("--steps", type=int, default=settings.steps, help="steps of gradient descent")
    add("--batch-size", type=int, default=settings.batch_size, help="images a step")
    add("--lr", type=float, default=settings.lr, help="the highest learning rate")
    add("--kind", choices=KINDS, default="v", help="what the network predicts")
    add("--schedule", choices=SCHEDULES, default="cosine", help="the noise schedule")
    add("--T", type=int, default=1000, help="steps of the forward process")
    add("--channels", type=int, default=32, help="width of the network")
    add("--blocks", type=int, default=2, help="residual blocks a level")
    add("--patch", type=int, default=1, help="side of the squares that are one pixel")
    add("--warmup", type=int, default=settings.warmup, help="steps up to --lr")
    add("--ema", type=float, default=settings.ema, help="decay of averaged weights")
    add("--seed", type=int, default=0, help="the same seed gives the same weights")
    add("--amp", action="store_true", help="run the network in bfloat16")
    add("--compile", action="store_true", help="compile the network first")
    add("--save-every", type=int, default=500, help="steps between checkpoints")


def _network(add, folder: str) -> None:
    """What sample and evaluate have in common."""
    add(
        "--checkpoint",
        default="fashion-mnist",
        help="a file that train or export wrote, or the network of that name that "
        "comes with the package",
    )
    add("--out", type=Path, default=Path(folder), help="the folder to write to")
    add("--steps", type=_count, default=100, help="calls of the network, at most its T")
    add("--sampler", choices=commands.SAMPLERS, default="ancestral", help="the step")
    add(
        "--variance",
        choices=("beta", "beta_tilde"),
        default="beta_tilde",
        help="of the ancestral step; beta wants many steps",
    )
    add("--eta", type=float, default=0.0, help="new noise of the ddim step, 0 … 1")
    add("--chunk", type=_count, default=None, help="images a call, if memory is short")
    add("--seed", type=int, default=0, help="the same seed gives the same samples")


def _sample(command) -> None:
    add = command(
        "sample",
        commands.run_sample,
        "draw new images or points from a trained network",
        "Draw samples and write each as an image, all as a grid, and a JSON that says "
        "how they were made.",
    )
    add("--n", type=_count, default=64, help="how many")
    _network(add, "samples")


def _evaluate(command) -> None:
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
        "--classifier",
        type=Path,
        default=None,
        help="a file that classifier wrote, for the features of the Fréchet distance; "
        "digits and fashion-mnist have one in the package",
    )
    _network(add, "evaluation")


if __name__ == "__main__":
    sys.exit(main())
