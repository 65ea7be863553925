"""A body that walks, jogs and boxes: 15 joints in world metres, from published proportions and gait curves.

Legs: the feet follow the events of the gait cycle (heel strike, foot flat, heel off, toe off) on footprints laid
along a closed path, and the knees follow by inverse kinematics, so that a flat foot cannot slide. Arms and trunk:
forward kinematics from angle curves. World coordinates: z up, metres, float64. All frames are computed at once.

Sources: segment lengths, Drillis and Contini 1966 (in Winter, "Biomechanics and motor control of human movement");
hip joint centres, Bell et al. 1990; walking, Perry and Burnfield, "Gait analysis"; running, Novacheck 1998.
"""

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from posekit.datasets.kinematics import axis, beside, heading_axis, rotation, two_bone, within_reach
from posekit.skeleton import HUMANEVA_15

GRAVITY = 9.81


@dataclass(frozen=True)
class Body:
    """Segment lengths in metres."""

    stature: float
    thigh: float
    shank: float
    trunk: float  # middle of the hips to middle of the shoulders
    head: float  # middle of the shoulders to the top of the head
    upper_arm: float
    forearm: float
    hip_width: float  # half the distance between the hip joints
    shoulder_width: float  # half the distance between the shoulder joints
    ankle_height: float

    @classmethod
    def of(cls, stature: float, legs: float = 1.0, arms: float = 1.0) -> "Body":
        """Average proportions for a stature, with the lengths of legs and arms scaled by a factor."""
        return cls(
            stature=stature,
            thigh=0.245 * stature * legs,
            shank=0.246 * stature * legs,
            trunk=0.288 * stature,
            head=0.182 * stature,
            upper_arm=0.186 * stature * arms,
            forearm=0.146 * stature * arms,
            hip_width=0.050 * stature,
            shoulder_width=0.100 * stature,
            ankle_height=0.039 * stature,
        )


@dataclass(frozen=True)
class Gait:
    """How a body walks or jogs. Angles in radians, lengths in metres, times as fractions of a gait cycle."""

    speed: float  # m/s along the path
    cadence: float  # steps per minute
    stance: float  # fraction of the cycle for which a foot is on the ground
    flat_from: float  # foot flat
    flat_to: float  # heel off
    strike_pitch: float  # toes up at heel strike
    push_pitch: float  # heel up at toe off
    lift: float  # height that the ankle gains in swing, above the direct way from toe off to heel strike
    step_width: float
    over: float  # when the hip passes over the foot
    bob: float  # vertical amplitude of the pelvis; positive if highest over the standing foot
    settle: float  # seconds over which the pelvis height is smoothed
    sway: float
    reach: float  # longest hip-ankle distance, as a fraction of the leg
    trunk_lean: float
    pelvis_turn: float
    shoulder_turn: float
    arm_swing: float
    arm_rest: float
    elbow_rest: float
    elbow_swing: float


WALK = Gait(
    speed=1.10, cadence=106.0, stance=0.61, flat_from=0.10, flat_to=0.34,
    strike_pitch=0.32, push_pitch=1.05, lift=0.0, step_width=0.10, over=0.265,
    bob=0.010, settle=0.30, sway=0.018, reach=0.995, trunk_lean=0.04,
    pelvis_turn=0.08, shoulder_turn=0.10, arm_swing=0.36, arm_rest=0.02, elbow_rest=0.38,
    elbow_swing=0.18,
)  # fmt: skip
JOG = Gait(
    speed=1.75, cadence=158.0, stance=0.39, flat_from=0.05, flat_to=0.19,
    strike_pitch=0.12, push_pitch=0.95, lift=0.15, step_width=0.05, over=0.15,
    bob=-0.030, settle=0.30, sway=0.008, reach=0.985, trunk_lean=0.14,
    pelvis_turn=0.10, shoulder_turn=0.24, arm_swing=0.52, arm_rest=-0.22, elbow_rest=1.55,
    elbow_swing=0.22,
)  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """What a body did: joints (F, 15, 3) in world metres, and which feet were flat on the ground, (F, 2), left first."""

    joints: Tensor
    flat: Tensor


def travel(body: Body, gait: Gait, seconds: float, frame_rate: float, generator: torch.Generator) -> Motion:
    """Walk or jog around a closed path in the middle of the room.

    The path, its direction, the phase and small deviations from the gait are drawn from `generator`.
    """
    t = torch.arange(round(seconds * frame_rate), dtype=torch.float64) / frame_rate
    path = _Path.draw(generator)
    scale = body.stature / 1.75
    speed, cycle_rate = gait.speed * scale**0.5, gait.cadence / 120 / scale**0.5
    phase = cycle_rate * t + _uniform(generator, 0, 1)

    def distance(at_phase):
        return speed / cycle_rate * at_phase

    position, heading = path(distance(phase))
    lean_in = path.side * torch.atan(torch.tensor(speed**2 / (path.radius * GRAVITY)))  # to balance in the curve
    stance_middle = phase - gait.stance / 2
    up, left = axis(2), heading_axis(heading, 1)
    sway = gait.sway * torch.cos(2 * pi * stance_middle)
    bob = gait.bob * torch.cos(4 * pi * stance_middle)
    standing = body.thigh + body.shank
    ground = position + sway[:, None] * left

    turn = gait.pelvis_turn * torch.cos(2 * pi * phase)  # the hip of the leading leg moves forward
    pelvis_frame = rotation(up, heading - turn) @ rotation(axis(0), -lean_in)
    track = -(standing * torch.sin(lean_in)).item()  # with the body leaning in, the feet run outside the pelvis
    ankles, flat, foot_forward = _feet(body, gait, path, distance, phase, track)
    hips_flat = beside(ground, pelvis_frame, body.hip_width)
    height = bob + _highest(hips_flat - ankles, bob, gait.reach * standing, round(gait.settle * frame_rate / 2))
    pelvis = ground + height[:, None] * up

    wobble = _wobble(generator, t, 4)
    trunk_frame = (
        rotation(up, heading) @ rotation(axis(0), -lean_in * 0.9) @ rotation(axis(1), gait.trunk_lean + 0.03 * wobble[0])
    )
    shoulder_frame = trunk_frame @ rotation(up, gait.shoulder_turn * torch.cos(2 * pi * (phase - 0.03)) + 0.03 * wobble[1])
    swing = torch.stack([torch.cos(2 * pi * (phase - 0.03)), -torch.cos(2 * pi * (phase - 0.03))], dim=-1)
    swing = swing * (1 + 0.12 * wobble[2].unsqueeze(-1))
    flexion = gait.arm_rest - gait.arm_swing * swing  # each arm swings against the leg on its side
    elbow = gait.elbow_rest - gait.elbow_swing * swing
    hips = beside(pelvis, pelvis_frame, body.hip_width)
    knees = two_bone(hips, ankles, body.thigh, body.shank, heading_axis(heading, 0)[:, None] + foot_forward)
    thorax = pelvis + body.trunk * trunk_frame[..., 2]
    head_frame = rotation(up, heading + 0.12 * wobble[3]) @ rotation(axis(1), 0.5 * gait.trunk_lean + 0.1 + 0.03 * wobble[1])
    shoulders = beside(thorax, shoulder_frame, body.shoulder_width)
    elbows, wrists = _arms(body, shoulder_frame, shoulders, flexion, elbow)
    head = thorax + body.head * head_frame[..., 2]
    return Motion(_assemble(pelvis, thorax, shoulders, elbows, wrists, hips, knees, ankles, head), flat)


def box(body: Body, seconds: float, frame_rate: float, generator: torch.Generator) -> Motion:
    """Stand in a boxer's guard and punch the air; place, facing and timing are drawn from `generator`."""
    t = torch.arange(round(seconds * frame_rate), dtype=torch.float64) / frame_rate
    scale = body.stature / 1.75
    heading = _uniform(generator, -1.0, 1.0) + 0.10 * _wobble(generator, t, 1)[0]
    place = torch.stack([_uniform(generator, -0.4, 0.4), _uniform(generator, -0.4, 0.4), torch.tensor(0.0)]).double()
    facing = heading[:1]
    stance = rotation(axis(2), facing)[0]
    ankles = place + torch.tensor([[0.20 * scale, 0.13 * scale, 0.0], [-0.22 * scale, -0.13 * scale, 0.0]]).double() @ stance.mT
    ankles = ankles + torch.tensor([body.ankle_height, body.ankle_height + 0.035]).double()[:, None] * axis(2)  # rear heel up
    ankles = ankles.expand(len(t), 2, 3)

    jab, cross = _punches(generator, t)  # extension of the left and the right hand, 0 guard to 1
    up, wobble = axis(2), _wobble(generator, t, 5)
    turn = -0.55 - 0.22 * jab + 0.75 * cross  # shoulders: half sideways, into each punch
    shift = torch.stack([0.035 * wobble[1] + 0.05 * (jab + cross), 0.03 * wobble[2], torch.zeros_like(t)], dim=-1)
    bounce = 0.012 * torch.cos(2 * pi * (1.6 * t + _uniform(generator, 0, 1)))
    height = 0.90 * (body.thigh + body.shank) + body.ankle_height + bounce - 0.02 * cross
    pelvis = place + shift @ stance.mT + height[:, None] * up
    pelvis_frame = rotation(up, heading + 0.55 * turn)
    trunk_frame = rotation(up, heading + turn) @ rotation(axis(1), 0.20 + 0.06 * (jab + cross) + 0.03 * wobble[3])
    hips = beside(pelvis, pelvis_frame, body.hip_width)
    knees = two_bone(hips, ankles, body.thigh, body.shank, heading_axis(heading - 0.3, 0)[:, None].expand(-1, 2, 3))
    thorax = pelvis + body.trunk * trunk_frame[..., 2]
    shoulders = beside(thorax, trunk_frame, body.shoulder_width)

    arm = body.upper_arm + body.forearm
    ahead = rotation(up, heading)
    chin = thorax + 0.20 * body.head * up + 0.46 * arm * ahead[..., 0]
    target = thorax + 0.35 * body.head * up + 1.6 * arm * ahead[..., 0]  # the face of an opponent, out of reach
    guard = torch.stack([chin + s * 0.13 * arm * ahead[..., 1] for s in (1, -1)], dim=1)
    extension = torch.stack([jab, cross], dim=-1).unsqueeze(-1)
    outstretched = shoulders + 0.985 * arm * torch.nn.functional.normalize(target[:, None] - shoulders, dim=-1)
    wrists = within_reach(shoulders, guard + extension * (outstretched - guard), 0.985 * arm)
    elbow_side = torch.stack([s * trunk_frame[..., 1] for s in (1, -1)], dim=1)
    elbows = two_bone(shoulders, wrists, body.upper_arm, body.forearm, 0.55 * elbow_side - up - 0.2 * ahead[..., None, :, 0])
    head_frame = ahead @ rotation(axis(1), 0.30 + 0.05 * wobble[4])
    head = thorax + body.head * head_frame[..., 2]
    flat = torch.ones(len(t), 2, dtype=torch.bool)
    return Motion(_assemble(pelvis, thorax, shoulders, elbows, wrists, hips, knees, ankles, head), flat)


@dataclass(frozen=True)
class _Path:
    """A rounded closed path, parametrised by the distance travelled."""

    center: Tensor
    radius: float
    oval: float
    turned: float
    start: float
    side: int  # 1: to the left, counter-clockwise as seen from above

    @classmethod
    def draw(cls, generator):
        return cls(
            center=torch.stack([_uniform(generator, -0.1, 0.1), _uniform(generator, -0.1, 0.1)]),
            radius=_uniform(generator, 0.85, 0.98).item(),
            oval=_uniform(generator, 0.0, 0.10).item(),
            turned=_uniform(generator, 0, pi).item(),
            start=_uniform(generator, 0, 2 * pi).item(),
            side=1 if _uniform(generator, 0, 1) < 0.75 else -1,
        )

    def __call__(self, distance: Tensor):
        """Points (..., 3) on the ground and headings (...) at distances in metres."""
        angle = self.start + self.side * distance / self.radius
        reach = self.radius * (1 + self.oval * torch.cos(2 * (angle - self.turned)))
        slope = -2 * self.oval * self.radius * torch.sin(2 * (angle - self.turned))  # d reach / d angle
        x, y = reach * torch.cos(angle), reach * torch.sin(angle)
        dx = self.side * (slope * torch.cos(angle) - y)
        dy = self.side * (slope * torch.sin(angle) + x)
        point = torch.stack([self.center[0] + x, self.center[1] + y, torch.zeros_like(x)], dim=-1)
        return point, torch.atan2(dy, dx)


def _feet(body, gait, path, distance, phase, track):
    """Ankles (F, 2, 3), flat feet (F, 2) and forward directions (F, 2, 3), left first; the right is half a cycle later."""
    feet = (_foot(body, gait, path, distance, phase, track, side) for side in (0, 1))
    return tuple(torch.stack(parts, dim=1) for parts in zip(*feet))


def _foot(body, gait, path, distance, phase, track, side):
    lag = 0.5 * side
    cycle = torch.floor(phase - lag)
    u = phase - lag - cycle

    def on_print(cycle, u):
        """The ankle at time u of a stance, and the footprint's direction. The body passes over the print at `gait.over`."""
        local = _rolling_ankle(body, gait, u)
        point, heading = path(distance(cycle + lag + gait.over))
        forward, left = heading_axis(heading, 0), heading_axis(heading, 1)
        sideways = track + (0.5 - side) * gait.step_width
        return point + sideways * left + local[..., :1] * forward + local[..., 1:] * axis(2), forward

    stance, forward = on_print(cycle, u.clamp(max=gait.stance))
    # Swing: a cubic from toe off to the next heel strike, with the ankle's velocity matched at both ends.
    eps, last, first = 1e-4, torch.full_like(u, gait.stance), torch.zeros_like(u)
    (toe_off, _), (before, _) = on_print(cycle, last), on_print(cycle, last - eps)
    (strike, next_forward), (after, _) = on_print(cycle + 1, first), on_print(cycle + 1, first + eps)
    span = 1 - gait.stance
    s = ((u - gait.stance) / span).clamp(0, 1).unsqueeze(-1)
    velocity_in, velocity_out = (toe_off - before) / eps * span, (after - strike) / eps * span
    swing = (
        (2 * s**3 - 3 * s**2 + 1) * toe_off + (s**3 - 2 * s**2 + s) * velocity_in
        + (3 * s**2 - 2 * s**3) * strike + (s**3 - s**2) * velocity_out
        + gait.lift * 28.935 * s**2 * (1 - s) ** 3 * axis(2)  # peak 1 at s = 0.4
    )  # fmt: skip
    ankle = torch.where((u < gait.stance).unsqueeze(-1), stance, swing)
    return ankle, (u >= gait.flat_from) & (u < gait.flat_to), forward + _smooth(s) * (next_forward - forward)


def _rolling_ankle(body: Body, gait: Gait, u: Tensor) -> Tensor:
    """The ankle (forward, up) relative to its footprint: the foot rolls over the heel, stands flat, rolls over the ball."""
    heel, ball, height = 0.030 * body.stature, 0.075 * body.stature, body.ankle_height
    toes_up = gait.strike_pitch * (1 - u / gait.flat_from).clamp(min=0) ** 2
    heel_up = gait.push_pitch * ((u - gait.flat_to) / (gait.stance - gait.flat_to)).clamp(min=0) ** 2
    over_heel = torch.stack(
        [heel * toes_up.cos() - height * toes_up.sin() - heel, heel * toes_up.sin() + height * toes_up.cos()], -1
    )
    over_ball = torch.stack(
        [ball - ball * heel_up.cos() + height * heel_up.sin(), ball * heel_up.sin() + height * heel_up.cos()], -1
    )
    return torch.where((u < gait.flat_to).unsqueeze(-1), over_heel, over_ball)


def _highest(hips_over_ankles: Tensor, bob: Tensor, reach: float, half: int) -> Tensor:
    """The greatest smooth pelvis height (F,), without the bob, at which both legs reach their ankles in every frame.

    A running minimum over `half` frames each way, then a running mean over as many, never exceeds what is allowed.
    """
    vertical = (reach**2 - hips_over_ankles[..., :2].square().sum(-1)).clamp(min=0).sqrt()
    allowed = (vertical - hips_over_ankles[..., 2] - bob[:, None]).amin(-1)
    padded = torch.nn.functional.pad(allowed[None], (2 * half, 2 * half), mode="replicate")[0]
    lowest = padded.unfold(0, 2 * half + 1, 1).amin(-1)
    window = torch.hann_window(2 * half + 3, periodic=False, dtype=torch.float64)[1:-1]
    return (lowest.unfold(0, 2 * half + 1, 1) * window).sum(-1) / window.sum()


def _arms(body, frame, shoulders, flexion, elbow):
    """Elbows and wrists (F, 2, 3) from the flexion of shoulders and elbows (F, 2), positive forwards."""
    frame = frame[:, None]
    outward = torch.tensor([1.0, -1.0], dtype=torch.float64) * 0.14
    upper = frame @ rotation(axis(0), outward.expand_as(flexion)) @ rotation(axis(1), -flexion)
    fore = upper @ rotation(axis(2), -outward.expand_as(flexion) * 2) @ rotation(axis(1), -elbow)
    elbows = shoulders - body.upper_arm * upper[..., 2]
    return elbows, elbows - body.forearm * fore[..., 2]


def _punches(generator, t):
    """How far each hand is extended, 0 to 1: (left, right), each (F,). Out in 0.16 s, back in 0.24 s."""
    count = int(t[-1] / 0.55) + 2
    gaps = 0.48 + 0.35 * torch.rand(count, generator=generator, dtype=torch.float64)
    start = gaps.cumsum(0) - 0.5
    right = torch.rand(count, generator=generator) < 0.4
    since = t[:, None] - start
    out, back = (since / 0.16).clamp(0, 1), ((since - 0.18) / 0.24).clamp(0, 1)
    extension = _smooth(out) * (1 - _smooth(back))
    return (extension * ~right).amax(-1), (extension * right).amax(-1)


def _smooth(x):
    """The minimum-jerk profile from 0 to 1 (Flash and Hogan 1985)."""
    return x**3 * (10 - 15 * x + 6 * x**2)


def _assemble(pelvis, thorax, shoulders, elbows, wrists, hips, knees, ankles, head):
    left, right = (torch.stack(limb, dim=1) for limb in zip(*((x[:, 0], x[:, 1]) for x in (shoulders, elbows, wrists))))
    left_leg, right_leg = (torch.stack(limb, dim=1) for limb in zip(*((x[:, 0], x[:, 1]) for x in (hips, knees, ankles))))
    joints = torch.cat([pelvis[:, None], thorax[:, None], left, right, left_leg, right_leg, head[:, None]], dim=1)
    assert joints.shape[1] == len(HUMANEVA_15)
    return joints


def _uniform(generator, low, high):
    return low + (high - low) * torch.rand((), generator=generator, dtype=torch.float64)


def _wobble(generator, t, count):
    """Slow, smooth, aperiodic signals (count, F) with amplitudes of about 1, so that no two cycles are quite alike."""
    rate = 0.15 + 0.6 * torch.rand(count, 3, 1, generator=generator, dtype=torch.float64)
    start = torch.rand(count, 3, 1, generator=generator, dtype=torch.float64)
    return torch.sin(2 * pi * (rate * t + start)).mean(1) * 1.6
