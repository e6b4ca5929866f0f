"""Where to compute."""

import pytest
import torch

from ddpm_course.devices import device


def test_the_environment_decides(monkeypatch):
    monkeypatch.setenv("DDPM_DEVICE", "meta")
    assert device() == torch.device("meta")


def test_otherwise_a_gpu_if_there_is_one(monkeypatch):
    monkeypatch.delenv("DDPM_DEVICE", raising=False)
    assert device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:9", "tpu", "cuda:x"])
def test_what_is_not_there_is_refused(monkeypatch, name):
    monkeypatch.setenv("DDPM_DEVICE", name)
    with pytest.raises(ValueError, match=f"DDPM_DEVICE='{name}'.*cpu"):
        device()
