"""MyST Markdown as plain Markdown. Code is never touched."""

import re
from collections.abc import Callable, Iterator
from typing import Protocol


class Unresolved(Exception):
    """A directive, role or label that has no plain form."""


class Lookup(Protocol):
    """Where labels are looked up; see ``references.References``."""

    def equation(self, label: str) -> str: ...
    def equation_link(self, label: str) -> str: ...
    def numbered(self, label: str) -> tuple[str, str]: ...
    def named(self, label: str) -> tuple[str, str]: ...
    def document(self, path: str) -> tuple[str, str]: ...
    def term(self, term: str) -> str: ...
    def citation(self, key: str, textual: bool) -> str: ...
    def image(self, path: str) -> str: ...
    def source(self, ids: str) -> tuple[str, str]: ...
    def page(self, docname: str | None = None, anchor: str = "") -> str: ...


_FENCE = re.compile(
    r"(?P<mark>`{3,}|~{3,}|:{3,})\s*(?:\{(?P<name>[\w:-]+)\})?(?P<rest>.*)"
)
_OPTION = re.compile(r":([\w-]+):\s*(.*)")
_BOXES = {"note", "tip", "hint", "important", "warning", "caution", "seealso"}

#: Boxes whose argument is their title.
_TITLED = {"admonition", "margin", "source"}


def to_plain(
    source: str, lookup: Lookup, in_solution: bool = False
) -> tuple[str, bool]:
    """(plain Markdown, whether a solution is still open at the end).

    ``in_solution`` says that one was open at the start. Raises Unresolved for
    anything that has no plain form.
    """
    text: list[str] = []
    for kind, content in _blocks(source):
        if kind == "directive":
            name, argument, options, body = content
            if name == "solution-start":
                in_solution = True
                text.append(_solution_link(argument, lookup))
            elif name == "solution-end":
                in_solution = False
            elif not in_solution:
                text.append(_directive(name, argument, options, body, lookup))
        elif not in_solution:
            text.append(content if kind == "code" else _prose(content, lookup))
    plain = "\n\n".join(part.strip("\n") for part in text if part.strip())
    return plain, in_solution


def _blocks(source: str) -> Iterator[tuple[str, object]]:
    """("prose", text), ("code", text) and ("directive", its parts), in order."""
    prose: list[str] = []
    lines = iter(source.split("\n"))
    for line in lines:
        fence = _FENCE.fullmatch(line)
        if fence is None:
            prose.append(line)
            continue
        yield "prose", "\n".join(prose)
        prose = []
        body, closing = [], re.compile(re.escape(fence["mark"]) + r"\s*")
        for inner in lines:
            if closing.fullmatch(inner):
                break
            body.append(inner)
        else:
            raise Unresolved(f"never closed: {line}")
        if fence["name"]:
            yield "directive", (fence["name"], fence["rest"].strip(), *_options(body))
        else:
            yield "code", "\n".join([line, *body, fence["mark"]])
    yield "prose", "\n".join(prose)


def _options(body: list[str]) -> tuple[dict[str, str], str]:
    options = {}
    while body and (option := _OPTION.fullmatch(body[0])):
        options[option[1]] = option[2]
        body = body[1:]
    return options, "\n".join(body)


def _directive(
    name: str, argument: str, options: dict, body: str, lookup: Lookup
) -> str:
    def plain(text: str) -> str:
        return to_plain(text, lookup)[0]

    if name == "exercise":
        number, _ = lookup.numbered(options["label"])
        return f"### {number} ({plain(argument)})\n\n{plain(body)}"
    if name == "solution":
        return _solution_link(argument, lookup)
    if name == "course-map":
        return ""
    if name == "live":
        picture = _PICTURE.sub(lambda m: f"{m[1]}({lookup.image(m[2])})", plain(body))
        place = lookup.page(anchor=f"live-{argument}")
        return f"{picture}\n\n*[On the page]({place}) you can play with this.*"
    if name == "source":
        argument, links = lookup.source(argument)
        body = f"{body}\n\n{links}"
    if name in {*_BOXES, *_TITLED}:
        title = plain(argument) if name in _TITLED else name.capitalize()
        lead = body if name in _TITLED else f"{argument}\n{body}"
        text = plain(lead).strip()
        gap = " " if text[:1].isalnum() or text[:1] in "$*[(" else "\n\n"
        quoted = f"**{title}.**{gap}{text}".splitlines()
        return "\n".join(f"> {line}".rstrip() for line in quoted)
    if name == "dropdown":
        summary = f"<summary>{plain(argument)}</summary>"
        return f"<details>{summary}\n\n{plain(body)}\n\n</details>"
    if name == "math":
        return _formula(body, options.get("label"), lookup)
    if name in ("figure", "image"):
        text = f"![{options.get('alt', '')}]({lookup.image(argument)})"
        if "name" in options:
            number, _ = lookup.numbered(options["name"])
            text += f"\n\n*{number}.* {' '.join(plain(body).split())}"
        return text
    if name == "code-block":
        return f"```{argument}\n{body}\n```"
    raise Unresolved(f"the directive {{{name}}} has no plain form")


def _solution_link(label: str, lookup: Lookup) -> str:
    number, address = lookup.numbered(label)
    return f"*[{number}: the solution is folded beneath it in the book.]({address})*"


def _formula(latex: str, label: str | None, lookup: Lookup) -> str:
    tag = rf" \tag{{{lookup.equation(label)}}}" if label else ""
    return f"$$\n{latex.strip()}{tag}\n$$"


_DISPLAY = re.compile(
    r"\$\$(?P<latex>(?:(?!\$\$).)+?)\$\$(?:[ \t]*\((?P<label>[\w-]+)\))?", re.S
)
_TARGET = re.compile(r"^\([\w-]+\)=[ \t]*\n?", re.M)
_PICTURE = re.compile(r"(!\[[^\]]*\])\(([^)\s]+)\)")
_BREAK_OR_COMMENT = re.compile(r"^(?:\+\+\+.*|%(?: .*)?)$\n?", re.M)
_ATTRIBUTES = re.compile(r"(?<=[\])`])\{[#.][^}`]*\}")
#: a role; else a code span, which is left as it is; else inline math
_SPAN = re.compile(
    r"\{(?P<role>[\w:-]+)\}(`+)(?P<content>.+?)\2"
    r"|(`+).+?\4"
    r"|(?<![\\$])\$(?![$\s])(?P<math>[^$`]+)\$(?!\$)",
    re.S,
)


def _prose(text: str, lookup: Lookup) -> str:
    text = _BREAK_OR_COMMENT.sub("", _TARGET.sub("", text))
    text = _DISPLAY.sub(lambda m: _formula(m["latex"], m["label"], lookup), text)
    return _ATTRIBUTES.sub("", _SPAN.sub(lambda m: _span(m, lookup), text))


def _span(match: re.Match, lookup: Lookup) -> str:
    if match["role"]:
        return _role(match["role"], match["content"], lookup)
    if match["math"]:  # Colab does not typeset a formula that runs over a line's end
        return f"${' '.join(match['math'].split())}$"
    return match[0]


def _role(role: str, content: str, lookup: Lookup) -> str:
    shown, target = content, content
    if explicit := re.fullmatch(r"(.*?)\s*<(.+)>", content, re.S):
        shown, target = explicit[1], explicit[2]
    simple: dict[str, Callable[[], str]] = {
        "eq": lambda: lookup.equation_link(target),
        "math": lambda: f"${content}$",
        "term": lambda: f"[{shown}]({lookup.term(' '.join(target.split()))})",
        "cite:t": lambda: _citations(content, lookup, textual=True),
        "cite:p": lambda: f"({_citations(content, lookup, textual=False)})",
        "cite": lambda: f"({_citations(content, lookup, textual=False)})",
    }
    if role in simple:
        return simple[role]()
    find = {"ref": lookup.named, "numref": lookup.numbered, "doc": lookup.document}
    if role in find:
        title, address = find[role](target)
        return f"[{title if shown == target else shown}]({address})"
    raise Unresolved(f"the role {{{role}}}`{content}` has no plain form")


def _citations(keys: str, lookup: Lookup, textual: bool) -> str:
    return "; ".join(lookup.citation(key.strip(), textual) for key in keys.split(","))
