"""What you have solved, kept in a file of your own: delete it to start anew.

The file is ``~/.ddpm_course/progress.json``, or what the environment variable
DDPM_PROGRESS names; if that is empty, nothing is kept. It holds, for each exercise, the
number of attempts and whether one was right. Nothing leaves your machine.
"""

import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import Path

from ddpm_course.exercises.checker import Exercise

#: Attempts and success by the number of the exercise: {"3.2": {"tries": 2, ...}}.
Record = dict[str, dict]

#: What the last write could not save, or all of it if nothing is to be kept.
_unsaved: Record = {}


def path() -> Path | None:
    """The file, or None if nothing is to be kept."""
    named = os.environ.get("DDPM_PROGRESS")
    if named is None:
        return Path.home() / ".ddpm_course" / "progress.json"
    return Path(named).expanduser() if named else None


def note(number: str, right: bool) -> None:
    """Count an attempt. A file that can't be written is no reason to stop."""
    old = of(number)
    _unsaved[number] = {"tries": old["tries"] + 1, "solved": old["solved"] or right}
    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        if file := path():
            _write(file, read(file) | _unsaved)
            _unsaved.clear()


def of(number: str) -> dict:
    """The attempts at an exercise, and whether one was right."""
    return load().get(number, {"tries": 0, "solved": False})


def load() -> Record:
    """What the file says, and what could not be saved in it."""
    record: Record = {}
    with suppress(OSError, RuntimeError):
        if file := path():
            record = read(file)
    return record | _unsaved


#: What a damaged file may raise: no JSON, other JSON, 1e999, lists in lists in lists.
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    RecursionError,
)


def read(file: Path) -> Record:
    """The record in a file. A damaged file is put aside, not overwritten."""
    if not file.exists():
        return {}
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        return {
            number: {"tries": int(one["tries"]), "solved": bool(one["solved"])}
            for number, one in record.items()
        }
    except _DAMAGE:
        _put_aside(file)
        return {}


def _put_aside(file: Path) -> None:
    """Rename a damaged file; what was put aside before stays."""
    names = (file.with_suffix(f".damaged-{n}") for n in count(1))
    aside = next(name for name in names if not name.exists())
    file.replace(aside)
    print(f"Your progress could not be read and starts anew; it is now in {aside}.")


def _write(file: Path, record: Record) -> None:
    """Write aside under a unique name, then rename."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            json.dump(record, opened, indent=1, sort_keys=True)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(aside, file)
    except BaseException:
        os.unlink(aside)
        raise


# --- the picture ------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A chapter, or all of them: how many exercises are solved, tried, open."""

    name: str
    states: tuple[str, ...]
    minutes: int

    def count(self, state: str) -> int:
        """How many exercises are in this state."""
        return self.states.count(state)

    @property
    def summary(self) -> str:
        """The numbers, in words."""
        counts = [f"{self.count(state)} {state}" for state in STATES]
        return f"{', '.join(counts)}, {self.minutes} min left"


#: States of an exercise, each with its color and its letter.
STATES = {
    "solved": ("#1b7837", "■"),
    "tried": ("#e08214", "▣"),
    "open": ("#d9d9d9", "□"),
}


class Progress:
    """Your progress: a picture in a notebook, text elsewhere."""

    def __init__(self, groups: dict[str, list[Exercise]]) -> None:
        record = load()
        self.rows = [
            _row(f"{'Chapter' if group.isdigit() else 'Page'} {group}", some, record)
            for group, some in groups.items()
            if some
        ]
        every = [exercise for some in groups.values() for exercise in some]
        self.rows.append(_row("All", every, record))

    def __repr__(self) -> str:
        width = max(len(row.states) for row in self.rows[:-1])
        lines = []
        for row in self.rows:
            boxes = (
                "".join(STATES[s][1] for s in row.states) if row.name != "All" else ""
            )
            lines.append(f"{row.name:9} {boxes:{width}}  {row.summary}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        height = 26 * len(self.rows) + 10
        rows = "".join(
            f'<g transform="translate(10 {26 * i + 24})">{_picture(row)}</g>'
            for i, row in enumerate(self.rows)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="620" height="{height}" '
            f'viewBox="0 0 620 {height}" role="img" aria-label="{escape(repr(self))}" '
            'style="max-width: 100%; background: white" fill="#222" '
            f'font-family="sans-serif" font-size="13">{rows}</svg>'
        )


def _row(name: str, exercises: Iterable[Exercise], record: Record) -> Row:
    states = {e.number: state(record.get(e.number)) for e in exercises}
    left = sum(e.minutes for e in exercises if states[e.number] != "solved")
    return Row(name, tuple(states.values()), left)


def state(one: dict | None) -> str:
    """The state of an exercise, by what the record has of it."""
    if one is None:
        return "open"
    return "solved" if one["solved"] else "tried"


def _picture(row: Row) -> str:
    """A bar: one box for each exercise, side by side."""
    each = min(24, 216 / len(row.states))
    states = row.states
    if row.name == "All":
        states = tuple(s for state in STATES for s in states if s == state)
    boxes = "".join(
        f'<rect x="{90 + i * each:.1f}" y="-12" width="{each * 0.9:.1f}" height="15" '
        f'fill="{STATES[state][0]}"/>'
        for i, state in enumerate(states)
    )
    return f'<text>{row.name}</text>{boxes}<text x="325">{row.summary}</text>'
