"""The global generators of torch, numpy and Python, while an answer runs."""

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed them, and leave them as they were."""
    numpy, python = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed seeds those of every device, which are not kept
            torch.default_generator.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            yield
    finally:
        np.random.set_state(numpy)  # noqa: NPY002
        random.setstate(python)


def states() -> bytes:
    """Their states: another one after a call means that it has drawn."""
    numpy, python = np.random.get_state(), random.getstate()  # noqa: NPY002
    return pickle.dumps((torch.get_rng_state().numpy(), numpy, python))
