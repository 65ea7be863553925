"""The state of an unfinished training run on disk, and what tells one run from another."""

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from posekit.files import shown, write_atomically

FORMAT = 3
"""To be raised when what `fit` keeps, or how it continues from it, changes."""
HEADER = f"posekit checkpoint {FORMAT}\n".encode()


class Checkpoint:
    """A file with the state of a run, written after every epoch and read when the same run starts again.

    Args:
        path: of the file; None keeps nothing.
        settings: all that decides the outcome of the run, by name. Tensors, modules, generators, functions and
            dataclasses are kept as text that is the same in every process; see `fingerprint`.
    """

    def __init__(self, path: str | Path | None, settings: dict[str, Any]):
        self.path = None if path is None else Path(path)
        self.settings = {} if path is None else {name: fingerprint(value) for name, value in settings.items()}

    def load(self, restore: Callable[[dict[str, Any]], None], device: torch.device | str) -> None:
        """Hand the saved state, on a device, to `restore`; without a file do nothing.

        Raises:
            ValueError: naming the file, what is wrong and what to do, if it is damaged or of another run.
        """
        if self.path is None or not self.path.exists():
            return
        remedy = "delete it to start from the beginning"
        data = self.path.read_bytes()
        if not data.startswith(HEADER):
            raise ValueError(f"{self.path} is not a checkpoint of format {FORMAT}; {remedy}")
        digest, content = data[len(HEADER) :][:32], data[len(HEADER) + 32 :]
        if hashlib.sha256(content).digest() != digest:
            raise ValueError(f"{self.path} is cut short or damaged; {remedy}")
        try:
            content = torch.load(io.BytesIO(content), weights_only=True, map_location=device)
            settings, state = dict(content["settings"]), dict(content["state"])
        except Exception as error:  # of any kind: the digest is right, so no such file comes from `save`
            raise ValueError(f"{self.path} holds no run ({shown(error)}); {remedy}") from error
        if settings != self.settings:
            differ = [name for name in settings | self.settings if settings.get(name) != self.settings.get(name)]
            theirs, ours = ({name: of.get(name) for name in differ} for of in (settings, self.settings))
            raise ValueError(
                f"{self.path} is of another run: it has {theirs}, this one has {ours}; "
                f"give this run another file, or continue that one with its settings, or {remedy}"
            )
        if not _is_finite(state):
            raise ValueError(f"{self.path} holds numbers that are not finite; {remedy}")
        try:
            restore(state)
        except Exception as error:  # likewise
            raise ValueError(f"{self.path} holds a state that does not fit this run ({shown(error)}); {remedy}") from error

    def save(self, state: dict[str, Any]) -> None:
        """Write the state atomically, under a temporary name that no other run has."""
        if self.path is None:
            return
        content = io.BytesIO()
        torch.save(dict(settings=self.settings, state=state), content)
        write_atomically(self.path, HEADER + hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())

    def forget(self) -> None:
        """Remove the file: the run is complete."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _is_finite(state: Any) -> bool:
    """Whether all tensors in nested dictionaries and lists are finite."""
    if isinstance(state, Mapping):
        state = list(state.values())
    if isinstance(state, list | tuple):
        return all(map(_is_finite, state))
    return not isinstance(state, Tensor) or bool(state.isfinite().all())


def fingerprint(value: Any) -> Any:
    """Plain values as they are; anything else as text that depends on its contents and not on the process.

    Functions count by name, partial ones with their arguments; what a function closes over is not looked at.

    >>> fingerprint(3e-4), fingerprint(len)
    (0.0003, 'builtins.len')
    >>> fingerprint(torch.zeros(2)) == fingerprint(torch.zeros(2)) != fingerprint(torch.zeros(3))
    True
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        tensor = value.detach().cpu().contiguous()
        digest = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()[:16]
    if isinstance(value, torch.Generator):
        return fingerprint(value.get_state())
    if isinstance(value, partial):
        return f"{fingerprint(value.func)}{fingerprint([*value.args, value.keywords])}"
    if isinstance(value, Mapping):
        return str({str(key): fingerprint(part) for key, part in value.items()})
    if isinstance(value, list | tuple):
        return str([fingerprint(part) for part in value])
    if is_dataclass(value):
        return _short(type(value), {f.name: getattr(value, f.name) for f in fields(value)})
    if isinstance(value, nn.Module):
        return _short(type(value), {"settings": getattr(value, "settings", repr(value))} | value.state_dict())
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "__dict__"):
        return _short(type(value), vars(value))
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _short(kind: type, content: Mapping[str, Any]) -> str:
    return f"{kind.__name__} {hashlib.sha256(fingerprint(content).encode()).hexdigest()[:16]}"
