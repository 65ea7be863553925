# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Learn to lift, without labels
#
# **What you will do.** Train the same network without ever showing it a 3D pose: only 2D poses, and where the cameras stood.
#
# **What you will learn**
#
# - how several views check each other: rotate, project, compare;
# - the label-free loss, in full, in a dozen lines;
# - what the published recipe leaves to luck, and what switching off dropout half way does.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](01_one_pose_many_views) | projection is the teacher here | read it first |
# | [](02_lift_with_labels) | the network and its error are the same | read it first |
#
# **Time.** 20 minutes to read, about a minute to run.

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

# %%
from dataclasses import replace
from functools import partial

import torch
from IPython.display import Markdown

from posekit.datasets import load_dataset
from posekit.figures import (
    comparison_figure,
    curve_figure,
    reprojection_figure,
)
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss, multiview_loss, reprojections
from posekit.random import generator
from posekit.records import by_seed, recorded, report_table, table
from posekit.training import evaluate, fit, lift, share_behind
from posekit.triangulation import triangulate
from posekit.widgets import LiftExplorer

# %% tags=["parameters"]
width = 256  # hidden units a layer; the report's network has 1024
epochs = 40  # passes over the training set
switch_epochs = 20  # passes of each of the runs of the published recipe
learning_rate = 0.001  # peak of the schedule
batch_size = 128  # moments a step, each seen by three cameras
seed = 0  # of weights and batch order

# %% [markdown]
# ## What training may see
#
# The samples are `Views`: 2D poses on each camera's screen, and the calibrated cameras.
# There is no field that a 3D pose could hide in.

# %%
train = load_dataset("synthetic", "train")
test = load_dataset("synthetic", "test")
views = train.views()
list(views.__dataclass_fields__), views.screen.shape

# %% [markdown]
# ## Rotate, project, compare
#
# ![Three views of one moment are lifted by the same network to three 3D poses. Each is rotated, moved and projected into all three cameras: nine reprojections. In each camera they must agree with each other and with what it saw.](../book/images/procedure.svg)
#
# Let a lifter guess a 3D pose from camera C1's picture.
# This one has been trained for a moment only, so its guesses are poor.

# %%
source = generator(seed)
beginner = FrameLifter(15, width, dropout=0.0, generator=source)
fit(
    beginner,
    views,
    label_free_loss,
    epochs=1,
    learning_rate=learning_rate,
    generator=source,
)
moment = views[40]
guesses = lift(
    beginner, moment.screen
)  # (3 views, 15 joints, xyz), each in its own camera's frame

# %% [markdown]
# **Rotate.** Take C1's guess out of C1's frame into the world, and from there into C2's frame.
# **Project** it onto C2's screen.


# %%
def seen_from(pose, source_camera, target_camera):
    world = source_camera.camera_to_world(pose)
    return target_camera.world_to_screen(world)


C1, C2, C3 = moment.cameras[0], moment.cameras[1], moment.cameras[2]
from_C1_in_C2 = seen_from(guesses[0], C1, C2)

# %% [markdown]
# **Compare** it with what C2 really saw.

# %%
distance = (from_C1_in_C2 - moment.screen[1]).norm(dim=-1)
f"off by {distance.mean():.3f} screen units in the mean (1 is half the image's width)"

# %% [markdown]
# Three guesses, each seen by three cameras, make nine **reprojections**.
# In colour: row by row the guess from C1, C2 and C3; column by column as C1, C2 and C3 see it. In grey: what they saw.

# %%
reprojection_figure(guesses, moment, train.view_names, train.skeleton)

# %% [markdown]
# A good lifter would cover the grey everywhere.
# On the diagonal that is easy: one can match one's own picture with any depth.
# Off the diagonal only the right depth will do.
#
# ## The loss
#
# Call $x_j$ the 2D pose seen by camera $j$, and $x_{ij}$ the guess from camera $i$ as camera $j$ sees it.
# The report's loss {cite}`jain2022pose` asks two things: that $x_{ij}$ match $x_j$, and that all $x_{ij}$ in one picture match each other:
#
# $$
# L = \sum_{i,j} \lVert x_{ij} - x_j \rVert + \sum_{i,k,j} \lVert x_{ij} - x_{kj} \rVert .
# $$
#
# Its code takes means in three groups: own view ($i = j$), cross view ($i \neq j$), and consistency.
# All nine reprojections of a whole batch come from one call, without a loop:

# %%
batch = views[torch.arange(0, 600, 10)]
poses = lift(beginner, batch.screen)
projected = reprojections(poses, batch.cameras)
projected.shape  # moments, from view, to view, joints, xy

# %% [markdown]
# And this is the loss:


# %%
def written_out(projected, screen):
    to_seen = (
        (projected - screen[:, None]).norm(dim=-1).mean(dim=(0, 3))
    )  # from view, to view
    own = to_seen.diagonal().mean()
    cross = to_seen[~torch.eye(3, dtype=torch.bool)].mean()
    i, k = torch.triu_indices(3, 3, offset=1)
    consistency = (projected[:, i] - projected[:, k]).norm(dim=-1).mean()
    return own, cross, consistency


# %%
for ours, theirs in zip(
    written_out(projected, batch.screen), multiview_loss(poses, batch)
):
    torch.testing.assert_close(ours, theirs)

# %% [markdown]
# posekit's `multiview_loss` does the same for any number of views, and leaves out joints that a camera did not see.
# The gradient flows back through projection, lens, rotation and lifter.
#
# ## Training
#
# The loop is the one that trained with labels. Only the samples and the loss are others.

# %%
source = generator(seed)
lifter = FrameLifter(15, width, dropout=0.0, generator=source)
options = dict(batch_size=batch_size, learning_rate=learning_rate, schedule="one_cycle")
curve = fit(
    lifter,
    views,
    label_free_loss,
    epochs=epochs,
    **options,
    generator=source,
    test=test,
    test_every=2,
)

# %%
curve_figure(
    {"test error": curve.measured()},
    "epoch",
    "report_mpjpe (mm)",
    alt="The test error of label-free training in millimetres, falling over the epochs.",
    log_y=True,
)

# %%
result = evaluate(lifter, test)
assert result.metrics_mm["report_mpjpe"] < min(150, curve.report_mpjpe_mm[1])
rows = [[f"`{name}`", f"{value:.1f}"] for name, value in result.metrics_mm.items()]
Markdown(table(["metric", "mm, synthetic test clips"], rows))

# %% [markdown]
# Nobody told the network a single 3D coordinate.
# Here is what it makes of the same moment now:

# %%
reprojection_figure(
    lift(lifter, moment.screen), moment, train.view_names, train.skeleton
)

# %% [markdown]
# And here is a test clip, seen by one camera at a time, over the truth.

# %%
clip = test.clips[1]
frames = slice(clip.start, clip.start + 90)
lifted = test.frame_cameras[frames].camera_to_world(lift(lifter, test.screen()[frames]))
by_view = {
    f"lifted from {name}": lifted[:, view] for view, name in enumerate(test.view_names)
}
comparison_figure(
    test.poses_world[frames],
    by_view,
    test.skeleton,
    frame_rate=test.frame_rate,
)

# %% [markdown]
# ## Is it really label-free?
#
# A proof is cheap. Destroy all labels, train again, and compare the weights, bit by bit.


# %%
def one_epoch(dataset):
    source = generator(seed)
    lifter = FrameLifter(15, 32, dropout=0.2, generator=source)
    fit(lifter, dataset.views(), label_free_loss, epochs=1, generator=source)
    return lifter.state_dict().values()


blind = replace(train, poses_world=torch.full_like(train.poses_world, torch.nan))
assert all(torch.equal(a, b) for a, b in zip(one_epoch(train), one_epoch(blind)))

# %% [markdown]
# ## What is left to luck
#
# Our network has a root whose depth is positive by construction. The published one gives the root's place as it comes.
# Untrained, it puts some people in front of the camera and some behind it. How many is up to the seed.


# %%
def published_lifter(seed, width, dropout=0.5):
    """An untrained lifter, and the generator it was drawn from."""
    source = generator(seed)
    options = dict(dropout=dropout, root="free", generator=source)
    return FrameLifter(15, width, **options), source


def behind_at_first(seed, width):
    lifter, source = published_lifter(seed, width)
    return share_behind(lifter, views.screen[::20], source)


shares = torch.tensor([behind_at_first(k, width) for k in range(40)])
lucky, unlucky = shares.argmin().item(), shares.argmax().item()
f"people behind the camera: {shares[lucky]:.0%} with seed {lucky}, {shares[unlucky]:.0%} with seed {unlucky}"

# %% [markdown]
# Train from both, otherwise as published: with dropout (the next section is about that),
# with $x / z$ and $y / z$ clamped to $[-1, 1]$ so that nothing explodes near the camera's plane, and with a constant learning rate.


# %%
def published_run(seed, dropout, switch):
    lifter, source = published_lifter(seed, width, dropout)
    loss = partial(label_free_loss, clamp=1.0)
    settings = dict(epochs=switch_epochs, switch=switch, generator=source)
    return lifter, fit(lifter, views, loss, **settings, test=test, test_every=2)


_, lucky_curve = published_run(lucky, 0.5, "both")
lost_lifter, unlucky_curve = published_run(unlucky, 0.5, "both")
curve_figure(
    {
        f"seed {lucky}": lucky_curve.measured(),
        f"seed {unlucky}": unlucky_curve.measured(),
    },
    "epoch",
    "report_mpjpe (mm)",
    alt="Test error of two runs of the published recipe over the epochs. From the lucky seed it falls; from the unlucky one it stays ten times as high.",
    log_y=True,
)

# %% [markdown]
# Where has the second network put everybody?

# %%
depth = lift(lost_lifter, test.screen())[..., 0, 2]
true_depth = test.poses_camera()[..., 0, 2]
assert depth.median() < 0 < true_depth.median()
f"median depth of the people: {depth.median():.1f} m; in truth {true_depth.median():.1f} m"

# %% [markdown]
# Behind the camera, close to it. There they explain its picture as well as the real people do:
# $x / z$ does not change when a person is scaled, and the scale may be small, and may be negative.
# The other cameras see that it is wrong. But the way to the front leads through the camera,
# where $x / z$ explodes, and the clamp that stops it from exploding has no gradient.
# posekit's default avoids all this: the depth is positive by construction, and nothing is clamped.
#
# These are the recorded runs of the published recipe on HumanEva-I.
# Beside each stands where its untrained network puts the embedded people:

# %%
runs = recorded()
records = by_seed(
    runs["humaneva/label_free-published"] + runs["humaneva/label_free-published-behind"]
)
starts = {seed: behind_at_first(seed, 1024) for seed in records}
rows = [
    [seed, f"{share:.0%}", f"{records[seed].metrics_mm['report_mpjpe']:.1f}"]
    for seed, share in sorted(starts.items(), key=lambda start: start[1])
]
published = report_table("humaneva")["label_free, dropout 0.5->0.0"]
rows.append(["the report's Table 1", "?", published])
header = [
    "seed of the published recipe, width 1024",
    "behind before training",
    "HumanEva-I after it, `report_mpjpe`, mm",
]
Markdown(table(header, rows))

# %% [markdown]
# Where most start in front, the others follow. Where nearly all start behind, they stay there.
# One seed alone, as in the report, cannot show it. [](../book/what_we_found) has more seeds.
#
# ## The dropout switch
#
# The report trains with dropout 0.5 for the first half of the epochs, then puts the network in *eval mode*:
# dropout off, and the batch-norm statistics frozen.
# It calls this "dropout 0.5 → 0.0". Its figure 4 shows the error drop at once at the switch.
# Three runs from the lucky seed show it on our small set:

# %%
switched = {
    "0.0": published_run(lucky, 0.0, "none")[1],
    "0.5": published_run(lucky, 0.5, "none")[1],
    "0.5 → 0.0": lucky_curve,
}
curve_figure(
    {name: curve.measured() for name, curve in switched.items()},
    "epoch",
    "report_mpjpe (mm)",
    alt="Test error over the epochs for three dropout settings; the curve of 0.5 to 0.0 drops right after half of the epochs.",
    log_y=True,
)

# %% [markdown]
# Dropout blurs the guesses while it is on, and a loss made of distances pays for blur.
# Switched off, the same weights guess better at once, and then learn on.
#
# ## With a live kernel
#
# In Binder, in Colab or in your own Jupyter the next cell has controls: choose clip, frame, view, method and 2D noise.
# Whatever you change, the moment is lifted anew.
# On a page without a kernel it is the figure of one moment.
#
# One of the methods is no network. It triangulates: it looks for the point where the rays of all three cameras meet.


# %%
def triangulated(dataset):
    cameras = dataset.frame_cameras
    points = triangulate(dataset.pixels, cameras, dataset.confidence).points
    return cameras.world_to_camera(points.float().unsqueeze(1))


methods = {
    "label-free lifter": lifter,
    "after one epoch": beginner,
    "three views, triangulated": triangulated,
}
LiftExplorer(test, methods)

# %% [markdown]
# Without noise the triangulated person is the true one: three calibrated views of exact 2D say it all.
# Add some pixels of noise and compare again, view by view.
# The lifter sees one view only, and needs no calibration.
#
# ## What we saw
#
# - Several calibrated views make a teacher: rotate, project, compare. No label is needed, and none is used.
# - The loss is nine reprojections and three means; it equals posekit's.
# - Whether the published recipe succeeds depends on where its untrained network happens to put people. A depth that is positive by construction does not leave that to luck.
# - Eval mode in the second half helps at once, since dropout biases a geometric loss.
#
# ## Exercises
#
# **1.** Leave out the cross-view term. What remains, and is it enough? `label_free_loss` takes `terms`.

# %% tags=["hide-cell"]
source = generator(seed)
alone = FrameLifter(15, width, dropout=0.0, generator=source)
own_only = partial(label_free_loss, terms=("own",))
fit(
    alone,
    views,
    own_only,
    epochs=max(1, epochs // 4),
    **options,
    generator=source,
)
own_mm = evaluate(alone, test).metrics_mm["report_mpjpe"]
assert own_mm > result.metrics_mm["report_mpjpe"]
f"own view alone: {own_mm:.0f} mm; it matches its own picture with any depth"

# %% [markdown]
# **2.** Train with two of the three cameras. `MultiViewDataset.select_views` chooses.

# %% tags=["hide-cell"]
source = generator(seed)
from_two = FrameLifter(15, width, dropout=0.0, generator=source)
two = train.select_views(["C1", "C2"]).views()
fit(
    from_two,
    two,
    label_free_loss,
    epochs=max(1, epochs // 4),
    **options,
    generator=source,
)
f"two cameras: {evaluate(from_two, test).metrics_mm['report_mpjpe']:.0f} mm on all three"
