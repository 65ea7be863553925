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
# - why the same points have one error by a metric relative to the root, and another by their distance from the truth.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](01_one_pose_many_views) | triangulation is projection backwards | read it first |
# | [](02_lift_with_labels) | it defines the metrics | read its part on the error |
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

# %% tags=["hide-input"]
import torch
from IPython.display import Markdown

from posekit import metrics
from posekit.datasets import load_dataset
from posekit.figures import comparison_figure, curve_figure
from posekit.random import generator
from posekit.ray_figures import rays_figure
from posekit.records import in_words, recorded, table
from posekit.training import evaluate_poses
from posekit.triangulation import refine, triangulate, triangulate_robustly

# %% tags=["parameters"]
noise_px = 5.0  # typical 2D noise, pixels; a joint's own is 0.5 to 1.5 times that
blunder_px = 60.0  # how far off one view is where we look at a single blunder
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
# Let us look at the three rays of a left wrist ({numref}`fig-rays`). With exact 2D joints they meet in it.
# With noise they pass each other by, and the best that can be done is a point near to all of them; the next section finds it.

# %%
k, wrist = 40, test.skeleton.index("left_wrist")
person, three = test.poses_world[k], cameras[k]


def wrist_of(pixels):
    return triangulate(pixels.unsqueeze(-2), three).points.squeeze(-2)


# %% [markdown]
# How far the point is off depends on luck. So we draw the noise of the three views ninety-nine times, and show the draw whose error is in the middle.

# %%
seen = test.pixels[k, :, wrist]
draws = torch.randn(99, 3, 2, generator=generator(seed))
off = (wrist_of(seen + noise_px * draws) - person[wrist]).norm(dim=-1)
usual = draws[off.argsort()[len(draws) // 2]]

# %%
steps = torch.arange(0.0, 21.0)  # pixels
moved = seen + steps[:, None, None] * usual
point = wrist_of(moved)
off = 1000 * (point - person[wrist]).norm(dim=-1)
assert off[0] < 0.1
assert (off.diff() > 0).all()
usual_mm, most_mm = off[int(noise_px)], off[-1]
f"{usual_mm:.0f} mm at {noise_px:.0f} px, {most_mm:.0f} mm at {steps[-1]:.0f} px"

# %% tags=["hide-input", "fig-rays"]
alt = f"Three rays, one from each camera, meet in the left wrist of a person in grey. As the slider adds noise to the 2D joints, the rays pass each other by, and the point triangulated from them moves away from the wrist: {usual_mm:.0f} mm at {noise_px:.0f} px of noise, {most_mm:.0f} mm at {steps[-1]:.0f} px."
at = (person, "left_wrist", three, test.view_names, test.skeleton)
names = [f"{step:.0f} px of noise" for step in steps]
rays_figure(moved, {"triangulated": point}, *at, names, alt)

# %% [markdown]
# ## The equations
#
# Write the rotation and the translation of a camera side by side, $P = [R \mid t]$, with the rows $p_1, p_2, p_3$,
# and add a 1 to the unknown point, $\tilde X = (X, 1)$.
# The camera then has the point at $(p_1 \tilde X, \; p_2 \tilde X, \; p_3 \tilde X)$, and sees it on the ray
#
# $$
# x = \frac{p_1 \tilde X}{p_3 \tilde X} , \qquad y = \frac{p_2 \tilde X}{p_3 \tilde X} .
# $$
#
# Multiplied by the depth $p_3 \tilde X$, these become linear in the unknown:
#
# $$
# (x \, p_3 - p_1) \, \tilde X = 0 , \qquad (y \, p_3 - p_2) \, \tilde X = 0 .
# $$
#
# Each view contributes these two rows to a matrix $A$, the first times $f_x$, the second times $f_y$, and both times the weight $w$ we give the view.
# The focal lengths, in pixels, make an error count as many pixels as the detector was off, whatever lens the camera has.
# A view in which the joint was not found has weight 0. Where there are confidences, `triangulate` takes them for $w$.


# %%
def rows(rays, weights, cameras):
    """The matrix A of every frame and joint, (F, J, 2V, 4)."""
    R, t = cameras.R_world_to_camera, cameras.t_world_to_camera
    P = torch.cat([R, t.unsqueeze(-1)], dim=-1).unsqueeze(1)  # (F, 1, V, 3, 4)
    xy = rays[..., :2].movedim(1, 2).unsqueeze(-1)  # (F, J, V, 2, 1)
    f = cameras.focal_px[:, None, ..., None]  # (F, 1, V, 2, 1)
    A = f * (xy * P[..., 2:, :] - P[..., :2, :])
    return (weights.movedim(1, 2)[..., None, None] * A).flatten(2, 3)


# %% [markdown]
# Two views give four equations and three views six, for three unknowns: more than enough.
# With noise the rays miss each other, and no $\tilde X$ solves all of them.
# The **direct linear transform**, DLT for short {cite}`hartley2004multiple`, takes the vector $v$ of length 1 for which $\lVert A v \rVert$ is smallest.
# Since $\lVert A v \rVert^2 = v^\top A^\top A \, v$, that is the eigenvector of $A^\top A$ with the smallest eigenvalue.
# Divided by its fourth coordinate it has the form $(X, 1)$ again.


# %%
def smallest(A):
    """The point (F, J, 3) that A leaves closest to 0."""
    _, vectors = torch.linalg.eigh(A.mT @ A)  # eigenvalues in rising order
    v = vectors[..., 0]
    return v[..., :3] / v[..., 3:]


# %% [markdown]
# A joint that fewer than two cameras found has no such point.


# %%
def written_out(pixels, cameras):
    found = pixels.isfinite().all(-1)  # (F, V, J)
    rays = cameras.pixels_to_rays(pixels.nan_to_num())  # any ray will do, at weight 0
    points = smallest(rows(rays, found.double(), cameras))
    return points.where((found.sum(1) >= 2).unsqueeze(-1), torch.nan)


# %% [markdown]
# This is posekit's `triangulate`, which works in double precision. With exact 2D poses any way to weigh the equations would give the same points,
# so we compare the two where they could differ: on noisy 2D poses, of which every tenth joint was not found.

# %%
double = cameras.to(torch.float64)
spotty = test.with_detector_noise(noise_px, 0.1, generator(seed)).pixels.double()
points = written_out(spotty, double)
torch.testing.assert_close(points, triangulate(spotty, double).points, equal_nan=True)

# %% [markdown]
# Would the comparison notice another method? Set the fourth coordinate to 1 and solve for the other three by ordinary least squares.
# With exact 2D poses that gives the same points; here it does not:

# %%
found = spotty.isfinite().all(-1)
A = rows(double.pixels_to_rays(spotty.nan_to_num()), found.double(), double)
enough = found.sum(1) >= 2
other = torch.linalg.lstsq(A[..., :3][enough], -A[..., 3:][enough]).solution[..., 0]
apart = 1000 * (other - points[enough]).norm(dim=-1)
assert apart.median() > 0.1
f"apart by {apart.median():.2f} mm in the median, by {apart.max():,.0f} mm at most"

# %% [markdown]
# The largest differences are between two rays that are nearly parallel; there a little noise moves the point a long way, and so does the choice of what to minimise.
#
# ## Two ways to measure it
#
# How far are triangulated points from the truth?
# The code that measures lifters tells, if we hand it the points in the coordinates of each camera.
# Beside `report_mpjpe` we take `mean_joint_distance`, the **absolute error**: how far a joint is from where it should be, with nothing aligned.

# %%
NAMES = ["report_mpjpe", "mean_joint_distance"]
MEASURES = {name: getattr(metrics, name) for name in NAMES}


def errors_mm(points, data=test):
    in_view = data.frame_cameras.world_to_camera(points.float().unsqueeze(1))
    return evaluate_poses(in_view, data, metrics=MEASURES).metrics_mm


# %% [markdown]
# With exact 2D poses and the right cameras there is nothing left to learn:

# %%
exact = errors_mm(triangulate(test.pixels, cameras).points)
assert max(exact.values()) < 0.1
{name: f"{error:.3f} mm" for name, error in exact.items()}

# %% [markdown]
# What remains is rounding: the 2D poses are stored as single-precision pixels.
#
# ## The same on HumanEva-I
#
# The recorded runs show the same for real motion. They also show what the report's lens model costs:
# it bends the rays by another formula than the one the data was made with.

# %% tags=["hide-input"]
runs = recorded()
names = {
    "triangulation, the right lens": "triangulation",
    "triangulation, the report's lens": "triangulation-report-lens",
}
lines = [[name, in_words(runs[f"humaneva/{row}"])] for name, row in names.items()]
Markdown(table(["HumanEva-I, three views at test", "`report_mpjpe`, mm"], lines))

# %% [markdown]
# ## Noise
#
# Real 2D poses come from a detector and are off by some pixels. Let us add noise, and count views.
# Joints differ: each has noise of its own, between half and one and a half times the level that we ask for.


# %%
def errors_at(level, views):
    noisy = test.select_views(views)
    noisy = noisy.with_detector_noise(level, 0.0, generator(seed))
    return errors_mm(triangulate(noisy.pixels, noisy.frame_cameras).points, noisy)


# %% [markdown]
# Five levels of noise, with two views and with three:

# %%
levels = [0.0, 1.0, 2.0, noise_px, 2 * noise_px]
choices = {"2 views": ["C1", "C2"], "3 views": ["C1", "C2", "C3"]}
measured = {
    name: [errors_at(level, views) for level in levels]
    for name, views in choices.items()
}

# %% [markdown]
# Plotted against the noise, with both errors ({numref}`fig-noise`):

# %% tags=["hide-input", "fig-noise"]
curves = {
    f"{views}, {name}": (levels, [errors[name] for errors in by_level])
    for views, by_level in measured.items()
    for name in NAMES
}
alt = (
    "Triangulation error grows in proportion to the 2D noise. It is larger with two "
    "views than with three, and larger by report_mpjpe than by mean_joint_distance."
)
curve_figure(curves, "2D noise (pixels)", "error by either metric (mm)", alt=alt)

# %% [markdown]
# The error grows in proportion to the noise, and a third view helps:

# %%
two, three = (torch.tensor([e[NAMES[0]] for e in m]) for m in measured.values())
assert ((three / two)[1:] < 0.9).all()
assert (three[-1] / three[-2] - 2).abs() < 0.2  # twice the noise

# %% [markdown]
# The same points look worse by `report_mpjpe` than by their distance from the truth.
# A triangulated root is as noisy as any other joint, and every joint is measured from it.
# The noise of the root is charged to all joints: of two independent errors of one size, the difference is $\sqrt 2$ times as large.

# %%
ratio = measured["3 views"][-1][NAMES[0]] / measured["3 views"][-1][NAMES[1]]
assert 1.2 < ratio < 1.5
f"report_mpjpe is {ratio:.2f} times the absolute error"

# %% [markdown]
# If that is the cause, it must go away when the root is exact and all other joints are as before:

# %%
noisy = test.with_detector_noise(2 * noise_px, 0.0, generator(seed))
points = triangulate(noisy.pixels, cameras).points.float()
rooted = torch.cat([test.poses_world[:, :1], points[:, 1:]], dim=1)
again = errors_mm(rooted)
assert abs(again[NAMES[0]] / again[NAMES[1]] - 1) < 0.01
{name: f"{error:.1f} mm" for name, error in again.items()}

# %% [markdown]
# Where triangulation is compared with a lifter, look at both errors.
#
# ## Outliers
#
# Detectors also make blunders: a left wrist is taken for the right one, or a joint is found on a chair.
# DLT trusts every ray alike, so that one blunder spoils the point.

# %% [markdown]
# Robust triangulation lets every pair of views propose a point, and asks all views how far it is from what they saw.
# A view that is far off counts as a blunder, no matter how far. The proposal with the least disagreement wins.
# This is the idea of RANSAC {cite}`fischler1981random`, with distances counted up to a limit {cite}`torr2000mlesac`.
# How far is far depends on the detector, so posekit estimates its typical error from the recording.
# Then it moves the point to where the sum of these limited distances is least: a view has the less say the worse it fits; [the library's page](../book/api/geometry) leads to its source.

# %% [markdown]
# How much does that help? In each frame we let one view blunder in one joint, in a direction drawn at random; all else has ordinary noise.

# %%
rng, frames = generator(seed), torch.arange(len(test))
views, joints = (torch.randint(count, (len(test),), generator=rng) for count in (3, 15))
angles = 2 * torch.pi * torch.rand(len(test), generator=rng)
push = torch.zeros_like(test.pixels)
push[frames, views, joints] = torch.stack([angles.cos(), angles.sin()], dim=-1)

# %%
noisy = test.with_detector_noise(noise_px, 0.0, generator(seed))
true = test.poses_world[frames, joints]
pushed = noisy.pixels + blunder_px * push
solvers = {"all views alike": triangulate, "robust": triangulate_robustly}
alike, robust = (solve(pushed, cameras) for solve in solvers.values())
off = torch.stack([found.points[frames, joints] for found in (alike, robust)])
off = 1000 * (off - true).norm(dim=-1)  # two, frames

# %% tags=["hide-input"]
share = torch.tensor([0.25, 0.5, 0.75, 0.9]).double()
lines = [
    [name, *(f"{mm:.0f}" for mm in errors.nanquantile(share))]
    for name, errors in zip(solvers, off)
]
head = ["best quarter below", "half below", "three quarters below", "nine tenths below"]
Markdown(table([f"one view {blunder_px:.0f} px off; mm", *head], lines))

# %% [markdown]
# Where the vote leaves the wrong view out, what remains is what two views with noise can do.
# Where that view keeps some of its say, the point is farther off, though in the median not as far as without a vote:

# %%
kept = robust.weights[frames, views, joints] > 0
left_out = off[:, ~kept].nanmedian(dim=1).values
mm = dict(zip(solvers, off[:, kept].nanmedian(dim=1).values))
assert left_out[1] < 0.5 * left_out[0]
assert left_out[1] < mm["robust"] < mm["all views alike"]
outcome = ", ".join(f"{name} {median:.0f} mm" for name, median in mm.items())
f"kept in {kept.double().mean():.0%} of the frames; there, in the median: {outcome}"

# %% [markdown]
# To see it we take the most ordinary of these frames, the one whose two errors are both nearest to the middle of their kind, and move the one view step by step.
# The noise is estimated from the whole recording, so the robust solver is given that as well.

# %%
ranks = off.argsort(dim=1).argsort(dim=1)
case = (ranks - len(test) // 2).abs().amax(0).argmin()
joint, steps = joints[case], torch.arange(0.0, 101.0, 5.0)
swept = noisy.pixels[case] + steps[:, None, None, None] * push[case]

# %%
several = cameras[torch.cat([frames, case.expand(len(steps))])]
everything = torch.cat([noisy.pixels, swept])
points = {
    name: solve(everything, several).points[len(test) :, joint]
    for name, solve in solvers.items()
}
off = {
    name: 1000 * (point - test.poses_world[case, joint]).norm(dim=-1)
    for name, point in points.items()
}

# %% tags=["hide-input", "opening", "fig-blunder"]
start = (steps - blunder_px).abs().argmin().item()
by_then = ", ".join(f"{name} {mm[start]:.0f} mm" for name, mm in off.items())
joint_name, view = test.skeleton.joints[joint], test.view_names[views[case]]
words = joint_name.replace("_", " ")
alt = f"Three cameras see a {words}, and {view} is wrong about it; the slider says by how much. The point for which all views count alike follows the wrong ray away from the joint, in grey. The robust point follows at first, then turns back, and stays where the two other rays pass each other. Errors when {view} is {steps[start]:.0f} px off: {by_then}."
at = (test.poses_world[case], joint_name, cameras[case], test.view_names, test.skeleton)
names = [f"{step:.0f} px off" for step in steps]
rays_figure(swept[:, :, joint], points, *at, names, alt, start=start, reach=0.4)

# %% [markdown]
# Where the blunder is hardly larger than the noise, the vote does not tell it from noise, and the robust point is not always the better one.
# As it grows, the point of all views moves farther and farther away ({numref}`fig-blunder`). The robust one follows at first, then turns back, and in the end hardly moves:

# %%
worse = off["robust"] > off["all views alike"]
assert worse.any()
assert not worse[steps > 5 * noise_px].any()
assert off["robust"].max() > 1.2 * off["robust"][-1]
assert (off["robust"][start:] < 1.1 * off["robust"][-1]).all()
least, most = steps[worse].min(), steps[worse].max()
f"the robust point is the worse one from {least:.0f} to {most:.0f} px"

# %% [markdown]
# Now a whole recording, in which blunders happen to any joint, anywhere in the picture. First with all other joints exact, then with as much noise as above:

# %%
rng = generator(seed)
hit = torch.rand(test.pixels.shape[:-1], generator=rng) < outliers
anywhere = torch.rand(test.pixels.shape, generator=rng) * torch.tensor([640.0, 480.0])

# %%
others = test.with_detector_noise(noise_px, 0.0, generator(seed)).pixels
spoilt, noisy_too = (
    pixels.where(~hit.unsqueeze(-1), anywhere) for pixels in (test.pixels, others)
)


# %%
def found_in(pixels):
    """The points of both ways."""
    plain = triangulate(pixels, cameras).points
    robust = triangulate_robustly(pixels, cameras).points
    return {"all views alike": plain, "robust": robust}


found = found_in(spoilt)

# %% [markdown]
# A joint for which no two views agree has no robust point, and is left out below. posekit says how many there are:

# %%
spoilt_mm = {name: errors_mm(points) for name, points in found.items()}
noisy_mm = {name: errors_mm(points) for name, points in found_in(noisy_too).items()}

# %%
for mm in (spoilt_mm, noisy_mm):
    assert mm["robust"][NAMES[0]] < mm["all views alike"][NAMES[0]] / 2

# %% [markdown]
# With robust triangulation far less is spoilt. Among exact joints next to nothing is left of it; among noisy ones there is the noise,
# and where one of three views is wrong, two noisy ones must do without the third:


# %% tags=["hide-input"]
def line(name, errors, digits=1):
    return [name, *(f"{error:.{digits}f}" for error in errors.values())]


header = [f"`{name}`, mm" for name in NAMES]
lines = [line(f"{name}, others exact", mm) for name, mm in spoilt_mm.items()]
lines += [line(f"{name}, {noise_px:.0f} px", mm) for name, mm in noisy_mm.items()]
Markdown(table([f"{100 * outliers:.0f} % outliers, synthetic", *header], lines))

# %% [markdown]
# This is the moment with the most blunders ({numref}`fig-spoilt`). The redder a joint, the farther it is off with the roots together:

# %% tags=["fig-spoilt"]
frame = hit.sum((1, 2)).argmax().item()
poses = {name: points[frame].float() for name, points in found.items()}
comparison_figure(poses, test.poses_world[frame], test.skeleton, tint=True)

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

# %% tags=["hide-input"]
both = {"DLT": start, "refined": refined}
lines = [
    [*line(name, errors_mm(result.points), 2), f"{result.error_px.mean():.3f}"]
    for name, result in both.items()
]
head = [f"{noise_px:.0f} px noise, synthetic", *header, "reprojection, px"]
Markdown(table(head, lines))

# %% [markdown]
# With these cameras the difference is small.
#
# ## What we saw
#
# - Triangulation takes a few linear equations per joint. It needs calibrated views at test, and no training.
# - With exact 2D poses it is exact, up to rounding; with another lens than that of the data it is not.
# - With noise the error grows in proportion; with blunders one has to leave views out.
# - A metric relative to the root charges the root's noise to every joint. Absolute error does not.
#
# Whatever uses several calibrated views at test has these inputs, and has to be compared with this.
# [](04_test_time_adaptation) does so for the report's best number, and [](07_results) for noisy 2D poses.
#
# ## Exercises
#
# **1.** Three cameras can outvote one blunder. Can they outvote two in the same joint?

# %% tags=["hide-cell"]
blunders = hit.sum(1)  # frames, joints
off = 1000 * (found["robust"] - test.poses_world.double()).norm(dim=-1)
one, two = off[blunders == 1].nanmean(), off[blunders == 2].nanmean()
assert two > 5 * one  # two wrong views can agree with each other, or with the third
f"No. Absolute error with one blunder: {one:.0f} mm, with two: {two:.0f} mm"

# %% [markdown]
# **2.** The midpoint method minimises distances in space. Does it differ from DLT under noise?

# %% tags=["hide-cell"]
middle = triangulate(noisy.pixels, cameras, method="midpoint")
dlt_mm, middle_mm = (errors_mm(r.points)[NAMES[1]] for r in (start, middle))
assert abs(dlt_mm - middle_mm) < 0.2 * dlt_mm
f"Hardly: absolute error {dlt_mm:.2f} mm by DLT, {middle_mm:.2f} mm by midpoint"
