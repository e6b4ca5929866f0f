"""What a label of the book leads to: its number, its title, its address."""

from base64 import b64encode
from pathlib import Path

from docutils.nodes import make_id
from sphinx.application import Sphinx

from . import pages, site
from .plain import Unresolved


class References:
    """Looks labels up in the tables of the finished build."""

    def __init__(self, app: Sphinx, docname: str) -> None:
        self.app, self.env, self.docname = app, app.env, docname
        self.std = app.env.get_domain("std")

    def page(self, docname: str | None = None, anchor: str = "") -> str:
        """The absolute address of a page, or of a place on it."""
        page = self.app.builder.get_target_uri(docname or self.docname)
        return site.address(self.app) + page + (f"#{anchor}" if anchor else "")

    def equation(self, label: str) -> str:
        """The number of an equation, "1.4"."""
        try:
            docname, _ = self.env.get_domain("math").equations[label]
        except KeyError:
            raise Unresolved(f"no equation {label!r}") from None
        return self._number(docname, "displaymath", make_id(f"equation-{label}"))

    def equation_link(self, label: str) -> str:
        """ "(1.4)", a link if the equation is on another page."""
        number = self.equation(label)
        docname, _ = self.env.get_domain("math").equations[label]
        if docname == self.docname:
            return f"({number})"
        return f"[({number})]({self.page(docname, make_id(f'equation-{label}'))})"

    def numbered(self, label: str) -> tuple[str, str]:
        """("Figure 1.2", address) of a figure, exercise, table or section."""
        docname, anchor = self._target(label)
        formats = self.app.config.numfig_format
        for kind, numbers in self.env.toc_fignumbers.get(docname, {}).items():
            if anchor in numbers:
                number = self._number(docname, kind, anchor)
                text = formats.get(kind, f"{kind.capitalize()} %s")
                return text.replace("%s", number), self.page(docname, anchor)
        raise Unresolved(f"{label!r} has no number")

    def named(self, label: str) -> tuple[str, str]:
        """(title, address) of a labelled section, or number of anything numbered."""
        if label in self.std.labels and self.std.labels[label][2]:
            docname, anchor, title = self.std.labels[label]
            if not label.startswith("ex-"):
                return title, self.page(docname, anchor)
        if "/" in label and label in self.std.anonlabels:  # a row of the concordance
            return label, self.page(*self.std.anonlabels[label])
        return self.numbered(label)

    def document(self, path: str) -> tuple[str, str]:
        """(title, address) of a page, named relative to this one."""
        docname, _ = self.env.relfn2path(path, self.docname)
        docname = (
            docname.rsplit(".", 1)[0] if docname not in self.env.titles else docname
        )
        if docname not in self.env.titles:
            raise Unresolved(f"no page {path!r}")
        return self.env.titles[docname].astext(), self.page(docname)

    def term(self, term: str) -> str:
        """The address of a glossary entry."""
        try:
            docname, anchor = self.std._terms[term.lower()]
        except KeyError:
            raise Unresolved(f"no glossary entry {term!r}") from None
        return self.page(docname, anchor)

    def citation(self, key: str, textual: bool) -> str:
        """ "Ho et al. (2020)" or "Ho et al., 2020", a link to the bibliography."""
        domain = self.env.get_domain("cite")
        found = [c for c in domain.citations if c.key == key]
        if not found:
            raise Unresolved(f"no reference {key!r} in the bibliography")
        entry = domain.bibdata.data.entries[key]
        names = [
            " ".join(person.prelast_names + person.last_names)
            for person in entry.persons.get("author", [])
        ]
        who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        who = who.replace("{", "").replace("}", "")
        year = entry.fields["year"]
        text = f"{who} ({year})" if textual else f"{who}, {year}"
        address = self.page(found[0].bibliography_key.docname, found[0].citation_id)
        return f"[{text}]({address})"

    def source(self, ids: str) -> tuple[str, str]:
        """(title, links) of a source note."""
        return pages.source(ids)

    def image(self, path: str) -> str:
        """A picture of ``_static`` as a data URI, in PNG: Colab shows no SVG."""
        picture = Path(self.app.srcdir) / "book" / path
        if picture.suffix == ".svg":
            picture = picture.parent / "png" / f"{picture.stem}.png"
        if picture.suffix != ".png" or not picture.is_file():
            raise Unresolved(f"no picture {path!r} in PNG: for an SVG run drawings.py")
        return f"data:image/png;base64,{b64encode(picture.read_bytes()).decode()}"

    def _target(self, label: str) -> tuple[str, str]:
        if label not in self.std.anonlabels:
            raise Unresolved(f"no label {label!r}")
        docname, anchor = self.std.anonlabels[label]
        return docname, anchor

    def _number(self, docname: str, kind: str, anchor: str) -> str:
        try:
            number = self.env.toc_fignumbers[docname][kind][anchor]
        except KeyError:
            raise Unresolved(f"{anchor!r} on {docname} has no number") from None
        return ".".join(map(str, number))
