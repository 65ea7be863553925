"""Pickled trees of arrays, read without unpickling.

A pickle is a program for a small stack machine, and Python's own machine lets it call functions, set attributes and
run `__setstate__` on real objects: even NumPy's alone are enough to read foreign memory. This machine knows only what
arrays in plain containers need. A name in the file stands for one of the small classes below, never for a real object.
These take validated values only, and an array is made from the file's bytes once type, shape and length agree.
Opcodes are decoded by the standard library's `pickletools`, which executes nothing. Every refusal is a ValueError.
"""

import io
import math
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_OPCODES = 300_000
"""Over ten times what detections for all of Human3.6M need; half a second of work."""
MAX_DEPTH = 20
"""Containers within containers; the files of the datasets have four."""
MAX_DIMENSIONS = 8

_PLAIN_TYPE = re.compile(r"[<>|](b1|[iu][1248]|f[248]|[SU][1-9]\d{0,5})")
_OBJECT_TYPES = ("O", "O4", "O8")
_LITERALS = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"}
    | {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


def read_pickled(stream: io.BytesIO, size: int) -> Any:
    """What a pickled 0-d object array holds: dictionaries with string keys, lists, tuples, numbers, text and arrays.

    Args:
        stream: a seekable stream that stands at the start of the pickle.
        size: bytes in the stream; the arrays together may hold no more, however often the file names the same bytes.

    Raises:
        ValueError: for anything else.
    """
    machine = _Machine(size)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name == "STOP":
            return machine.content()
        if count == MAX_OPCODES:
            raise ValueError(f"it has more than {MAX_OPCODES} opcodes")
        machine.step(opcode.name, argument)
    raise ValueError("it has no end")


def plain_array(dtype: str, shape: tuple, order: str, raw: bytes | bytearray) -> np.ndarray:
    """A read-only array over these bytes, if they are exactly the numbers or text that type and shape promise.

    Args:
        dtype: byte order, kind and size, e.g. "<f4"; booleans, integers, floats and text.
        shape: whole numbers from 0 on.
        order: "C" or "F".
        raw: the bytes.

    Raises:
        ValueError: if something does not fit.
    """
    if not _PLAIN_TYPE.fullmatch(dtype):
        raise ValueError(f"it has an array of type {dtype[:20]!r}; expected numbers or text")
    kind = np.dtype(dtype)
    if len(shape) > MAX_DIMENSIONS or not all(type(length) is int and 0 <= length < 2**40 for length in shape):
        raise ValueError("it has an array with an impossible shape")
    expected = math.prod(shape) * kind.itemsize
    if not isinstance(raw, bytes | bytearray) or len(raw) != expected or math.prod(filter(None, shape)) >= 2**40:
        found = f"{len(raw)} bytes" if isinstance(raw, bytes | bytearray) else type(raw).__name__
        raise ValueError(f"it has an array of {shape} {dtype} with {found} of data, expected {expected} bytes")
    units = {"b": ("u1", 1), "U": (f"{kind.byteorder}u4", 0x10FFFF)}.get(kind.kind)
    if units and raw and np.frombuffer(raw, units[0]).max() > units[1]:
        raise ValueError(f"it has an array with values that {dtype} cannot have")
    return np.frombuffer(bytes(raw), kind).reshape(shape, order=order)


@dataclass(frozen=True, eq=False)
class _Name:
    """Stands for a function or class that the file names; `make` is what calling it does."""

    make: Callable[["_Machine", Any], Any] | None = None


@dataclass(eq=False)
class _Type:
    """Stands for a dtype: kind and size at first, with the byte order once its state is set."""

    code: str
    order: str = ""

    def set_state(self, state: Any, _: "_Machine") -> "_Type":
        match state:
            # no subarray, names or fields; item size, alignment and flags follow from the code and are not used
            case (3, "<" | ">" | "|" as order, None, None, None, int(), int(), int()) if not self.order:
                self.order = order
                return self
        raise ValueError("it has a dtype with fields, or none that arrays have")


@dataclass(eq=False)
class _Shell:
    """Stands for an array between its creation and its state; the state makes the array."""

    array: np.ndarray | None = None

    def set_state(self, state: Any, machine: "_Machine") -> "np.ndarray | _Object":
        match state:
            case (1, tuple(shape), _Type() as dtype, int(fortran), raw) if self.array is None:
                if dtype.code not in _OBJECT_TYPES:
                    self.array = machine.array(dtype, shape, "F" if fortran else "C", raw)
                    return self.array
                if shape == () and isinstance(raw, list) and len(raw) == 1:
                    return _Object(raw[0])
        raise ValueError("it has an array with an invalid state")


@dataclass(frozen=True, eq=False)
class _Object:
    """Stands for a 0-d object array, which only the outermost array may be."""

    content: Any


def _reconstruct(_: "_Machine", arguments: Any) -> _Shell:
    match arguments:
        case (_Name() as kind, (int(),), bytes() | str()) if kind is _NDARRAY:
            return _Shell()
    raise ValueError("it makes an array in a way that NumPy does not")


def _dtype(_: "_Machine", arguments: Any) -> _Type:
    match arguments:
        case (str(code), *_):
            return _Type(code)
    raise ValueError("it has a dtype without a name")


def _scalar(machine: "_Machine", arguments: Any) -> Any:
    match arguments:
        case (_Type() as dtype, raw):
            return machine.array(dtype, (), "C", raw)[()]
    raise ValueError("it has an invalid scalar")


def _from_buffer(machine: "_Machine", arguments: Any) -> np.ndarray:
    match arguments:
        case (raw, _Type() as dtype, tuple(shape), "C" | "F" as order):
            return machine.array(dtype, shape, order, raw)
        case (raw, _Type() as dtype, tuple(shape), "K", tuple(axes)) if all(type(axis) is int for axis in axes):
            if sorted(axes) == list(range(len(shape))):
                return machine.array(dtype, shape, "C", raw).transpose(axes)
    raise ValueError("it makes an array from a buffer in a way that NumPy does not")


def _encode(machine: "_Machine", arguments: Any) -> bytes:
    match arguments:
        case (str(text), "latin1"):  # how protocols up to 2 write bytes
            machine.spend(len(text))
            return text.encode("latin1")
    raise ValueError("it encodes text as something other than latin1")


def _empty_bytes(_: "_Machine", arguments: Any) -> bytes:
    if arguments != ():
        raise ValueError("it calls bytes with arguments")
    return b""


_NDARRAY = _Name()
_NAMES = {
    "numpy ndarray": _NDARRAY,
    "numpy dtype": _Name(_dtype),
    "_codecs encode": _Name(_encode),
    "builtins bytes": _Name(_empty_bytes),
    "__builtin__ bytes": _Name(_empty_bytes),
}
for _package in ("numpy.core", "numpy._core"):  # before and since NumPy 2
    _NAMES[f"{_package}.multiarray _reconstruct"] = _Name(_reconstruct)
    _NAMES[f"{_package}.multiarray scalar"] = _Name(_scalar)
    _NAMES[f"{_package}.numeric _frombuffer"] = _Name(_from_buffer)


class _Machine:
    """The stack machine: values, the stacks below the marks, and the memo."""

    def __init__(self, size: int):
        self.stack: list = []
        self.below: list[list] = []
        self.memo: dict[int, Any] = {}
        self.left = 2 * size  # every byte may be written as text, encoded and made part of an array

    def step(self, name: str, argument: Any) -> None:
        match name:
            case "PROTO" | "FRAME":
                pass
            case _ if name in _LITERALS:
                self.push(_literal(argument))
            case _ if name in _CONSTANTS:
                self.push(_CONSTANTS[name])
            case "EMPTY_LIST":
                self.push([])
            case "EMPTY_DICT":
                self.push({})
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.push(tuple([self.pop() for _ in range(int(name[-1]))][::-1]))
            case "MARK":
                self.below.append(self.stack)
                self.stack = []
            case "TUPLE":
                self.push(tuple(self.pop_to_mark()))
            case "LIST":
                self.push(self.pop_to_mark())
            case "DICT":
                self.push(_filled({}, self.pop_to_mark()))
            case "APPEND":
                item = self.pop()
                self.top(list).append(item)
            case "APPENDS":
                items = self.pop_to_mark()
                self.top(list).extend(items)
            case "SETITEM":
                value, key = self.pop(), self.pop()
                _filled(self.top(dict), [key, value])
            case "SETITEMS":
                items = self.pop_to_mark()
                _filled(self.top(dict), items)
            case "MEMOIZE":
                self.remember(len(self.memo))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.remember(argument)
            case "GET" | "BINGET" | "LONG_BINGET":
                self.push(self.remembered(argument))
            case "GLOBAL":
                self.push(_named(argument))
            case "STACK_GLOBAL":
                name, module = self.pop(), self.pop()
                self.push(_named(f"{module} {name}" if isinstance(module, str) and isinstance(name, str) else ""))
            case "REDUCE":
                arguments, function = self.pop(), self.pop()
                if not isinstance(function, _Name) or function.make is None:
                    raise ValueError("it calls something that is not a function")
                self.push(function.make(self, arguments))
            case "BUILD":
                state, target = self.pop(), self.pop()
                if not isinstance(target, _Shell | _Type):
                    raise ValueError(f"it sets attributes of a {type(target).__name__}")
                self.push(target.set_state(state, self))
            case _:
                raise ValueError(f"it uses the opcode {name}, which arrays do not need")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            raise ValueError("it takes more from the stack than there is")
        return self.stack.pop()

    def pop_to_mark(self) -> list:
        if not self.below:
            raise ValueError("it refers to a mark that is not there")
        items, self.stack = self.stack, self.below.pop()
        return items

    def top(self, kind: type = object) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError("it fills or stores a value that is not there")
        return self.stack[-1]

    def remember(self, index: int) -> None:
        if not 0 <= index < MAX_OPCODES:
            raise ValueError(f"it stores a value at the memo index {index}")
        self.memo[index] = self.top()

    def remembered(self, index: int) -> Any:
        if index not in self.memo:
            raise ValueError("it looks up a memo entry that does not exist")
        value = self.memo[index]
        return value.array if isinstance(value, _Shell) and value.array is not None else value

    def array(self, dtype: _Type, shape: tuple, order: str, raw: Any) -> np.ndarray:
        if isinstance(raw, str):  # Python 2's bytes
            raw = raw.encode("latin1")
        array = plain_array(dtype.order + dtype.code, shape, order, raw)
        self.spend(array.nbytes)
        return array

    def spend(self, size: int) -> None:
        """Bytes that are made from others; a file that uses the same ones over and over is refused."""
        self.left -= size
        if self.left < 0:
            raise ValueError("its arrays are larger than the file")

    def content(self) -> Any:
        """What the outermost array holds, at the end."""
        if self.below or len(self.stack) != 1 or not isinstance(self.stack[0], _Object):
            raise ValueError("it does not end with a single object array")
        content = self.stack[0].content
        _check_tree(content)
        return content


def _literal(value: Any) -> Any:
    if isinstance(value, int) and abs(value) >= 2**64:
        raise ValueError("it has an integer of more than 64 bits")
    if isinstance(value, str) and not value.isascii():
        value.encode()  # half a surrogate pair is no text, and printing it would fail later
    return value


def _filled(table: dict, items: list) -> dict:
    keys = items[::2]
    if len(items) % 2 or not all(isinstance(key, str) for key in keys):
        raise ValueError("it has a dictionary with keys that are not strings")
    table.update(zip((str(_literal(key)) for key in keys), items[1::2]))  # NumPy's text becomes Python's
    return table


def _named(name: str) -> _Name:
    if name not in _NAMES:
        shown = name.replace(" ", ".")[:80]
        raise ValueError(f"it names {shown}, which is not on the list of array types")
    return _NAMES[name]


def _check_tree(root: Any) -> None:
    """One pass that refuses stand-ins without an array, loops, shared containers and too many levels.

    Without shared containers the tree is as large as the file; with them 40 pairs can stand for 2^40 values.
    """
    seen: set[int] = set()
    level = [root]
    for _ in range(MAX_DEPTH):
        if any(isinstance(value, _Name | _Type | _Shell | _Object) for value in level):
            raise ValueError("it has an array without contents, or a type or function as a value")
        containers = [value for value in level if isinstance(value, dict | list | tuple) and value]
        new = {id(value) for value in containers}
        if len(new) < len(containers) or new & seen:
            raise ValueError("it has a container in two places")
        seen |= new
        level = [item for value in containers for item in (value.values() if isinstance(value, dict) else value)]
    if level:
        raise ValueError(f"it has containers more than {MAX_DEPTH} deep")
