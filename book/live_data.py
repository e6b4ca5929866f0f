"""Writes what the living pages take from the package: settings and pictures.

``python book/live_data.py`` writes ``_static/live/data/*.js``; a test compares them
with the package. A toy that needs more gets a function here, listed in ``FILES``.
"""

import inspect
import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import torch

from ddpm_course import data, metrics, schedules
from ddpm_course.lab import pretrained
from ddpm_course.oracle import GaussianMixture

FOLDER = Path(__file__).parent / "_static" / "live" / "data"

#: The process of chapter 3, whose steps are large enough to see.
SHORT = {"name": "linear", "T": 20, "beta_1": 5e-3, "beta_T": 0.5}


def settings() -> dict:
    """Parameters of the schedules, as the package has them."""

    def defaults(function: Callable) -> dict:
        given = inspect.signature(function).parameters.values()
        return {p.name: p.default for p in given if p.default is not p.empty}

    return {
        "T": defaults(schedules.make_schedule)["T"],
        "schedules": {name: defaults(f) for name, f in schedules.SCHEDULES.items()},
        "max_final_alpha_bar": schedules.MAX_FINAL_ALPHA_BAR,
        "short": SHORT,
    }


def pictures() -> dict:
    """A photograph and clothes: 8-bit values, channels first, in base64."""
    clothes = data.fashion_mnist_held_out()
    return {
        "photo": _picture("photograph", data.photo(96)),
        "boot": _picture("boot", clothes[0]),
        "pullover": _picture("pullover", clothes[1]),
        "trousers": _picture("trousers", clothes[2]),
        "sneaker": _picture("sneaker", clothes[9]),
    }


#: Particles in the plane, and how many draws of real data make the floor.
PARTICLES, DRAWS = 300, 20


def oracle() -> dict:
    """Data in the plane, and how far real data are from other real data."""
    ring = GaussianMixture.ring()

    def seeded(seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    def draw(seed: int) -> torch.Tensor:
        return _rounded(ring.sample(PARTICLES, seeded(seed)))

    held_out = draw(0)
    far = [metrics.energy_distance(draw(1 + i), held_out) for i in range(DRAWS)]
    return {
        "particles": PARTICLES,
        "ring": _mixture(ring),
        "held_out": held_out.flatten().tolist(),
        "floor": round(sum(far) / DRAWS, 5),
        "moons": _rounded(data.moons(40, seeded(0), noise=0.0)).tolist(),
        "own": [[-1.0, 0.8], [1.2, 0.5], [0.1, -1.1]],
    }


def guidance() -> dict:
    """The line of chapter 9: the label's density, that of all, and normal quantiles."""
    told = GaussianMixture([0.5, 0.5], [[0.0], [1.5]], 0.3)
    every = GaussianMixture([0.25, 0.25, 0.5], [[0.0], [1.5], [-0.6]], [0.3, 0.3, 0.5])
    share = (torch.arange(500, dtype=torch.float64) + 0.5) / 500
    return {
        "told": _mixture(told),
        "every": _mixture(every),
        "share": 0.5,
        "quantiles": _rounded(torch.special.ndtri(share), 9).tolist(),
    }


def _mixture(mixture: GaussianMixture) -> dict:
    names = ("weights", "means", "stds")
    return {name: _rounded(getattr(mixture, name), 12).tolist() for name in names}


def _rounded(x: torch.Tensor, decimals: int = 4) -> torch.Tensor:
    return x.double().round(decimals=decimals) + 0.0  # no -0


def fashion_mnist() -> dict:
    """The network, in 16 bits: names and shapes, then all values in one row."""
    return _network(pretrained.fashion_mnist())


def fashion_mnist_by_class() -> dict:
    """The network that takes a label."""
    return _network(pretrained.fashion_mnist_by_class())


def _network(model: pretrained.Pretrained) -> dict:
    weights = {name: w.half() for name, w in model.network.state_dict().items()}
    assert (model.kind, model.about.schedule, model.about.reach) == ("v", "cosine", 1)
    assert all(w.isfinite().all() for w in weights.values())
    raw = b"".join(w.numpy().astype("<f2").tobytes() for w in weights.values())
    return {
        "patch": model.about.patch,
        "parameters": [" ".join(map(str, (k, *w.shape))) for k, w in weights.items()],
        "bytes": b64encode(raw).decode(),
    }


def held_out() -> dict:
    """The images that come with the package."""
    images = data.fashion_mnist_held_out()
    return _picture("1000 test images of Fashion-MNIST", images)


def _picture(title: str, image: torch.Tensor) -> dict:
    pixels = ((image + 1) * 127.5).round().to(torch.uint8)
    text = b64encode(pixels.numpy().tobytes()).decode()
    return {"title": title, "shape": list(image.shape), "bytes": text}


#: Each becomes ``Live.data.NAME`` in ``data/NAME.js``.
FILES: dict[str, Callable[[], dict]] = {
    "settings": settings,
    "pictures": pictures,
    "fashion_mnist": fashion_mnist,
    "fashion_mnist_by_class": fashion_mnist_by_class,
    "held_out": held_out,
    "oracle": oracle,
    "guidance": guidance,
}
#: Types for the checker, where it should not infer them.
TYPES = {"pictures": "Record<string, {title: string, shape: number[], bytes: string}>"}


def script(name: str) -> str:
    """The text of ``data/NAME.js``."""
    made = json.dumps(FILES[name](), indent=1, ensure_ascii=False)
    kind = f"/** @type {{{TYPES[name]}}} */\n" if name in TYPES else ""
    opening = f"// needs: live\n// Made by book/live_data.py.\n{kind}"
    return f"{opening}Live.data.{name} = {made};\n"


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        path = FOLDER / f"{name}.js"
        path.write_text(script(name), encoding="utf-8", newline="\n")
        print(path.name, f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
