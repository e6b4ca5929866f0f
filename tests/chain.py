"""Chains of three steps that can be solved exactly, for what SymPy can't prove.

SymPy can't take an average over paths, and it can't compare two of them. So the sides
of an equation that holds an average are evaluated here, for a linear network. Then all
densities are Gaussians, and an average is a sum over Gauss-Hermite nodes, exact for
the logarithm of a Gaussian, which is quadratic.

One chain has the best network for standard normal data: there every inequality must be
tight. The other has a poor one: there must be a gap.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import product
from operator import add, mul

import numpy as np
import sympy as sp
import torch

from ddpm_course import equations, schedules
from ddpm_course.equations import KL, E, Equation, L_s, p_s, p_T, q_0, q_back, q_s

T = 3
#: Densities of whole paths, and their factors on a chain.
PRODUCTS = {
    equations.q_path: [q_s(s) for s in range(1, T + 1)],
    equations.p_joint: [p_T, *(p_s(s) for s in range(1, T + 1))],
}
#: Densities that have a value only here.
DENSITIES = {"q_path", "p_joint", "p_path", "p_x0"}

Path = list[np.ndarray]  # x_0 … x_T, which broadcast


def holds_an_average(equation: Equation) -> bool:
    """Whether an equation is to be evaluated here."""
    rhs = equation.rhs
    return equation.relation != "=" or (isinstance(rhs, sp.Expr) and rhs.has(E, KL))


class Chain:
    """A chain whose network guesses trust · √ᾱ_t x_t; 1 is best for N(0, 1)."""

    def __init__(self, trust: float, nodes: int):
        betas = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it ends far from noise: fine here
            self.schedule = schedules.NoiseSchedule.from_betas(betas)
        self.trust = trust
        places, weights = np.polynomial.hermite.hermgauss(nodes)
        self.nodes, self.weights = np.sqrt(2) * places, weights / np.sqrt(np.pi)

    def denoiser(self, x_t: torch.Tensor, t: int | torch.Tensor) -> torch.Tensor:
        return self.trust * self.schedule.alpha_bar[t].sqrt().reshape(-1, 1) * x_t

    def gaussian(self, density: sp.Expr, x: Path) -> tuple[int, np.ndarray, float]:
        """(k, mean, variance) of a density of x_k, given the others."""
        if density == p_T:
            return T, np.zeros(()), 1.0
        if density == equations.p_x0:
            variance = 1.0  # of x_T; a step of the model multiplies x and adds noise
            for s in range(T, 0, -1):
                _, gain, noise = self.gaussian(p_s(s), [np.ones(())] * (T + 1))
                variance = gain**2 * variance + noise
            return 0, np.zeros(()), variance
        (s,) = map(int, density.args)
        beta, abar = self.schedule.beta.numpy(), self.schedule.alpha_bar.numpy()
        alpha, before, after = 1 - beta[s], 1 - abar[s - 1], 1 - abar[s]
        on_x0, on_x_s = np.sqrt(abar[s - 1]) * beta[s], np.sqrt(alpha) * before
        guess = self.trust * np.sqrt(abar[s]) * x[s]
        narrow = beta[s] * before / after
        return {
            q_s: (s, np.sqrt(alpha) * x[s - 1], beta[s]),
            q_0: (s, np.sqrt(abar[s]) * x[0], after),
            q_back: (s - 1, (on_x0 * x[0] + on_x_s * x[s]) / after, narrow),
            p_s: (s - 1, (on_x0 * guess + on_x_s * x[s]) / after, beta[s]),
        }[density.func]

    def log(self, density: sp.Expr, x: Path) -> np.ndarray:
        """The logarithm of a density at x."""
        if density == equations.p_path:
            return self.log(equations.p_joint, x) - self.log(equations.p_x0, x)
        if density in PRODUCTS:
            return reduce(add, (self.log(factor, x) for factor in PRODUCTS[density]))
        k, mean, variance = self.gaussian(density, x)
        return -((x[k] - mean) ** 2 / variance + np.log(2 * np.pi * variance)) / 2

    def average(
        self, density: sp.Expr, f: Callable[[Path], np.ndarray], x: Path
    ) -> np.ndarray:
        """The average of f over draws from a density, the others as in x."""
        factors = PRODUCTS.get(density, [density])
        for factor in factors:  # each adds an axis of nodes
            x = [value[..., None] for value in x]
            k, mean, variance = self.gaussian(factor, x)
            x[k] = mean + np.sqrt(variance) * self.nodes
        result = f(x)
        for _ in factors:
            result = (result * self.weights).sum(-1)
        return result

    def divergence(self, q: sp.Expr, p: sp.Expr, x: Path) -> np.ndarray:
        return self.average(q, lambda x: self.log(q, x) - self.log(p, x), x)

    def term(self, k: int, x: Path) -> np.ndarray:
        """L_k, from its logarithm on whole paths and not from its definition."""
        pairs = {s - 1: (q_back(s), p_s(s)) for s in range(2, T + 1)}
        pairs |= {T: (q_0(T), p_T)}

        def logarithm(x: Path) -> np.ndarray:
            if k == 0:
                return -self.log(p_s(1), x)
            q, p = pairs[k]
            return self.log(q, x) - self.log(p, x)

        if k != 0 and k not in pairs:
            return np.array(np.nan)  # there is no such term
        return self.average(equations.q_path, logarithm, x)

    def value(self, e: sp.Expr, x: Path) -> np.ndarray:
        """The value of an expression for x."""
        if e.is_Number:
            return np.float64(e)
        if isinstance(e, sp.Sum):
            ((index, first, last),) = e.limits
            each = range(int(first), int(last) + 1)
            return sum(self.value(e.function.subs(index, n), x) for n in each)
        if isinstance(e, E):
            return self.average(e.args[0], lambda x: self.value(e.args[1], x), x)
        if isinstance(e, KL):
            return self.divergence(*e.args, x)
        if isinstance(e, L_s):
            return self.term(int(e.args[0]), x)
        if e.func == sp.log:
            return np.log(self.value(e.args[0], x))
        operation = {sp.Add: add, sp.Mul: mul, sp.Pow: np.power}
        if e.func in operation:
            return reduce(operation[e.func], (self.value(a, x) for a in e.args))
        return np.exp(self.log(e, x))

    def at(self, e: sp.Expr, t: int, x: Path) -> float:
        """The value of a side of an equation."""
        return float(self.value(e.subs({equations.T: T, equations.t: t}), x))

    def draws(self, x: Path) -> Iterator[tuple[float, Path]]:
        """The nodes of an average over forward paths, and their weights."""
        for chosen in product(range(len(self.nodes)), repeat=T):
            walk = list(x)
            for s, n in enumerate(chosen, start=1):
                _, mean, variance = self.gaussian(q_s(s), walk)
                walk[s] = mean + np.sqrt(variance) * self.nodes[n]
            yield float(np.prod(self.weights[list(chosen)])), walk


BEST, POOR = Chain(1.0, nodes=24), Chain(0.5, nodes=24)
#: States to start from, and for what a side leaves open.
STATES = [
    [np.array(value) for value in x]
    for x in [(-0.7, 0.4, 1.1, -0.2), (1.3, 0.2, -0.9, 0.5)]
]


def times(equation: Equation, *sides: sp.Expr) -> range:
    """The t to look at: all, or any."""
    every = any(side.has(equations.t) for side in sides)
    return range(equation.first, T + 1 if every else equation.first + 1)


def disagreement(equation: Equation, left: sp.Expr) -> str | None:
    """Compare both sides of an equation on both chains."""
    for name, chain in {"best": BEST, "poor": POOR}.items():
        for t, x in product(times(equation, left, equation.rhs), STATES):
            gap = chain.at(equation.rhs, t, x) - chain.at(left, t, x)
            tight = equation.relation == "=" or chain is BEST
            if not (abs(gap) < 1e-6 if tight else gap > 1e-3):  # nan is wrong, too
                return (
                    f"the sides of {equation.label!r} disagree on the chain with the "
                    f"{name} network at t = {t}: right minus left is {gap:.6f}"
                )
    return None


def code_values(
    equation: Equation, call: Callable[[dict], torch.Tensor]
) -> Iterator[tuple[int, float, float]]:
    """(t, what the code gives on average, the ledger's right side)."""
    chain = Chain(POOR.trust, nodes=3)  # the same few nodes for both
    for t, x in product(times(equation, equation.rhs), STATES):
        total = 0.0
        for weight, walk in chain.draws(x):
            path = torch.tensor(np.array(walk))[:, None]
            total += weight * call(
                {
                    "schedule": chain.schedule,
                    "denoiser": chain.denoiser,
                    "path": path,
                    "t": t,
                    "x_0": path[:1],
                    "x_t": path[t : t + 1],
                }
            )
        yield t, total, chain.at(equation.rhs, t, x)
