"""Trained networks: those that come with the package, and any checkpoint's.

The files in ``weights/`` hold tensors and plain values, and are read without running
any code; ``weights/README.md`` has the commands that made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ddpm_course.lab import checkpoints
from ddpm_course.lab.checkpoints import CheckpointError
from ddpm_course.lab.classifier import Classifier
from ddpm_course.parameterization import Denoiser
from ddpm_course.schedules import NoiseSchedule, make_schedule
from ddpm_course.unet import MLP, UNet

WEIGHTS = Path(__file__).parents[1] / "weights"
NETWORK = "ddpm_course network 1"
CLASSIFIER = "ddpm_course classifier 1"
#: The data whose classifiers come with the package.
CLASSIFIERS = ("digits", "fashion-mnist")
#: What a file must say of its network.
NEEDED = ("shape", "channels", "blocks", "patch", "T", "schedule", "data", "size")


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A trained network, averaged weights, with what one must know to use it.

    ``kind`` is what it predicts; ``about`` says what it was trained on and how.
    """

    network: nn.Module
    kind: str
    about: dict

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image or point."""
        return tuple(self.about["shape"])

    def schedule(self) -> NoiseSchedule:
        """The schedule that it was trained with, on the network's device."""
        schedule = make_schedule(self.about["schedule"], self.about["T"])
        return schedule.to(next(self.network.parameters()).device)

    def denoiser(self) -> Denoiser:
        """(x_t, t) → x̂_0, clipped to the range of the data."""
        clip = self.about.get("reach", 1.0)
        return Denoiser(self.network, self.schedule(), self.kind, clip=clip)


def network_for(
    shape: Sequence[int], channels: int, blocks: int = 2, patch: int = 1, T: int = 1000
) -> nn.Module:
    """A network for points of shape (D,) or images of shape (C, H, W).

    Raises ValueError for sizes that no network has.
    """
    if min(channels, blocks, patch) < 1:
        raise ValueError(
            f"channels={channels}, blocks={blocks}, patch={patch}: expected ints >= 1"
        )
    if len(shape) == 1:
        return MLP(shape[0], 4 * channels, T=T)
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
        T=T,
    )


def fashion_mnist() -> Pretrained:
    """The network for Fashion-MNIST, (1, 28, 28), that comes with the package."""
    return load(WEIGHTS / "fashion_mnist.pt")


def load(path: Path | str) -> Pretrained:
    """The network of a checkpoint of ``train``, or of a file of ``export``, on the CPU.

    Raises CheckpointError for a file that is neither, or that is damaged.
    """
    content = checkpoints.read(path, checkpoints.FORMAT, NETWORK)
    about = content["about"]
    missing = [name for name in NEEDED if name not in about]
    if missing:
        raise CheckpointError(
            f"{path} does not say its {', '.join(missing)}: give a checkpoint of "
            "python -m ddpm_course train"
        )
    weights = content["weights" if content["format"] == NETWORK else "ema"]
    names = ("shape", "channels", "blocks", "patch", "T")
    network = network_for(**{name: about[name] for name in names})
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: {error}") from error
    kind = content["settings"]["kind"]
    return Pretrained(network.eval().requires_grad_(False), kind, about)


def export(checkpoint: Path | str, out: Path | str) -> None:
    """Write what sampling needs of a checkpoint: the averaged weights, and about them.

    Raises CheckpointError as ``load`` does.
    """
    load(checkpoint)  # what cannot be loaded is not worth keeping
    content = checkpoints.read(checkpoint)
    kept = {name: content[name] for name in ("step", "settings", "about")}
    kept["loss"] = content["losses"][-1000:].mean().item()
    checkpoints.write(out, kept | {"format": NETWORK, "weights": content["ema"]})


def classifier(source: Path | str) -> Classifier:
    """A classifier, for features to compare with.

    ``source`` is "digits" or "fashion-mnist", whose classifiers come with the package,
    or a file of ``python -m ddpm_course classifier``. Raises ValueError if it is
    neither, CheckpointError for another or a damaged file.
    """
    if str(source) in CLASSIFIERS:
        source = WEIGHTS / f"{str(source).replace('-', '_')}_classifier.pt"
    elif not Path(source).is_file():
        raise ValueError(
            f"there is no classifier {str(source)!r}: expected 'digits', "
            "'fashion-mnist', or a file of python -m ddpm_course classifier"
        )
    weights = checkpoints.read(source, CLASSIFIER)["weights"]
    try:
        channels = weights["body.0.weight"].shape[1]
        network = Classifier(channels, classes=len(weights["head.weight"]))
        network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{source}: {error}") from error
    return network.eval().requires_grad_(False)
