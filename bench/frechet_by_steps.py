"""The Fréchet distance of drawn clothes, by rule and number of sampling steps.

``python bench/frechet_by_steps.py`` draws a thousand images for each rule, number of
steps and seed with the network that comes with the package, and writes a table like
``ddpm_course/weights/fashion_mnist_by_steps.json``, which chapter 7 prints. That takes
minutes on a GPU and hours on a CPU; ``--steps 30 --seeds 1`` is a quick look.
"""

import argparse
import json
import statistics
from functools import partial

import torch

from ddpm_course import data, metrics
from ddpm_course.devices import device
from ddpm_course.lab.classifier import features
from ddpm_course.lab.pretrained import fashion_mnist, load_classifier
from ddpm_course.sampling import ancestral_step, ddim_step, sample
from ddpm_course.schedules import NoiseSchedule, make_schedule

IMAGES = 1000
SMOOTH = partial(ancestral_step, variance="beta_tilde")
#: For each rule: its step, and the schedule whose noise levels it visits.
RULES = {
    "beta": (ancestral_step, "cosine"),
    "beta_tilde": (SMOOTH, "cosine"),
    "ddim": (ddim_step, "cosine"),
    "beta_tilde, linear": (SMOOTH, "linear"),
}


def times_of_equal_noise(schedule: NoiseSchedule, known: NoiseSchedule) -> list[int]:
    """For each time of a schedule, the time of the known one with the same SNR."""
    distance = schedule.snr[1:, None].log() - known.snr[1:].log()
    return [0, *(1 + distance.abs().argmin(1)).tolist()]


def main() -> None:
    """Print the table as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=[30, 100, 250, 1000])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    where = device()
    pretrained, eye = fashion_mnist(), load_classifier("fashion-mnist").to(where)
    pretrained.network.to(where)
    denoiser = pretrained.denoiser()
    real = features(eye, data.fashion_mnist_held_out().to(where))
    table: dict[str, dict[str, float]] = {}
    for rule, (step, schedule_name) in RULES.items():
        schedule = make_schedule(schedule_name).to(where)
        ask_at = times_of_equal_noise(schedule, denoiser.schedule)
        table[rule] = {}
        for steps in arguments.steps:
            distances = []
            for seed in range(arguments.seeds):
                images = sample(
                    lambda x, t, ask_at=ask_at: denoiser(x, ask_at[t]),
                    schedule,
                    (IMAGES, *pretrained.shape),
                    step=step,
                    steps=steps,
                    generator=torch.Generator(where).manual_seed(seed),
                )
                distance = metrics.frechet_distance(features(eye, images), real)
                distances.append(float(distance))
            table[rule][str(steps)] = statistics.mean(distances)
            print(rule, steps, *(f"{d:.2f}" for d in distances), flush=True)
    card = torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"
    print(json.dumps({"device": card, "distance": table}, indent=1))


if __name__ == "__main__":
    main()
