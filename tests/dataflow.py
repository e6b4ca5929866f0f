"""Which of the arrays that a cell draws do the numbers that it prints come from?

Names alone: a printed number comes from every name that leads to it through the cell's
assignments and loops. An array counts as drawn if a function that draws gets it, or
something that it was merely packed into or unpacked from, without any arithmetic.
"""

import ast
from collections.abc import Iterator

#: Functions of matplotlib, of ``plotting`` and of the chapters, whose arguments show.
DRAW = {
    *("plot", "semilogx", "semilogy", "loglog", "hist", "bar", "barh", "imshow"),
    *("fill_between", "stackplot", "axline", "axvline", "axhline", "axhspan"),
    *("axvspan", "vlines", "image_grid", "show_image", "gallery", "curves", "draw"),
}
#: Calls that hand on what they get.
PACK = {
    *("append", "cat", "clamp", "cumsum", "enumerate", "interpolate", "items", "list"),
    *("reshape", "stack", "tensor", "tiled", "to_pixels", "values", "zip"),
}
#: They say where, and under which schedule, and so they may lead to anything.
TOO_COMMON = {
    *("axes", "edges", "enumerate", "k", "list", "look_at", "n", "name", "names"),
    *("places", "range", "sched", "schedule", "schedules", "steps", "stops", "t"),
    *("time", "times", "torch", "zip"),
}


def names(*nodes: ast.AST) -> set[str]:
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}


def called(node: ast.AST) -> str:
    """The name of the function that is called, if one is."""
    function = getattr(node, "func", None)
    return getattr(function, "attr", getattr(function, "id", ""))


def bindings(target: ast.AST, value: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Each name in a target, and what it is taken from."""
    parts = value.elts if isinstance(value, ast.Tuple) else []
    if called(value) == "zip":
        parts = value.args
    elif called(value) == "enumerate":
        parts = [ast.Constant(0), *value.args]
    elif called(value) == "items":
        parts = [ast.Constant(""), value.func.value]
    if isinstance(target, ast.Tuple) and len(parts) == len(target.elts):
        for inner, part in zip(target.elts, parts, strict=True):
            yield from bindings(inner, part)
    elif isinstance(target, ast.Tuple):
        for inner in target.elts:
            yield from bindings(inner, value)
    else:
        yield from ((name, value) for name in names(target))


def flows(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Each name that a cell binds, or adds to, with what it gets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from bindings(target, node.value)
        elif isinstance(node, ast.AugAssign):
            yield from bindings(node.target, node.value)
        elif isinstance(node, ast.For | ast.comprehension):
            yield from bindings(node.target, node.iter)
        elif isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif called(node) == "append":
            yield from ((name, node.args[0]) for name in names(node.func.value))


def packed(value: ast.AST) -> set[str]:
    """The names in an expression that are handed on as they are."""
    if isinstance(value, ast.List | ast.Tuple):
        return set().union(*map(packed, value.elts))
    inside = list(ast.walk(value))
    computes = any(isinstance(n, ast.BinOp) and not is_merge(n) for n in inside)
    calls = {called(n) for n in inside if isinstance(n, ast.Call)}
    return set() if computes or calls - PACK else names(value)


def is_merge(node: ast.BinOp) -> bool:
    return isinstance(node.op, ast.BitOr)


def origins(start: set[str], tree: ast.AST, step=names) -> set[str]:
    """All names that lead to these."""
    bound, seen, rest = list(flows(tree)), set(), set(start)
    while rest:
        seen |= rest
        rest = {n for name, v in bound if name in rest for n in step(v)} - seen
    return seen


def drawn_and_printed(source: str) -> set[str]:
    """The drawn arrays from which the numbers come that a cell prints."""
    tree = ast.parse(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    drawn = names(*(a for c in calls if called(c) in DRAW for a in c.args))
    printed = names(*(a for c in calls if called(c) == "print" for a in c.args))
    both = origins(drawn, tree, packed) & origins(printed, tree)
    bound = list(flows(tree))
    literal = {n for n, _ in bound if not any(names(v) for m, v in bound if m == n)}
    return both - literal - TOO_COMMON
