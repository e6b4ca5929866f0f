"""Wrong answers, made from the right ones by changing one thing at a time.

A function's source is changed as a student might change it: another sign, index, axis,
argument or number, a root left out, a special case that swallows more than it should.
An expression is changed in its tree. Whether the result is wrong is decided without the
checker: on random inputs, or at random points.
"""

import ast
import copy
import inspect
import math
import random
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import sympy as sp
import torch
from exercise_inputs import inputs
from torch import Tensor

from ddpm_course import equations as eq
from ddpm_course.exercises.checker import Exercise

Answers = list[tuple[str, Any]]


def wrong_answers(exercise: Exercise) -> Answers:
    """Wrong answers to an exercise, each with what was changed."""
    if isinstance(exercise.reference, sp.Expr):
        return _wrong_expressions(exercise.reference)
    if callable(exercise.reference):
        return _wrong_functions(exercise)
    return _wrong_numbers(exercise.reference)


def _wrong_numbers(n: int) -> Answers:
    near = [n + i for i in range(-9, 10) if i]
    far = [n * 2, n // 2, n * 10, n / 10, n**2, -n, 0, 1, n - 0.5, n + 0.5, 1 / n]
    return [(str(x), x) for x in dict.fromkeys(near + far) if x != n]


# --- functions --------------------------------------------------------------------


def function(source: str) -> Callable:
    """The function that a source defines."""
    names = {"torch": torch, "math": math, "Tensor": Tensor}
    exec(source, names)  # our own text
    return names[ast.parse(source).body[0].name]  # type: ignore[attr-defined]


def _wrong_functions(exercise: Exercise) -> Answers:
    tree = ast.parse(textwrap.dedent(inspect.getsource(exercise.reference)))
    sources = {ast.unparse(changed) for changed in _changed(tree)}
    found = []
    for source in sorted(sources):
        answer = function(source)
        if not same_function(exercise, answer):
            found.append((source, answer))
    return found


def same_function(exercise: Exercise, answer: Callable, seeds: int = 60) -> bool:
    """Whether a function returns what the reference does, on random inputs."""
    for seed in range(seeds):
        arguments = inputs(exercise.number, seed)
        want = exercise.reference(*copy.deepcopy(arguments))
        try:
            got = answer(*copy.deepcopy(arguments))
            got, want = (np.asarray(x, dtype=float) for x in (got, want))
        except Exception:  # whatever a changed line raises, it is wrong
            return False
        if got.size == want.size == 1:
            got = got.reshape(want.shape)
        if got.shape != want.shape or not np.allclose(got, want, rtol=1e-3, atol=1e-3):
            return False
    return True


def _changed(tree: ast.Module) -> Iterator[ast.Module]:
    """Trees in which one node is another."""
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    names = [argument.arg for argument in definition.args.args]
    nodes = list(ast.walk(ast.Module(definition.body, [])))
    for i, node in enumerate(nodes):
        for other in _others(node, names):
            changed = copy.deepcopy(tree)
            body = changed.body[0].body  # type: ignore[attr-defined]
            target = list(ast.walk(ast.Module(body, [])))[i]
            yield _Replace(target, other).visit(changed)
    for special in _special_cases(definition):
        changed = copy.deepcopy(tree)
        changed.body[0].body.insert(0, special)  # type: ignore[attr-defined]
        yield ast.fix_missing_locations(changed)


def _special_cases(definition: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Lines that replace some whole numbers by their neighbors."""
    labels = definition.name in ("q_sample", "batch_step", "condition")
    for argument in definition.args.args:
        name = argument.arg
        scalar = argument.annotation and ast.unparse(argument.annotation) == "int"
        if not scalar and not (labels and name in ("t", "y")):
            continue
        for value, relation, sign in product(range(-1, 6), ("==", "<="), "+-"):
            test, new = f"{name} {relation} {value}", f"{name} {sign} 1"
            line = f"{name} = torch.where({test}, {new}, {name})"
            if scalar:
                line = f"{name} = {new} if {test} else {name}"
            yield ast.parse(line).body[0]


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, other: ast.AST) -> None:
        self.target, self.other = target, other

    def visit(self, node: ast.AST) -> Any:
        if node is self.target:
            return ast.copy_location(self.other, node)
        return self.generic_visit(node)


_OPERATORS = {
    ast.Add: [ast.Sub, ast.Mult],
    ast.Sub: [ast.Add, ast.Mult],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.MatMult: [],
    ast.Mod: [ast.FloorDiv],
}
_TWINS = {"sin": "cos", "cos": "sin", "sum": "mean", "cumprod": "cumsum", "log": "exp"}


def _others(node: ast.AST, names: list[str]) -> Iterator[ast.AST]:
    """What could stand in the place of a node."""
    if isinstance(node, ast.BinOp):
        for operator in _OPERATORS.get(type(node.op), []):
            yield ast.BinOp(node.left, operator(), node.right)
        yield node.left
        yield node.right
        if isinstance(node.op, ast.Sub | ast.Div | ast.Pow | ast.MatMult):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for value in (node.value + 1, node.value - 1, node.value * 2, node.value / 2):
            yield ast.Constant(value)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name):
        for operator in (ast.Add(), ast.Sub()):
            index = ast.BinOp(node.slice, operator, ast.Constant(1))
            yield ast.Subscript(node.value, index, node.ctx)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield from (ast.Name(n, ast.Load()) for n in names if n != node.id)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if not (
            isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("torch", "math")
        ):
            yield node.func.value  # without the call
        if twin := _TWINS.get(node.func.attr):
            yield ast.Call(
                ast.Attribute(node.func.value, twin, ast.Load()),
                node.args,
                node.keywords,
            )
    elif isinstance(node, ast.Return) and node.value is not None:
        yield ast.Return(ast.UnaryOp(ast.USub(), node.value))
        yield ast.Return(ast.BinOp(node.value, ast.Mult(), ast.Constant(1.01)))
        yield ast.Return(ast.BinOp(node.value, ast.Add(), ast.Constant(0.01)))


# --- expressions ------------------------------------------------------------------

#: For each symbol, others that it may be taken for.
_NEIGHBORS = [
    {eq.alpha_t, eq.beta_t, eq.abar_t, eq.abar_prev, eq.alpha_prev},
    {eq.abar_T, eq.abar_t, eq.beta_T},
    {eq.sigma_t, eq.beta_t, eq.betatilde_t},
    {eq.x_t, eq.x_0, eq.x0_hat},
    {eq.eps_hat, eq.eps, eq.z},
    {eq.mu_tilde, eq.mu_theta, eq.x_0},
    {eq.M, eq.D, eq.T},
]


def _wrong_expressions(right: sp.Expr) -> Answers:
    found = {e for e in _variants(right) if not same_expression(e, right)}
    return sorted(((str(e), e) for e in found), key=lambda pair: pair[0])


def _variants(e: sp.Expr) -> Iterator[sp.Expr]:
    """Expressions in which one node is another."""
    yield from _twisted(e)
    for i, argument in enumerate(e.args):
        for other in _variants(argument):
            yield e.func(*e.args[:i], other, *e.args[i + 1 :])


def _twisted(e: sp.Expr) -> Iterator[sp.Expr]:
    if e.is_Symbol:
        for group in _NEIGHBORS:
            yield from group - {e} if e in group else ()
    elif e.is_Integer:
        yield from (e + 1, e - 1)
    elif e.is_Rational:
        yield from (e * 2, e + 1, -e)
    elif e.is_Add or e.is_Mul:
        for i, argument in enumerate(e.args):
            rest = e.args[:i] + e.args[i + 1 :]
            yield e.func(*rest)
            yield e.func(*rest, -argument)
            if e.is_Mul:
                yield e.func(*rest, 1 / argument)
    if not e.is_Integer:
        yield from (-e, 2 * e, sp.sqrt(sp.Abs(e)), e**2)


def same_expression(left: sp.Expr, right: sp.Expr, points: int = 6) -> bool:
    """Whether two expressions agree at random points, under the relations."""
    return all(
        np.isclose(complex(a), complex(b), rtol=1e-9, atol=1e-12)
        for a, b in ((_at(left, seed), _at(right, seed)) for seed in range(points))
    )


@cache
def _at(e: sp.Expr, seed: int) -> sp.Expr:
    """The value at the point of a seed, in floats."""
    e = e.subs({eq.T: 5 + seed}).doit()
    e = e.replace(eq.beta, lambda i: 1 - eq.alpha(i)).subs(eq.RELATIONS)
    parts = e.atoms(sp.core.function.AppliedUndef) | e.free_symbols
    draw = {x: random.Random(f"{x} {seed}").uniform(0.1, 0.9) for x in parts}
    value = sp.N(e.xreplace(draw))
    return value if value.is_number and value.is_finite else sp.Float(math.inf)
