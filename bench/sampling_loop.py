"""The loop of 1000 steps around a tiny network: ours, the network alone, diffusers'.

The loops are interleaved and the medians compared, so that a slow minute of the
machine hits all. ``python bench/sampling_loop.py --help`` names the settings.

The network computes the embedding of the time at each call, as it does in diffusers.
Ours has it in a table and, where the whole batch shares one time, looks it up once;
"table" is our network alone, so that the cost of the loop is seen apart from that gain.
"""

import argparse
import json
import statistics
import time

import torch
from diffusers import DDPMScheduler

from ddpm_course.parameterization import Denoiser
from ddpm_course.sampling import sample
from ddpm_course.schedules import make_schedule
from ddpm_course.training import device
from ddpm_course.unet import MLP, time_embedding

STEPS = 1000


class Plain(torch.nn.Module):
    """The network of the same weights as it stands in most programs."""

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
def table(network, x):
    """The same calls, with the time looked up once for the whole batch."""
    for t in range(STEPS, 0, -1):
        network(x, torch.full((1,), t, device=x.device).expand(len(x)))


def ours(network, x):
    schedule = make_schedule("linear", STEPS).to(x.device)
    generator = torch.Generator(x.device).manual_seed(0)
    denoiser = Denoiser(network, schedule, clip=2)
    return sample(denoiser, schedule, x.shape, generator=generator)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--width", type=int, default=32, help="of the network")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    place = device()
    network = MLP(2, options.width, 3).to(place).eval()
    x = torch.randn(options.batch, 2, device=place)
    loops = {
        "network": plain,
        "table": table,
        "ours": ours,
        "diffusers": diffusers_loop,
    }
    seconds: dict[str, list] = {name: [] for name in loops}
    for turn in range(options.rounds + 1):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop(network, x)
            if place.type == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(s) for name, s in seconds.items()}
    report = {
        "device": str(place),
        "threads": torch.get_num_threads(),
        "batch": options.batch,
        "width": options.width,
        "seconds": {name: round(s, 3) for name, s in medians.items()},
    }
    for name in ("network", "table", "diffusers"):
        report[f"ours / {name}"] = round(medians["ours"] / medians[name], 3)
    mine, theirs = (
        medians[loop] - medians[network]
        for loop, network in (("ours", "table"), ("diffusers", "network"))
    )
    report["without the networks, ours / diffusers"] = round(mine / theirs, 3)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
