"""How many wrong answers the checker catches: the table in CONTRIBUTING.md.

python tests/catch_rate.py           print it
python tests/catch_rate.py --write   put it into CONTRIBUTING.md
"""

import sys
from collections import Counter
from pathlib import Path

from wrong_answers import wrong_answers

from ddpm_course.equations import CHAPTERS
from ddpm_course.exercises import in_chapter
from ddpm_course.exercises.checker import Exercise, judge

FILE = Path(__file__).parent.parent / "CONTRIBUTING.md"
BEGIN, END = "<!-- catch rate -->\n", "<!-- end of catch rate -->\n"
HEAD = "| exercise | wrong answers | caught | named at once |\n|---|---|---|---|\n"


def caught(exercise: Exercise) -> Counter:
    """Of the wrong answers to an exercise, how many are judged how."""
    answers = wrong_answers(exercise)
    states = Counter(judge(exercise, answer).state for _, answer in answers)
    return states | Counter(all=len(answers))


def row(name: str, counts: Counter) -> str:
    """A line of the table."""
    rejected = counts["known"] + counts["unknown"]
    share = f"{rejected / counts['all']:.1%}"
    named = f"{counts['known'] / counts['all']:.0%}"
    return f"| {name} | {counts['all']} | {share} | {named} |\n"


def table() -> str:
    """The table, in Markdown."""
    text, total = HEAD, Counter()
    for chapter in CHAPTERS:
        for number, exercise in in_chapter(chapter).items():
            counts = caught(exercise)
            total += counts
            text += row(number, counts)
    return text + row("all", total)


def written() -> str:
    """The table that CONTRIBUTING.md has."""
    return FILE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    text = table()
    print(text, end="")
    if "--write" in sys.argv:
        whole = FILE.read_text(encoding="utf-8")
        old, new = (f"{BEGIN}{part}{END}" for part in (written(), text))
        FILE.write_text(whole.replace(old, new), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
