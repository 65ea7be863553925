"""What a parameter of a run is: its type, default, meaning and range, and the methods it counts for.

The parameters themselves are declared in `settings`.
"""

import math
from dataclasses import Field, field, fields
from typing import Any, Literal, NamedTuple, get_args, get_origin

Method = Literal["supervised", "label_free", "adaptation", "sequence", "temporal_convolution", "scenes", "triangulation"]
METHODS: tuple[str, ...] = get_args(Method)
SEQUENCE_METHODS = ("sequence", "temporal_convolution")
LABEL_FREE_METHODS = ("label_free", "adaptation", *SEQUENCE_METHODS)
FRAME_METHODS = ("supervised", "label_free", "adaptation")
REPORT_METHODS = ("supervised", *LABEL_FREE_METHODS)
LEARNT_METHODS = (*REPORT_METHODS, "scenes")


def parameter(
    default,
    note: str,
    methods: tuple[str, ...] = METHODS,
    can_be_0: bool = False,
    most: float | int = math.inf,
    at_test: bool = False,
):
    """A parameter of a run; a number must be positive, or can be 0, and must not exceed `most`.

    One marked `at_test` changes the test alone, so runs that differ only in it share a trained lifter. Adaptation,
    which trains on the test, starts from the shared lifter.
    """
    return field(default=default, metadata=dict(note=note, methods=methods, can_be_0=can_be_0, most=most, at_test=at_test))


class Parameter(NamedTuple):
    """What the declaration of a parameter says."""

    name: str
    group: str
    kind: type
    default: Any
    note: str
    choices: tuple[str, ...]
    methods: tuple[str, ...]
    can_be_0: bool
    most: float | int
    at_test: bool

    @classmethod
    def of(cls, group: type, f: Field) -> "Parameter":
        """From a field of a group."""
        choices = get_args(f.type) if get_origin(f.type) is Literal else ()
        return cls(f.name, group.__name__.lower(), str if choices else f.type, f.default, choices=choices, **f.metadata)

    @property
    def description(self) -> str:
        """Its meaning in one line, made of the note, the choices, and the methods it counts for if not for all."""
        words = self.note + (f" [{', '.join(self.choices)}]" if self.choices else "")
        return words if self.methods == METHODS else f"{words}; {_methods_in_words(self.methods)}"


def _methods_in_words(methods: tuple[str, ...]) -> str:
    left_out = [method for method in METHODS if method not in methods]
    return f"not for {', '.join(left_out)}" if len(left_out) < 3 else f"only for {', '.join(methods)}"


def checked(parameter: Parameter, value: Any) -> Any:
    """The value as the parameter's type: a whole number may stand for a float, and a number for a string of digits."""
    name, kind = parameter.name, parameter.kind
    if kind is float and type(value) is int:
        value = float(value)
    if name == "dropout" and type(value) in (int, float):
        value = str(float(value))
    elif kind is str and type(value) is int and not parameter.choices:  # papermill reads a camera called 54138969 so
        value = str(value)
    if type(value) is not kind:
        raise ValueError(f"{name} must be {kind.__name__}, got {type(value).__name__} {value!r}")
    if parameter.choices and value not in parameter.choices:
        raise ValueError(f"{name} must be one of {', '.join(parameter.choices)}; got {value!r}")
    if kind in (int, float) and not (math.isfinite(value) and 0 <= value <= parameter.most and (value or parameter.can_be_0)):
        raise ValueError(f"{name} must {_range_in_words(parameter)}; got {value}")
    return value


def _range_in_words(parameter: Parameter) -> str:
    words = "be a finite number that is not negative" if parameter.can_be_0 else "be positive and finite"
    return words if parameter.most == math.inf else f"{words} and at most {parameter.most}"


class Group:
    """A frozen dataclass of parameters, each of which is checked, and brought to its type, when it is made."""

    def __post_init__(self):
        for f in fields(self):
            if "note" in f.metadata:
                object.__setattr__(self, f.name, checked(Parameter.of(type(self), f), getattr(self, f.name)))


def parameters_of(group: type) -> list[Parameter]:
    """The parameters a group declares, in order."""
    return [Parameter.of(group, f) for f in fields(group) if "note" in f.metadata]


def check_joined(name: str, value: str, valid: tuple[str, ...] | None = None) -> None:
    """Raise a ValueError unless the value is different names joined by "+", all of them valid."""
    parts = value.split("+")
    if "" in parts or len(set(parts)) < len(parts):
        raise ValueError(f'{name} must be different names joined by "+"; got {value!r}')
    if valid and not set(parts) <= set(valid):
        raise ValueError(f"{name} must be some of {'+'.join(valid)}; got {value!r}")
