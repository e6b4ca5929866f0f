"""Draws the front page's picture: clothes that come out of noise.

``python book/front_page.py`` writes ``_static/from_noise.jpg``: the frames one beneath
the other, each with all images side by side. The page's style sheet runs through them.
"""

from functools import partial
from pathlib import Path

import torch
from PIL import Image

from ddpm_course.lab.pretrained import fashion_mnist
from ddpm_course.plotting import tiled, to_pixels
from ddpm_course.sampling import ancestral_step, reverse_process

PICTURE = Path(__file__).parent / "_static" / "from_noise.jpg"
IMAGES, COLUMNS, STEPS, SEED = 24, 8, 30, 6


def frames() -> torch.Tensor:
    """(STEPS + 1, 1, H, W): all images, from pure noise to clothes."""
    pretrained = fashion_mnist()
    denoiser = pretrained.denoiser()
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn(IMAGES, *pretrained.shape, generator=generator)
    chain = reverse_process(
        denoiser,
        denoiser.schedule,
        x,
        step=partial(ancestral_step, variance="beta_tilde"),
        steps=STEPS,
        generator=generator,
    )
    states = [x, *(x_s for _, x_s, _ in chain)]
    return torch.stack([tiled(state, COLUMNS) for state in states])


def main() -> None:
    """Write the picture."""
    pixels = to_pixels(frames()).flatten(0, 1)[..., 0]  # (frames * H, W)
    image = Image.fromarray((255 * pixels).round().byte().numpy())
    image.save(PICTURE, quality=80, optimize=True)
    print(PICTURE, image.size, f"{PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
