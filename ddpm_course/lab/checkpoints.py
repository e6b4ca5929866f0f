"""Files that are written whole or not at all, and read without running any code."""

from __future__ import annotations

import hashlib
import os
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch

#: What a checkpoint of ``train`` says of itself.
FORMAT = "ddpm_course training state 1"


class CheckpointError(RuntimeError):
    """A file that is no checkpoint, is damaged, in use, or belongs to another run."""


@contextmanager
def replacing(path: Path | str, keep: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of ``path`` if all went well.

    It is written aside under a name of its own, flushed, then renamed: a crash or a
    full disk leaves the old file as it was.

    Args:
        path: The file to write; its folder is made if it isn't there.
        keep: Where the old file goes, if it is worth keeping.

    Raises:
        OSError: If the file can't be written, with the path and what is left.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep and path.exists():
            os.replace(path, keep)
        os.replace(aside, path)
    except OSError as error:
        left = "; the file that was there before is whole" if path.exists() else ""
        why = error.strerror or error
        raise OSError(f"cannot write {path} ({why}){left}") from error
    finally:
        aside.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Delete what killed processes left of ``path``; call it under a lock."""
    for aside in path.parent.glob(f".{path.name}.*.part"):
        aside.unlink(missing_ok=True)


def check_writable(path: Path | str) -> None:
    """Raise OSError now if a file at ``path`` could not be written later."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give a file in it")
    probe = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"cannot write to {path.parent} ({error.strerror}): give another path"
        ) from error


def write(path: Path | str, content: dict, keep: Path | None = None) -> None:
    """Save tensors and plain values; ``keep`` and errors as in ``replacing``."""
    with replacing(path, keep) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's word for a write that failed
            cause = error.__context__
            if isinstance(cause, OSError):
                raise cause from None
            raise OSError(str(error).splitlines()[0]) from error


def read(path: Path | str, *formats: str) -> dict:
    """The content of a file that ``write`` wrote, on the CPU.

    Args:
        path: The file.
        formats: What it may say of itself; a checkpoint of ``train`` unless given.

    Raises:
        CheckpointError: If there is no such file, or it is damaged or something else.
    """
    if not Path(path).exists():
        raise CheckpointError(f"there is no checkpoint at {path}")
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at the sums
            damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"{damaged} has changed")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # foreign bytes fail in many ways
        raise CheckpointError(
            f"{path} cannot be read ({type(error).__name__}): it is cut off, damaged, "
            "or no checkpoint. Use a copy of it, or give another path"
        ) from error
    formats = formats or (FORMAT,)
    if not isinstance(content, dict) or content.get("format") not in formats:
        raise CheckpointError(
            f"{path} is not a checkpoint of this package, or not one of the right "
            f"kind: expected {' or '.join(formats)}"
        )
    return content


def sha256(path: Path) -> str:
    """The file's SHA-256, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_sum(path: Path) -> None:
    """Raise CheckpointError unless the file has the sum in SHA256SUMS beside it."""
    lines = (path.parent / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {name: digest for digest, name in map(str.split, lines)}
    if sha256(path) != sums[path.name]:
        raise CheckpointError(
            f"{path} is not the file that came with the package (its sha256 differs): "
            "install the package again"
        )


def previous(path: Path | str) -> Path:
    """Where the checkpoint before the last one is kept."""
    path = Path(path)
    return path.with_name(f"{path.stem}.previous{path.suffix}")
