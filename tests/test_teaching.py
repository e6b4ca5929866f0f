"""The page for teachers: its example works, and its numbers are those of the book."""

import re

import jupytext
import pytest
from witnesses import BOOK, CHAPTERS, NOTEBOOKS

from ddpm_course import exercises
from ddpm_course.exercises import chapter_1, check

PAGE = (BOOK / "teaching.md").read_text(encoding="utf-8")


@pytest.fixture
def example(monkeypatch):
    """The exercise of the page, added to chapter 1."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len([line for line in code.split("SNR = ")[1].splitlines() if line]) <= 10
    names: dict = {}
    exec(code, names)
    monkeypatch.setattr(chapter_1, "EXERCISES", [*chapter_1.EXERCISES, names["SNR"]])
    return names["SNR"]


def test_the_example_of_an_exercise_works(example, capsys, monkeypatch):
    monkeypatch.setenv("DDPM_STRICT", "0")
    snr = example.reference
    check("1.7", 1 / (1 / snr))
    assert "1.7: correct. It falls from infinity" in capsys.readouterr().out
    check("1.7", snr**0.5)
    assert "1.7: not yet. Variances, not widths." in capsys.readouterr().out
    check("1.7", 1 / snr)
    assert "1.7: not yet" in capsys.readouterr().out
    assert exercises.find("1.7") is example


def asked(path) -> list[int]:
    """The minutes of each exercise in a chapter."""
    text = "".join(c.source for c in jupytext.read(path).cells)
    title = r"```\{exercise\} .*?\n:label: \S+\n\n\*\w+, (\d+) minutes\.\*"
    return [int(minutes) for minutes in re.findall(title, text)]


def test_the_table_has_the_exercises_and_minutes_of_the_chapters():
    row = r"^\| (?:chapter (\d)|\{doc\}`(\w+)`) \| \S+ \| (\d+) \| (\d+) \|"
    listed = {
        f"{int(number):02}" if number else page: (int(count), int(minutes))
        for number, page, count, minutes in re.findall(row, PAGE, re.M)
    }
    found = {
        path.stem[:2] if path in CHAPTERS else path.stem: asked(path)
        for path in NOTEBOOKS
    }
    assert listed == {n: (len(of), sum(of)) for n, of in found.items() if of}
