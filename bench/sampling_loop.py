"""What the sampling loop costs, around two networks, interleaved in one run.

Around a tiny MLP, where every microsecond shows: our loop, the calls of the network
alone, and diffusers' loop with the same weights. The network computes the embedding of
the time at each call, as it does in diffusers; ours has it in a table and, where the
whole batch shares one time, looks it up once. "table" is our network alone, so that the
cost of the loop is seen apart from that gain.

Around the 28 × 28 U-Net that comes with the package, our loop and the calls of the
network alone.

Medians are compared, so that a slow minute of the machine hits all.
``python bench/sampling_loop.py --help`` names the settings.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from diffusers import DDPMScheduler

from ddpm_course.devices import device
from ddpm_course.lab.pretrained import fashion_mnist
from ddpm_course.parameterization import Denoiser, as_batch
from ddpm_course.sampling import reverse_process, sample, sparse_times
from ddpm_course.schedules import make_schedule
from ddpm_course.unet import MLP, time_embedding

STEPS = 1000


class Plain(torch.nn.Module):
    """The MLP with the same weights as it stands in most programs."""

    def __init__(self, mlp):
        super().__init__()
        layers = [mlp.first]
        for layer in mlp.rest:
            layers += [torch.nn.SiLU(), layer]
        self.net = torch.nn.Sequential(*layers)
        self.width = mlp.first.out_features

    def forward(self, x, t):
        return self.net(torch.cat([x, time_embedding(t, self.width)], dim=1))


@torch.no_grad()
def plain(network, x):
    """The calls of the network and nothing else, each element with its own time."""
    network = Plain(network)
    for t in range(STEPS, 0, -1):
        network(x, torch.full((len(x),), t, device=x.device))


@torch.no_grad()
def calls(network, x, times=range(STEPS, 0, -1)):
    """The calls that our loop makes, with the time looked up once for the batch."""
    for t in times:
        network(x, as_batch(t, x))


@torch.no_grad()
def calls_on(network, states, times):
    """The calls of the network on the very states of a chain."""
    for x, t in zip(states, times, strict=True):
        network(x, as_batch(t, x))


def ours(network, x):
    schedule = make_schedule("linear", STEPS).to(x.device)
    generator = torch.Generator(x.device).manual_seed(0)
    denoiser = Denoiser(network, schedule, clip=2)
    return sample(denoiser, schedule, x.shape, generator=generator)


def ours_images(denoiser, x, steps):
    generator = torch.Generator(x.device).manual_seed(0)
    return sample(
        denoiser, denoiser.schedule, x.shape, steps=steps, generator=generator
    )


@torch.no_grad()
def diffusers_loop(network, x):
    scheduler = DDPMScheduler(
        STEPS,
        variance_type="fixed_large",
        clip_sample_range=2.0,
        timestep_spacing="leading",
    )
    scheduler.set_timesteps(STEPS)
    network = Plain(network)
    generator = torch.Generator(x.device).manual_seed(0)
    y = torch.randn(x.shape, generator=generator, device=x.device)
    for t in scheduler.timesteps:
        # as its own networks do with the time that its pipelines hand them
        times = t.to(x.device) * torch.ones(len(y), dtype=t.dtype, device=x.device)
        y = scheduler.step(network(y, times), t, y, generator=generator).prev_sample
    return y


def medians(loops: dict[str, Callable], rounds: int, place) -> dict[str, float]:
    """Median seconds of each loop, taken in turns; a first round warms up."""
    seconds: dict[str, list] = {name: [] for name in loops}
    for turn in range(rounds + 1):
        order = list(loops.items())
        for name, loop in order if turn % 2 else order[::-1]:
            start = time.perf_counter()
            loop()
            if place.type == "cuda":
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(s) for name, s in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=1000, help="points for the MLP")
    parser.add_argument("--width", type=int, default=32, help="of the MLP")
    parser.add_argument("--images", type=int, default=64, help="for the U-Net")
    parser.add_argument("--image-steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    place = device()
    about = {"device": str(place), "threads": torch.get_num_threads()}
    if place.type == "cuda":
        about["device"] = torch.cuda.get_device_name()

    network = MLP(2, options.width, 3).to(place).eval()
    x = torch.randn(options.batch, 2, device=place)
    took = medians(
        {
            "network": lambda: plain(network, x),
            "table": lambda: calls(network, x),
            "ours": lambda: ours(network, x),
            "diffusers": lambda: diffusers_loop(network, x),
        },
        options.rounds,
        place,
    )
    report = about | {"batch": options.batch, "width": options.width}
    report["seconds"] = {name: round(s, 3) for name, s in took.items()}
    for name in ("network", "table", "diffusers"):
        report[f"ours / {name}"] = round(took["ours"] / took[name], 3)
    mine, theirs = (
        took[loop] - took[network]
        for loop, network in (("ours", "table"), ("diffusers", "network"))
    )
    report["without the networks, ours / diffusers"] = round(mine / theirs, 3)
    print(json.dumps({"MLP": report}))

    model = fashion_mnist()
    model.network.to(place)
    denoiser, steps = model.denoiser(), options.image_steps
    images = torch.randn(options.images, *model.shape, device=place)
    times = sparse_times(model.about.T, steps)[:-1]
    chain = reverse_process(denoiser, denoiser.schedule, images, steps=steps)
    states = [images, *(x for _, x, _ in chain)][:-1]
    took = medians(
        {
            "network": lambda: calls_on(model.network, states, times),
            "ours": lambda: ours_images(denoiser, images, steps),
        },
        options.rounds,
        place,
    )
    report = about | {"images": options.images, "steps": steps}
    report["seconds"] = {name: round(s, 3) for name, s in took.items()}
    report["ours / network"] = round(took["ours"] / took["network"], 4)
    print(json.dumps({"U-Net": report}))


if __name__ == "__main__":
    main()
