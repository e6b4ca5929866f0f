"""A network that takes a label, for Fashion-MNIST or the digits of scikit-learn.

``python bench/train_conditional.py train --out FILE`` fine-tunes the network that comes
with the package on images with labels. Label vectors start at 0, so training starts
from the network without labels. With ``--data digits`` it starts from a new network.
One label in ten is dropped, and the network learns to answer without one too.
``… measure FILE --out RECORD`` draws images of each class by guidance and says how many
are of that class, and how different they are.
"""

import argparse
import copy
import json
import platform
import sys
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ddpm_course.guidance import guided
from ddpm_course.lab import checkpoints, pretrained
from ddpm_course.lab.classifier import Classifier, features, predict
from ddpm_course.lab.datasets import load_data
from ddpm_course.lab.pretrained import Pretrained
from ddpm_course.lab.runs import About, identity
from ddpm_course.metrics import frechet_distance
from ddpm_course.sampling import ddim_step, sample
from ddpm_course.schedules import make_schedule
from ddpm_course.training import Settings, learning_rate, simple_loss, update_ema
from ddpm_course.unet import network_for

NAME = Path(__file__).name
DATA = ("fashion-mnist", "digits")
CLASSES = 10
DROPPED = 0.1
#: The label vectors start at 0 and have a longer way to go than the weights.
LABELS_LEARN_FASTER = 10
#: Guidance inside an interval of t only, where σ = √((1 - ᾱ_t) / ᾱ_t) runs from 0.28 to
#: 2.9, as Kynkäänniemi et al. (2024) found best for ImageNet.
INSIDE, INTERVAL = 4.0, (175, 790)
WHAT = {
    "by_scale": "numbers for each guidance scale w: 0 unconditional, 1 conditional",
    "in_interval": "the same, guided by scale w only at t inside times, else by w = 1",
    "real_images": "the same for as many training images; its distance is the floor",
    "accuracy": "share of images that the package's classifier puts in the class that "
    "was asked for",
    "diversity": "mean distance, in the classifier's 64 features, of two images asked "
    "for by the same label, over that of two test images of a class: below 1 they are "
    "more alike than real ones. At w = 0 nobody looks at the label: images of all "
    "classes are compared, and it is above 1",
    "pixel_diversity": "the same for pixels in place of features. A classifier that "
    "knows its training images by heart finds them, and what looks like them, too "
    "alike",
    "frechet_distance": "of the features of one seed's images from those of all {:,} "
    "test images",
    "by_class": "the accuracy of each class",
    "…_error": "standard error of the mean over the seeds",
    "samples": "images of a seed, as many of each class",
}


def labels_given(labels: Tensor, generator: torch.Generator) -> Tensor:
    """The labels, some of them dropped: -1 means no label."""
    dropped = torch.rand(len(labels), generator=generator) < DROPPED
    return torch.where(dropped, -1, labels)


def new(data: str, seed: int = 0) -> Pretrained:
    """A small network for the data, without labels, that has learned nothing yet."""
    x0 = load_data(data).train
    about = About(
        data, 32, "cosine", 1000, x0.shape[1:], channels=16, blocks=1, patch=1
    )
    torch.manual_seed(seed)
    network = network_for(about.shape, about.channels, about.blocks, about.patch)
    return Pretrained(network, "v", about, identity(make_schedule("cosine"), x0))


def start(data: str) -> Pretrained:
    """The network that comes with the package or a new one; label vectors are 0."""
    old = pretrained.fashion_mnist() if data == DATA[0] else new(data)
    about = replace(old.about, classes=CLASSES)
    network = network_for(
        about.shape, about.channels, about.blocks, about.patch, about.T, CLASSES
    )
    kept = network.load_state_dict(old.network.state_dict(), strict=False)
    assert kept.missing_keys == ["label.rows"] and not kept.unexpected_keys
    return replace(old, network=network, about=about)


def train(model: Pretrained, settings: Settings) -> tuple[torch.nn.Module, float]:
    """Algorithm 1 with labels; the averaged network and the mean of the last losses."""
    network, schedule, data = (
        model.network,
        model.schedule(),
        load_data(model.about.data),
    )
    ema = copy.deepcopy(network).eval().requires_grad_(False)
    weights = [p for name, p in network.named_parameters() if name != "label.rows"]
    groups = [{"params": weights}, {"params": [network.label.rows]}]
    optimizer = torch.optim.Adam(groups)
    generator = torch.Generator().manual_seed(settings.seed)
    losses, began = [], time.time()
    for step in range(settings.steps):
        size = (settings.batch_size,)
        index = torch.randint(len(data.train), size, generator=generator)
        x0 = data.train[index]
        t = torch.randint(1, schedule.T + 1, size, generator=generator)
        eps = torch.randn(x0.shape, generator=generator)
        label = labels_given(data.train_labels[index], generator)
        told = partial(network, label=label)
        loss = simple_loss(told, schedule, x0, t, eps, settings.kind)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        rate = learning_rate(step, settings)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.param_groups[1]["lr"] = LABELS_LEARN_FASTER * rate
        optimizer.step()
        update_ema(ema, network, step, settings.ema)
        losses.append(loss.item())
        if step % 50 == 49:
            mean = sum(losses[-50:]) / 50
            print(step + 1, f"{mean:.4f}", f"{time.time() - began:.0f} s", flush=True)
    return ema, sum(losses[-500:]) / len(losses[-500:])


def write(path: Path, model: Pretrained, settings: Settings, loss: float) -> None:
    """The averaged weights in 16 bits, which halves the file, as ``export`` does."""
    weights = {name: w.half() for name, w in model.network.state_dict().items()}
    content = {
        "format": pretrained.NETWORK,
        "step": settings.steps,
        "settings": asdict(settings),
        "about": asdict(model.about),
        "identity": model.identity,
        "loss": loss,
        "weights": weights,
    }
    checkpoints.write(path, content)


def draw(
    model: Pretrained,
    labels: Tensor,
    w: float,
    times: tuple[int, int] | None = None,
    *,
    steps: int,
    seed: int,
) -> Tensor:
    """An image of each of the labels, by guidance with scale w and DDIM."""
    told, untold = model.denoiser(labels), model.denoiser()
    return sample(
        guided(told, untold, w, times, clip=model.about.reach),
        model.schedule(),
        (len(labels), *model.shape),
        step=ddim_step,
        steps=steps,
        generator=torch.Generator().manual_seed(seed),
    )


def spread(seen: Tensor, labels: Tensor) -> float:
    """The mean distance between two of the same label, over the classes."""
    within = [torch.pdist(seen[labels == k]).mean() for k in range(CLASSES)]
    return torch.stack(within).mean().item()


@dataclass(frozen=True)
class Ruler:
    """The classifier, and the real images to compare with, as it sees them and raw."""

    eye: Classifier
    real: Tensor
    pixels: Tensor
    labels: Tensor

    def numbers(self, images: Tensor, labels: Tensor) -> dict:
        """What ``WHAT`` describes, for images that were asked for by their labels."""
        seen = features(self.eye, images)
        right = (predict(self.eye, images) == labels).double()
        return {
            "accuracy": right.mean().item(),
            "diversity": spread(seen, labels) / spread(self.real, self.labels),
            "pixel_diversity": spread(images.flatten(1), labels)
            / spread(self.pixels, self.labels),
            "frechet_distance": frechet_distance(seen, self.real),
            "by_class": [right[labels == k].mean().item() for k in range(CLASSES)],
        }


def over_seeds(rows: list[dict]) -> dict:
    """The mean of each number, and its standard error over the seeds."""
    table: dict = {}
    for name in rows[0]:
        values = torch.tensor([row[name] for row in rows], dtype=torch.float64)
        table[name] = values.mean(0).tolist()
        if values.ndim == 1:
            table[f"{name}_error"] = (values.std() / len(rows) ** 0.5).item()
    return table


def of_each(images: Tensor, labels: Tensor, each: int, seed: int) -> Tensor:
    """So many images of every class, other ones for another seed."""
    chosen = slice(seed * each, (seed + 1) * each)
    return torch.cat([images[labels == k][chosen] for k in range(CLASSES)])


def measure(path: Path, scales: list[float], each: int, steps: int, seeds: int) -> dict:
    """Accuracy, diversity and distance by scale w, with errors over the seeds."""
    model = pretrained.load_network(path)
    data = load_data(model.about.data)
    eye = pretrained.load_classifier(model.about.data)
    test = data.test
    ruler = Ruler(eye, features(eye, test), test.flatten(1), data.test_labels)
    labels = torch.arange(CLASSES).repeat_interleave(each)

    def by_seed(w: float, times: tuple[int, int] | None = None) -> dict:
        rows = []
        for seed in range(seeds):
            images = draw(model, labels, w, times, steps=steps, seed=seed)
            rows.append(ruler.numbers(images, labels))
            print(w, times, seed, rows[-1], flush=True)
        return over_seeds(rows)

    train = data.train, data.train_labels, each
    floor = [ruler.numbers(of_each(*train, seed), labels) for seed in range(seeds)]
    of_test = (predict(eye, data.test) == data.test_labels).double().mean().item()
    return {
        "what": {name: text.format(len(data.test)) for name, text in WHAT.items()},
        "by_scale": {f"{w:g}": by_seed(w) for w in scales},
        "in_interval": {"w": INSIDE, "times": INTERVAL, **by_seed(INSIDE, INTERVAL)},
        "real_images": over_seeds(floor),
        "accuracy_on_test_images": of_test,
        "samples": len(labels),
        "seeds": seeds,
        "sampling_steps": steps,
        "sampler": "ddim",
    }


def how_trained(path: Path) -> dict:
    """What the file says of its training, and the command."""
    content = checkpoints.read(path, pretrained.NETWORK)
    settings = {k: content["settings"][k] for k in ("batch_size", "lr", "ema", "seed")}
    data, steps = content["about"]["data"], content["step"]
    given = "" if data == DATA[0] else f"--data {data} "
    given += f"--steps {steps} --out {path.name}"
    return {
        "command": f"python bench/{NAME} train {given}",
        "steps": steps,
        **settings,
        "labels_dropped": DROPPED,
        "labels_learn_faster": LABELS_LEARN_FASTER,
        "loss": round(content["loss"], 4),
    }


def cpu() -> str:
    """The name of the processor, where Linux says it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def main() -> None:
    """Train or measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("--data", choices=DATA, default=DATA[0])
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--steps", type=int, default=3000)
    training.add_argument("--batch-size", type=int, default=64)
    training.add_argument("--lr", type=float, default=1e-3)
    measuring = commands.add_parser("measure")
    measuring.add_argument("file", type=Path)
    measuring.add_argument("--out", type=Path, required=True)
    measuring.add_argument("--w", type=float, nargs="+", default=[0, 1, 2, 4, 8])
    measuring.add_argument("--each", type=int, default=40, help="images a class")
    measuring.add_argument("--seeds", type=int, default=3, help="repetitions")
    measuring.add_argument("--steps", type=int, default=25, help="sampling steps")
    options = parser.parse_args()
    if options.command == "train":
        model = start(options.data)
        settings = Settings(
            options.steps, options.batch_size, options.lr, kind=model.kind, ema=0.995
        )
        began = time.time()
        average, loss = train(model, settings)
        write(options.out, replace(model, network=average), settings, loss)
        print(f"loss {loss:.4f}, {time.time() - began:.0f} s on {cpu()}")
    else:
        record = measure(
            options.file, options.w, options.each, options.steps, options.seeds
        )
        command = " ".join(["python", f"bench/{NAME}", *sys.argv[1:]])
        training = how_trained(options.file)
        record |= {"command": command, "training": training, "cpu": cpu()}
        text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
