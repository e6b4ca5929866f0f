"""Your own pictures: every kind of file people really have."""

import os
import struct
import subprocess
import sys
import unicodedata
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from ddpm_course.lab.pictures import image_folder, to_images

RAMP = np.tile(np.linspace(0, 1, 256), (256, 1))  # black left, white right
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def one(folder, size=8, **options):
    """The only picture of a folder, in [-1, 1]."""
    (image,) = to_images(image_folder(folder, size, **options).pixels)
    return image


def plain(path, color=RED, size=(8, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, **options)


def photo(seed=0, size=(64, 48)):
    """Colored blobs, smooth as in a photograph."""
    rng = np.random.default_rng(seed)
    blobs = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return blobs.resize(size, Image.Resampling.BICUBIC)


def png(values, color_type, bits, chunks=()):
    """A PNG that Pillow doesn't write: ``values`` (H, W) or (H, W, C), big-endian."""

    def chunk(name, content):
        check = zlib.crc32(name + content)
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
        )

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(shape, content, bits, photometric=1, samples=1, sample_format=1):
    """An uncompressed little-endian TIFF that Pillow doesn't write."""
    height, width = shape
    extra = struct.pack("<3H", bits, bits, bits)
    entries = [
        *((256, 4, 1, width), (257, 4, 1, height)),
        (258, 3, samples, bits if samples == 1 else 8),
        *((259, 3, 1, 1), (262, 3, 1, photometric), (273, 4, 1, 14)),
        *((277, 3, 1, samples), (278, 4, 1, height), (279, 4, 1, len(content))),
        (339, 3, 1, sample_format),
    ]
    start = 14 + len(content)
    table = struct.pack("<H", len(entries))
    table += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<2sHI", b"II", 42, start) + extra + content + table + bytes(4)


# --- more than 8 bits -------------------------------------------------------------

SIXTEEN = (RAMP * 65535).round().astype("<u2")
TWELVE = (RAMP * 4095).round().astype(np.uint16)


def save_as(mode, name):
    def save(folder):
        image = Image.fromarray(SIXTEEN)
        if mode == "I;16B":
            image = Image.frombytes(
                "I;16B", (256, 256), SIXTEEN.astype(">u2").tobytes()
            )
        elif mode == "I":
            image = Image.fromarray(SIXTEEN.astype(np.int32))
        elif mode == "F":
            image = Image.fromarray(RAMP.astype(np.float32))
        image.save(folder / name)

    return save


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def packed(values):
    """Two 12-bit numbers in three bytes."""
    a, b = values[:, ::2], values[:, 1::2]
    return (
        np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], -1).astype("u1").tobytes()
    )


DEEP = {
    "I;16 png": save_as("I;16", "a.png"),
    "I;16 tif": save_as("I;16", "a.tif"),
    "I;16B tiff": save_as("I;16B", "a.tiff"),
    "I;16 jp2": save_as("I;16", "a.jp2"),
    "I pgm": save_as("I", "a.pgm"),
    "F tif": save_as("F", "a.tif"),
    "F pfm": save_as("F", "a.pfm"),
    "12-bit pgm": write("a.pgm", b"P5 256 256 4095\n" + TWELVE.astype(">u2").tobytes()),
    "12-bit tif": write("a.tif", tiff(RAMP.shape, packed(TWELVE), 12)),
    "white is zero": write("a.tif", tiff(RAMP.shape, (~SIXTEEN).tobytes(), 16, 0)),
    "white is zero, F": write(
        "a.tif", tiff(RAMP.shape, (1 - RAMP).astype("<f4").tobytes(), 32, 0, 1, 3)
    ),
    "RGB png": write("a.png", png(np.stack([SIXTEEN.astype(">u2")] * 3, -1), 2, 16)),
    "LA png": write(
        "a.png", png(np.stack([SIXTEEN, 0 * SIXTEEN + 65535], -1).astype(">u2"), 4, 16)
    ),
    "RGB tif": write(
        "a.tif", tiff(RAMP.shape, np.stack([SIXTEEN] * 3, -1).tobytes(), 16, 2, 3)
    ),
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_pixels_keep_their_shades(tmp_path, kind):
    DEEP[kind](tmp_path)
    for channels in (None, 1, 3):
        image = one(tmp_path, channels=channels)
        assert abs(image.mean()) < 0.01
        assert image.min() == pytest.approx(-0.88, abs=0.02)
        assert image.max() == pytest.approx(0.88, abs=0.02)
        assert (image[..., 1:] > image[..., :-1]).all()  # a ramp, not a step


def test_16_bits_are_rounded_to_8(tmp_path):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for i, shift in enumerate((0, 128, -128)):
        shifted = np.clip(levels.astype(int) * 257 + shift, 0, 65535)
        Image.fromarray(shifted.astype(np.uint16)).save(tmp_path / f"{i}.png")
    assert (image_folder(tmp_path, 16).pixels.numpy() == levels).all()


BEYOND = {
    "32 bits": lambda p: Image.fromarray(SIXTEEN.astype(np.int32) * 99).save(p),
    "32 bits, small": lambda p: Image.fromarray(SIXTEEN.astype(np.int32)).save(p),
    "float, large": lambda p: Image.fromarray(255 * RAMP.astype(np.float32)).save(p),
    "float, negative": lambda p: Image.fromarray(RAMP.astype(np.float32) - 1).save(p),
    "nan": lambda p: Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(p),
    "signed": lambda p: p.write_bytes(
        tiff((8, 8), np.full((8, 8), -5, "<i2").tobytes(), 16, sample_format=2)
    ),
}


@pytest.mark.parametrize("kind", BEYOND)
def test_numbers_without_a_known_white_are_skipped(tmp_path, kind):
    plain(tmp_path / "good.png")
    BEYOND[kind](tmp_path / "scan.tif")
    found = image_folder(tmp_path, 4)
    assert found.paths == ["good.png"]
    ((path, reason),) = found.skipped
    assert path == "scan.tif" and "floats in 0 … 1" in reason


# --- transparency -----------------------------------------------------------------

# a black square, left, on nothing: the hidden color is black too
ALPHA = np.zeros((16, 16), np.uint8)
ALPHA[:, :8] = 255
BLACK = np.zeros((16, 16), np.uint8)
INDEX = (ALPHA == 0).astype(np.uint8)  # 0 is black, 1 is transparent


def palette(mode="P", values=INDEX):
    image = Image.frombytes(mode, (16, 16), values.tobytes())
    image.putpalette([*(0, 0, 0), *(0, 0, 0), *(9, 9, 9)])
    return image


def rgba():
    return Image.fromarray(np.stack([BLACK, BLACK, BLACK, ALPHA], -1))


def key(values, color_type, bits, content):
    return png(values, color_type, bits, [(b"tRNS", content)])


def save_bytes(content):
    return lambda path: path.write_bytes(content)


TRANSPARENT = {
    "rgba.png": lambda p: rgba().save(p),
    "rgba.webp": lambda p: rgba().save(p, lossless=True, exact=True),
    "rgba.avif": lambda p: rgba().save(p, quality=100),
    "rgba.tif": lambda p: rgba().save(p),
    "rgba.tga": lambda p: rgba().save(p),
    "rgba.jp2": lambda p: rgba().save(p),
    "rgba.ico": lambda p: rgba().save(p, sizes=[(16, 16)]),
    "rgba.gif": lambda p: rgba().save(p),
    "la.png": lambda p: rgba().convert("LA").save(p),
    "p-index.png": lambda p: palette().save(p, transparency=1),
    "p-bytes.png": lambda p: palette().save(p, transparency=b"\xff\x00\xff"),
    "p.gif": lambda p: palette().save(p, transparency=1),
    "pa.tif": lambda p: palette("PA", np.stack([INDEX, ALPHA], -1)).save(p),
    "l.png": save_bytes(key(INDEX * 7, 0, 8, b"\0\7")),
    "i16.png": save_bytes(key((INDEX * 7).astype(">u2"), 0, 16, b"\0\7")),
    "rgb.png": save_bytes(key(np.stack([INDEX * 7] * 3, -1), 2, 8, b"\0\7\0\7\0\7")),
    "la16.png": save_bytes(png(np.uint16(257) * np.stack([BLACK, ALPHA], -1), 4, 16)),
}


@pytest.mark.parametrize("name", TRANSPARENT)
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_what_is_transparent_turns_white(tmp_path, name, channels):
    TRANSPARENT[name](tmp_path / name)
    image = one(tmp_path, channels=channels)
    assert image.shape[0] == (channels or 1)
    assert image[..., :3].max() < -0.97 and image[..., -3:].min() > 0.97


def test_one_bit_can_be_transparent(tmp_path):
    Image.fromarray(INDEX > 0).save(tmp_path / "a.png", transparency=0)
    assert (image_folder(tmp_path, 8).pixels == 255).all()


def test_half_transparent_is_halfway_to_white(tmp_path):
    Image.new("RGBA", (9, 9), (*RED, 128)).save(tmp_path / "a.png")
    pixels = image_folder(tmp_path, 3).pixels[0, :, 1, 1]
    assert pixels.tolist() == [255, 127, 127]


def test_a_hidden_color_does_not_bleed(tmp_path):
    values = np.full((16, 16, 4), 255, np.uint8)
    values[:, 8:] = (*GREEN, 0)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert (image_folder(tmp_path, 5).pixels == 255).all()


# --- upright ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(tmp_path, name, orientation):
    upright = np.zeros((640, 960, 3), np.uint8)
    upright[:320, :320] = RED
    upright[320:, 640:] = BLUE
    undo = {
        **{2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180},
        **{4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE},
        **{6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE},
        8: Image.Transpose.ROTATE_270,
    }
    image = Image.fromarray(upright)
    if orientation > 1:
        image = image.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / name, exif=exif, quality=95)
    got = image_folder(tmp_path, (4, 6)).pixels[0].permute(1, 2, 0).int()
    wanted = torch.zeros(4, 6, 3, dtype=torch.int)
    wanted[:2, :2, 0] = wanted[2:, 4:, 2] = 255
    assert (got - wanted).abs().max() < 40  # Lanczos overshoots at the edges


# --- colors and frames ------------------------------------------------------------

MODES = {
    "cmyk.jpg": lambda im, p: im.convert("CMYK").save(p, quality=98, subsampling=0),
    "cmyk.tif": lambda im, p: im.convert("CMYK").save(p),
    "ycbcr.tif": lambda im, p: im.convert("YCbCr").save(p),
    "ycbcr-jpeg.tif": lambda im, p: im.save(p, compression="jpeg", quality=98),
    "lab.tif": lambda im, p: im.convert("LAB").save(p),
    "palette.png": lambda im, p: im.quantize(256, dither=Image.Dither.NONE).save(p),
    "palette.gif": lambda im, p: im.quantize(256, dither=Image.Dither.NONE).save(p),
    "photo.bmp": lambda im, p: im.save(p),
    "photo.webp": lambda im, p: im.save(p, lossless=True),
    "photo.ppm": lambda im, p: im.save(p),
    "photo.jp2": lambda im, p: im.save(p),
    "photo.tga": lambda im, p: im.save(p),
    "photo.sgi": lambda im, p: im.save(p),
    "photo.qoi": lambda im, p: im.save(p),
    "photo.jfif": lambda im, p: im.save(p, format="JPEG", quality=98, subsampling=0),
    "photo.JPEG": lambda im, p: im.save(p, quality=98, subsampling=0),
    "png inside.jpg": lambda im, p: im.save(p, format="PNG"),
}


@pytest.mark.parametrize("name", MODES)
def test_colors_survive(tmp_path, name):
    MODES[name](photo(), tmp_path / name)
    got = image_folder(tmp_path, (12, 16)).pixels[0].permute(1, 2, 0).numpy()
    wanted = np.asarray(photo().resize((16, 12), Image.Resampling.LANCZOS))
    assert np.abs(got.astype(int) - wanted).mean() < 6


def test_one_bit_pictures_are_gray_and_smooth(tmp_path):
    Image.fromarray(RAMP > 0.5).save(tmp_path / "a.png")
    image = one(tmp_path, 5)
    assert image.shape == (1, 5, 5)
    assert abs(image[0, 0, 2]) < 0.1  # antialiased


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif", "a.mpo"])
def test_the_first_frame_counts(tmp_path, name):
    frames = [Image.new("RGB", (16, 16), color) for color in (GREEN, BLUE)]
    Image.new("RGB", (16, 16), RED).save(
        tmp_path / name, save_all=True, append_images=frames
    )
    image = one(tmp_path)
    assert image[0].min() > 0.97 and image[1:].max() < -0.97


# --- gray or color ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.png", "a.avif"])
def test_gray_in_color_files_is_gray(tmp_path, name):
    gray = photo(size=(640, 480)).convert("L").convert("RGB")
    gray.save(tmp_path / name, quality=60)
    assert image_folder(tmp_path, 64).pixels.shape == (1, 1, 64, 64)
    assert image_folder(tmp_path, 64, channels=3).pixels.shape == (1, 3, 64, 64)


def test_a_little_color_is_color(tmp_path):
    speck = np.full((32, 32, 3), 128, np.uint8)
    speck[5, 5] = (134, 128, 128)
    Image.fromarray(speck).save(tmp_path / "b.png")
    Image.new("L", (32, 32), 50).save(tmp_path / "a.png")
    found = image_folder(tmp_path, 32)
    assert found.pixels.shape == (2, 3, 32, 32)
    assert found.pixels[1, :, 5, 5].tolist() == [134, 128, 128]
    assert found.fingerprint == image_folder(tmp_path, 32, channels=3).fingerprint
    assert image_folder(tmp_path, 32, channels=1).pixels.shape == (2, 1, 32, 32)


def test_pale_pictures_keep_their_tint_next_to_color(tmp_path):
    plain(tmp_path / "a.png", (100, 102, 99))  # gray by itself
    assert image_folder(tmp_path, 4).pixels.shape[1] == 1
    plain(tmp_path / "b.png", RED)
    assert image_folder(tmp_path, 4).pixels[0, :, 0, 0].tolist() == [100, 102, 99]


# --- size -------------------------------------------------------------------------


def test_pictures_are_cropped_around_their_center(tmp_path):
    stripes = np.zeros((20, 60, 3), np.uint8)
    stripes[:, :20], stripes[:, 20:40], stripes[:, 40:] = RED, GREEN, BLUE
    Image.fromarray(stripes).save(tmp_path / "wide.png")
    Image.fromarray(stripes.swapaxes(0, 1)).save(tmp_path / "tall.png")
    pixels = image_folder(tmp_path, 5).pixels
    assert pixels.shape == (2, 3, 5, 5) and pixels.dtype == torch.uint8
    off = pixels - torch.tensor(GREEN)[:, None, None]
    assert off[:, :, 1:-1, 1:-1].abs().max() <= 2
    assert off.abs().max() < 30  # the filter looks a little past the edge


def test_size_is_height_and_width_of_any_kind(tmp_path):
    Image.fromarray(np.uint8(RAMP * 255)).save(tmp_path / "a.png")
    assert image_folder(tmp_path, (3, 7)).pixels.shape == (1, 1, 3, 7)
    assert image_folder(tmp_path, [7, 3]).pixels.shape == (1, 1, 7, 3)
    assert image_folder(tmp_path, 1).pixels.item() == pytest.approx(127.5, abs=1)
    assert image_folder(tmp_path, 300).pixels.shape == (1, 1, 300, 300)  # enlarged


@pytest.mark.parametrize(
    "size", [0, -1, 10**10, True, 8.0, "8", None, (8,), (8, 0), (8, 8, 3)]
)
def test_a_size_that_makes_no_sense_is_an_error(tmp_path, size):
    plain(tmp_path / "a.png")
    with pytest.raises(
        ValueError,
        match=r"size=.*: expected 1 … 16384 pixels or \(height, width\)",
    ):
        image_folder(tmp_path, size)


@pytest.mark.parametrize("channels", [0, 2, 4, True, "3", 3.0])
def test_channels_are_one_or_three(tmp_path, channels):
    plain(tmp_path / "a.png")
    with pytest.raises(
        ValueError, match=r"channels=.*: expected 1 for gray, 3 for color, or None"
    ):
        image_folder(tmp_path, 4, channels)


def test_fine_detail_is_averaged_not_picked(tmp_path):
    checks = np.indices((640, 640)).sum(0) % 2 * 255
    Image.fromarray(checks.astype(np.uint8)).save(tmp_path / "a.png")
    assert one(tmp_path, 10).abs().max() < 0.02


def test_phone_pictures_are_decoded_small(tmp_path, monkeypatch):
    photo(size=(4000, 3000)).save(tmp_path / "a.jpg", quality=90)
    wanted = ImageOps.fit(photo(size=(4000, 3000)), (64, 64), Image.Resampling.LANCZOS)
    sizes = []
    fit = ImageOps.fit

    def spy(image, *rest):
        sizes.append(image.size)
        return fit(image, *rest)

    monkeypatch.setattr(ImageOps, "fit", spy)
    got = image_folder(tmp_path, 64, 3).pixels[0].permute(1, 2, 0).numpy()
    assert sizes == [(500, 375)]
    image_folder(tmp_path, 256, 3)
    assert sizes[1:] == [(1000, 750)]  # at least twice the final size
    assert np.abs(got.astype(int) - np.asarray(wanted)).max() <= 3


# --- files and folders ------------------------------------------------------------


def test_subfolders_are_classes(tmp_path):
    for path in ("dogs/b.png", "cats/x/deep/1.png", "cats/2.PNG", "dogs/a.tif"):
        plain(tmp_path / path)
    (tmp_path / "birds").mkdir()  # without pictures
    found = image_folder(tmp_path, 4)
    assert found.paths == [
        *("cats/2.PNG", "cats/x/deep/1.png", "dogs/a.tif", "dogs/b.png"),
    ]
    assert found.classes == ["cats", "dogs"]
    assert found.labels.tolist() == [0, 0, 1, 1] and found.labels.dtype == torch.int64
    assert "classes (2): cats 2, dogs 2" in str(found)
    plain(tmp_path / "loose.png")
    found = image_folder(tmp_path, 4)
    assert len(found.paths) == 5 and found.classes == [] and found.labels is None


def test_clutter_is_ignored(tmp_path):
    plain(tmp_path / "a.png")
    for path in (".git/x.png", "__MACOSX/x.png", "@eaDir/x.jpg", "b/.thumbs/x.png"):
        plain(tmp_path / path, BLUE)
    for path in ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "b/.gitkeep"):
        (tmp_path / path).write_bytes(b"\0\5\x16\7")
    found = image_folder(tmp_path, 4)
    assert found.paths == ["a.png"] and found.skipped == found.others == []


def test_links_are_followed_once(tmp_path, monkeypatch):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "folder"
    plain(elsewhere / "far.png", BLUE)
    plain(tmp_path / "outside.png")
    plain(folder / "a/near.png")
    (folder / "b").symlink_to(elsewhere)
    (folder / "d").symlink_to(elsewhere)
    (folder / "a/loop").symlink_to(folder)
    (folder / "a/up").symlink_to(tmp_path)
    (folder / "a/again").symlink_to(elsewhere)
    (folder / "c.png").symlink_to(tmp_path / "outside.png")
    (folder / "broken.png").symlink_to("nowhere.png")
    (folder / "circle.png").symlink_to("circle.png")
    found = image_folder(folder, 4)
    assert found.paths == ["a/near.png", "b/far.png", "c.png"]
    assert [path for path, _ in found.skipped] == ["broken.png", "circle.png"]
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: sorted(listed(path))[::-1])
    assert image_folder(folder, 4).paths == found.paths


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_hang(tmp_path):
    plain(tmp_path / "folder.png/a.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = image_folder(tmp_path, 4)
    assert found.paths == ["folder.png/a.png"]
    assert found.skipped == [("pipe.png", "empty file")]


def test_a_folder_we_may_not_open_is_an_error(tmp_path, monkeypatch):
    plain(tmp_path / "cats/a.png")
    plain(tmp_path / "dogs/a.png")
    listed = os.listdir

    def refuse(path):
        if str(path).endswith("dogs"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(PermissionError, match="dogs"):
        image_folder(tmp_path, 4)


def test_the_order_is_that_of_the_names(tmp_path, monkeypatch):
    names = ["B.png", "a.png", "a/z.png", "a10.png", "a2.png", "ä.png", "é.png"]
    for i, name in enumerate(names):
        plain(tmp_path / unicodedata.normalize("NFD", name), (i, 0, 0))
    found = image_folder(tmp_path, 4)
    assert list(found.paths) == sorted(names)
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed(path)[::-1])
    again = image_folder(str(tmp_path), 4)
    assert again.paths == found.paths and again.fingerprint == found.fingerprint


def test_names_that_are_not_text_can_be_printed(tmp_path):
    try:
        plain(tmp_path / os.fsdecode(b"caf\xe9.png"), format="PNG")
    except OSError:
        pytest.skip("this file system wants text")
    found = image_folder(tmp_path, 4)
    assert found.paths == [r"caf\xe9.png"] and str(found).encode()


# --- what can't be read -----------------------------------------------------------


def test_damaged_files_are_skipped_with_a_reason(tmp_path):
    plain(tmp_path / "good.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("<html>404</html>")
    plain(tmp_path / "script.png", format="EPS")  # would start Ghostscript
    (tmp_path / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (tmp_path / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (tmp_path / "notes.txt").write_text("mine")
    photo(size=(200, 200)).save(tmp_path / "half.jpg")
    half = (tmp_path / "half.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(half[: len(half) // 2])
    found = image_folder(tmp_path, 4)
    assert found.paths == ["good.png"] and found.others == ["notes.txt"]
    reasons = dict(found.skipped)
    assert list(reasons) == sorted(reasons)
    assert reasons["empty.png"] == "empty file"
    assert reasons["text.jpg"] == reasons["script.png"] == "not an image, or damaged"
    assert "truncated" in reasons["half.jpg"]
    for name in ("phone.HEIC", "phone.jpg"):
        assert "pip install pillow-heif" in reasons[name]
    assert str(found).startswith("pictures (1): color, 4 × 4 pixels; skipped (6): ")
    assert str(found).endswith(" and 1 more; other files (1): notes.txt")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("a.png", {}), ("a.jpg", {}), ("a.jpg", {"progressive": True})),
        *(("a.gif", {}), ("a.webp", {}), ("a.bmp", {}), ("a.tif", {}), ("a.avif", {})),
        *(("a.tif", {"compression": "tiff_lzw"}), ("a.tga", {}), ("a.qoi", {})),
        *(("a.ppm", {}), ("a.sgi", {}), ("a.jp2", {}), ("a.ico", {})),
    ],
)
def test_half_a_file_is_never_a_picture(tmp_path, name, options):
    plain(tmp_path / "good.png")
    photo(size=(256, 256)).save(tmp_path / name, **options)
    content = (tmp_path / name).read_bytes()
    for part in (0.2, 0.5, 0.95):
        (tmp_path / name).write_bytes(content[: int(part * len(content))])
        found = image_folder(tmp_path, 4)
        assert found.paths == ["good.png"]
        assert len(found.skipped) == 1


def test_broken_exif_costs_nothing(tmp_path):
    plain(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff nonsense")
    assert len(image_folder(tmp_path, 4).paths) == 1


def test_the_home_folder_is_found(tmp_path, monkeypatch):
    plain(tmp_path / "mine/a.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert image_folder("~/mine", 4).paths == ["a.png"]


def test_folders_without_pictures_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder='.*nowhere' doesn't exist"):
        image_folder(tmp_path / "nowhere", 4)
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"folder='.*a\.txt' is a file"):
        image_folder(tmp_path / "a.txt", 4)
    wanted = r"pictures \(0\).*; other files \(1\): a\.txt; expected \.png"
    with pytest.raises(FileNotFoundError, match=wanted):
        image_folder(tmp_path, 4)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    wanted = r"pictures \(0\).*; skipped \(1\): broken\.png \(not an image.*a\.txt"
    with pytest.raises(FileNotFoundError, match=wanted):
        image_folder(tmp_path, 4)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"empty': found pictures \(0\); expected"
    ):
        image_folder(tmp_path / "empty", 4)


def test_huge_pictures(tmp_path, monkeypatch):
    """Past Pillow's limit, which is an error, and past ours, which is a reason."""
    Image.new("L", (20000, 10000), 200).save(tmp_path / "huge.jpg")
    header = png(np.zeros((1, 1), np.uint8), 0, 8)
    too_huge = struct.pack(">II", 20000, 20000)
    start = header.index(b"IHDR") + 4
    ihdr = too_huge + header[start + 8 : start + 13]
    check = struct.pack(">I", zlib.crc32(b"IHDR" + ihdr))
    content = header[:start] + ihdr + check + header[start + 17 :]
    (tmp_path / "too huge.png").write_bytes(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**7)
    found = image_folder(tmp_path, 4)
    assert found.paths == ["huge.jpg"] and (found.pixels == 200).all()
    reason = "20000 × 20000 pixels: scale it down first"
    assert found.skipped == [("too huge.png", reason)]
    assert Image.MAX_IMAGE_PIXELS == 10**7  # as it was


# --- the whole --------------------------------------------------------------------


def test_the_fingerprint_notices_every_change(tmp_path):
    plain(tmp_path / "a.png", RED)
    plain(tmp_path / "b.png", BLUE)
    seen = [image_folder(tmp_path, 4).fingerprint]
    assert len(seen[0]) == 64 and int(seen[0], 16)
    (tmp_path / "notes.txt").write_text("no picture")
    assert image_folder(tmp_path, 4).fingerprint == seen[0]
    seen += [image_folder(tmp_path, size).fingerprint for size in (5, (2, 8))]
    plain(tmp_path / "b.png", (0, 0, 254))
    seen.append(image_folder(tmp_path, 4).fingerprint)
    (tmp_path / "b.png").rename(tmp_path / "c.png")
    seen.append(image_folder(tmp_path, 4).fingerprint)
    (tmp_path / "c.png").unlink()
    seen.append(image_folder(tmp_path, 4).fingerprint)
    assert len(set(seen)) == len(seen)


def test_forty_gray_phone_pictures_in_two_classes(tmp_path):
    for i in range(40):
        path = tmp_path / "phone" / ("night" if i % 2 else "day") / f"IMG_{i:04}.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        gray = photo(i, size=(640, 480)).convert("L").point(lambda v: v // 2 + 64)
        exif = Image.Exif()
        exif[0x0112] = 6
        gray.convert("RGB").save(path, quality=85, exif=exif)
    found = image_folder(tmp_path / "phone", 32)
    assert str(found) == (
        "pictures (40): gray, 32 × 32 pixels; classes (2): day 20, night 20"
    )
    images = to_images(found.pixels)
    assert images.shape == (40, 1, 32, 32) and images.dtype == torch.float32
    assert -0.55 < images.min() < -0.3 and 0.3 < images.max() < 0.55
    assert images.is_contiguous() and (images.std(dim=0) > 0).all()
    assert (found.labels == torch.arange(2).repeat_interleave(20)).all()


def test_to_images_reaches_both_ends():
    assert to_images(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("gray", [False, True])
def test_memory_peaks_below_twice_the_result(tmp_path, gray):
    """In a process of its own, whose peak is forgotten before the call."""
    for i in range(200):
        image = photo(i, size=(16, 16))
        (image.convert("L") if gray else image).save(tmp_path / f"{i}.png")
    script = f"""
from pathlib import Path
from ddpm_course.lab.pictures import image_folder

def status(key):
    (line,) = (x for x in open("/proc/self/status") if x.startswith(key))
    return int(line.split()[1]) * 1024

image_folder({str(tmp_path)!r}, 4)  # so that everything is imported
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
pixels = image_folder({str(tmp_path)!r}, 300).pixels
print((status("VmHWM") - before) / pixels.nbytes, pixels.shape[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    ratio, channels = map(float, done.stdout.split())
    assert channels == (1 if gray else 3)
    assert ratio < 1.5
