"""The Fréchet distance of drawn clothes, by rule and number of network calls.

``python bench/frechet_by_calls.py`` draws images for each rule, spacing of the times
and number of calls with the network that comes with the package, and writes
a table like ``ddpm_course/weights/fashion_mnist_by_calls.json``, which chapter 8 draws.
That takes half an hour on one core; ``--calls 5 --images 100`` is a quick look.
"""

import argparse
import json
import time
from functools import partial

import torch

from ddpm_course import data, metrics
from ddpm_course.devices import device
from ddpm_course.lab.classifier import features
from ddpm_course.lab.pretrained import fashion_mnist, load_classifier
from ddpm_course.sampling import ddim_step, sample
from ddpm_course.solvers import Multistep, heun_step, spaced_times

RULES = ("ddim", "heun", "multistep")


def main() -> None:
    """Print the table as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--spacings", nargs="+", default=["time", "log-snr"])
    parser.add_argument("--images", type=int, default=1000)
    arguments = parser.parse_args()
    where = device()
    pretrained, eye = fashion_mnist(), load_classifier("fashion-mnist").to(where)
    pretrained.network.to(where)
    denoiser = pretrained.denoiser()
    clothes = data.fashion_mnist_held_out().to(where)
    real = features(eye, clothes)
    half = len(clothes) // 2
    floor = metrics.frechet_distance(real[:half], real[half:])
    table: dict[str, dict[str, float]] = {}
    for spacing in arguments.spacings:
        for rule in RULES:
            row = table.setdefault(f"{rule}, {spacing}", {})
            for calls in arguments.calls:
                # a Heun step asks twice, the last one once
                steps = (calls + 1) // 2 if rule == "heun" else calls
                step = {"ddim": ddim_step, "heun": partial(heun_step, denoiser)}
                begin = time.perf_counter()
                images = sample(
                    denoiser,
                    denoiser.schedule,
                    (arguments.images, *pretrained.shape),
                    step=step.get(rule) or Multistep(),
                    steps=spaced_times(denoiser.schedule, steps, spacing),
                    generator=torch.Generator(where).manual_seed(0),
                )
                distance = metrics.frechet_distance(features(eye, images), real)
                row[str(calls)] = round(float(distance), 4)
                seconds = time.perf_counter() - begin
                print(spacing, rule, calls, row, f"{seconds:.0f} s", flush=True)
    found = {"images": arguments.images, "floor_of_halves": float(floor)}
    print(json.dumps(found | {"distance": table}, indent=1))


if __name__ == "__main__":
    main()
