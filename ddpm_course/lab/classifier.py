"""A small classifier, whose features compare images: what the metrics look through.

Distances of pixels say little about pictures. A network that has learned to tell
classes apart has features in which like things are near. The weights that come with
the package were made with ``python -m ddpm_course classifier``; see ``pretrained``.
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
        """(n, 64): each channel's mean over the image, behind the last convolution."""
        return self.body(x).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


@torch.no_grad()
def features(classifier: Classifier, images: Tensor) -> Tensor:
    """The features of any number of images, 500 at a time: (n, 64).

    Raises ValueError for images of other channels than the classifier's.
    """
    if images.ndim != 4 or images.shape[1] != classifier.channels:
        raise ValueError(
            f"images have shape {tuple(images.shape)}: expected (n, "
            f"{classifier.channels}, H, W), as the classifier was trained on"
        )
    return torch.cat([classifier.features(part) for part in images.split(500)])


@torch.no_grad()
def predict(classifier: Classifier, images: Tensor) -> Tensor:
    """The most likely class of each image, int64 (n,)."""
    return torch.cat([classifier(part).argmax(1) for part in images.split(500)])


def train_classifier(
    images: Tensor,
    labels: Tensor,
    steps: int = 1000,
    seed: int = 0,
    progress: bool = False,
) -> Classifier:
    """A classifier trained on images (n, C, H, W) and int64 labels (n,), seeded.

    Batches of 128, shifted by up to a fourteenth of the side; Adam with a learning
    rate that rises to 0.003 and falls to 0.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # the caller's draws go on as they were
        torch.manual_seed(seed)
        classifier = Classifier(images.shape[1], int(labels.max()) + 1)
    classifier, labels = classifier.to(images.device), labels.to(images.device)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    reach = images.shape[-1] // 14
    padded = F.pad(images, (reach,) * 4, value=-1)
    height, width = images.shape[2:]
    for _ in trange(steps, disable=not progress):
        index = torch.randint(len(images), (128,), generator=generator)
        down, right = torch.randint(2 * reach + 1, (2,), generator=generator).tolist()
        x = padded[index, :, down : down + height, right : right + width]
        loss = F.cross_entropy(classifier(x), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return classifier.eval()
