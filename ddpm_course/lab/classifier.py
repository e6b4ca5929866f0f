"""A small classifier, whose features the metrics compare.

The distance between pixels says little about pictures. In the features of a network
that has learned to tell classes apart, similar things are close. The weights that
come with the package were made with ``python -m ddpm_course classifier``; see
``pretrained``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import trange

FEATURES = 64


class Classifier(nn.Module):
    """Images (n, channels, H, W) in [-1, 1] → logits (n, classes); H, W >= 4."""

    def __init__(self, channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.channels, self.classes = channels, classes
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, FEATURES, 3, stride=2, padding=1),
            nn.BatchNorm2d(FEATURES),
            nn.ReLU(),
            nn.Conv2d(FEATURES, FEATURES, 3, stride=2, padding=1),
            nn.BatchNorm2d(FEATURES),
            nn.ReLU(),
            nn.Conv2d(FEATURES, FEATURES, 3, padding=1),
            nn.BatchNorm2d(FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """(n, 64): each channel's mean over the image, after the last convolution."""
        return self.body(x).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


@torch.no_grad()
def features(classifier: Classifier, images: Tensor) -> Tensor:
    """The features of images (n, C, H, W), 500 at a time: shape (n, 64).

    Raises:
        ValueError: If the classifier was trained on images with other channels.
    """
    _check_images(classifier, images)
    return torch.cat([classifier.features(part) for part in images.split(500)])


@torch.no_grad()
def predict(classifier: Classifier, images: Tensor) -> Tensor:
    """The most likely class of each image (n, C, H, W): int64, shape (n,).

    Raises:
        ValueError: As ``features`` does.
    """
    _check_images(classifier, images)
    return torch.cat([classifier(part).argmax(1) for part in images.split(500)])


def train_classifier(
    images: Tensor,
    labels: Tensor,
    steps: int = 1000,
    seed: int = 0,
    progress: bool = False,
) -> Classifier:
    """A classifier trained by Adam, on batches of 128 randomly shifted images.

    Shifts go up to a fourteenth of the side. The learning rate rises to 0.003 and falls
    to 0.

    Args:
        images: Shape (n, C, H, W), in [-1, 1].
        labels: int64, shape (n,), counted from 0.
        steps: Steps of gradient descent.
        seed: The same seed gives the same weights.
        progress: Shows a progress bar.

    Returns:
        The classifier, in eval mode, on the device of the images.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # leaves the caller's random state alone
        torch.manual_seed(seed)
        with torch.device("cpu"):
            classifier = Classifier(images.shape[1], int(labels.max()) + 1)
    classifier, labels = classifier.to(images.device), labels.to(images.device)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    reach = images.shape[-1] // 14
    padded = F.pad(images, (reach,) * 4, value=-1)
    height, width = images.shape[2:]
    with torch.device("cpu"):  # draws, and Adam's counters, whatever the default is
        for _ in trange(steps, disable=not progress):
            index = torch.randint(len(images), (128,), generator=generator)
            shift = torch.randint(2 * reach + 1, (2,), generator=generator)
            down, right = shift.tolist()
            x = padded[index, :, down : down + height, right : right + width]
            loss = F.cross_entropy(classifier(x), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return classifier.eval()


def _check_images(classifier: Classifier, images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != classifier.channels:
        raise ValueError(
            f"images have shape {tuple(images.shape)}: expected (n, "
            f"{classifier.channels}, H, W), like the ones the classifier learned from"
        )
