# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Turn the person, not the camera
#
# **What you will do.** Put the recorded people anywhere in the room, turned, mirrored and recombined, and train on what the cameras would have seen.
#
# **What you will learn**
#
# - that a turned person looks exactly as if the camera had gone round them the other way;
# - how a few poses and cameras become scenes without end;
# - what each kind of scene teaches, and what it costs.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](01_one_pose_many_views) | people and cameras are moved here | read it first |
# | [](08_labels_for_free) | scenes are made of its triangulated poses | read it first |
#
# **Time.** 15 minutes to read, one to two to run.

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
from dataclasses import replace
from statistics import mean, stdev

import roma
import torch
from IPython.display import HTML, Markdown

from posekit.datasets import load_dataset
from posekit.evaluation import report_mpjpe_mm
from posekit.figures import pictures_figure, rooms_figure
from posekit.html_tables import html_table
from posekit.losses import scene_loss
from posekit.poses import turn
from posekit.random import generator
from posekit.ray_lifter import RayLifter
from posekit.records import (
    change_in_words,
    mean_and_spread,
    plus_minus,
    recorded,
    table,
)
from posekit.scenes import PLAIN, Mix, Scene, Scenes
from posekit.sliders import scenes_figure
from posekit.tables import listed
from posekit.teachers import triangulated
from posekit.training import fit

torch.set_num_threads(1)  # small networks run fastest on one

# %% tags=["parameters"]
width = 128  # hidden units per layer
epochs = 11  # passes over the training set
seeds = 3  # of each comparison
people = 3000  # drawn for each test

# %% [markdown]
# ## The same picture twice
#
# [](08_labels_for_free) turned calibrated views into poses in the room.
# With a pose in the room we can do more than lift it: we can put it elsewhere.
# Take one moment, and the camera C1:

# %%
recording = load_dataset("synthetic", "train")
train = triangulated(recording)
pose, camera = train.poses_world[90], train.frame_cameras[90, 0]
root = pose[:1]

# %% [markdown]
# Turn the person about the vertical through their root, by an angle $\varphi$ to the left, and move them along the floor:

# %%
angle, step = torch.tensor(2.0), torch.tensor([0.6, -0.4, 0.0])
moved = turn(pose - root, angle) + root + step

# %% [markdown]
# The camera now sees
#
# $$ R \, (Q (X - r) + r + s) + t = \underbrace{R Q}_{R'} \, X + \underbrace{R \, (r + s) + t - R Q \, r}_{t'} $$
#
# where $Q$ is the turn, $r$ the root, `root`, and $s$ the `step`.
# This is the old pose $X$ in front of another camera, with $R'$ and $t'$:


# %%
def went_round(camera, root, angle, step):
    R = camera.R_world_to_camera
    turned = R @ roma.rotvec_to_rotmat(angle * torch.tensor([0.0, 0.0, 1.0]))
    shift = (root + step) @ R.mT - root @ turned.mT
    t = camera.t_world_to_camera + shift[0]
    return replace(camera, R_world_to_camera=turned, t_world_to_camera=t)


# %% [markdown]
# It stands where one gets from the old camera's place by going round the person the other way.
# The two pictures agree, lens and all:

# %%
other_camera = went_round(camera, root, angle, step)
seen_moved = camera.world_to_pixels(moved)
seen_elsewhere = other_camera.world_to_pixels(pose)
assert (seen_moved - seen_elsewhere).abs().max() < 0.01  # pixels
assert (seen_moved - camera.world_to_pixels(pose)).abs().max() > 10

# %%
both = {
    "the person turned": Scene(moved[None], camera[None]),
    "the camera went round": Scene(pose[None], other_camera[None]),
}

# %% tags=["hide-input", "fig-turned"]
alt = "Two rooms. Left, a person turned and moved, and the camera where it was. Right, the person as recorded, and the camera on another side."
rooms_figure(both, train.skeleton, alt, height=330)

# %% tags=["hide-input", "fig-turned-seen"]
alt = "Two images with the same 2D pose in the same place."
pictures_figure(both, train.skeleton, alt)

# %% [markdown]
# So every way a person could have faced is a camera we did not have to put up ({numref}`fig-turned` and {numref}`fig-turned-seen`).
# But not every camera is among them: going round on the floor changes neither the height of the camera nor its tilt, nor the lens.

# %%
height = torch.stack([c.centers_world[2] for c in (camera, other_camera)])
up = torch.stack([c.R_world_to_camera[:, 2] for c in (camera, other_camera)])
torch.testing.assert_close(height[0], height[1])
torch.testing.assert_close(up[0], up[1])

# %% [markdown]
# ## Scenes
#
# `posekit.scenes.Scenes` makes such people by the batch, anew at every step of training. A `Mix` says what is done to them.
# Others have varied labelled poses in such ways {cite}`li2020evolutionary,gong2021poseaug`; ours are triangulated.
# `PLAIN` does nothing: the recorded poses where they were recorded.
# The other mixes below each change one more thing, always and not by chance, so that it can be seen:

# %%
mixes = {
    "as recorded": PLAIN,
    "turned and moved": replace(PLAIN, place=True),
    "mirrored": replace(PLAIN, mirror=1.0),
    "arms of other frames": replace(PLAIN, arms=1.0),
    "bones jittered": replace(PLAIN, jitter=1.0, arm_jitter=0.3, body_jitter=0.1),
    "another camera": replace(PLAIN, cameras="drawn"),
}

# %% [markdown]
# With the same seed each of them begins with the same frame, so that one can go from one to the next.
# Grey is the person as recorded ({numref}`fig-mixes`):

# %%
from_C1 = train.select_views(["C1"])
drawn = {
    name: Scenes(from_C1, mix).draw(1, generator(14)) for name, mix in mixes.items()
}

# %% tags=["hide-input", "opening", "fig-mixes"]
scenes_figure(drawn, train.skeleton)

# %% [markdown]
# This is what these cameras see, side by side ({numref}`fig-mixes-seen`):

# %% tags=["hide-input", "fig-mixes-seen"]
alt = "The six pictures of these cameras, each with a 2D pose."
pictures_figure(drawn, train.skeleton, alt, columns=3, height=400)

# %% [markdown]
# All bones keep their lengths, and the lower ankle keeps its height over the floor:


# %%
def lengths(scene):
    return train.skeleton.bone_lengths(scene.poses_world)


for name in ("turned and moved", "bones jittered"):
    torch.testing.assert_close(lengths(drawn[name]), lengths(drawn["as recorded"]))

# %% [markdown]
# Together, they turn one recording into as many people as one likes.
# These are five people as they were recorded, and five drawn anew ({numref}`fig-crowds`):

# %%
crowds = {"as recorded": PLAIN, "drawn anew": Mix()}
crowds = {
    name: Scenes(train, mix).draw(5, generator(2)) for name, mix in crowds.items()
}

# %% tags=["hide-input", "fig-crowds"]
alt = "Two rooms with five people each, and the cameras that see them: as recorded, and drawn anew."
rooms_figure(crowds, train.skeleton, alt, height=400)

# %% [markdown]
# ## What each kind of scene teaches
#
# Do scenes help? That depends on what the lifter is asked afterwards.
# We train on what C1 and C2 saw, with targets triangulated from these two, and keep C3 for the test.
# The network is this part's lifter, `RayLifter`, in its simplest form: it sees screen coordinates and knows nothing of the camera.
# Every row gets the same number of steps.

# %%
seen_by_two = triangulated(recording.select_views(["C1", "C2"]))
test = load_dataset("synthetic", "test", stride=4)


# %%
def lifter_from(mix, seed, data=seen_by_two, epochs=epochs):
    rng, scenes = generator(seed), Scenes(data, mix)
    lifter = RayLifter("humaneva15", "screen", width, blocks=2, generator=rng)
    lifter.standardise(scenes.draw(5000, rng))
    options = dict(batch_size=256, learning_rate=2e-3, schedule="one_cycle")
    options |= dict(optimizer="adamw", average=0.99)
    fit(lifter, scenes, scene_loss, epochs=epochs, generator=rng, **options)
    return lifter


# %% [markdown]
# Four mixes, each with one thing more than the one before:

# %%
steps = {"as recorded": PLAIN}
steps["+ turned and moved"] = replace(PLAIN, place=True)
steps["+ mirrored"] = replace(PLAIN, place=True, mirror=0.5)
parts = dict(arms=0.25, upper=0.25, jitter=0.25)
steps["+ parts and jitter"] = replace(PLAIN, place=True, mirror=0.5, **parts)

# %%
trained = {
    name: [lifter_from(mix, seed) for seed in range(seeds)]
    for name, mix in steps.items()
}

# %% [markdown]
# For each thing that was added there is a test that changes this one thing in the test clips, and nothing else; and there is C3.

# %%
by_two, by_third = test.select_views(["C1", "C2"]), test.select_views(["C3"])
tests = {
    "as recorded": (by_two, PLAIN),
    "moved": (by_two, replace(PLAIN, place=True)),
    "mirrored": (by_two, replace(PLAIN, mirror=1.0)),
    "parts": (by_two, replace(PLAIN, arms=1.0, upper=1.0, jitter=1.0)),
    "C3": (by_third, PLAIN),
}
asked = {
    name: Scenes(data, mix).draw(people, generator(5))
    for name, (data, mix) in tests.items()
}


# %%
@torch.no_grad()
def off_mm(lifter, scene):
    """`report_mpjpe` of drawn people, millimetres."""
    return 1000 * scene_loss(lifter, scene).item()


errors = {
    row: {
        name: [off_mm(one, scene) for one in lifters] for name, scene in asked.items()
    }
    for row, lifters in trained.items()
}

# %% tags=["hide-input"]
header = ["trained on; `report_mpjpe`, mm", *asked]
rows = [
    [row, *(plus_minus(mean(e), stdev(e), 1) for e in by_test.values())]
    for row, by_test in errors.items()
]
Markdown(table(header, rows))

# %% [markdown]
# Read it by columns.
# The error falls where training begins to show what the column asks for: people elsewhere, their mirror images, other arms.


# %%
def error(row, asks):
    return mean(errors[row][asks])


assert error("+ turned and moved", "moved") < 0.6 * error("as recorded", "moved")
assert error("+ mirrored", "mirrored") < 0.6 * error("+ turned and moved", "mirrored")
assert error("+ parts and jitter", "parts") < 0.8 * error("+ mirrored", "parts")

# %% [markdown]
# The camera that training never saw is the same story.
# C3 stands on another side of the room, and turning the people goes a good part of the way there:

# %%
assert error("+ turned and moved", "C3") < 0.8 * error("as recorded", "C3")

# %% [markdown]
# The first column is the price.
# The test clips are very much like the training clips here: the same people move in the same way in the same place.
# To be ready for more costs some accuracy on these, at this length of training:

# %%
assert error("as recorded", "as recorded") < error("+ parts and jitter", "as recorded")

# %% [markdown]
# HumanEva-I's test clips, too, have the people and the cameras of training.
# There the same steps were recorded one after another, at one number of steps, people per step and hidden units for all rows:

# %% tags=["hide-input"]
runs, tables = recorded(), listed().tables
HTML(html_table(tables["ladder"], runs))

# %% [markdown]
# From a picture alone, and at this number of steps, turning and moving people has its price on HumanEva-I, as it has here.
# What it gives for that, cameras that training never saw would have to show; [](07_results) has such rows.

# %%
moved_rows, recorded_rows = (
    runs["humaneva/ladder-moved"],
    runs["humaneva/ladder-network"],
)
assert mean_and_spread(moved_rows)[0] > mean_and_spread(recorded_rows)[0]
print(f"+ turned and moved: {change_in_words(moved_rows, recorded_rows)} mm")

# %% [markdown]
# The rows below "+ mirrored" are the subject of [](10_tell_the_network).
#
# ## An action that nobody recorded
#
# The synthetic test clips hold no surprise, so let us make one: train without boxing, and test on boxing alone.

# %%
unboxed = [clip for clip in recording.clips if clip.action != "Box"]
unboxed = triangulated(recording.select_clips(unboxed).select_views(["C1", "C2"]))
boxing = by_two.select_clips([clip for clip in by_two.clips if clip.action == "Box"])


# %%
def on_boxing(mix):
    lifters = (lifter_from(mix, seed, unboxed) for seed in range(seeds))
    return [report_mpjpe_mm(lifter, boxing) for lifter in lifters]


never_boxed = {
    name: on_boxing(steps[name]) for name in ("+ mirrored", "+ parts and jitter")
}

# %% tags=["hide-input"]
rows = [[name, plus_minus(mean(e), stdev(e), 1)] for name, e in never_boxed.items()]
Markdown(table(["trained without boxing", "boxing, `report_mpjpe`, mm"], rows))

# %% [markdown]
# Recombined walkers and joggers help with boxing, which they do not do. They are no substitute for having seen it.

# %%
mirrored, recombined = never_boxed.values()
assert mean(recombined) < mean(mirrored)
assert mean(recombined) > 2 * error("+ parts and jitter", "as recorded")

# %% [markdown]
# ## Any camera at all?
#
# Why stop at the cameras of the room? A camera can be drawn as well: at any height and distance, with any focal length.
# So let us train the same lifter on people seen by drawn cameras, and ask it about the test clips as they were recorded.

# %%
any_camera = replace(steps["+ mirrored"], cameras="drawn")
trained["any camera"] = [lifter_from(any_camera, seed) for seed in range(seeds)]
errors["any camera"] = {
    asks: [off_mm(one, asked[asks]) for one in trained["any camera"]]
    for asks in ("as recorded", "C3")
}

# %% tags=["hide-input"]
rows = [
    [
        row,
        *(
            plus_minus(mean(e := errors[row][a]), stdev(e), 1)
            for a in ("as recorded", "C3")
        ),
    ]
    for row in ("+ mirrored", "any camera")
]
Markdown(table(["trained on; `report_mpjpe`, mm", "seen by C1 and C2", "by C3"], rows))

# %% [markdown]
# That is far worse. It is worse even for C3, which neither of the two lifters had seen.

# %%
assert error("any camera", "C3") > 2 * error("+ mirrored", "C3")

# %% [markdown]
# A lifter that sees nothing but a picture may take for granted that it comes from a camera like those it learnt from.
# If it must reckon with any camera, the same picture can mean many things.
# Whether that is really the reason, we find out in [](10_tell_the_network), by telling it about the camera.
#
# ## What we saw
#
# - A turned and moved person gives the same picture, to the last pixel, as a camera that went round the other way. Height, tilt and lens of the camera stay.
# - Scenes are drawn from triangulated poses, so still without labels. They are new at every step, and bones keep their lengths.
# - Each kind of scene teaches what it shows: other places and a camera on another side, mirror images, other poses. On test clips that are like the training clips it costs some accuracy.
# - Drawn cameras overwhelm a lifter that is not told about the camera.
#
# Next: [](10_tell_the_network).
#
# ## Exercises
#
# **1.** Is the price of scenes a matter of time? Train "+ mirrored" for three times as many epochs.

# %% tags=["hide-cell"]
longer = lifter_from(steps["+ mirrored"], 0, epochs=3 * epochs)
longer_mm = off_mm(longer, asked["as recorded"])
assert longer_mm < error("+ mirrored", "as recorded")
plain_mm = error("as recorded", "as recorded")
f"{longer_mm:.1f} mm; as recorded, in a third of the time: {plain_mm:.1f} mm"

# %% [markdown]
# **2.** How many poses does it take? Keep two frames of each second, and give "+ mirrored" the same number of steps.

# %% tags=["hide-cell"]
few = triangulated(recording.select_views(["C1", "C2"]).every(30))
from_few = lifter_from(steps["+ mirrored"], 0, few, epochs=30 * epochs)
few_mm = off_mm(from_few, asked["as recorded"])
all_mm = error("+ mirrored", "as recorded")
assert few_mm < 1.1 * all_mm
f"{len(few)} poses: {few_mm:.1f} mm; all {len(seen_by_two)}: {all_mm:.1f} mm"
