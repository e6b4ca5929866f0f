"""Data: real files, a server that misbehaves, and points that are really drawn."""

import gzip
import hashlib
import struct
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from helpers import seeded
from sklearn.datasets import load_digits

from ddpm_course import data

LABELS = "t10k-labels-idx1-ubyte.gz"


# --- real files -------------------------------------------------------------------


@pytest.mark.slow
def test_fashion_mnist_is_read_from_real_files(fashion_mnist_folder):
    images, labels = data.fashion_mnist("test", fashion_mnist_folder)
    assert images.shape == (10_000, 1, 28, 28) and images.dtype == torch.float32
    assert images.min() == -1 and images.max() == 1
    # ten classes of a thousand, as published
    assert torch.equal(labels.bincount(), torch.full((10,), 1000))
    # 0.2860 is the mean pixel of the training images that everybody quotes
    train, train_labels = data.fashion_mnist("train", fashion_mnist_folder)
    assert len(train) == len(train_labels) == 60_000
    assert abs((train.mean() + 1) / 2 - 0.2860) < 5e-5


def test_digits_are_those_of_scikit_learn():
    images = data.digits()
    assert images.shape == (1797, 1, 8, 8)
    assert np.allclose((images[:, 0] + 1) * 8, load_digits().images)


def test_photo_is_a_square_in_range():
    for size in (1, 64, 320):
        image = data.photo(size)
        assert image.shape == (3, size, size)
        assert image.min() >= -1 and image.max() <= 1
    # a smaller photo is the mean of the pixels of a larger one
    small = torch.nn.functional.avg_pool2d(data.photo(320), 5)
    assert torch.allclose(data.photo(64), small, atol=1e-5)


def test_moons_are_drawn_and_lie_on_two_half_circles():
    first, second = (data.moons(4000, seeded(seed), noise=0.0) for seed in (0, 1))
    centers = torch.tensor([[-0.5, -0.25], [0.5, 0.25]])
    radius = torch.cdist(first, centers)
    assert ((radius - 1).abs().min(dim=1).values < 1e-5).all()
    assert abs(first.mean(0)).max() < 0.05
    assert not torch.isin(first[:, 0], second[:, 0]).all()


# --- a server that misbehaves -----------------------------------------------------


def idx(values):
    array = np.asarray(values, np.uint8)
    header = b"\x00\x00\x08" + bytes([array.ndim])
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def server(monkeypatch):
    """Serves one small file, in the ways of ``server.ways``, one after the other."""
    content = idx(np.arange(1000) % 10)
    body = gzip.compress(content)
    key = f"fashion-mnist/{LABELS}"
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(data._SHA256, key, digest)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            way = httpd.ways.pop(0) if httpd.ways else "right"
            if way == "missing":
                self.send_error(404)
                return
            sent = {"wrong": gzip.compress(idx([1, 2, 3])), "page": b"<html>hello"}
            out = sent.get(way, body)
            self.send_response(200)
            length = len(out) + {"too long": 50, "cut": 0}.get(way, 0)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(out[: len(out) // 2] if way == "cut" else out)

        def log_message(self, *args):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.ways = []
    serve = partial(httpd.serve_forever, poll_interval=0.01)
    threading.Thread(target=serve, daemon=True).start()
    httpd.address = f"http://127.0.0.1:{httpd.server_port}/"
    yield httpd
    httpd.shutdown()
    httpd.server_close()


def fetch(server, folder, mirrors=1):
    return data.fetch(LABELS, "fashion-mnist", folder, (server.address,) * mirrors)


def test_a_download_is_verified_and_kept(server, tmp_path):
    path = fetch(server, tmp_path)
    assert data.read_idx(path).tolist() == [i % 10 for i in range(1000)]
    server.ways = ["missing"] * 5  # not asked for again
    assert fetch(server, tmp_path) == path
    assert [p.name for p in tmp_path.iterdir()] == [LABELS]


@pytest.mark.parametrize("way", ["cut", "too long", "wrong", "page", "missing"])
def test_a_bad_download_leaves_nothing_and_the_next_mirror_helps(server, tmp_path, way):
    server.ways = [way]
    with pytest.raises(OSError) as error:
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []
    for part in (LABELS, server.address, str(tmp_path), "by hand", "DDPM_DATA"):
        assert part in str(error.value)
    server.ways = [way]
    path = fetch(server, tmp_path, mirrors=2)
    assert path.stat().st_mode & 0o044  # others may read it


def test_a_damaged_file_in_the_cache_is_fetched_anew(server, tmp_path):
    path = fetch(server, tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    fetch(server, tmp_path)
    assert len(data.read_idx(path)) == 1000


def test_a_full_disk_is_an_error_and_keeps_the_folder_clean(
    server, tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_offline_with_an_empty_cache_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(data._MIRRORS, "mnist", ("http://127.0.0.1:9/",))
    with pytest.raises(OSError) as error:
        data.mnist("train", tmp_path)
    assert "train-images-idx3-ubyte.gz" in str(error.value)
    assert "data.digits()" in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"not idx", idx([1, 2])[:-1], idx([1, 2]) + b"x"]
)
def test_a_file_that_is_not_idx_is_refused(tmp_path, content):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match="delete it"):
        data.read_idx(path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.mnist("valid"), "split='valid': expected 'train' or 'test'"),
        (lambda: data.photo(0), "size=0: expected an int in 1 … 320"),
        (lambda: data.photo(2.5), "size=2.5: expected an int in 1 … 320"),
    ],
)
def test_settings_that_make_no_sense_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_home_folder_is_understood(monkeypatch, fashion_mnist_folder):
    monkeypatch.setenv("HOME", str(fashion_mnist_folder))
    monkeypatch.setenv("USERPROFILE", str(fashion_mnist_folder))
    monkeypatch.setenv("DDPM_DATA", "~")
    assert data.cache() == fashion_mnist_folder
    assert len(data.fashion_mnist("test")[0]) == 10_000
    assert len(data.fashion_mnist("test", "~")[0]) == 10_000
