"""The joints that detectors find: their order in files, their skeletons, and the way from one set of joints to another.

A detector's file lists keypoints in the detector's order, often without a pelvis. A `Skeleton` here begins with the
pelvis and is a tree. `KEYPOINTS` has the order in files, and `map_joints` makes one of the other. A joint that a
detector lacks is derived where that is possible: the pelvis is the middle of the hips, the thorax that of the shoulders.

Two joints of the same name need not be the same point: detectors and markers disagree by centimetres, most of all on
hips, pelvis and ankles. A mapping by name does not change that.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.skeleton import HUMAN36M_17, HUMANEVA_15, Skeleton, words

MIDDLES = {"pelvis": ("left_hip", "right_hip"), "thorax": ("left_shoulder", "right_shoulder")}
"""Joints that can be derived, each with the two joints whose middle it is."""

_LIMBS = {
    "left_shoulder": "thorax", "left_elbow": "left_shoulder", "left_wrist": "left_elbow",
    "right_shoulder": "thorax", "right_elbow": "right_shoulder", "right_wrist": "right_elbow",
    "left_hip": "pelvis", "left_knee": "left_hip", "left_ankle": "left_knee",
    "right_hip": "pelvis", "right_knee": "right_hip", "right_ankle": "right_knee",
}  # fmt: skip
_FEET = {
    "left_big_toe": "left_ankle", "left_small_toe": "left_big_toe", "left_heel": "left_ankle",
    "right_big_toe": "right_ankle", "right_small_toe": "right_big_toe", "right_heel": "right_ankle",
}  # fmt: skip
_FACE = {"left_eye": "nose", "right_eye": "nose", "left_ear": "left_eye", "right_ear": "right_eye"}


def _skeleton(name: str, *parents: dict[str, str]) -> Skeleton:
    """A skeleton of the pelvis and all joints of these dictionaries of parents."""
    tree = {joint: parent for part in parents for joint, parent in part.items()}
    joints = ("pelvis", *tree)
    return Skeleton(name, joints, (-1, *(joints.index(tree[joint]) for joint in joints[1:])))


_NOSE = {"thorax": "pelvis", "nose": "thorax"}
_HEAD = {"thorax": "pelvis", "neck": "thorax", "head": "neck"}

BODY_25 = _skeleton("body25", _NOSE, _LIMBS, _FACE, _FEET)
"""OpenPose's standard model. Its MidHip is the pelvis here, and its Neck, the middle of the shoulders, the thorax."""

BODY_25B = _skeleton("body25b", _HEAD, {"nose": "head"}, _LIMBS, _FACE, _FEET)
"""OpenPose's experimental model, with neck and top of the head as MPII has them; pelvis and thorax are derived."""

HALPE_26 = _skeleton("halpe26", {"thorax": "pelvis", "head": "thorax", "nose": "head"}, _LIMBS, _FACE, _FEET)
"""The body and feet of Halpe, Pose2Sim's default model. It has COCO's joints, a head, and a neck and a hip of its own, which
are the thorax and the pelvis here."""

COCO_17 = _skeleton("coco17", _NOSE, _LIMBS, _FACE)
"""The joints of COCO's annotations, which most detectors give; pelvis and thorax are derived."""

MPII_16 = _skeleton("mpii16", _HEAD, _LIMBS)
"""The joints of MPII's annotations; the head is its top."""

MEDIAPIPE_33 = _skeleton(
    "mediapipe33",
    _NOSE,
    _LIMBS,
    {
        f"{side}_{joint}": f"{side}_{parent}" if parent != "nose" else "nose"
        for side in ("left", "right")
        for joint, parent in {
            "eye_inner": "nose", "eye": "eye_inner", "eye_outer": "eye", "ear": "eye_outer", "mouth": "nose",
            "pinky": "wrist", "index": "wrist", "thumb": "wrist", "heel": "ankle", "foot_index": "ankle",
        }.items()
    },
)  # fmt: skip
"""The landmarks of MediaPipe Pose (BlazePose); pelvis and thorax are derived. Its mouth_left is left_mouth here."""


def _both(*joints: str) -> tuple[str, ...]:
    """Left and right of each joint, in this order."""
    return tuple(f"{side}_{joint}" for joint in joints for side in ("left", "right"))


def _side(side: str, *joints: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for joint in joints)


KEYPOINTS: dict[str, tuple[str, ...]] = {
    "body25": (
        "nose", "thorax",
        *_side("right", "shoulder", "elbow", "wrist"), *_side("left", "shoulder", "elbow", "wrist"), "pelvis",
        *_side("right", "hip", "knee", "ankle"), *_side("left", "hip", "knee", "ankle"),
        "right_eye", "left_eye", "right_ear", "left_ear",
        *_side("left", "big_toe", "small_toe", "heel"), *_side("right", "big_toe", "small_toe", "heel"),
    ),
    "body25b": (
        "nose", *_both("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"), "neck", "head",
        *_side("left", "big_toe", "small_toe", "heel"), *_side("right", "big_toe", "small_toe", "heel"),
    ),
    "halpe26": (
        "nose", *_both("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"), "head", "thorax", "pelvis",
        *_both("big_toe", "small_toe", "heel"),
    ),
    "coco17": ("nose", *_both("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")),
    "mpii16": (
        *_side("right", "ankle", "knee", "hip"), *_side("left", "hip", "knee", "ankle"),
        "pelvis", "thorax", "neck", "head",
        *_side("right", "wrist", "elbow", "shoulder"), *_side("left", "shoulder", "elbow", "wrist"),
    ),
    "mediapipe33": (
        "nose", *_side("left", "eye_inner", "eye", "eye_outer"), *_side("right", "eye_inner", "eye", "eye_outer"),
        *_both(
            "ear", "mouth", "shoulder", "elbow", "wrist", "pinky", "index", "thumb",
            "hip", "knee", "ankle", "heel", "foot_index",
        ),
    ),
}  # fmt: skip
"""By a skeleton's name, the order of the keypoints in its detector's files."""

LIMBS_13 = _skeleton("limbs13", _LIMBS | {f"{side}_shoulder": "pelvis" for side in ("left", "right")})
"""The pelvis and the limbs, which nearly all detectors and markers have by the same names. Shoulders hang on the pelvis."""

SKELETONS: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (HUMANEVA_15, HUMAN36M_17, BODY_25, BODY_25B, HALPE_26, COCO_17, MPII_16, MEDIAPIPE_33, LIMBS_13)
}
"""All skeletons by name."""

_OTHER_NAMES = {"mid_hip": "pelvis", "hip_center": "pelvis", "c_hip": "pelvis", "head_top": "head"}


def keypoints_of(skeleton: Skeleton) -> tuple[str, ...]:
    """The keypoints of a skeleton's files, in order: those of its detector, else its joints."""
    return KEYPOINTS.get(skeleton.name, skeleton.joints)


def plain_name(name: str) -> str:
    """A joint's name as it is written here, the side first and in words: the advice for names of other programs.

    >>> plain_name("RHip"), plain_name("mouth_left"), plain_name("Left Big Toe"), plain_name("MidHip")
    ('right_hip', 'left_mouth', 'left_big_toe', 'pelvis')
    """
    sides = {"l": "left", "r": "right"}
    found = [sides.get(word, word) for word in words(name)]
    plain = "_".join(sorted(found, key=lambda word: word not in ("left", "right")))
    return _OTHER_NAMES.get(plain, plain)


def cannot_map(have: Sequence[str], joints: Sequence[str]) -> list[str]:
    """Those joints that are neither among the ones at hand nor the middle of two of them.

    >>> cannot_map(KEYPOINTS["coco17"], HUMANEVA_15.joints)
    ['head']
    """
    return [joint for joint in joints if joint not in have and not set(MIDDLES.get(joint, (None,))) <= set(have)]


def map_joints(
    points: Float[Tensor, "*batch K axes"], have: Sequence[str], joints: Sequence[str], missing: bool = False
) -> Float[Tensor, "*batch J axes"]:
    """Points of some joints as points of others: picked by name, or the middle of two (`MIDDLES`).

    In an image the middle of two joints is the image of their middle up to perspective, which is a pixel or two for a
    person who fills it.

    Args:
        points: of the joints at hand, 2D or 3D; NaN where missing. Confidences go through `map_confidence`.
        have: K names of these joints.
        joints: J names of those wanted.
        missing: make a joint that cannot be mapped NaN instead of raising.

    Raises:
        ValueError: for names that are not as many as the points, or joints that cannot be mapped; they are listed.

    >>> map_joints(torch.tensor([[0.0, 2.0], [4.0, 2.0]]), ("left_hip", "right_hip"), ("pelvis", "right_hip"))
    tensor([[2., 2.],
            [4., 2.]])
    """
    first, second, known = _sources(points.shape[-2], have, joints, missing)
    return ((points[..., first, :] + points[..., second, :]) / 2).where(known.unsqueeze(-1), torch.nan)


def map_confidence(
    confidence: Float[Tensor, "*batch K"], have: Sequence[str], joints: Sequence[str], missing: bool = False
) -> Float[Tensor, "*batch J"]:
    """`map_joints` for confidences: a middle is as sure as the less sure of its two joints, a missing joint has 0."""
    first, second, known = _sources(confidence.shape[-1], have, joints, missing)
    return torch.minimum(confidence[..., first], confidence[..., second]).where(known, 0.0)


def _sources(count: int, have: Sequence[str], joints: Sequence[str], missing: bool):
    """For each joint the two points whose middle it is, twice the same for one at hand, and whether there are any."""
    if count != len(have):
        raise ValueError(f"{count} points but {len(have)} names: another skeleton?")
    unknown = cannot_map(have, joints)
    if unknown and not missing:
        raise ValueError(f"cannot map {', '.join(unknown)}: neither among {', '.join(have)} nor the middle of two of them")
    pairs = [(joint, joint) if joint in have else MIDDLES.get(joint, (None, None)) for joint in joints]
    pairs = [(have[0], have[0]) if joint in unknown else pair for joint, pair in zip(joints, pairs)]
    first, second = ([list(have).index(name) for name in names] for names in zip(*pairs))
    return first, second, torch.tensor([joint not in unknown for joint in joints])
