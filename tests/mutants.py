"""Plant errors in a copy of the course, and count which of them its tests notice.

    python tests/mutants.py                     all kinds, in the checked-out commit
    python tests/mutants.py --ref v1 displays   one kind, as of another commit

Not part of the tests: each planted error costs a run of the tests that ought to notice
it. An error that does not apply to an old commit is left out of its score.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from planted import PLANTED, TESTS

ROOT = Path(__file__).parent.parent


def with_error(path: str, text: str, old: str, new: str) -> str | None:
    """The file with the error in it; None unless ``old`` stands there once."""
    if not path.endswith(".ipynb"):
        return text.replace(old, new) if text.count(old) == 1 else None
    notebook = json.loads(text)
    cells = [c for c in notebook["cells"] if old in "".join(c["source"])]
    if len(cells) != 1 or "".join(cells[0]["source"]).count(old) != 1:
        return None
    changed = "".join(cells[0]["source"]).replace(old, new)
    cells[0]["source"] = changed.splitlines(keepends=True)
    return json.dumps(notebook, ensure_ascii=False, indent=1)


def is_noticed(copy: Path, kind: str, path: str, old: str, new: str) -> bool | None:
    """Whether a test fails with the error planted; None where it does not apply."""
    file = copy / path
    if not file.exists():
        return None
    text = file.read_text(encoding="utf-8")
    changed = with_error(path, text, old, new)
    if changed is None:
        return None
    file.write_text(changed, encoding="utf-8")
    try:
        return fails(copy, kind, [path])
    finally:
        file.write_text(text, encoding="utf-8")


def fails(copy: Path, kind: str, paths: list[str]) -> bool:
    """Whether a test of this kind fails; False where the commit has none of them.

    For pictures, the notebooks at ``paths`` are run with nbval, too.
    """
    tests = [test for test in TESTS[kind].split() if (copy / test).exists()]
    if not tests:
        return False
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not long", *tests]
    if kind == "pictures":
        command += ["--nbval", *(path for path in paths if (copy / path).exists())]
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=copy, env=environment, capture_output=True)
    if run.returncode not in (0, 1, 2):  # 2: an error stops the collection
        raise RuntimeError(f"pytest ran no test of {kind}: {run.stdout.decode()}")
    return run.returncode != 0


def main() -> None:
    """Print what becomes of each planted error, and a score for each kind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(PLANTED)} (all)")
    parser.add_argument("--ref", default="HEAD", help="a commit (HEAD)")
    parser.add_argument("--every", type=int, default=1, help="only every n-th error")
    arguments = parser.parse_args()
    kinds = arguments.kinds or list(PLANTED)
    found: Counter = Counter()
    with tempfile.TemporaryDirectory() as folder:
        archive = ["git", "archive", arguments.ref]
        tar = subprocess.run(archive, cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "-x"], cwd=folder, input=tar.stdout, check=True)
        for kind in kinds:
            if fails(Path(folder), kind, sorted({path for path, *_ in PLANTED[kind]})):
                raise SystemExit(f"{kind}: a test fails without any error planted")
            for path, old, new in PLANTED[kind][:: arguments.every]:
                result = is_noticed(Path(folder), kind, path, old, new)
                found[kind, result] += 1
                word = {True: "noticed", False: "SURVIVES", None: "does not apply"}
                print(f"{word[result]}: {kind}, {path}: {new!r}", flush=True)
    for kind in kinds:
        tried = found[kind, True] + found[kind, False]
        print(f"{kind}: {found[kind, True]} of {tried} noticed")


if __name__ == "__main__":
    main()
