# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Labels for free
#
# **What you will do.** Triangulate the training views, put the result in the place of 3D labels, and train one network from three teachers.
#
# **What you will learn**
#
# - that calibrated training views already contain the labels;
# - what labels are worth once they are there: nothing that we can measure;
# - what it costs instead: cameras that are calibrated, synchronised, and see well.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](03_lift_without_labels) | it is the method to beat | read it first |
# | [](06_triangulation) | it is the teacher here | read it first |
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
from posekit.evaluation import evaluate
from posekit.figures import bar_figure, curve_figure
from posekit.html_tables import html_table
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss, supervised_loss
from posekit.metrics import mean_joint_distance
from posekit.random import generator
from posekit.records import plus_minus, recorded, table
from posekit.tables import listed
from posekit.teachers import triangulated
from posekit.training import fit

torch.set_num_threads(1)  # small networks run fastest on one

# %% tags=["parameters"]
width = 128  # hidden units per layer
epochs = 15  # passes over the training set
stride = 2  # take every stride-th frame of the training set
seeds = 3  # of each comparison
noise_px = 5.0  # standard deviation of 2D noise, pixels

# %% [markdown]
# ## The labels are already there
#
# Label-free training asks a network to find poses on which all views agree.
# But where several calibrated views see the same moment, we need no network for that: [triangulation](06_triangulation) finds the pose on which they agree, in closed form.
# The chapter on triangulation used it at test time. Here it prepares the training set, and at test time one view will do, as before.

# %%
train = load_dataset("synthetic", "train", stride=stride)
test = load_dataset("synthetic", "test", stride=4)
taught = triangulated(train)
taught

# %% [markdown]
# `taught` is the training set with triangulated poses in the place of its labels. How far are they from the labels?


# %%
def off_mm(poses, data=train):
    """Mean distance between a dataset's poses and the labels, millimetres."""
    return (
        1000 * mean_joint_distance(poses.poses_world, data.poses_world).nanmean().item()
    )


# %% [markdown]
# The 2D poses are exact here, as in the report, so nothing but rounding is left:

# %%
assert off_mm(taught) < 0.01
f"{off_mm(taught):.5f} mm"

# %% [markdown]
# No label was read on the way. If all of them are missing, the result has the same bits:

# %%
nowhere = torch.full_like(train.poses_world, torch.nan)
blind = triangulated(replace(train, poses_world=nowhere))
assert torch.equal(blind.poses_world, taught.poses_world)

# %% [markdown]
# ## One network, three teachers
#
# Now the same network learns from each of three teachers:
#
# - **reprojection**, the label-free loss of [](03_lift_without_labels);
# - **triangulation**, the supervised loss of [](02_lift_with_labels) on the triangulated poses;
# - **labels**, the same loss on the true poses.
#
# To be fair, all have the same network, the same number of steps, and the same number of views in a step:
# a batch of the label-free loss has moments, each with three views, and a batch of the others has three times as many poses.


# %%
def lifter_from(samples, loss, seed):
    rng = generator(seed)
    lifter = FrameLifter(15, width, dropout=0.0, norm="layer", generator=rng)
    size = 128 if loss is label_free_loss else 3 * 128
    options = dict(batch_size=size, learning_rate=1e-3, schedule="one_cycle")
    fit(lifter, samples, loss, epochs=epochs, generator=rng, **options)
    return lifter


# %% [markdown]
# Each teacher has a few seeds, since a difference means something only beside the spread between them.
# The errors are those of `report_mpjpe`.


# %%
def errors_mm(samples, loss=supervised_loss, data=test):
    lifters = [lifter_from(samples, loss, seed) for seed in range(seeds)]
    return [evaluate(one, data).metrics_mm["report_mpjpe"] for one in lifters]


# %% [markdown]
# The three teachers:

# %%
from_views = errors_mm(train.views(), label_free_loss)
from_triangulation = errors_mm(taught.labelled_poses())
from_labels = errors_mm(train.labelled_poses())


# %% tags=["hide-input"]
def compared(first, rows):
    """A table of teachers: how far their targets are off, and what their lifters do."""
    header = [first, "targets off by, mm", "lifter, `report_mpjpe`, mm"]
    return Markdown(
        table(
            header,
            [[name, off, plus_minus(mean(e), stdev(e))] for name, off, e in rows],
        )
    )


# %% tags=["hide-input"]
by_teacher = [
    ("reprojection", "–", from_views),
    ("triangulation", f"{off_mm(taught):.1f}", from_triangulation),
]
compared("teacher", [*by_teacher, ("labels", "0.0", from_labels)])

# %% tags=["hide-input", "opening", "fig-teachers"]
teachers = {"reprojection": from_views, "triangulation": from_triangulation}
teachers |= {"labels": from_labels}
means = {name: mean(errors) for name, errors in teachers.items()}
alt = "The error of one network from each of three teachers: reprojection is the worst, and triangulation, which needs no labels, teaches as well as labels do."
bar_figure({"error": means}, "report_mpjpe (mm)", alt)

# %% [markdown]
# Between triangulated poses and labels there is no difference that the seeds would not make as well ({numref}`fig-teachers`).
# Seed by seed:

# %%
gaps = [ours - theirs for ours, theirs in zip(from_triangulation, from_labels)]
assert abs(mean(gaps)) < 0.05 * mean(from_labels)
assert mean(from_views) > 1.2 * mean(from_labels)
difference = plus_minus(mean(gaps), stdev(gaps), sign="+")
print(f"triangulation minus labels: {difference} mm")

# %% [markdown]
# Both label-free teachers had the same views.
# So what [](03_lift_without_labels) pays, at this length of training, is the price of its loss and not of missing labels.
#
# ## On HumanEva-I
#
# The same three teachers were recorded on real people, with exact 2D.
# All rows have the same number of steps, people in a step and hidden units:

# %% tags=["hide-input"]
runs, tables = recorded(), listed().tables
ladder = tables["ladder"]
first_steps = replace(ladder, rows=ladder.rows[:3])
HTML(html_table(first_steps, runs))

# %% [markdown]
# The next chapters climb on from here, and [](07_results) has the whole ladder.
# At its end, with eight times as many steps, are the rows below. Each network is trained twice, from triangulated poses and from labels, and is otherwise the same:

# %% tags=["hide-input"]
HTML(html_table(tables["beyond"], runs))

# %% [markdown]
# ## What it costs instead
#
# The labels are free only if the views agree.
# Two things can go wrong without anybody noticing: a camera starts **late**, or it has been **turned** since it was calibrated.
# We make both mistakes in the training set, in one camera of three, and leave the test as it is.
# First, a camera that is some frames ahead, and at the end of a clip stands still:


# %%
def late(data, frames, view=2):
    ahead = torch.arange(len(data)) + frames
    last = torch.tensor([clip.stop - 1 for clip in data.clips])[data.clip_of_frame]
    pixels = data.pixels.clone()
    pixels[:, view] = data.pixels[ahead.minimum(last), view]
    return replace(data, pixels=pixels)


# %% [markdown]
# A turned camera keeps its place, while its calibration believes that it looks another way:


# %%
def turned(data, degrees, view=2):
    turn = roma.rotvec_to_rotmat(torch.tensor([0.0, degrees * torch.pi / 180, 0.0]))
    R = data.cameras.R_world_to_camera.clone()
    t = data.cameras.t_world_to_camera.clone()
    R[:, view], t[:, view] = turn @ R[:, view], t[:, view] @ turn.mT
    return replace(
        data, cameras=replace(data.cameras, R_world_to_camera=R, t_world_to_camera=t)
    )


# %% [markdown]
# The lifter sees pictures as they are; only its targets are wrong.


# %%
def taught_by(faulty):
    return replace(train, poses_world=triangulated(faulty).poses_world)


# %% [markdown]
# Two faults of each kind, a small and a larger one:

# %%
faults = {"one frame late": late(train, 1), "four frames late": late(train, 4)}
faults |= {"turned by 0.2°": turned(train, 0.2), "turned by 1°": turned(train, 1.0)}
targets = {name: taught_by(faulty) for name, faulty in faults.items()}
faulty = {name: errors_mm(data.labelled_poses()) for name, data in targets.items()}

# %% tags=["hide-input"]
sound = ("nothing wrong", f"{off_mm(taught):.1f}", from_triangulation)
rows = [
    (name, f"{off_mm(targets[name]):.1f}", errors) for name, errors in faulty.items()
]
compared("third camera", [sound, *rows])

# %% [markdown]
# Such faults move the targets much further than they move the lifter's error.
# Four frames late is a fault that it has learnt; of the others little reaches it.

# %%
learnt = mean(faulty["four frames late"]) - mean(from_triangulation)
assert 0 < learnt < off_mm(targets["four frames late"])
f"four frames late: {learnt:+.1f} mm"

# %% [markdown]
# ## Noisy 2D
#
# A detector is not exact. With noise in the training views and the test views, what are the teachers worth?
# Smoothing the targets over time may help: `triangulated` fits a parabola to the frames around each one, weighted by a bell curve of the width we give it.
# But smoothing moves exact targets as well, which the second curve shows ({numref}`fig-smoothing`).

# %%
noisy = train.with_detector_noise(noise_px, 0.0, generator(1))
noisy_test = test.with_detector_noise(noise_px, 0.0, generator(2))
sigmas = [0.0, 1.0, 2.0, 4.0, 8.0]
off = {"noisy views": [off_mm(triangulated(noisy, sigma)) for sigma in sigmas]}
off |= {"exact views": [off_mm(triangulated(train, sigma)) for sigma in sigmas]}

# %% tags=["hide-input", "fig-smoothing"]
curve_figure(
    {name: (sigmas, distances) for name, distances in off.items()},
    "smoothing (frames)",
    "mean distance between joints (mm)",
    alt="The distance of triangulated targets from the labels against the length of smoothing. From noisy views it falls and rises again; from exact views it only rises, and the curves meet.",
)

# %% [markdown]
# A little smoothing takes away noise; beyond that, the targets leave the motion of the exact ones, and the two curves come together.
# The lifters, trained from each teacher and tested on noisy pictures:

# %%
teachers = {
    "triangulation": triangulated(noisy),
    "the same, smoothed": triangulated(noisy, 2.0),
}
teachers |= {"labels": noisy}
under_noise = {
    name: errors_mm(data.labelled_poses(), data=noisy_test)
    for name, data in teachers.items()
}

# %% tags=["hide-input"]
compared(
    "teacher",
    [(name, f"{off_mm(teachers[name]):.1f}", e) for name, e in under_noise.items()],
)

# %%
assert mean(under_noise["the same, smoothed"]) < 1.05 * mean(under_noise["labels"])

# %% [markdown]
# On HumanEva-I, with a network and scenes as in the next chapters, the same three teachers were recorded under noise.
# Below them are, from the report's side, its lifter with one view, the same adapted to three views, and triangulation of these three:

# %% tags=["hide-input"]
HTML(html_table(tables["beyond_noise"], runs))

# %% [markdown]
# ## What we saw
#
# - Calibrated, synchronised views contain the poses; triangulation reads them off, and no label is touched.
# - At equal network, steps and views, triangulated targets and labels teach equally well, and both teach better than the reprojection loss.
# - "Without labels" then means: with a calibrated and synchronised rig in training. A late or turned camera spoils the targets; noise does, too, and smoothing over time mends part of it.
#
# Poses in the room can do more than replace labels: [](09_turn_the_person) puts them where nobody stood.
#
# ## Exercises
#
# **1.** Do two cameras teach as well as three? Triangulate from `C1` and `C2` alone, and train on what all three cameras saw.

# %% tags=["hide-cell"]
from_two = errors_mm(taught_by(train.select_views(["C1", "C2"])).labelled_poses())
assert abs(mean(from_two) - mean(from_labels)) < 0.05 * mean(from_labels)
two_mm = plus_minus(mean(from_two), stdev(from_two))
print(f"{two_mm} mm: exact, two views fix every joint")

# %% [markdown]
# **2.** And with noise? Compare how far the targets of two and of three cameras are off.

# %% tags=["hide-cell"]
off_two = off_mm(triangulated(noisy.select_views(["C1", "C2"])))
off_three = off_mm(triangulated(noisy))
assert off_three < off_two
f"{off_two:.1f} mm against {off_three:.1f} mm: with noise a third view pays"
