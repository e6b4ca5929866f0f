"""Trained networks: those that come with the package, and those of any checkpoint.

The files in ``weights/`` hold tensors and plain values, and are read without running
any code; ``weights/README.md`` has the commands that made them.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ddpm_course.guidance import labeled
from ddpm_course.lab import checkpoints
from ddpm_course.lab.checkpoints import CheckpointError
from ddpm_course.lab.classifier import Classifier
from ddpm_course.lab.datasets import DATA
from ddpm_course.lab.runs import About
from ddpm_course.parameterization import Denoiser
from ddpm_course.schedules import NoiseSchedule, make_schedule
from ddpm_course.unet import network_for

WEIGHTS = Path(__file__).parents[1] / "weights"
NETWORK = "ddpm_course network 1"
CLASSIFIER = "ddpm_course classifier 1"
#: The networks that come with the package; those by class take labels.
NETWORKS = ("fashion-mnist", "fashion-mnist-by-class", "digits-by-class")
#: The data whose classifiers come with the package.
CLASSIFIERS = ("digits", "fashion-mnist")


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A trained network with averaged weights, and what it takes to use it.

    ``kind`` is what it predicts; ``about`` says what it was trained on and how, and
    ``identity`` has fingerprints of the schedule and the data.
    """

    network: nn.Module
    kind: str
    about: About
    identity: dict = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image or point."""
        return self.about.shape

    def schedule(self) -> NoiseSchedule:
        """The schedule that it was trained with, on the network's device."""
        schedule = make_schedule(self.about.schedule, self.about.T)
        return schedule.to(next(self.network.parameters()).device)

    def denoiser(self, label: int | Tensor | None = None) -> Denoiser:
        """(x_t, t) → x̂_0, clipped to the range of the data.

        Args:
            label: The class of every image, or int64 (batch,), for a network with
                classes; -1 and None mean no label.
        """
        network = self.network if label is None else labeled(self.network, label)
        return Denoiser(network, self.schedule(), self.kind, clip=self.about.reach)


def fashion_mnist() -> Pretrained:
    """The network for Fashion-MNIST, (1, 28, 28), that comes with the package."""
    return load_network(file_of("fashion-mnist"))


def fashion_mnist_by_class() -> Pretrained:
    """The network that also takes a label 0 … 9, or -1, which comes with the package.

    ``denoiser(label)`` answers for the images of a class, ``denoiser()`` for all.
    """
    return load_network(file_of("fashion-mnist-by-class"))


def digits_by_class() -> Pretrained:
    """The network for scikit-learn's digits, (1, 8, 8), which comes with the package.

    ``denoiser(label)`` answers for the digit 0 … 9, ``denoiser()`` for all.
    """
    return load_network(file_of("digits-by-class"))


def file_of(name: str) -> Path:
    """A path, or one of ``NETWORKS``, which come with the package."""
    if name in NETWORKS:
        return WEIGHTS / f"{name.replace('-', '_')}.pt"
    return Path(name).expanduser()


def load_network(path: Path | str) -> Pretrained:
    """The network of a checkpoint of ``train``, or of a file of ``export``, on the CPU.

    Raises:
        CheckpointError: If the file is neither, or is damaged.
    """
    if Path(path).parent == WEIGHTS:
        checkpoints.check_sum(Path(path))
    content = checkpoints.read(path, checkpoints.FORMAT, NETWORK)
    missing = [f.name for f in fields(About) if f.default is MISSING]
    missing = [name for name in missing if name not in content["about"]]
    if missing:
        raise CheckpointError(
            f"{path} does not say its {', '.join(missing)}: give a checkpoint of "
            "python -m ddpm_course train"
        )
    about = About(**content["about"])
    with torch.device("cpu"):
        network = network_for(
            about.shape,
            about.channels,
            about.blocks,
            about.patch,
            about.T,
            about.classes,
        )
    weights = content["weights" if "weights" in content else "ema"]
    if "label.table" in weights:
        raise CheckpointError(
            f"{path} has label.table, whose rows had another order in some versions: "
            "train it again, so that row 0 of label.rows belongs to no label"
        )
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: {error}") from error
    kind = content["settings"]["kind"]
    identity = content.get("identity", {})
    return Pretrained(network.eval().requires_grad_(False), kind, about, identity)


def export(checkpoint: Path | str, out: Path | str) -> None:
    """Write what sampling needs of a checkpoint: the averaged weights, and about them.

    Raises:
        CheckpointError: As ``load_network`` does.
        OSError: If the file can't be written.
    """
    about = load_network(checkpoint).about  # what can't be loaded is not worth keeping
    if about.data not in DATA:  # the path of your pictures is nobody's business
        about = replace(about, data=f"{Path(about.data).name}/")
    content = checkpoints.read(checkpoint)
    checkpoints.write(
        out,
        {
            "format": NETWORK,
            "step": content["step"],
            "settings": content["settings"],
            "about": asdict(about),
            "identity": content.get("identity", {}),
            "loss": content["losses"][-1000:].mean().item(),
            "weights": content["ema"],
        },
    )


def load_classifier(source: Path | str) -> Classifier:
    """A classifier, for features to compare pictures with.

    Args:
        source: "digits" or "fashion-mnist", whose classifiers come with the package,
            or a file of ``python -m ddpm_course classifier``.

    Raises:
        ValueError: If it is neither.
        CheckpointError: If the file is another one, or damaged.
    """
    if str(source) in CLASSIFIERS:
        source = WEIGHTS / f"{str(source).replace('-', '_')}_classifier.pt"
        checkpoints.check_sum(source)
    elif not Path(source).is_file():
        raise ValueError(
            f"there is no classifier {str(source)!r}: expected 'digits', "
            "'fashion-mnist', or a file of python -m ddpm_course classifier"
        )
    weights = checkpoints.read(source, CLASSIFIER)["weights"]
    try:
        channels = weights["body.0.weight"].shape[1]
        with torch.device("cpu"):
            network = Classifier(channels, classes=len(weights["head.weight"]))
        network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{source}: {error}") from error
    return network.eval().requires_grad_(False)
