# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Where the rest of the error lives
#
# **What you will do.** Take the error of a good lifter apart: make one part of its answer exact at a time, and change one part of its task at a time.
#
# **What you will learn**
#
# - how much of the error is the person's distance, and how much their pose;
# - that a lifter is no memory of training poses;
# - what a new moment costs, and what a new person costs;
# - which actions, joints and moments hold the rest.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](../book/conventions) | the errors are defined there | look them up as they come |
# | [](10_tell_the_network) | we take its level lifter apart | read it first |
#
# **Time.** 15 minutes to read, about a minute to run.

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
from statistics import mean

import torch
from IPython.display import Markdown

from posekit.datasets import load_dataset
from posekit.evaluation import average_with, evaluate, evaluate_poses, lift_dataset
from posekit.figures import bar_figure, comparison_figure, curve_figure
from posekit.losses import scene_loss
from posekit.metrics import mpjpe, report_mpjpe
from posekit.random import generator
from posekit.ray_lifter import RayLifter
from posekit.records import recorded, table
from posekit.scenes import Mix, Scenes
from posekit.tables import listed
from posekit.teachers import triangulated
from posekit.training import fit

torch.set_num_threads(1)  # small networks run fastest on one

# %% tags=["parameters"]
width = 128  # hidden units per layer
steps = 600  # of training, for every lifter
seeds = 2  # where lifters are compared

# %% [markdown]
# ## A lifter to take apart
#
# It is the level lifter of [](10_tell_the_network), which says depths along the rays, taught by triangulated poses that are turned, moved and mirrored.

# %%
train = load_dataset("synthetic", "train")
test = load_dataset("synthetic", "test", stride=4)
mix = Mix(arms=0.0, upper=0.0, jitter=0.0)


# %%
def lifter_from(data, seed=0, mix=mix):
    rng, scenes = generator(seed), Scenes(triangulated(data), mix)
    lifter = RayLifter("humaneva15", "level", width, 2, generator=rng)
    lifter.standardise(scenes.draw(5000, rng))
    epochs = max(1, round(steps * 256 / len(scenes)))
    options = dict(batch_size=256, learning_rate=2e-3, schedule="one_cycle")
    options |= dict(optimizer="adamw", average=0.99, epochs=epochs)
    fit(lifter, scenes, scene_loss, generator=rng, **options)
    return lifter


lifter = lifter_from(train)
result = evaluate(lifter, test)
result

# %% [markdown]
# ## The person's distance, or their pose?
#
# A level lifter says nothing but depths: every joint is its ray times a depth.
# So the whole of its error is in the depth of the root, and in the other joints' depths relative to the root's.

# %%
lifted, true = lift_dataset(lifter, test), test.poses_camera()
rays = test.frame_cameras.pixels_to_rays(test.pixels)
depth, true_depth = lifted[..., 2:], true[..., 2:]
torch.testing.assert_close(depth * rays, lifted, atol=1e-4, rtol=0)

# %% [markdown]
# We take either from the truth, leave the other as it was, and measure again:

# %%
root, true_root = depth[..., :1, :], true_depth[..., :1, :]
parts = {
    "as lifted": depth,
    "root depth exact": depth - root + true_root,
    "relative depths exact": true_depth - true_root + root,
}


# %%
def error_mm(depths):
    return evaluate_poses(depths * rays, test).metrics_mm["report_mpjpe"]


exact = {name: error_mm(depths) for name, depths in parts.items()}
assert error_mm(true_depth) < 0.1

# %% tags=["hide-input", "opening", "fig-parts"]
alt = "The error as lifted, a little less of it with the exact depth of the root, and only a small part with exact relative depths. Three bars."
bar_figure({"error": exact}, "report_mpjpe (mm)", alt)

# %% [markdown]
# Nearly all of it is in the pose ({numref}`fig-parts`): how far each joint is in front of the root or behind it.
# One reason is the metric, which counts the root as one joint of fifteen.
# But counted by themselves, the root is about as far off as the other joints are from their places about it:

# %%
assert exact["relative depths exact"] < 0.5 * exact["root depth exact"]
errors = result.metrics_mm
others = errors["mpjpe"] * 15 / 14  # it counts the root as well, with an error of 0
assert errors["root_error"] < 2 * others
f"root {errors['root_error']:.1f} mm, other joints about it {others:.1f} mm"

# %% [markdown]
# ## Is it a memory?
#
# A lifter might do no more than find the training pose that is most like the picture.
# Suppose that it did this perfectly, even knowing the true pose: for each test pose, take the training pose that is nearest to it, mirrored or not, after the best turn about the vertical.
# How near is it?
# With $x + iy$ for the position on the floor, a turn is a product with a complex number, and the best turn in the sense of least squares has a closed form:


# %%
def nearest_mm(poses, known):
    """Mean joint distance of each pose to the nearest known one, roots together."""
    poses, known = poses - poses[:, :1], known - known[:, :1]
    (a, z), (b, known_z) = map(floor_and_height, (poses, known))
    turn = (a @ b.mH).sgn()  # for each pair
    across = (a[:, None] - turn[..., None] * b).abs()
    off = (across**2 + (z[:, None] - known_z) ** 2).sqrt().mean(-1)
    return 1000 * off.amin(-1)


def floor_and_height(poses):
    return torch.complex(poses[..., 0], poses[..., 1]), poses[..., 2]


# %% [markdown]
# A pose that is known is found, however it is turned, or mirrored:

# %%
known = triangulated(train.every(2)).poses_world
known = torch.cat([known, train.skeleton.mirror(known)])
assert nearest_mm(train.skeleton.mirror(known[:50]), known).max() < 0.1

# %% [markdown]
# Now the test poses, in two halves: those to which training has a near pose, and the others.

# %%
nearest = nearest_mm(test.poses_world[::4], known)
off = 1000 * mpjpe(lifted, true).mean(1)[::4]  # the lifter's, over the views
far = nearest > nearest.median()
halves = {"poses near to training": ~far, "poses far from it": far}
memory = {"the lifter": off, "nearest training pose": nearest}
memory = {
    name: {half: error[which].mean().item() for half, which in halves.items()}
    for name, error in memory.items()
}

# %% tags=["hide-input", "fig-memory"]
alt = "For the half of the test poses that is nearer to training and for the other half: the error of the lifter, which is about the same in both, and the distance to the nearest training pose, which is much larger in the second."
bar_figure(memory, "mpjpe (mm)", alt)

# %% [markdown]
# Near to training, such a memory would be hard to beat, if only it knew the answer before it looked it up.
# Far from training it would be much worse than near to it, and the lifter is only a little worse ({numref}`fig-memory`):

# %%
near_half, far_half = halves
growth = {name: half[far_half] / half[near_half] for name, half in memory.items()}
assert growth["the lifter"] < growth["nearest training pose"]
{name: f"{times:.2f} times as far off" for name, times in growth.items()}

# %% [markdown]
# ## A new moment, a new person
#
# The test clips show people whom training knew, at moments that it did not.
# And what does a person cost whom training did not know?
# We leave out one person at a time, and test on them. To leave out a person is to leave out a third of the frames as well.
# So for comparison we leave out the last third of everybody's frames instead.

# %%
people = train.subjects
known_people, _ = train.validation_split(share=1 / 3, gap=0)


# %%
def only(data, people):
    return data.select_clips([clip for clip in data.clips if clip.subject in people])


def lifters_from(data):
    return [lifter_from(data, seed) for seed in range(seeds)]


knows_all = lifters_from(known_people)
knows_not = {who: lifters_from(only(train, set(people) - {who})) for who in people}


# %%
def error_of(lifters, data):
    return mean(evaluate(one, data).metrics_mm["report_mpjpe"] for one in lifters)


by_person = {
    "frames of training": {
        who: error_of(knows_all, only(known_people.every(4), {who})) for who in people
    },
    "new moments": {who: error_of(knows_all, only(test, {who})) for who in people},
    "a new person": {
        who: error_of(knows_not[who], only(test, {who})) for who in people
    },
}

# %% tags=["hide-input", "fig-persons"]
alt = "For each of the three people three bars: the error on frames of training, on new moments of a known person, and on a person left out of training. They grow in this order."
bar_figure(by_person, "report_mpjpe (mm)", alt)

# %% [markdown]
# A new moment costs a little, and a new person more, least of all the one of middle size ({numref}`fig-persons`):

# %%
means = {name: mean(errors.values()) for name, errors in by_person.items()}
assert means["frames of training"] < means["new moments"] < means["a new person"]
{name: f"{error:.1f} mm" for name, error in means.items()}

# %% [markdown]
# Is it their size? Let the smallest and the largest of the three grow or shrink on the spot to the size of S2, whom training knew, and change nothing else:

# %%
size = {
    who: train.skeleton.bone_lengths(only(test, {who}).poses_world).mean()
    for who in people
}


def grown(data, factor):
    on_floor = data.poses_world[:, :1] * torch.tensor([1.0, 1.0, 0.0])
    poses = on_floor + factor * (data.poses_world - on_floor)
    pixels = data.frame_cameras.world_to_pixels(poses[:, None])
    return replace(data, poses_world=poses, pixels=pixels)


# %%
rows = []
for who in ("S1", "S3"):
    factor = size["S2"] / size[who]
    resized = error_of(knows_not[who], grown(only(test, {who}), factor))
    known, new = by_person["new moments"][who], by_person["a new person"][who]
    rows.append([who, *(f"{error:.1f}" for error in (known, new, resized))])

# %% tags=["hide-input"]
header = ["`report_mpjpe`, mm", "known to training", "new", "new, of S2's size"]
Markdown(table(header, rows))

# %% [markdown]
# Size is at most a part of it.
# The synthetic people also have limbs of slightly other proportions. They all move in one style, so it is hardly that.
#
# ## Which actions, which joints, which moments
#
# An `Evaluation` has the means by action and by joint.

# %%
by_action = {name: m["report_mpjpe"] for name, m in result.by_action.items()}

# %% tags=["hide-input"]
alt = "The error of each action as a bar."
bar_figure({"error": by_action}, "report_mpjpe (mm)", alt)

# %%
by_joint = {name: m["mpjpe"] for name, m in result.by_joint.items() if name != "pelvis"}
by_joint = dict(sorted(by_joint.items(), key=lambda item: -item[1]))

# %% tags=["hide-input"]
alt = "The error of each joint relative to the root as a bar, largest first."
by_name = {name.replace("_", " "): error for name, error in by_joint.items()}
bar_figure({"error": by_name}, "mpjpe (mm)", alt)

# %% [markdown]
# And a mean hides how unequal poses are. This is the share of poses with an error below each value ({numref}`fig-shares`):

# %%
each = 1000 * report_mpjpe(lifted, true).flatten()
share = torch.linspace(0, 1, 101)
curve = {"poses": (each.quantile(share).tolist(), (100 * share).tolist())}

# %% tags=["hide-input", "fig-shares"]
alt = "Share of poses below an error. It rises steeply at first, and has a long tail to the right."
curve_figure(curve, "report_mpjpe (mm)", "poses with a smaller error (%)", alt)

# %%
median, worst = each.quantile(0.5), each.quantile(0.99)
f"median {median:.1f} mm, one in a hundred above {worst:.1f} mm"

# %% [markdown]
# This is the worst of all poses ({numref}`fig-worst`). The redder a joint, the farther it is off with the roots together:

# %% tags=["fig-worst"]
frame, view = divmod(each.argmax().item(), len(test.view_names))
camera = test.frame_cameras[frame, view]
worst_pose = {"lifted": camera.camera_to_world(lifted[frame, view])}
clip = test.clips[test.clip_of_frame[frame]]
options = dict(tint=True, height=320)
comparison_figure(worst_pose, test.poses_world[frame], test.skeleton, **options)

# %%
f"{clip.subject}, {clip.action}, seen by {test.view_names[view]}"

# %% [markdown]
# ## On HumanEva-I
#
# The records of the final rows have the error by action:

# %%
runs, tables = recorded(), listed().tables
rows = tables["beyond"].rows
actions = ["Walking", "Jog", "Box"]


# %%
def by_action_of(row):
    """The mean error of each action over the seeds of a row, as words."""
    records = runs.get(row.key, [])
    errors = [[r.by_action[a]["report_mpjpe"] for r in records] for a in actions]
    return [f"{mean(e):.1f}" if e else "not recorded yet" for e in errors]


# %% tags=["hide-input"]
lines = [[f"{row.group}, {row.title}", *by_action_of(row)] for row in rows]
Markdown(table(["HumanEva-I; `report_mpjpe`, mm", *actions], lines))

# %% [markdown]
# ## What we saw
#
# - Of a level lifter's error by the report's metric, little is in the person's distance, and nearly all in the depths of the joints about the root.
# - It is no memory of poses: its error hardly grows with the distance to the nearest one of training.
# - New moments of known people cost little. A new person costs more, and their size is at most a part of the reason.
# - Errors are unequal: over actions, over joints, where ankles and wrists have most of it, and over moments, with a long tail.
#
# Part of what is left is a matter of the people that training knows, and part of what one picture can say.
# [](05_sequences) looks at more than one. [](07_results) has all recorded rows, among them some that ask whether longer training, a larger network or more frames would help.
#
# ## Exercises
#
# **1.** Can scenes make people of other sizes? A `Mix` has `body_scale`. Leave out S3, draw bodies of other sizes, and test on S3.

# %% tags=["hide-cell"]
S3, all_but_S3 = only(test, {"S3"}), only(train, {"S1", "S2"})
scaled = [
    lifter_from(all_but_S3, k, replace(mix, body_scale=0.05)) for k in range(seeds)
]
unscaled_mm = by_person["a new person"]["S3"]
scaled_mm = error_of(scaled, S3)
assert scaled_mm > 0.95 * unscaled_mm
f"{unscaled_mm:.1f} mm as recorded, {scaled_mm:.1f} mm with other sizes: no help yet"

# %% [markdown]
# **2.** Do mistakes of several lifters cancel? `average_with` takes the mean of the poses that several lifters say.

# %% tags=["hide-cell"]
first, *others = knows_all
alone = error_of(knows_all, test)
together = evaluate(first, test, average_with(*others)).metrics_mm["report_mpjpe"]
assert together < alone
f"one at a time {alone:.1f} mm, averaged {together:.1f} mm"
