"""Datasets of synchronised multi-view poses. `synthetic` is generated when asked for, `balancing` comes with
posekit, and the others are licensed files."""

from collections.abc import Callable
from pathlib import Path

from posekit.datasets.balancing import load_balancing
from posekit.datasets.files import choose
from posekit.datasets.human36m import load_human36m, load_human36m_detected
from posekit.datasets.humaneva import load_humaneva
from posekit.datasets.synthetic import make_synthetic
from posekit.detector import check_faults
from posekit.random import generator
from posekit.renaming import renamed
from posekit.sequences import MultiViewDataset


def _load_synthetic(split: str, data_root: str | Path | None, **options) -> MultiViewDataset:
    return make_synthetic(split, **options)  # it needs no files


def _load_balancing(split: str, data_root: str | Path | None, **options) -> MultiViewDataset:
    return load_balancing(split, **options)  # its file lies beside its module


DATASETS: dict[str, Callable[..., MultiViewDataset]] = {
    "synthetic": _load_synthetic,
    "humaneva": load_humaneva,
    "human36m": load_human36m,
    "human36m_detected": load_human36m_detected,
}
"""Datasets with 3D labels, by name; each is a function of a split, a folder of files, and options of its own."""

RECORDINGS: dict[str, Callable[..., MultiViewDataset]] = {"balancing": _load_balancing}
"""Likewise those without labels, against which an experiment cannot be measured."""


@renamed(root="data_root")
def load_dataset(
    name: str = "synthetic",
    split: str = "train",
    data_root: str | Path | None = None,
    *,
    stride: int = 1,
    noise_px: float = 0.0,
    missing: float = 0.0,
    noise_correlation: float = 0.0,
    missing_run: float = 0.0,
    swapped: float = 0.0,
    noise_seed: int = 0,
    **options,
) -> MultiViewDataset:
    """Load one split of a dataset by name.

    Args:
        name: one of `DATASETS` or `RECORDINGS`.
        split: "train" or "test"; of `balancing` also "all".
        data_root: folder of the licensed files; default `$POSEKIT_DATA`, then `data/`.
        stride: take every stride-th frame of every clip; the frame rate falls accordingly.
        noise_px, missing, noise_correlation, missing_run, swapped: the faults of an imperfect detector; see
            `detector.Detector`.
        noise_seed: of that noise; it differs between the splits.
        options: of the dataset's own function, such as `lens`, `subjects` and `actions`; of `balancing`, `detector`.

    Raises:
        ValueError: for an unknown name, split or option value; the valid ones are listed. Also for noise over time
            without noise, see `detector.check_faults`.
        FileNotFoundError, DataFileError: see the dataset's module.

    >>> load_dataset("synthetic", "train")
    MultiViewDataset("synthetic": 3600 frames, 21 clips, 3 views, 15 joints, 60 fps)
    >>> load_dataset("synthetic", "test", actions=("Walking",), stride=2)
    MultiViewDataset("synthetic": 360 frames, 3 clips, 3 views, 15 joints, 30 fps)
    """
    known = DATASETS | RECORDINGS
    choose("dataset", [name], tuple(known))
    dataset = known[name](split, data_root, **options).every(stride)
    faults = dict(noise_correlation=noise_correlation, missing_run=missing_run, swapped=swapped)
    check_faults(noise_px=noise_px, missing=missing, **faults)
    if not (noise_px or missing or swapped):
        return dataset
    return dataset.with_detector_noise(noise_px, missing, generator(2 * noise_seed + (split == "test")), **faults)
