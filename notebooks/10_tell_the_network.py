# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tell the network what you know
#
# **What you will do.** Give a lifter what is known of the camera, in a form that takes the camera out of the problem, and take the result back into the camera's frame.
#
# **What you will learn**
#
# - how pixels become rays, rays that face the person, and rays that know which way is up;
# - that this is a change of coordinates with an exact inverse, so the network itself stays plain;
# - what each piece of knowledge is worth, on cameras that training saw and on others.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](01_one_pose_many_views) | pixels, lenses and where a camera stands are explained there | read it first |
# | [](09_turn_the_person) | training is on its scenes | read it first |
#
# **Time.** 20 minutes to read, one to two to run.

# %% tags=["remove-cell"]
# Google Colab comes without posekit and the recorded runs. Elsewhere: nothing.
from importlib.util import find_spec

if find_spec("google") and find_spec("google.colab"):
    from google.colab.output import enable_custom_widget_manager

    enable_custom_widget_manager()
    shell = get_ipython()
    shell.system("git clone -q https://github.com/posekit/posekit /content/book")
    shell.run_line_magic("pip", "install -q /content/book")
    shell.run_line_magic("cd", "-q /content/book/notebooks")

# %% tags=["hide-input"]
import math
from dataclasses import replace
from statistics import mean, stdev

import roma
import torch
from IPython.display import HTML, Markdown
from torch.nn.functional import normalize

from posekit.datasets import load_dataset
from posekit.evaluation import evaluate, evaluate_poses, lift_dataset
from posekit.figures import curve_figure
from posekit.html_tables import html_table
from posekit.inputs import NEEDS_AT_TEST, see
from posekit.losses import scene_loss
from posekit.random import generator
from posekit.ray_lifter import RayLifter
from posekit.records import mean_and_spread, plus_minus, recorded, table
from posekit.scenes import Mix, Scenes
from posekit.tables import listed
from posekit.teachers import triangulated
from posekit.training import fit
from posekit.virtual_cameras import shifted

torch.set_num_threads(1)  # small networks run fastest on one

# %% tags=["parameters"]
width = 128  # hidden units per layer
epochs = 11  # passes over the training set
seeds = 3  # of each comparison
noise_px = 5.0  # of the 2D joints on which the transforms are compared, pixels

# %% [markdown]
# ## From pixels to rays
#
# A pixel means little unless one knows the camera.
# The same joint at the same place lands on other pixels if the focal length is another, if the lens bends otherwise, or if the camera looks a little to the left.
# Whoever knows the **intrinsics** can undo the first two: a pixel becomes a **ray**, $(x, y, 1)$ in the camera's frame.
# Let us have some pictures with noise, and one joint that was not found.

# %%
test = load_dataset("synthetic", "test", stride=4)
noisy = test.with_detector_noise(noise_px, 0.0, generator(0))
pixels = noisy.pixels.clone()
pixels[:, :, 4] = torch.nan  # the left wrist

# %%
cameras = test.frame_cameras
rays = cameras.pixels_to_rays(pixels)

# %% [markdown]
# A missing joint gets the ray of its nearest neighbour along the skeleton, here the elbow, and the network is told that it is missing.

# %%
missing = rays.isnan().any(-1)
filled = rays.clone()
filled[:, :, 4] = filled[:, :, 3]
root = filled[..., 0, :]

# %% [markdown]
# Next, undo where the camera looks. Turn it in thought until it **faces** the person, with the root's ray on its optical axis {cite}`yu2021pcls`.
# A rotation has the new axes as its rows: right, down and forward.


# %%
def axes(down, forward):
    right = torch.linalg.cross(down, forward)
    return torch.stack([right, down, forward], dim=-2)


# %%
def facing(root):
    forward = normalize(root, dim=-1)
    y = torch.tensor([0.0, 1.0, 0.0])
    along = (forward * y).sum(-1, keepdim=True)
    return axes(normalize(y - along * forward, dim=-1), forward)


# %% [markdown]
# Whoever also knows the camera's **tilt** can do better, and turn it about the vertical only, so that gravity points along $y$: the view is **level**.
# Ray3D {cite}`zhan2022ray3d` tells its network about the camera to the same end.


# %%
def level(root, cameras):
    up = cameras.R_world_to_camera[..., :, 2]  # the world's z axis, seen by the camera
    along = (root * up).sum(-1, keepdim=True)
    return axes(-up, normalize(root - along * up, dim=-1))


# %% [markdown]
# Then every ray is turned, and brought back to depth 1:


# %%
def turned_rays(rays, rotation):
    rays = rays @ rotation.mT
    return rays / rays[..., 2:]


# %% [markdown]
# posekit's `see` does the same, on noisy 2D with a missing joint:

# %%
by_hand = {"rays": facing(root), "level": level(root, cameras)}
seen = {kind: see(kind, rays, test.skeleton, cameras) for kind in by_hand}
for kind, rotation in by_hand.items():
    torch.testing.assert_close(seen[kind].turned, rotation)
    torch.testing.assert_close(seen[kind].rays, turned_rays(filled, rotation))
    assert torch.equal(seen[kind].missing, missing)

# %% [markdown]
# Two numbers more tell the network what the joints, turned and seen from their root, do not.
# For rays that face the root these are where the root's ray was. For level rays they are the root's elevation, and the **height** of the camera over the floor, which is in no picture.

# %%
height = cameras.centers_world[..., 2:]
elevation = turned_rays(filled, by_hand["level"])[..., 0, 1:2]
torch.testing.assert_close(seen["rays"].extra, root[..., :2])
torch.testing.assert_close(
    seen["level"].extra, torch.cat([elevation, height], -1), atol=1e-5, rtol=0
)

# %% [markdown]
# ## And back
#
# The network answers in the turned frame, and the inverse rotation takes the pose back into the camera's.
# There and back nothing is lost:

# %%
poses = test.poses_camera()
for kind, rotation in by_hand.items():
    in_front = poses @ rotation.mT
    torch.testing.assert_close(seen[kind].from_camera(poses), in_front)
    torch.testing.assert_close(in_front @ rotation, poses, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[kind].to_camera(in_front), poses, atol=1e-5, rtol=0)

# %% [markdown]
# ## Depth along the ray
#
# If a joint lies on its ray $r$, all that is unknown is its depth $z$, and the joint is $z \, r$.
# A lifter that says depths cannot contradict the picture it was given:

# %%
untrained = RayLifter("humaneva15", "level", width, generator=generator(0))
lifted = lift_dataset(untrained, test)
off_px = (cameras.camera_to_pixels(lifted) - test.pixels).norm(dim=-1)
assert off_px.max() < 0.1
f"own view: {off_px.mean():.4f} px, before any training"

# %% [markdown]
# The label-free loss of [](03_lift_without_labels) has a term for the own view. Here it is zero by construction, and there is nothing to learn.
# With noisy 2D it may have a price, since a joint must then stay on a ray that is not its own; the first exercise measures it.
#
# ## What it is worth
#
# Now train. All lifters have the same network, the same scenes of C1 and C2, and the same number of steps.
# Only what they are told differs.

# %%
recording = load_dataset("synthetic", "train").select_views(["C1", "C2"])
seen_by_two = triangulated(recording)
mix = Mix(arms=0.0, upper=0.0, jitter=0.0, balance=0.0)  # turned, moved and mirrored
any_camera = replace(mix, cameras="drawn")


# %%
def lifter_from(needs, seed, mix=mix, **options):
    rng, scenes = generator(seed), Scenes(seen_by_two, mix)
    options = dict(mirrored=False) | options
    lifter = RayLifter("humaneva15", needs, width, 2, generator=rng, **options)
    lifter.standardise(scenes.draw(5000, rng))
    steps = dict(batch_size=256, learning_rate=2e-3, schedule="one_cycle")
    steps |= dict(optimizer="adamw", average=0.99, epochs=epochs)
    fit(lifter, scenes, scene_loss, generator=rng, **steps)
    return lifter


# %%
def lifters_from(needs, **options):
    return [lifter_from(needs, seed, **options) for seed in range(seeds)]


# %% [markdown]
# The three kinds of input, each with joints that may leave their rays, so that nothing but the input differs; and level rays with depths alone.

# %%
trained = {
    "screen": lifters_from("screen"),
    "rays": lifters_from("rays", on_rays=False),
    "level": lifters_from("level", on_rays=False),
    "level, depths along the rays": lifters_from("level"),
}

# %% [markdown]
# We measure on the cameras of training, and on C3, which training did not see.

# %%
views = {"C1 and C2": test.select_views(["C1", "C2"])}
views["C3, never seen"] = test.select_views(["C3"])


# %%
def error_mm(lifter, data):
    return evaluate(lifter, data).metrics_mm["report_mpjpe"]


# %%
def errors_of(lifters):
    return {
        name: [error_mm(one, data) for one in lifters] for name, data in views.items()
    }


errors = {name: errors_of(lifters) for name, lifters in trained.items()}

# %% [markdown]
# One more row needs no training: a lifter of rays can look at the mirror image of its input as well, and average the two answers.

# %%
for lifter in trained["level, depths along the rays"]:
    lifter.mirrored = True
errors["+ mirror image averaged"] = errors_of(trained["level, depths along the rays"])


# %% tags=["hide-input"]
def told(name):
    return NEEDS_AT_TEST[name.split(",")[0] if name[0] != "+" else "level"]


rows = [
    [name, told(name), *(plus_minus(mean(e), stdev(e), 1) for e in by_view.values())]
    for name, by_view in errors.items()
]
Markdown(table(["lifter; `report_mpjpe`, mm", "must know at test", *views], rows))

# %% [markdown]
# The more it is told, the smaller is the error, both on the cameras of training and on the one that training never saw:


# %%
def error(name, view):
    return mean(errors[name][view])


for view in views:
    assert error("level", view) < error("screen", view)
assert error("rays", "C3, never seen") < 0.9 * error("screen", "C3, never seen")

# %% [markdown]
# Depths alone are no better here than joints that may leave their rays; averaging mirror images makes up for it.

# %%
depths, free = (
    error(name, "C1 and C2") for name in ("level, depths along the rays", "level")
)
averaged = error("+ mirror image averaged", "C1 and C2")
assert averaged < depths
assert free < depths
f"free {free:.1f} mm, depths {depths:.1f} mm, and mirror images {averaged:.1f} mm"

# %% [markdown]
# ## Is that the reason?
#
# C3 differs from C1 and C2 in everything: focal length, tilt, height, place.
# To see what a lifter cannot cope with, we change one thing at a time.
# The people, the place and the pose stay as they are, the camera is C1, and of the camera first only the **focal length** changes:

# %%
C1 = test.select_views(["C1"])


# %%
def seen_by(cameras):
    pixels = cameras[C1.clip_of_frame].world_to_pixels(C1.poses_world[:, None])
    return replace(C1, cameras=cameras, pixels=pixels)


# %%
def zoomed(factor):
    return seen_by(replace(C1.cameras, focal_px=factor * C1.cameras.focal_px))


# %% [markdown]
# Then only its **tilt**: the camera stays where it is, and looks up or down by some degrees.


# %%
def tilted(degrees):
    turn = roma.rotvec_to_rotmat(torch.tensor([degrees * math.pi / 180, 0.0, 0.0]))
    R = turn @ C1.cameras.R_world_to_camera
    t = C1.cameras.t_world_to_camera @ turn.mT
    return seen_by(replace(C1.cameras, R_world_to_camera=R, t_world_to_camera=t))


# %% [markdown]
# And then only its **height**:


# %%
def raised(metres):
    return seen_by(shifted(C1.cameras, torch.tensor([0.0, 0.0, metres])))


# %% [markdown]
# The lens bends more towards the border of the image, so it is taken out here: people may leave the image, and lenses are not our question.

# %%
C1 = replace(
    C1,
    cameras=replace(
        C1.cameras, radial=0 * C1.cameras.radial, tangential=0 * C1.cameras.tangential
    ),
)
changes = {
    "focal length": (zoomed, [0.6, 0.8, 1.0, 1.25, 1.6]),
    "tilt": (tilted, [-10.0, -5.0, 0.0, 5.0, 10.0]),
    "height": (raised, [-0.8, -0.4, 0.0, 0.4, 0.8]),
}

# %%
shown = ["screen", "rays", "level"]


# %%
def curve(name, change, values):
    return [mean(error_mm(one, change(v)) for one in trained[name]) for v in values]


# %%
curves = {
    thing: {name: (values, curve(name, change, values)) for name in shown}
    for thing, (change, values) in changes.items()
}

# %% tags=["hide-input", "opening", "fig-focal"]
alt = "Error against the focal length, as a multiple of C1's. The lifter of the screen is best at 1 and far worse to both sides; the lines of rays and level are flat."
curve_figure(
    curves["focal length"], "focal length, times C1's", "report_mpjpe (mm)", alt
)

# %% tags=["hide-input", "fig-tilt"]
alt = "Error against an added tilt of the camera. Screen and rays rise to both sides; the line of level is flat."
curve_figure(curves["tilt"], "camera tilted by (degrees)", "report_mpjpe (mm)", alt)

# %% tags=["hide-input", "fig-height"]
alt = "Error against an added height of the camera. All lines rise."
curve_figure(curves["height"], "camera raised (m)", "report_mpjpe (mm)", alt)

# %% [markdown]
# The first two are as expected ({numref}`fig-focal` and {numref}`fig-tilt`).
# Undoing the intrinsics makes a lifter blind to the focal length, and a level view makes it blind to the tilt, since its input stays the same:


# %%
def flat(thing, name):
    errors = curves[thing][name][1]
    return max(errors) - min(errors) < 0.1


for thing, name in [
    ("focal length", "rays"),
    ("focal length", "level"),
    ("tilt", "level"),
]:
    assert flat(thing, name)
for thing, name in [("focal length", "screen"), ("tilt", "screen"), ("tilt", "rays")]:
    assert not flat(thing, name)

# %% [markdown]
# The third is a warning ({numref}`fig-height`). The level lifter is *told* the height, and is as lost as the others.
# All the cameras it has learnt from are about equally high, so that it had no chance to learn what the number means:

# %%
heights = seen_by_two.cameras.centers_world[..., 2]
assert not flat("height", "level")
f"cameras of training: {heights.min():.2f} to {heights.max():.2f} m high"

# %% [markdown]
# ## Any camera, and told about it
#
# If that is the reason, then cameras of all heights in training are the cure, and [](09_turn_the_person) can draw them.
# There they did harm, to a lifter of the screen. Now we draw them for all three kinds:

# %%
for name in shown:
    options = {} if name == "screen" else dict(on_rays=False)
    trained[f"{name}, any camera"] = lifters_from(name, mix=any_camera, **options)
    errors[f"{name}, any camera"] = errors_of(trained[f"{name}, any camera"])

# %% tags=["hide-input"]
rows = [
    [
        name,
        told(name),
        *(plus_minus(mean(e), stdev(e), 1) for e in errors[name].values()),
    ]
    for kind in shown
    for name in (kind, f"{kind}, any camera")
]
Markdown(table(["lifter; `report_mpjpe`, mm", "must know at test", *views], rows))

# %% [markdown]
# Only the input differs between the three rows of drawn cameras, so it was indeed what the lifter was not told that made drawn cameras a burden.
# A level lifter takes them well. It loses something on the cameras of training, and a new camera is no worse for it than those:


# %%
def any_error(name, view):
    return error(f"{name}, any camera", view)


old, new = views
assert any_error("level", new) < 0.5 * any_error("screen", new)
assert any_error("level", new) < any_error("rays", new) < any_error("screen", new)
assert abs(any_error("level", new) - any_error("level", old)) < 0.1 * any_error(
    "level", old
)

# %% [markdown]
# And the height?

# %%
metres = changes["height"][1]
names = ["level", "level, any camera"]
of_height = {name: (metres, curve(name, raised, metres)) for name in names}

# %% tags=["hide-input", "fig-height-shown"]
alt = "Error against an added height of the camera, for level lifters. Trained on the room's cameras it rises steeply to both sides; trained on any camera it is nearly flat."
curve_figure(of_height, "camera raised (m)", "report_mpjpe (mm)", alt)

# %%
assert max(of_height["level, any camera"][1]) < 0.3 * max(of_height["level"][1])

# %% [markdown]
# Telling it and showing it are two things, and it takes both ({numref}`fig-height-shown`).
#
# ## On HumanEva-I
#
# The recorded rows of the whole recipe say what the same knowledge is worth on real people, with triangulated targets and with labels:

# %% tags=["hide-input"]
runs, tables = recorded(), listed().tables
HTML(html_table(tables["beyond"], runs))

# %%
errors_mm = {
    needs: mean_and_spread(runs[f"humaneva/beyond-{needs}"])[0]
    for needs in ("screen", "rays", "level")
}
assert errors_mm["rays"] < errors_mm["level"] < errors_mm["screen"]
{needs: f"report_mpjpe {error:.1f} mm" for needs, error in errors_mm.items()}

# %% [markdown]
# Intrinsics help there, and tilt and height give nothing more.
# The test cameras are the training cameras, and a picture may then be enough to recognise its camera.
# How the same lifters do on cameras that they have never seen is another question, as the curves above show ({numref}`fig-focal` to {numref}`fig-height-shown`); [](07_results) has the rows that ask it.
#
# ## What we saw
#
# - Rays undo the intrinsics, facing the person undoes most of where the camera looks, and level rays keep gravity. Each is a rotation and comes with its inverse; the network stays plain.
# - Joints given by depths meet the own view exactly. On the synthetic people that alone did not make the lifter better.
# - What a lifter is told, it need not guess: rays make it independent of the focal length, level rays of the tilt, to the last digit. What it is told but has never seen vary, such as the height, it cannot use.
# - Drawn cameras and level rays together make a lifter for cameras that were never there.
#
# Next: [](11_where_the_error_lives).
#
# ## Exercises
#
# **1.** What do depths along the rays cost with noisy 2D? A `Mix` has `noise_px`.

# %% tags=["hide-cell"]
shaky = replace(mix, noise_px=noise_px)
free = lifter_from("level", 0, shaky, on_rays=False)
bound = lifter_from("level", 0, shaky, on_rays=True)
free_mm, bound_mm = (error_mm(lifter, noisy) for lifter in (free, bound))
assert free_mm < bound_mm
f"joints may leave their rays: {free_mm:.1f} mm; they must not: {bound_mm:.1f} mm"

# %% [markdown]
# **2.** How well must the tilt be known? Leave the pictures as they are, and tell the level lifters of a camera that is tilted by one degree more.

# %% tags=["hide-cell"]
upright = seen_by(C1.cameras)
mistaken = replace(upright, cameras=tilted(1.0).cameras)
told_mm = [
    mean(
        evaluate_poses(lift_dataset(one, told_of), upright).metrics_mm["report_mpjpe"]
        for one in trained["level"]
    )
    for told_of in (upright, mistaken)
]
assert told_mm[1] > told_mm[0]
"tilt known: {:.1f} mm; off by a degree: {:.1f} mm".format(*told_mm)
