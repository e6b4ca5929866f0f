"""One training step of our U-Net against diffusers' UNet2DModel of the same size.

Pairs are interleaved and the medians compared, so that a slow minute of the machine
hits both. ``python bench/unet_step.py --help`` names the settings.
"""

import argparse
import json
import statistics
import time

import torch
from diffusers import UNet2DModel

from ddpm_course.devices import device
from ddpm_course.unet import UNet


class Peer(torch.nn.Module):
    """diffusers' network with the channels, blocks and attention of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.net = UNet2DModel(
            in_channels=1,
            out_channels=1,
            block_out_channels=(32, 64, 64),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            attention_head_dim=64,
            norm_num_groups=8,
        )

    def forward(self, x, t):
        return self.net(x, t).sample


def step(network, optimizer, x, t, amp):
    device = x.device.type
    with torch.autocast(device, torch.bfloat16, enabled=amp):
        prediction = network(x, t)
    loss = (prediction.float() - x).square().mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    place = device()
    networks = {"ours": UNet(1, 32, (1, 2, 2), 2, (2,)), "diffusers": Peer()}
    x = torch.randn(options.batch, 1, 28, 28, device=place)
    t = torch.randint(1, 1001, (options.batch,), device=place)
    optimizers = {}
    for name, network in networks.items():
        network.to(place)
        optimizers[name] = torch.optim.Adam(network.parameters())
    for amp in (False, True):
        seconds = {name: [] for name in networks}
        for pair in range(options.pairs + 1):
            for name, network in networks.items():
                start = time.perf_counter()
                step(network, optimizers[name], x, t, amp)
                if pair:  # the first warms up
                    seconds[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(s) for name, s in seconds.items()}
        report = {
            "device": str(place),
            "threads": torch.get_num_threads(),
            "dtype": "bfloat16" if amp else "float32",
            "ms": {name: round(1000 * s) for name, s in medians.items()},
            "ours / diffusers": round(medians["ours"] / medians["diffusers"], 3),
            "parameters": {
                name: sum(p.numel() for p in network.parameters())
                for name, network in networks.items()
            },
        }
        print(json.dumps(report))


if __name__ == "__main__":
    main()
