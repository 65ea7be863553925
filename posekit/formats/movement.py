"""xarray datasets in the layout of the library `movement` (`pip install "posekit[formats]"`).

Dimensions are time, space, keypoint, individual and, for several cameras, view; variables are position and confidence.
Older versions of movement wrote the plurals keypoints and individuals, which are read as well.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.formats.contents import DataFileError, Detections
from posekit.sequences import MultiViewDataset
from posekit.skeleton import Skeleton
from posekit.skeletons import map_confidence, map_joints, plain_name

_PLURALS = {"keypoints": "keypoint", "individuals": "individual", "views": "view"}


def to_xarray(dataset: MultiViewDataset) -> Any:
    """The 2D joints of a dataset of one clip as an `xarray.Dataset`, pixels.

    Raises:
        ValueError: for a dataset of several clips, whose time is not one.
        ModuleNotFoundError: without xarray, saying how to install it.
    """
    if len(dataset.clips) != 1:
        raise ValueError(f"{dataset.name}: one clip at a time, got {len(dataset.clips)}; see dataset.select_clips")
    found = _dataset(dataset.pixels.permute(0, 3, 2, 1), dataset.skeleton, dataset.frame_rate, dataset.clips[0].subject)
    confidence = dataset.confidence.transpose(1, 2).unsqueeze(2).numpy()
    return found.assign(confidence=(found.confidence.dims, confidence)).assign_coords(view=list(dataset.view_names))


def poses_to_xarray(
    poses_world: Float[Tensor, "F J 3"], skeleton: Skeleton, frame_rate: float, individual: str = "person"
) -> Any:
    """3D joints as an `xarray.Dataset`, world metres. They have no confidence, which movement writes as NaN.

    Raises:
        ModuleNotFoundError: without xarray, saying how to install it.
    """
    return _dataset(poses_world.transpose(1, 2), skeleton, frame_rate, individual)


def _dataset(position: Tensor, skeleton: Skeleton, frame_rate: float, individual: str) -> Any:
    """Positions (F, axes, J) or (F, axes, J, V) of one individual, without confidences."""
    xarray = _xarray()
    dims = ("time", "space", "keypoint", "individual", "view")[: position.ndim + 1]
    position = position.unsqueeze(3)
    empty = torch.full_like(position[:, 0], torch.nan)
    return xarray.Dataset(
        {"position": (dims, position.numpy()), "confidence": (tuple(d for d in dims if d != "space"), empty.numpy())},
        coords={
            "time": torch.arange(len(position)).double().numpy() / frame_rate,
            "space": ["x", "y", "z"][: position.shape[1]],
            "keypoint": list(skeleton.joints),
            "individual": [individual],
        },
        attrs={"ds_type": "poses", "source_software": "posekit", "fps": frame_rate, "time_unit": "seconds"},
    )


def from_xarray(data: Any, skeleton: Skeleton, individual: str | None = None) -> Detections:
    """2D joints of an `xarray.Dataset` in movement's layout, whatever the order of its dimensions.

    Args:
        data: with position and, optionally, confidence; without a dimension view there is one view.
        skeleton: whose joints the keypoints are, by the same or an equally clear name.
        individual: whose, if there are several.

    Raises:
        DataFileError: for another layout, 3D positions, or keypoints that the skeleton cannot be made of.
    """
    data, names, views = _plain(data, individual)
    position = torch.tensor(data.position.transpose("time", "view", "keypoint", "space").values, dtype=torch.float32)
    if position.shape[-1] != 2:
        raise DataFileError(f"xarray: expected positions in x, y, got {position.shape[-1]} axes; see poses_from_xarray")
    confidence = position.isfinite().all(-1).float()
    if "confidence" in data and not data.confidence.isnull().all():
        given = torch.tensor(data.confidence.transpose("time", "view", "keypoint").values, dtype=torch.float32)
        confidence = confidence * given.nan_to_num()
    names = [name if name in skeleton.joints else plain_name(name) for name in names]
    try:
        pixels, confidence = map_joints(position, names, skeleton.joints), map_confidence(confidence, names, skeleton.joints)
    except ValueError as error:
        raise DataFileError(f"xarray: {error}") from error
    return Detections(views, skeleton, pixels, confidence, Path(data.attrs.get("source_file") or "xarray"))


def poses_from_xarray(data: Any, skeleton: Skeleton, individual: str | None = None) -> Float[Tensor, "F J 3"]:
    """3D joints of an `xarray.Dataset` in movement's layout; arguments and errors as in `from_xarray`."""
    data, names, _ = _plain(data, individual)
    position = data.position.isel(view=0).transpose("time", "keypoint", "space")
    if position.sizes["space"] != 3:
        raise DataFileError(f"xarray: expected positions in x, y, z, got {position.sizes['space']} axes; see from_xarray")
    names = [name if name in skeleton.joints else plain_name(name) for name in names]
    return map_joints(torch.tensor(position.values), names, skeleton.joints)


def _plain(data: Any, individual: str | None) -> tuple[Any, list[str], tuple[str, ...]]:
    """The data of one individual with singular names and a view, its keypoints and its views."""
    data = data.rename({old: new for old, new in _PLURALS.items() if old in data.dims})
    absent = {"time", "space", "keypoint"} - set(data.dims) or {"position"} - set(data)
    if absent:
        raise DataFileError(f"xarray: no {', '.join(sorted(absent))}; found dimensions {', '.join(map(str, data.dims))}")
    if "individual" in data.dims:
        present = [str(name) for name in data.individual.values]
        if individual is None and len(present) > 1:
            raise DataFileError(f"xarray: pass individual=, one of {', '.join(present)}")
        if individual not in (None, *present):
            raise DataFileError(f"xarray: no individual {individual!r}; it has {', '.join(present)}")
        data = data.isel(individual=present.index(individual) if individual else 0)
    if "view" not in data.dims:
        data = data.expand_dims(view=["view"])
    return data, [str(name) for name in data.keypoint.values], tuple(str(name) for name in data.view.values)


def _xarray() -> Any:
    try:
        import xarray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("movement's layout needs xarray: pip install 'posekit[formats]'") from error
    return xarray
