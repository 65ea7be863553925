# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Triangulation, the yardstick
#
# **What you will do.** Compute 3D joints from several views by geometry alone, then make the views worse and worse.
#
# **What you will learn**
#
# - how two rays make a point, and how many rays make a better one;
# - what a wrong camera model costs;
# - why every method that uses several views must be measured against this one.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](01_one_pose_many_views) | triangulation is projection backwards | read it first |
# | [](04_test_time_adaptation) | it is what we measure here | skim it |
#
# **Time.** 15 minutes to read, a few seconds to run.

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
import torch
from IPython.display import Markdown

from posekit.datasets import load_dataset
from posekit.figures import comparison_figure, curve_figure
from posekit.random import generator
from posekit.records import in_words, recorded, report_table, table
from posekit.training import evaluate_poses
from posekit.triangulation import refine, triangulate, triangulate_robustly

# %% tags=["parameters"]
noise_px = 5.0  # standard deviation of 2D noise, pixels
outliers = 0.05  # share of 2D joints that lie somewhere else altogether
seed = 0  # of noise and outliers

# %% [markdown]
# ## Two rays make a point
#
# A 2D joint does not say how far away the joint is.
# It says on which **ray** from the camera the joint lies.
# Two cameras give two rays, and the joint is where they meet.

# %%
test = load_dataset("synthetic", "test").every(4)
cameras = test.frame_cameras  # one set of three for every frame
rays = cameras.pixels_to_rays(test.pixels)
rays.shape  # frames, views, joints, (x, y, 1)

# %% [markdown]
# The ray $(x, y, 1)$ of a camera with rotation $R$ and translation $t$ consists of the points $X$ for which
#
# $$
# (r_1 - x\, r_3) \cdot X = x\, t_3 - t_1, \qquad (r_2 - y\, r_3) \cdot X = y\, t_3 - t_2 ,
# $$
#
# where $r_1, r_2, r_3$ are the rows of $R$.
# These are two equations for the three unknowns in $X$. Two views give four equations and three views six: more than enough.
# The solution with the least squared error is the **direct linear transform**, DLT for short {cite}`hartley2004multiple`.
# We first write down the equations, for all frames and joints at once,


# %%
def equations(rays, cameras):
    """The matrix (F, V, J, 2, 3) and the right-hand side (F, V, J, 2)."""
    R = cameras.R_world_to_camera.unsqueeze(-3)  # (F, V, 1, 3, 3)
    t = cameras.t_world_to_camera.unsqueeze(-2)  # (F, V, 1, 3)
    xy = rays[..., :2]
    matrix = R[..., :2, :] - xy.unsqueeze(-1) * R[..., 2:, :]
    return matrix, xy * t[..., 2:] - t[..., :2]


# %% [markdown]
# and then let a library solve those of all views together.


# %%
def written_out(rays, cameras):
    matrix, right = equations(rays, cameras)
    matrix = matrix.movedim(1, 2).flatten(2, 3)  # (F, J, 2V, 3)
    right = right.movedim(1, 2).flatten(2)  # (F, J, 2V)
    return torch.linalg.lstsq(matrix, right[..., None]).solution[..., 0]


# %% [markdown]
# In double precision the result equals posekit's:

# %%
exact = cameras.to(torch.float64)
points = written_out(exact.pixels_to_rays(test.pixels.double()), exact)
torch.testing.assert_close(points, triangulate(test.pixels, cameras).points)

# %% [markdown]
# How far are these points from the truth? The code that measures lifters tells, if we hand it the points in the coordinates of each camera:


# %%
def error_mm(points, data=test):
    in_view = data.frame_cameras.world_to_camera(points.float().unsqueeze(1))
    return evaluate_poses(in_view, data).metrics_mm["report_mpjpe"]


assert error_mm(points) < 0.1
f"{error_mm(points):.3f} mm from the truth"

# %% [markdown]
# With exact 2D poses and the right cameras there is nothing left to learn.
# What remains is rounding: the 2D poses are stored as single-precision pixels.
#
# ## The same on HumanEva-I
#
# The recorded runs show the same for real motion. They also show what the report's lens model costs:
# it bends the rays by another formula than the one the data was made with.

# %%
runs = recorded()
names = {
    "our rerun of it": "adaptation-published",
    "triangulation, the report's lens": "triangulation-report-lens",
    "triangulation, the right lens": "triangulation",
}

# %% [markdown]
# For comparison, the first row is the report's best result:

# %%
theirs = report_table("humaneva")["adaptation"]
rows = [["the report's adaptation, its Table 1", f"{theirs:.2f}"]]
rows += [[words, in_words(runs[f"humaneva/{row}"])] for words, row in names.items()]
Markdown(table(["HumanEva-I, three views at test", "`report_mpjpe`, mm"], rows))

# %% [markdown]
# All of these have the same inputs.
# A network that is adapted to the test views ends up further from the truth than six linear equations.
#
# ## Noise
#
# Real 2D poses come from a detector and are off by some pixels. Let us add noise, and count views.


# %%
def error_at(level, views):
    noisy = test.select_views(views)
    noisy = noisy.with_detector_noise(level, 0.0, generator(seed))
    return error_mm(triangulate(noisy.pixels, noisy.frame_cameras).points, noisy)


# %% [markdown]
# Five levels of noise, with two views and with three:

# %%
levels = [0.0, 1.0, 2.0, noise_px, 2 * noise_px]
choices = {"2 views": ["C1", "C2"], "3 views": ["C1", "C2", "C3"]}
curves = {
    name: (levels, [error_at(level, views) for level in levels])
    for name, views in choices.items()
}

# %% [markdown]
# Plotted against the noise:

# %%
alt = (
    "Triangulation error grows in proportion to the 2D noise, and is larger with two "
    "views than with three."
)
curve_figure(curves, "2D noise (pixels)", "mean joint distance (mm)", alt=alt)

# %% [markdown]
# The error grows in proportion to the noise, and a third view helps.
#
# ## Outliers
#
# Detectors also make blunders: a left wrist is taken for the right one, or a joint is found on a chair.
# Least squares trusts every ray alike, so that one blunder spoils the point.

# %%
rng = generator(seed)
hit = torch.rand(test.pixels.shape[:-1], generator=rng) < outliers
anywhere = torch.rand(test.pixels.shape, generator=rng) * torch.tensor([640.0, 480.0])
spoilt = test.pixels.where(~hit.unsqueeze(-1), anywhere)

# %% [markdown]
# Robust triangulation lets every pair of views propose a point, and asks all views how far it is from what they saw.
# A view that is far off counts as a blunder, no matter how far. The proposal with the least disagreement wins, and the point is computed anew from the views that agree with it.
# This is the idea of RANSAC {cite}`fischler1981random`, with distances counted up to a limit {cite}`torr2000mlesac`.

# %%
plain = triangulate(spoilt, cameras).points
robust = triangulate_robustly(spoilt, cameras).points
assert error_mm(robust) < error_mm(plain) / 2

# %% [markdown]
# With robust triangulation far less is spoilt:

# %%
found = {"all views alike": plain, "robust": robust}
rows = [[name, f"{error_mm(points):.1f}"] for name, points in found.items()]
Markdown(table([f"{100 * outliers:.0f} % outliers, synthetic", "mm"], rows))

# %% [markdown]
# This is the moment with the most blunders:

# %%
frame = hit.sum((1, 2)).argmax().item()
poses = {name: points[frame].float() for name, points in found.items()}
comparison_figure(poses, test.poses_world[frame], test.skeleton)

# %% [markdown]
# ## Missing joints
#
# A joint that a camera did not see is NaN, and that camera has no say in it.
# A joint seen by fewer than two cameras cannot be triangulated and stays NaN. The result also counts the views behind each point.

# %%
hidden = test.pixels.clone()
hidden[:, 1:, 4] = torch.nan  # C2 and C3 lose joint 4
result = triangulate(hidden, cameras)
result.views[0].tolist()  # views that each joint of the first frame rests on

# %% [markdown]
# Joint 4 is lost, and its neighbour is not:

# %%
assert result.points[:, 4].isnan().all()
assert result.points[:, 5].isfinite().all()

# %% [markdown]
# ## The last bit
#
# DLT minimises an algebraic error, but a detector errs in pixels.
# `refine` starts from DLT's point and moves it to where the squared distance in pixels is smallest.

# %%
noisy = test.with_detector_noise(noise_px, 0.0, generator(seed))
start = triangulate(noisy.pixels, cameras)
refined = refine(start.points, noisy.pixels, cameras)
assert refined.error_px.mean() <= start.error_px.mean()

# %% [markdown]
# What it gains in pixels, and what it gains in millimetres:

# %%
rows = [
    [name, f"{result.error_px.mean():.3f}", f"{error_mm(result.points):.2f}"]
    for name, result in {"DLT": start, "refined": refined}.items()
]
header = [f"{noise_px:.0f} px noise, synthetic", "reprojection, px", "mm"]
Markdown(table(header, rows))

# %% [markdown]
# The difference is small: cameras this far apart, looking at the middle of a room, make a well-posed problem.
#
# ## What we saw
#
# - Triangulation takes a few linear equations per joint. It needs calibrated views at test, and no training.
# - With exact 2D poses it is exact. The report's adaptation has the same inputs and is not.
# - The wrong lens shows here. Beside the error of a lifter nobody would notice it.
# - With noise the error grows; with blunders one has to leave views out.
#
# A lifter earns its keep elsewhere: from one view, or without calibration, and perhaps from very noisy views.
# [](07_results) has the measurements.
#
# ## Exercises
#
# **1.** Three cameras can outvote one blunder. Can they outvote two in the same joint?

# %% tags=["hide-cell"]
blunders = hit.sum(1)  # frames, joints
off = 1000 * (robust - test.poses_world.double()).norm(dim=-1)
one, two = off[blunders == 1].mean(), off[blunders == 2].nanmean()
f"one blunder: {one:.0f} mm, two: {two:.0f} mm"

# %% [markdown]
# **2.** The midpoint method minimises distances in space. Does it differ from DLT under noise?

# %% tags=["hide-cell"]
middle = triangulate(noisy.pixels, cameras, method="midpoint")
f"DLT {error_mm(start.points):.2f} mm, midpoint {error_mm(middle.points):.2f} mm"
