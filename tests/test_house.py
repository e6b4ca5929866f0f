"""The house: arrows between the rooms point one way, and nothing is there twice."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ddpm_course"


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def imports(path: Path) -> set[str]:
    """The modules of the package that a module imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            found.add(node.module)
    return {name for name in found if name in MODULES}


ARROWS = {name: imports(path) for name, path in MODULES.items()}
#: The folder itself holds no code but its docstring.
ARROWS["ddpm_course"] = set()


def test_there_are_no_circles():
    inside = {  # a package's own modules may import what its __init__ holds, as usual
        name: {n for n in found if not f"{name}.".startswith(f"{n}.")}
        for name, found in ARROWS.items()
    }
    assert list(TopologicalSorter(inside).static_order())


@pytest.mark.parametrize("name", [n for n in MODULES if ".equations" in n])
def test_the_ledger_imports_nothing_else_of_ours(name):
    assert all(".equations" in found for found in ARROWS[name] - {"ddpm_course"})


def test_the_network_knows_nothing_of_diffusion():
    assert ARROWS["ddpm_course.unet"] <= {"ddpm_course"}


def test_what_teaches_imports_nothing_from_the_lab_but_the_keeping_of_runs():
    from_lab = {
        (name, found)
        for name, arrows in ARROWS.items()
        if ".lab" not in name and name != "ddpm_course.__main__"
        for found in arrows
        if found.startswith("ddpm_course.lab.")
    }
    assert from_lab == {("ddpm_course.training", "ddpm_course.lab.runs")}
