"""What an answer evaluates to, as arrays that can be compared.

- An expression: its values at a few random points (see ``expressions``).
- A function: what it returns for a few fixed inputs.
- A number or an array: itself, up to axes of length 1.
"""

import copy
import inspect
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from ddpm_course.exercises import expressions
from ddpm_course.exercises.trouble import Trouble, a


@dataclass(frozen=True)
class Values:
    """Values as float64, with the dtype that they came in."""

    array: np.ndarray
    dtype: str

    @property
    def rtol(self) -> float:
        """The relative tolerance of a comparison: 16-bit floats are coarse."""
        return 1e-2 if self.dtype in ("float16", "bfloat16") else 1e-5


def evaluate(reference: Any, answer: Any, inputs: Sequence[tuple]) -> Iterator:
    """Evaluate an answer, one trial or point after the other.

    Args:
        reference: The right answer, which shows what kind is expected.
        answer: Anything.
        inputs: The arguments of each trial of a function.

    Yields:
        Values, one for each trial or point. A trial of a function that fails gives a
        Trouble, and one that returns ``...`` gives that.

    Raises:
        Trouble: If the answer is of another kind.
    """
    if isinstance(reference, sp.Expr):
        expression = expressions.read(answer)
        for point in expressions.POINTS:
            yield Values(np.array(expressions.number(expression, point)), "float64")
    elif callable(reference):
        if not callable(answer) or isinstance(answer, sp.Basic):
            raise Trouble(
                f"your answer is {a(answer)}: give the function itself, its name "
                "without parentheses."
            )
        names = parameters(reference)
        _check_arguments(answer, names)
        for arguments in inputs:
            yield _call(answer, dict(zip(names, arguments, strict=True)))
    else:
        values, shape = _array(answer), _array(reference).array.shape
        yield Values(_fit(values.array, shape), values.dtype)


def ours(reference: Any, answer: Any, inputs: Sequence[tuple]) -> list:
    """What a reference or a mistake evaluates to: it is trusted, and called once."""
    if not callable(reference) or isinstance(reference, sp.Basic):
        return [*evaluate(reference, answer, inputs)]
    values = []
    for arguments in inputs:
        try:
            values.append(_values(answer(*_copied(arguments))))
        except Trouble as trouble:
            values.append(trouble)
        except Exception as error:
            values.append(raised(error))
    return values


def agree(left: Values | Trouble, right: Values | Trouble, scale: float) -> bool:
    """Equal up to rounding. Two calls that fail agree if they fail in the same way.

    Args:
        left: What an answer evaluates to in a trial.
        right: What a reference or a mistake evaluates to.
        scale: The largest number of the reference in any trial: where the truth is 0,
            an error is small compared with that.
    """
    if isinstance(left, Trouble) or isinstance(right, Trouble):
        return (
            isinstance(left, Trouble)
            and isinstance(right, Trouble)
            and left.kind == right.kind
        )
    mine = left.array
    if mine.size == right.array.size == 1:  # one number, of any shape
        mine = mine.reshape(right.array.shape)
    return mine.shape == right.array.shape and bool(
        close(mine, right.array, left, right, scale).all()
    )


def close(mine, truth, left: Values, right: Values, scale: float) -> np.ndarray:
    """Where two arrays are equal up to rounding."""
    rtol = max(left.rtol, right.rtol)
    tolerance = {"rtol": rtol, "atol": rtol * scale}
    if right.dtype.startswith("int"):  # a count allows no rounding
        tolerance = {"rtol": 0, "atol": 1e-6}
    # a mistake may give nan somewhere and is recognized by it; a reference never does
    return np.isclose(mine, truth, **tolerance, equal_nan=True)


def scale_of(want: Sequence[Values]) -> float:
    """The largest number of a right answer."""
    return max(np.abs(one.array).max(initial=0) for one in want)


def _fit(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array in that shape, if axes of length 1 or broadcasting make it fit."""
    if [n for n in array.shape if n != 1] == [n for n in shape if n != 1]:
        return array.reshape(shape)
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        return array


def parameters(function: Callable) -> list[str]:
    """The names of a function's arguments."""
    return list(inspect.signature(function).parameters)


# --- numbers and arrays -----------------------------------------------------------


def _array(answer: Any, it_is: str = "your answer is") -> Values:
    """The answer (numpy, torch, a number, or a list of these) as a float64 array."""
    if hasattr(answer, "detach"):
        array, dtype = _from_torch(answer, it_is)
    else:
        array = _from_numpy(answer)
        dtype = str(array.dtype)
    if array.dtype.kind in "OU" and (isinstance(answer, list | tuple) or array.ndim):
        return _collected(list(answer), a(answer), it_is)
    if array.dtype.kind == "b":
        kind = a(answer) if array.ndim == 0 else f"{a(answer)} of True and False"
        raise Trouble(
            f"{it_is} {kind}, as a comparison gives: expected numbers. If you meant "
            "1 and 0, multiply by 1.0."
        )
    if array.dtype.kind == "c":
        raise Trouble(f"{it_is} complex: expected real numbers.")
    if array.dtype.kind not in "iuf":
        remedy = {str: ", without the quotes"}.get(type(answer), "")
        if isinstance(answer, sp.Expr):
            remedy = ". Put numbers in for its symbols with .subs"
        raise Trouble(f"{it_is} {a(answer)}: expected a number or an array{remedy}.")
    return Values(array.astype(np.float64), dtype)


def _from_torch(tensor: Any, it_is: str) -> tuple[np.ndarray, str]:
    """A tensor of any device, layout and dtype."""
    if tensor.device.type == "meta":
        raise Trouble(
            f"{it_is} a tensor without numbers: it is on the device meta. Make it on "
            "the CPU."
        )
    dtype = str(tensor.dtype).partition(".")[2]
    tensor = tensor.detach().cpu()
    tensor = tensor if dtype == "bool" or tensor.is_complex() else tensor.double()
    return tensor.to_dense().numpy(), dtype


def _from_numpy(answer: Any) -> np.ndarray:
    """Anything else, of dtype object if its entries are to be looked at one by one."""
    if isinstance(answer, sp.Expr) and answer.is_real and answer.is_number:
        answer = float(answer)
    if isinstance(answer, Real | Decimal) and not isinstance(answer, int | np.number):
        answer = float(answer)
    try:
        return np.asarray(answer)
    except Exception:  # ragged, or tensors with a gradient, or anything
        return np.empty((), dtype=object)


def _collected(entries: list, kind: str, it_is: str) -> Values:
    """A list of whatever can be read as arrays of one shape."""
    subject = it_is.replace("your function returns", "what your function returns is")
    owner = subject.removesuffix(" is")
    parts = [_array(e, f"entry {i} of {owner} is") for i, e in enumerate(entries)]
    arrays = [part.array for part in parts]
    if len({x.shape for x in arrays}) > 1 and all(x.size == 1 for x in arrays):
        arrays = [x.reshape(()) for x in arrays]
    if len({x.shape for x in arrays}) > 1:
        shapes = ", ".join(str(x.shape) for x in arrays[:4])
        raise Trouble(
            f"{it_is} {kind} of entries of different shapes ({shapes}): give all of "
            "them the same shape."
        )
    coarse = min((part.dtype for part in parts), key=lambda d: "16" not in d)
    return Values(np.stack(arrays), coarse)


# --- functions --------------------------------------------------------------------


def _check_arguments(function: Callable, names: list[str]) -> None:
    """Raise Trouble if a function doesn't take as many arguments as these."""
    try:
        inspect.signature(function).bind(*names)
    except TypeError:
        raise Trouble(
            f"your function takes the wrong arguments: expected ({', '.join(names)})."
        ) from None
    except ValueError:
        pass  # a built-in without a signature


def _call(function: Callable, arguments: dict[str, Any]) -> Any:
    """What the function returns: Values, ``...``, or the Trouble it runs into."""
    given = _copied(arguments.values())
    try:
        returned = function(*given)
        again = function(*_copied(arguments.values()))
    except Trouble as trouble:
        return trouble
    except (Exception, SystemExit) as error:
        return raised(error)
    for (name, before), after in zip(arguments.items(), given, strict=True):
        if not _same(before, after):
            raise Trouble(
                f"your function changes its argument {name} in place. Make a new "
                "tensor instead: the caller may still need the old one."
            )
    if returned is ...:
        return ...
    first, second = _values(returned), _values(again)
    if isinstance(first, Trouble):
        return first
    if isinstance(second, Trouble):
        return second
    if not np.array_equal(first.array, second.array, equal_nan=True):
        raise Trouble(
            "two calls of your function with the same arguments give different "
            "results. Draw nothing inside: its arguments hold all the noise it needs."
        )
    return first


def _copied(arguments: Iterable) -> list:
    """The arguments for a function that may change them: tensors, numbers, lists."""
    return [x.clone() if hasattr(x, "clone") else copy.copy(x) for x in arguments]


def _values(returned: Any) -> Values | Trouble:
    """What a function has returned."""
    if returned is None:
        return Trouble("your function returns None: a return is missing.")
    try:
        return _array(returned, "your function returns")
    except Trouble as trouble:
        return trouble


def _same(before: Any, after: Any) -> bool:
    """Whether an argument still has its numbers; it may have got a gradient."""
    if hasattr(before, "equal"):
        return before.equal(after)
    return np.array_equal(before, after)


#: Where the code of others lies: Python's, what is installed, and this package's.
_LIBRARIES = (
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
    "<frozen",
    "<__array_function__",
)


def _line(frame: traceback.FrameSummary, of: str) -> str:
    """Where a frame is, and what stands there if that is known."""
    place = f"line {frame.lineno} of {of}"
    return f"{place}:\n    {frame.line}" if frame.line else f"{place}."


def raised(error: BaseException, it: str = "your function") -> Trouble:
    """The student's line that raised, its number, and the full message.

    If that line lies in another function of theirs, the line that called it is shown.
    The same mistake raises the same type and names the same numbers, in any order: of
    two shapes that don't match, either may come first.
    """
    name, message = type(error).__name__, str(error)
    told = f"{name}: {message}" if message else name
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_LIBRARIES)
    ]
    line = ""
    if own:
        other = own[-1].name != own[0].name
        line = _line(own[-1], own[-1].name if other else "your code")
        line += f"\ncalled from {_line(own[0], own[0].name)}" if other else ""
    numbers = sorted(re.findall(r"\d+", message))
    sentence = f"{it} raises {name}"
    sentence += f" in {line}\n{told}" if line else f".\n{told}"
    return Trouble(
        sentence, kind=f"{name} {numbers}", where=line and f"In {line}\n{told}"
    )
