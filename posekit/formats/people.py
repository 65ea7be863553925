"""One person out of several in each view.

A clip here has one person. This is enough for a recording of one person with bystanders; following two people who meet
needs a program made for it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from posekit.cameras import Cameras
from posekit.triangulation import triangulate

DISAGREEMENT_PX = 50.0
"""Distance in pixels from which on a joint does not fit at all, however far away it is."""


def most_confident(
    pixels: Float[Tensor, "F V P J 2"], confidence: Float[Tensor, "F V P J"]
) -> tuple[Float[Tensor, "F V J 2"], Float[Tensor, "F V J"]]:
    """Each frame's and view's person with the largest sum of confidences."""
    return _chosen(pixels, confidence, confidence.sum(-1).argmax(-1))


def same_person(
    pixels: Float[Tensor, "F V P J 2"], confidence: Float[Tensor, "F V P J"], cameras: Cameras, chunk: int = 32
) -> tuple[Float[Tensor, "F V J 2"], Float[Tensor, "F V J"]]:
    """Of all ways to take one person from each view, in each frame that whose joints agree best.

    Each way is triangulated; its joints count with their confidence times how well they fit their reprojection, from 1
    at no distance to 0 at `DISAGREEMENT_PX`. Being seen, being seen well, and lying in one place in space all count, then.
    About ten joints are enough to tell people apart, and save time. A view that sees one person alone keeps that one: what
    does not fit there is a fault of cameras or joints, and not another person.

    Args:
        pixels, confidence: of P candidates; NaN and 0 where there are fewer.
        cameras: leading axis V.
        chunk: frames at a time; each needs memory for P to the power of V poses.
    """
    _, views, people, _, _ = pixels.shape
    ways = torch.cartesian_prod(*[torch.arange(people)] * views).view(-1, views)  # (ways, V)
    present = (confidence > 0).any(-1)  # (F, V, P)
    nobody = ~present[:, torch.arange(views), ways] & (present.sum(-1) == 1).unsqueeze(1)  # (F, ways, V)
    best, some = [], slice(None, None, max(1, confidence.shape[-1] // 9))
    parts = (tensor.split(chunk) for tensor in (pixels[..., some, :], confidence[..., some], nobody.any(-1)))
    for some_pixels, some_confidence, wrong in zip(*parts):
        xy, weight = some_pixels[:, torch.arange(views), ways], some_confidence[:, torch.arange(views), ways]
        points = triangulate(xy, cameras, weight).points.float()
        distance = (cameras.world_to_pixels(points.unsqueeze(-3)) - xy).norm(dim=-1)
        fit = (1 - distance / DISAGREEMENT_PX).clamp(min=0).nan_to_num()
        best.append((weight * fit).sum((-1, -2)).where(~wrong, -1.0).argmax(-1))
    return _chosen(pixels, confidence, ways[torch.cat(best)])


def _chosen(pixels, confidence, person):
    """The data of one person per frame and view, by number (F, V)."""
    person = person[..., None, None].expand(*person.shape, 1, confidence.shape[-1])
    return pixels.gather(2, person.unsqueeze(-1).expand(*person.shape, 2)).squeeze(2), confidence.gather(2, person).squeeze(2)
