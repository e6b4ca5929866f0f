"""What folds away on a page: proofs, behind a check mark, and solutions.

A cell tagged ``proof`` shows its formulas and numbers; its code, and the line that says
that it is proven, go into a ``<details>``. The equation's number gets a ✓ that leads
there. Cells tagged ``hide-input`` are MyST-NB's own affair.
"""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_exercise.nodes import solution_node

from .references import References

#: What ``ddpm_course.equations.prove`` prints.
PROVEN = re.compile(r"^([\w-]+): proven, residual 0\n?", re.MULTILINE)
#: The summary of a cell that is one step of a proof, not its end.
STEP = "This step in SymPy"


class Proofs(SphinxPostTransform):
    """Fold proofs, and link each both ways with its equation."""

    default_priority = 200  # outputs are chosen, equations are numbered
    formats = ("html",)

    def run(self, **_) -> None:
        self.references = References(self.app, self.env.docname)
        self.equations = {
            block["label"]: block
            for block in self.document.findall(nodes.math_block)
            if block.get("label")
        }
        for cell in list(self.document.findall(_is_proof)):
            self.fold(cell)

    def fold(self, cell: nodes.Element) -> None:
        code, *outputs = cell.children
        labels, verdict = _take_verdicts(outputs)
        targets = [self.mark(label) for label in labels if label in self.equations]
        numbers = " and ".join(f"({self.references.equation(n)})" for n in labels)
        title = f"✓ Proof of {numbers}, checked with SymPy" if labels else STEP
        opening = f'<details class="proof"><summary>{title}</summary>{"".join(targets)}'
        if labels:  # not in the summary: a button must not hold a link
            links = " and ".join(map(self.link, labels))
            opening += f'<p class="back">Back to {links}</p>'
        cell.children = []
        cell += [_html(opening), code, *verdict, _html("</details>")]
        cell += [output for output in outputs if output.children]

    def link(self, label: str) -> str:
        """The equation's number, a link to it."""
        docname, _ = self.env.get_domain("math").equations[label]
        page = ""
        if docname != self.env.docname:
            page = self.app.builder.get_relative_uri(self.env.docname, docname)
        anchor = nodes.make_id(f"equation-{label}")
        return f'<a href="{page}#{anchor}">({self.references.equation(label)})</a>'

    def mark(self, label: str) -> str:
        """Put a ✓ beside the equation's number; return the target that it leads to."""
        block = self.equations.pop(label)  # only its first proof
        number = self.references.equation(label)
        name, anchor = f"Proof of equation ({number})", f"proof-{label}"
        link = f'<a href="#{anchor}" title="{name}" aria-label="{name}">✓</a>'
        row = nodes.container(classes=["proven"])
        block.replace_self(row)
        row["ids"] = []  # replace_self has copied them
        row += [block, _html(link)]
        return f'<span id="{anchor}"></span>'


class Solutions(SphinxPostTransform):
    """Fold solutions without a script. Sphinx-exercise would leave that to one."""

    default_priority = 200
    formats = ("html",)

    def run(self, **_) -> None:
        for solution in self.document.findall(solution_node):
            if "dropdown" in solution["classes"]:
                solution["classes"].remove("dropdown")
                title, *content = solution.children
                for link in list(title.findall(nodes.reference)):
                    link.replace_self(link.children)  # a click is to open the fold
                solution.children = []
                solution += [_html("<details><summary>"), title, _html("</summary>")]
                solution += [*content, _html("</details>")]


def _is_proof(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and "tag_proof" in node["classes"]


def _take_verdicts(outputs: list[nodes.Element]) -> tuple[list[str], list[nodes.Node]]:
    """Remove what `prove` has printed: the labels, and the lines as a block."""
    labels, verdicts = [], []
    for block in [b for o in outputs for b in o.findall(nodes.literal_block)]:
        found = PROVEN.findall(block.astext())
        if found:
            rest = PROVEN.sub("", block.astext())
            lines = "".join(m[0] for m in PROVEN.finditer(block.astext()))
            labels += found
            verdicts.append(_like(block, lines))
            if rest:
                block.replace_self(_like(block, rest))
            else:
                block.parent.remove(block)
    return labels, verdicts


def _like(block: nodes.literal_block, text: str) -> nodes.literal_block:
    return nodes.literal_block(text, text, **block.attributes)


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")
