"""Lifters on disk: safetensors files whose settings are checked before anything is built from them."""

import inspect
import json
import types
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from posekit.files import shown, write_atomically

MAX_SETTING = 2**20
MAX_LAYERS = 100
"""Largest number of layers or blocks; each takes time to build, whether or not the file has weights for it."""


def save_module(module: nn.Module, path: str | Path) -> None:
    """Write a module's weights and `settings` as one safetensors file, atomically."""
    notes = {"lifter": type(module).__name__, "settings": json.dumps(module.settings)}
    write_atomically(path, save(module.state_dict(), metadata=notes))  # not `save_file`, which lets nobody else read it


def load_module(path: str | Path, kinds: dict[str, type[nn.Module]]) -> nn.Module:
    """Read a module of one of these kinds that `save_module` wrote, in eval mode on the CPU.

    Nothing in the file is executed, and no memory is taken that the weights in it do not fill.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it holds no such module, settings that do not belong to it or to the weights,
            or weights that are not finite.
    """
    if Path(path).is_dir():
        raise ValueError(f"{path}: expected a safetensors file, found a folder")
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
            stored = {name: _described(file.get_slice(name)) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        kind = kinds.get(notes.get("lifter"))
        if kind is None:
            raise ValueError(f"expected one of {', '.join(kinds)}, found {shown(notes.get('lifter'))}")
        module = _without_memory(kind, _settings(kind, notes.get("settings", "")))
        _check_same_tensors(stored, {name: (str(t.dtype), tuple(t.shape)) for name, t in module.state_dict().items()})
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a whole safetensors file ({shown(error)})") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    wrong = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if wrong:
        raise ValueError(f"{path}: weights that are not finite in {_listed(wrong)}; did the training fail?")
    module.to_empty(device="cpu").load_state_dict(weights)
    return module.eval()


def _settings(kind: type[nn.Module], text: str) -> dict[str, Any]:
    """The constructor's arguments, each of the type that its annotation says."""
    try:
        settings = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"settings that are not JSON ({type(error).__name__})") from error
    if not isinstance(settings, dict):
        raise ValueError(f"settings that are a {type(settings).__name__}, not a dictionary")
    parameters = {name: p for name, p in inspect.signature(kind).parameters.items() if name != "generator"}
    unknown = sorted(settings.keys() - parameters.keys())
    if unknown:
        raise ValueError(f"{kind.__name__} has no setting {_listed(unknown)}; it has {', '.join(parameters)}")
    missing = [name for name, p in parameters.items() if p.default is p.empty and name not in settings]
    if missing:
        raise ValueError(f"no setting {', '.join(missing)}")
    for name, value in settings.items():
        _check_setting(name, value, parameters[name].annotation)
    return settings


def _check_setting(name: str, value: Any, annotation: Any) -> None:
    allowed = annotation.__args__ if isinstance(annotation, types.UnionType) else (annotation,)
    fits = type(value) in allowed or (type(value) is int and float in allowed) or (value is None and types.NoneType in allowed)
    if not fits:
        raise ValueError(f"setting {name} is {shown(value)}; expected {' or '.join(t.__name__ for t in allowed)}")
    limit = MAX_LAYERS if name in ("layers", "blocks") else MAX_SETTING
    if type(value) in (int, float) and not 0 <= value <= limit:
        raise ValueError(f"setting {name} is {shown(value)}; expected a number from 0 to {limit}")
    if name == "scene_distance" and value <= 0:
        raise ValueError(f"setting scene_distance is {value}; expected metres above 0")


def _without_memory(kind: type[nn.Module], settings: dict[str, Any]) -> nn.Module:
    """The module without memory for its weights, on torch's meta device."""
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("error")  # such as torch's about layers without units
            return kind(**settings)
    except (ValueError, TypeError, LookupError, AssertionError, ArithmeticError, RuntimeError, UserWarning) as error:
        raise ValueError(f"settings that {kind.__name__} does not accept: {shown(error)}") from error


_TYPES = {"F32": "torch.float32", "I64": "torch.int64"}


def _described(tensor: Any) -> tuple[str, tuple[int, ...]]:
    return _TYPES.get(tensor.get_dtype(), tensor.get_dtype()), tuple(tensor.get_shape())


def _check_same_tensors(stored: dict, expected: dict) -> None:
    """Names, types and shapes of the tensors in the file and of those that its settings ask for."""
    if odd := sorted(stored.keys() ^ expected.keys()):
        raise ValueError(f"missing or surplus weights, going by its settings: {_listed(odd)}")
    for name, tensor in stored.items():
        if tensor != expected[name]:
            raise ValueError(f"{name} is {tensor[0]} {tensor[1]}; its settings ask for {expected[name][0]} {expected[name][1]}")


def _listed(names: list[str]) -> str:
    return ", ".join(map(shown, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
