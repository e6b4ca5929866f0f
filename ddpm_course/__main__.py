"""``python -m ddpm_course``: training outside a notebook."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ddpm_course import data, training
from ddpm_course.checkpoints import CheckpointError
from ddpm_course.oracle import GaussianMixture
from ddpm_course.parameterization import KINDS
from ddpm_course.schedules import SCHEDULES, make_schedule
from ddpm_course.unet import MLP, UNet

DATA = ("ring", "moons", "digits", "mnist", "fashion-mnist")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if it went well, 1 with one clear line on stderr if not."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError, CheckpointError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; --resume goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ddpm_course",
        description="Denoising diffusion probabilistic models from the command line.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="train a network and write a checkpoint",
        description="Train a network on points or images and write a checkpoint. "
        "Several processes: torchrun --nproc-per-node=2 -m ddpm_course train …",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    train.set_defaults(run=_train)
    settings = training.Settings()
    add = train.add_argument
    add("--data", default="digits", help=f"{', '.join(DATA)}, or a folder of images")
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
    return parser


def load(name: str, size: int = 32) -> Tensor:
    """The training data of that name, or all images of a folder."""
    generator = torch.Generator().manual_seed(0)
    if name == "ring":
        return GaussianMixture.ring().sample(50_000, generator).float()
    if name == "moons":
        return data.moons(50_000, generator)
    if name == "digits":
        return data.digits()
    if name == "mnist":
        return data.mnist()[0]
    if name == "fashion-mnist":
        return data.fashion_mnist()[0]
    if Path(name).is_dir():
        return data.image_folder(name, size)
    raise ValueError(
        f"--data {name}: expected {', '.join(DATA)}, or a folder of images"
    )


def network_for(
    shape: Sequence[int], channels: int, blocks: int = 2, patch: int = 1
) -> nn.Module:
    """A network for points of shape (D,) or images of shape (C, H, W)."""
    if len(shape) == 1:
        return MLP(shape[0], 4 * channels)
    levels = 1
    while levels < 3 and all(side % (patch * 2**levels) == 0 for side in shape[1:]):
        levels += 1
    return UNet(
        shape[0],
        channels,
        (1, 2, 2)[:levels],
        blocks,
        attention_levels=(levels - 1,),
        patch=patch,
    )


def _train(options: argparse.Namespace) -> None:
    if "RANK" in os.environ:  # started by torchrun
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    x = load(options.data, options.size)
    torch.manual_seed(options.seed)
    shape = tuple(x.shape[1:])
    network = network_for(shape, options.channels, options.blocks, options.patch)
    network = network.to(training.device())
    names = training.Settings.__dataclass_fields__
    settings = training.Settings(
        **{name: value for name, value in vars(options).items() if name in names}
    )
    names = ("data", "size", "schedule", "T", "channels", "blocks", "patch")
    about = {name: getattr(options, name) for name in names} | {"shape": shape}
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


if __name__ == "__main__":
    sys.exit(main())
