# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own cameras
#
# **What you will do.** Take a recording as it lies on somebody's disk, find out whether it is any good, make 3D of it, and train a lifter that needs only one of its cameras.
#
# **What you will learn**
#
# - what files a recording consists of, and how they become a dataset;
# - what to measure before you trust it, without a single 3D label;
# - what each mistake looks like, and its likely cause;
# - how to begin with nothing but videos;
# - why two detectors can both be right and still disagree.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](01_one_pose_many_views) | cameras and what one must know of them are explained there | read it first |
# | [](06_triangulation) | it is the heart of this chapter | read it first |
#
# To do the same with your own recording you need two cameras or more that film the same moments, their calibration, and a detector's 2D joints.
# Pose2Sim, Caliscope, FreeMoCap and Anipose calibrate webcams and phones with a printed board.
# If you have the videos but no joints yet, [](#from-video) says how to find them.
#
# **Time.** 20 minutes to read, one to run.

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
import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from tempfile import mkdtemp

import torch
from IPython.display import HTML, Markdown

torch.set_num_threads(1)  # small networks run fastest on one

# %% tags=["hide-input"]
from posekit.datasets import load_dataset
from posekit.drawing import Layer, Panel, show
from posekit.evaluation import evaluate
from posekit.figures import curve_figure, scene_figure, views_figure
from posekit.formats import read_trc, write_openpose, write_poses, write_toml
from posekit.formats.contents import Calibration, Detections
from posekit.html_tables import html_table
from posekit.joint_offsets import JointOffsets
from posekit.records import book_folder, mean_and_spread, plus_minus, recorded, table
from posekit.rig import (
    adjust,
    check,
    learn_to_lift,
    read_rig,
    reconstruct,
    with_skeleton,
)
from posekit.skeleton import HUMANEVA_15
from posekit.skeletons import BODY_25B, LIMBS_13, MEDIAPIPE_33, map_joints
from posekit.tables import listed
from posekit.tracks import undo_swaps
from posekit.triangulation import triangulate

# %% tags=["parameters"]
width = 128  # hidden units per layer of the lifter
epochs = 40  # passes over the recording
seeds = 3  # of the lifter

# %% [markdown]
# ## On the disk
#
# The recording of this chapter is real: one person balances on a beam in front of four cameras, and OpenPose has looked for their joints.
# It is the demonstration that comes with Pose2Sim {cite}`pagnon2022pose2sim`, and [](../book/data) says what it is and under which licence.
# posekit contains it as a dataset. Here we first put it on the disk, where your own would be: a calibration, and a folder per camera with a file per frame.

# %%
folder = Path(mkdtemp()) / "balancing"
people = load_dataset("balancing", "all")
found = people.pixels, people.confidence

# %%
views = people.view_names
write_openpose(folder / "pose", Detections(views, people.skeleton, *found, folder))
write_toml(folder / "cameras.toml", Calibration(views, people.cameras[0]))

# %% tags=["hide-input"]
for path in sorted(folder.iterdir()):
    inner = sorted(path.iterdir()) if path.is_dir() else []
    print(
        path.name,
        *(f"\n    {one.name}: {len(list(one.iterdir()))} files" for one in inner),
    )

# %% [markdown]
# `read_rig` looks into the folder, recognises what is there, and says so.
# Read what it says: a wrong guess here spoils everything that follows.

# %%
rig = read_rig(folder, frame_rate=60)
print(*rig.recognised, sep="\n")

# %% [markdown]
# Two things the files do not say. One is the frame rate.
# The other is the **skeleton**: the files hold numbers without names, and two of OpenPose's models have 25 keypoints each.
# `read_rig` tells them apart by where they lie; in one of them, two keypoints are always in the middle of two others.
#
# From here on it is a dataset like any other, without 3D ({numref}`fig-balancing-seen`).

# %%
recording = rig.dataset()
recording

# %% tags=["fig-balancing-seen"]
moment = 50
views_figure(
    recording.pixels[moment], recording.cameras[0], recording.view_names, BODY_25B
)

# %% [markdown]
# ## Is it any good?
#
# Nobody wore markers, so there is nothing to compare with.
# But four views of one person must agree with each other, bones must keep their lengths, and the person must be as large as people are.

# %%
report = check(rig.calibration, rig.detections)
print(report)

# %% [markdown]
# - **found**: the share of joints that the detector found. A view that finds much less than the others is hidden or badly placed.
# - **error**: every joint is triangulated from all views and projected back; this is the median distance from where the detector saw it. *Of height* is the same as a share of the person's height in the image, and so comparable between cameras.
# - **angle**: at which the rays of two views meet. Near 90° a point is held from both sides; near 0° or 180° it is free to move along the rays.
# - **shift**: whether a pair of views fits better if one of them is moved in time.
#
# The last is worth a picture. Shift one view of a pair against the other, and see how badly their joints disagree:

# %%
in_step = report.quality.synchronisation
shifts = in_step.shifts.tolist()
pairs = [[recording.view_names[view] for view in pair] for pair in report.quality.pairs]
costs = {" and ".join(p): (shifts, c.tolist()) for p, c in zip(pairs, in_step.cost_px2)}

# %% tags=["hide-input", "fig-shifts"]
curve_figure(
    costs,
    "shift in frames",
    "disagreement, square pixels",
    "Six curves, one for each pair of cameras, all lowest at or beside a shift of 0.",
)

# %%
assert not report.quality.shifts().any()

# %% [markdown]
# All are lowest at 0 or a frame beside it ({numref}`fig-shifts`), and nowhere does a shift gain enough to count: the cameras are in step.
#
# ## A camera that is not where it is said to be
#
# There is one finding. Two cameras reproject further off than the others, and turning and moving the cameras a little makes all of them agree.
# That alone would prove nothing: whatever is fitted to some frames fits these frames.
# `check` therefore adjusts the cameras to the first half of the frames, and measures on the second.

# %%
quality = report.quality
assert quality.adjusted_error_px.mean() < 0.8 * quality.given_error_px.mean()

# %% tags=["hide-input"]
rows = [
    [name, f"{given:.1f}", f"{adjusted:.1f}"]
    for name, given, adjusted in zip(
        quality.view_names, quality.given_error_px, quality.adjusted_error_px
    )
]
Markdown(table(["second half, error in px", "as given", "adjusted to the first"], rows))

# %% [markdown]
# If you can, calibrate again. If not, adjust:

# %%
train = adjust(recording.frames(0, 70))
test = replace(recording.frames(75), cameras=train.cameras)

# %% [markdown]
# From now on the first 70 frames are for training and the last 25 for testing. The cameras, too, were adjusted on the first part only.
#
# ## Triangulate, smooth, export
#
# A detector's joints tremble from frame to frame, and what is triangulated trembles with them.
# The second difference of the path shows it most clearly:


# %%
def tremor_mm(poses):
    return 1000 * poses.diff(n=2, dim=0).norm(dim=-1).nanmedian().item()


# %%
raw, smooth = reconstruct(train, smoothing_s=0.0), reconstruct(train)
assert tremor_mm(smooth.poses_world) < 0.5 * tremor_mm(raw.poses_world)
print(f"as triangulated: {tremor_mm(raw.poses_world):.1f} mm per frame, squared")
print(f"smoothed:        {tremor_mm(smooth.poses_world):.1f}")

# %% [markdown]
# Bones are rigid; how much their lengths change over time says something that smoothing alone cannot hide:


# %%
def spread(poses, joint):
    lengths = BODY_25B.bone_lengths(poses)[:, BODY_25B.index(joint) - 1]
    low, middle, high = lengths.nanquantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    return f"{middle:.3f} m, middle half within {1000 * (high - low):.0f} mm"


for joint in ("left_knee", "right_knee", "left_ankle", "right_ankle"):
    print(f"bone to {joint}: {spread(smooth.poses_world, joint)}")

# %% [markdown]
# Other programs read the result as TRC (OpenSim) or C3D:

# %%
path = folder / "balancing.trc"
write_poses(path, smooth.poses_world, BODY_25B.joints, smooth.frame_rate)
poses, joints, frame_rate = read_trc(path)
torch.testing.assert_close(poses.float(), smooth.poses_world, atol=1e-5, rtol=0)

# %% tags=["hide-input", "opening"]
scene_figure(
    smooth.poses_world[::3],
    smooth.cameras[0],
    smooth.view_names,
    BODY_25B,
    smooth.frame_rate / 3,
    pixels=smooth.pixels[::3],
)

# %% [markdown]
# ## A lifter of your own
#
# Where several cameras are too many, train a network that needs only one.
# The triangulated poses take the place of labels ([](08_labels_for_free)), and are turned and moved in the room while it trains ([](09_turn_the_person)); the lifter sees rays, so it must know the focal length and lens of its camera ([](10_tell_the_network)).
# The face and the feet are left to the detector: we go over to 15 joints.

# %%
train15 = with_skeleton(smooth, HUMANEVA_15)
test15 = with_skeleton(test, HUMANEVA_15)

# %% [markdown]
# How good is it, if there are no labels? Compare each view's lifted pose with the one that all views together give for the same moment.
# This measure needs no markers, only the test recording itself.
# It does not depend on anybody's idea of where a hip is, because both sides follow the same detector; the error of the triangulation is in it.


# %%
def errors_mm(cameras, seen_by):
    results = []
    for seed in range(seeds):
        options = dict(epochs=epochs, width=width, seed=seed)
        lifter, _ = learn_to_lift(train15.select_views(cameras), test15, **options)
        results.append(evaluate(lifter, target.select_views(seen_by)).metrics_mm)
    return {key: [one[key] for one in results] for key in ("mpjpe", "pa_mpjpe")}


target = reconstruct(test15)
names = list(target.view_names)
lifted = {
    "four cameras, later frames": errors_mm(names, names),
    "three cameras, tested on the fourth": errors_mm(names[:3], names[3:]),
}


# %% [markdown]
# For comparison, a guess that has seen nothing: the mean pose of the training frames, put where the person is.


# %%
def centred(dataset):
    return dataset.poses_world - dataset.poses_world[:, :1]


guess = (centred(target) - centred(train15).mean(0)).norm(dim=-1)[:, 1:].mean()
guess_mm = 1000 * guess.item()

# %% tags=["hide-input"]
rows = [
    [name, *(plus_minus(mean(values), stdev(values), 0) for values in errors.values())]
    for name, errors in lifted.items()
]
rows.append(["mean pose of the training frames", f"{guess_mm:.0f}", ""])
Markdown(table(["one view against all, mm", "MPJPE", "PA-MPJPE"], rows))

# %%
assert all(mean(errors["mpjpe"]) < guess_mm / 2 for errors in lifted.values())

# %% [markdown]
# The two rows are measured in other views, so compare each with the guess, and not with the other.
# This is one person, on one beam, for little more than a second of training; do not expect it to know you.
# An hour in front of your cameras changes that, and the steps stay the same.
#
# ## What you see, and the likely cause
#
# Now we break it on purpose. All faults are made from the same recording with adjusted cameras, so that nothing else is wrong.

# %%
sound = replace(rig.calibration, cameras=train.cameras[0])
joints = rig.detections
assert not check(sound, joints).findings


# %%
def ahead(frames):
    pixels = joints.pixels.clone()
    pixels[:-frames, 1] = joints.pixels[frames:, 1]
    confidence = joints.confidence[:-frames]
    return replace(joints, pixels=pixels[:-frames], confidence=confidence)


# %%
def mirrored():
    pixels = joints.pixels.clone()
    pixels[:, 1] = pixels[:, 1][:, list(BODY_25B.partners)]
    pixels[:, 1, :, 0] = sound.cameras.image_size_px[1, 0] - pixels[:, 1, :, 0]
    return replace(joints, pixels=pixels)


# %%
def other_order():
    order = torch.randperm(len(BODY_25B), generator=torch.Generator().manual_seed(0))
    pixels, confidence = joints.pixels[:, :, order], joints.confidence[:, :, order]
    return replace(joints, pixels=pixels, confidence=confidence)


# %% [markdown]
# Faults of the calibration need less: exchange two cameras, use the inverse of every pose, forget to divide by a thousand, or lay a portrait video on its side.


# %%
def changed(**numbers):
    return replace(sound, cameras=replace(sound.cameras, **numbers))


R, t = sound.cameras.R_world_to_camera, sound.cameras.t_world_to_camera
inverse = dict(R_world_to_camera=R.mT, t_world_to_camera=sound.cameras.centers_world)
size = sound.cameras.image_size_px

# %%
faults = {
    "nothing": (sound, joints),
    "one view 8 frames ahead": (sound, ahead(8)),
    "one view mirrored": (sound, mirrored()),
    "two cameras exchanged": (
        replace(sound, cameras=sound.cameras[[1, 0, 2, 3]]),
        joints,
    ),
    "camera to world": (changed(**inverse), joints),
    "millimetres": (changed(t_world_to_camera=1000 * t), joints),
    "landscape calibration": (changed(image_size_px=size.flip(-1)), joints),
    "another order of joints": (sound, other_order()),
}

# %% [markdown]
# What you see: one moment in the second camera, the detector's joints in colour, and in grey the images of the triangulated ones.

# %% tags=["hide-input"]
# the part of the image around the person
corner, cut = torch.tensor([110.0, 390.0]), (860, 780)


def picture(title, calibration, detections):
    pixels = detections.pixels[moment : moment + 1]
    confidence = detections.confidence[moment : moment + 1]
    points = triangulate(pixels, calibration.cameras, confidence).points.float()
    back = calibration.cameras.world_to_pixels(points.unsqueeze(1))[:, 1]
    inside = ((back - corner).abs() < 2000).all(
        -1, keepdim=True
    )  # the rest is far away
    layers = [
        Layer(
            back.where(inside, torch.nan) - corner,
            BODY_25B,
            ghost=True,
            name="image of the triangulated joints",
        ),
        Layer(pixels[:, 1] - corner, BODY_25B),
    ]
    return Panel(title, layers, image_size=cut)


# %% tags=["hide-input", "fig-faults"]
alt = (
    "Eight small images of one moment, each with the 2D pose in colour over the reprojected "
    "3D pose in grey. They coincide where nothing is wrong, with millimetres and with a "
    "landscape calibration, and come apart with the other faults."
)
pictures = [picture(title, *fault) for title, fault in faults.items()]
show(pictures, alt, arrange="row", columns=4, height=460)

# %% [markdown]
# Two of them cannot be seen ({numref}`fig-faults`): neither the unit nor the stated size of an image changes where the joints fall. Each fault has a finding, though:

# %% tags=["hide-input"]
rows = []
for title, fault in faults.items():
    findings = check(*fault).findings
    assert bool(findings) == (title != "nothing")
    for finding in findings:
        what = finding.what.replace(f"{folder}/", "")
        what = re.sub(r'--[a-z-]+|[a-z]+="[a-z]+"|[a-z]+=(?= )', r"`\g<0>`", what)
        rows.append([title, what, finding.cause])
Markdown(table(["what was done", "what `check` says", "likely cause"], rows))

# %% [markdown]
# And what to do about the most frequent ones:
#
# | you see | likely cause | what to do |
# | --- | --- | --- |
# | errors that grow with speed; curves whose lowest point is not at 0 | views out of step | cut frames off; film a clap, or start the cameras by one signal |
# | one camera disagrees, adjusting helps | it was moved | calibrate again, or `--adjust` |
# | errors of hundreds of pixels | exchanged cameras, or poses from camera to world | pair views and cameras; invert |
# | joints outside the image | portrait against landscape, or another resolution | calibrate in the mode in which you film |
# | bones of hundreds of metres | millimetres | say so with `--units` |
# | arms and legs cross between views | sides exchanged, or a mirrored webcam | turn mirroring off |
# | long limbs, short limbs | another skeleton | name it with `--skeleton` |
# | a joint flickers | hidden in most views | add a view from that side; trust the confidence |
#
# ## Two skeletons, both right
#
# "Neck" is a joint in most detectors, and it is not the same place in all of them.
# OpenPose's standard model puts it in the middle of the shoulders; its experimental one, like the MPII annotations, higher up, at the neck itself.
# Some programs mean the nose by "head", others the top of it.
# Our recording has all four, so here is the same person twice:

# %%
one = reconstruct(train).poses_world[moment]
other = one[[BODY_25B.index(joint) for joint in HUMANEVA_15.joints]].clone()
renamed = {"thorax": "neck", "head": "nose"}

# %%
by_shoulders = map_joints(one, BODY_25B.joints, HUMANEVA_15.joints)
for joint, instead in renamed.items():
    other[HUMANEVA_15.index(joint)] = one[BODY_25B.index(instead)]

# %% tags=["hide-input"]
floor = one[:, 2].nan_to_num(9).min()
place = torch.stack([by_shoulders[0, 0], by_shoulders[0, 1], floor])
panels = [
    Panel(title, [Layer((pose - place).unsqueeze(0), HUMANEVA_15)])
    for title, pose in {"one convention": by_shoulders, "another": other}.items()
]
alt = (
    "The same person drawn twice in 3D. On the right the trunk reaches up to the neck and "
    "the head ends at the nose; everything else is the same."
)
show(panels, alt)

# %%
apart_mm = 1000 * (by_shoulders - other).norm(dim=-1)
changed_joints = [HUMANEVA_15.index(joint) for joint in renamed]
for index in changed_joints:
    print(f"{HUMANEVA_15.joints[index]}: {apart_mm[index]:.0f} mm apart")
print(f"in the mean over all joints: {apart_mm.mean():.0f} mm")
assert apart_mm[changed_joints].min() > 20

# %% [markdown]
# Neither is wrong. A lifter trained on one and measured on the other has this error before it makes any.
#
# Here other names were to blame. But "hip" and "ankle" are not one place either.
# Those who annotate pictures, from which a detector learns, and those who fit a body to markers, which gives labels, mean other points by these words.
# How far apart are they? Human3.6M has both ([](../book/data)): we triangulated what a detector found in its pictures, and took the labels of the same moments.
# Most of the difference turns with the person, so for each joint it is nearly a constant vector in the frame of the trunk, the same for left and right.
# `fit_offsets` takes the median over all poses, and [this file](https://github.com/posekit/posekit/blob/main/book/joint_offsets.json) has what came out.

# %%
measured = json.loads((book_folder() / "joint_offsets.json").read_text())
vectors = [measured["vectors_mm"][joint] for joint in LIMBS_13.joints]
offsets = JointOffsets(LIMBS_13, torch.tensor(vectors) / 1000)

# %% [markdown]
# `apply` takes a pose of the detector's joints to the markers', and `undo` takes it back.
# Below ({numref}`fig-markers`), a made-up person has the markers' joints; in grey, where that detector would see them.

# %%
walker = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",))
markers = map_joints(walker.poses_world, walker.skeleton.joints, LIMBS_13.joints)
detectors = offsets.undo(markers)
torch.testing.assert_close(offsets.apply(detectors), markers, atol=1e-5, rtol=0)

# %% tags=["hide-input", "fig-markers"]
strides = [0, 15, 30]
panels = []
for frame in strides:
    stand = torch.cat([markers[frame, 0, :2], markers[frame, :, 2:].amin(0)])
    poses = {"detector": detectors[frame], "markers": markers[frame]}
    layers = [
        Layer(
            (pose - stand).unsqueeze(0), LIMBS_13, ghost=name == "detector", name=name
        )
        for name, pose in poses.items()
    ]
    panels.append(Panel(f"{frame / walker.frame_rate:.2f} s", layers))
alt = (
    "A walking person drawn three times, each time with two skeletons that nearly agree. "
    "The detector's hips and pelvis are lower than the markers', its hips closer together, "
    "its shoulders wider, and its ankles higher and further forward."
)
show(panels, alt)

# %%
between_mm = 1000 * (detectors - markers).norm(dim=-1).mean(0)
by_distance = between_mm.argsort(descending=True).tolist()
right_side = [j for j in by_distance if not LIMBS_13.joints[j].startswith("left")]
assert {LIMBS_13.joints[j] for j in right_side[:2]} == {"right_ankle", "right_hip"}

# %% tags=["hide-input"]
rows = [[LIMBS_13.joints[j], f"{between_mm[j]:.0f}"] for j in right_side]
Markdown(table(["joint, right as left", "two right places, mm apart"], rows))

# %% [markdown]
# Ankles and hips are farthest apart, and both answers are right.
# How much of an error is this? Without offsets, with those of all these people, and with those of one of the others, the triangulated detections are this far from the labels:

# %%
apart = measured["mpjpe_mm"]
gain, of_one = (apart["none"] - apart[whose] for whose in ("all", "another person"))
assert gain > of_one > 0.6 * gain > 5

# %% tags=["hide-input"]
rows = [[whose, f"{mm:.0f}"] for whose, mm in apart.items()]
Markdown(table(["offsets of", "`mpjpe`, mm"], rows))

# %% [markdown]
# Offsets are weak labels, for somebody's labels were needed to fit them, and a table must say so.
# But they are few numbers, and one person's bring most of the gain for the others.
#
# This is why the measure above compares with the same detector, why a table in one paper seldom compares with a table in another, and why `map_joints` maps names but promises nothing about places.
#
# ## From detections alone
#
# How good does a lifter become that never sees a label, on real people and real detections?
# Human3.6M can tell, for it has both.
# The rows below train a lifter of windows ([](05_sequences)) on what the detector found in the views of the training people, as this chapter does, with two changes.
# Targets are smooth tracks with bones of one length (`teachers.tracked`), and the people that training turns and moves carry the errors that the detector made on these very frames (`scene_noise="recorded"`).
# The control learns from labels, and sees the same 2D.

# %% tags=["remove-input"]
tables, runs = listed().tables, recorded()
HTML(html_table(tables["detected"], runs))


# %% tags=["remove-input"]
def detected(row, metric="mpjpe"):
    """The mean error of a row on detections."""
    return mean_and_spread(runs[f"human36m_detected/detected-{row}"], metric)[0]


without, control = detected("targets"), detected("labels")
corrected, by_one = detected("targets-offsets"), detected("targets-offsets-S1")
assert control < corrected < by_one < without
Markdown(
    f"Without labels the error is {without / control:.2f} times that of the control (`mpjpe`). "
    f"Of these {without - control:.1f} mm between the two, offsets take {without - corrected:.1f}, and those of one person {without - by_one:.1f}: "
    "so much of the gap is no failure to learn, but other joints."
)

# %% [markdown]
# The first three columns compare with labels, and so with the markers' joints; offsets bring a lifter's poses there without training it again.
# The last one, `triangulated_mpjpe`, compares with what the views of the test triangulate.
# It needs no label and does not depend on anybody's idea of a joint, so you can measure it on a recording of your own: `evaluate_without_labels(lifter, recording)`.
# [](../book/related_work) has what others print, from other joints, actions and detectors.
#
# ### What would bring more?
#
# A longer training, a larger network, more frames in a window, labels, or more people to learn from?
# Here two of the training people are held out and measured, and each row changes one thing.
# Rows with fewer people or fewer frames take about as many steps as the others.

# %% tags=["remove-input"]
HTML(html_table(tables["detected_more"], runs))


# %% tags=["remove-cell"]
def held_out(row, metric="triangulated_mpjpe"):
    """The mean error of a row on people held out."""
    return detected("-".join(["held-out", *row.split()]), metric)


one, two, three, half = (held_out(row) for row in ("one", "two", "", "half"))
longer, wider, wide_window = (
    held_out(row) - three for row in ("longer", "wider", "81frames")
)
to_labels = held_out("offsets", "mpjpe") - held_out("labels", "mpjpe")
other_gain = max(-longer, -wider, -wide_window)
assert min(one - two, two - three, half - three) > 2 * other_gain
assert half < two  # and has fewer frames in all
assert 0 < to_labels < two - three

# %% tags=["remove-input"]
Markdown(
    f"Against what the views triangulate, a second person to learn from is worth {one - two:.1f} mm and a third another {two - three:.1f} mm. "
    f"With half of their frames the three end {half - three:.1f} mm higher, and still {two - half:.1f} mm lower than two people who have more frames in all. "
    f"Twice the steps change the error by {longer:+.1f} mm, twice the hidden units by {wider:+.1f} mm, and three times as many frames by {wide_window:+.1f} mm. "
    f"Labels of the three people are worth {to_labels:.1f} mm (`mpjpe`), once offsets have made the joints the same."
)

# %% [markdown]
# So what is missing is more to learn from, and not labels: another person in front of your cameras, or another take, does more for such a lifter than any of these settings.
# Most rows have one seed, and other people held out would give other numbers; a change of half a millimetre says nothing.
#
# (from-video)=
# ## From video
#
# So far somebody else had found the joints. With a detector of your own you can begin with the videos.
# Two webcams or phones will do:
#
# 1. Put them where their lines of sight cross at about a right angle, and do not move them any more.
# 2. Calibrate them with a printed board, as the programs named above explain, in the mode in which you will film.
# 3. Film at one frame rate. Clap your hands where all cameras see it, and cut every video so that it begins with the clap and has as many frames as the others.
# 4. Put the calibration and the videos into one folder, the videos under the names of their cameras.
# 5. Have the joints found, then go on as above:
#
# ```text
# make detect VIDEOS=FOLDER
# python -m posekit.rig check FOLDER --frame-rate 30
# ```
#
# `make detect` runs in the folder of this book's source. It installs MediaPipe {cite}`bazarevsky2020blazepose` in an environment of its own, on Python 3.11 or 3.12, and works without a network from then on.
# Every frame is looked at by itself, and what MediaPipe finds of one person goes to `FOLDER/joints.csv`.
# Videos of other lengths, frame rates or sizes, and one without a camera in the calibration, are refused by name.
#
# Without `VIDEOS` it fetches the four videos that come with Pose2Sim. They turn out to show the very moments that OpenPose looked at above.
# What MediaPipe found in them comes with posekit:

# %%
seen = load_dataset("balancing", "all", detector="mediapipe")
seen

# %% [markdown]
# Two detectors on one recording: what they agree on is not the doing of one of them.
#
# First the same questions as before:


# %%
def questioned(dataset):
    cameras = Calibration(dataset.view_names, dataset.cameras[0])
    joints = dataset.skeleton, dataset.pixels, dataset.confidence
    return check(cameras, Detections(dataset.view_names, *joints, folder))


first_look = questioned(seen)
print(*first_look.findings, sep="\n\n")

# %% [markdown]
# This is the detector's own mistake. `undo_swaps` triangulates from the other three views and exchanges left and right in this one where that fits far better.

# %%
righted = undo_swaps(seen)
swapped = (righted.pixels != seen.pixels).flatten(2).any(-1)
counts = dict(zip(seen.view_names, swapped.sum(0).tolist()))
assert "exchanged" in first_look.findings[0].what
assert sorted(counts.values())[:3] == [0, 0, 0]
assert swapped[moment, 1]
print("frames exchanged:", counts)

# %% tags=["hide-input"]
panels = [
    Panel(title, [Layer(d.pixels[[moment], 1] - corner, MEDIAPIPE_33)], image_size=cut)
    for title, d in {"as MediaPipe saw it": seen, "exchanged back": righted}.items()
]
alt = (
    "The second camera's 2D pose at one moment, as found and exchanged back. The lines are "
    "the same; what is blue on the one side is orange on the other."
)
show(panels, alt)

# %% [markdown]
# With two cameras neither can outvote the other; of three, two are left to judge the third, and if they differ nobody can tell which of them is right. `undo_swaps` therefore needs four.
#
# Then there is the finding that we know:

# %%
second_look = questioned(righted)
print(*second_look.findings, sep="\n\n")

# %% [markdown]
# OpenPose's joints had said the same of these cameras. Does one detector's correction hold for the other?
# We take the cameras that were adjusted to OpenPose's joints, on the first 70 frames, and see how far MediaPipe's joints are from the triangulated ones:


# %%
def errors_px(dataset):
    points = reconstruct(dataset, smoothing_s=0.0).poses_world.unsqueeze(1)
    off = dataset.frame_cameras.world_to_pixels(points) - dataset.pixels
    return off.norm(dim=-1).transpose(0, 1).flatten(1).nanmedian(-1).values


in_place = replace(righted, cameras=train.cameras)
given_px, adjusted_px = errors_px(righted), errors_px(in_place)
assert adjusted_px.mean() < 0.8 * given_px.mean()

# %% tags=["hide-input"]
rows = [
    [name, f"{given:.1f}", f"{by_openpose:.1f}"]
    for name, given, by_openpose in zip(seen.view_names, given_px, adjusted_px)
]
Markdown(table(["MediaPipe, error in px", "as given", "adjusted to OpenPose's"], rows))

# %% [markdown]
# It does: no detector made it up that these cameras are not where the calibration says.
#
# Now 3D, robustly and through a filter without delay ({numref}`fig-filmed`):

# %% tags=["fig-filmed"]
filmed = reconstruct(in_place, cutoff_hz=6.0)
scene_figure(
    filmed.poses_world[::4],
    filmed.cameras[0],
    filmed.view_names,
    MEDIAPIPE_33,
    filmed.frame_rate / 4,
    pixels=filmed.pixels[::4],
)

# %% [markdown]
# Do the bones keep their lengths?

# %% tags=["hide-input"]
rows = []
for joint in ("elbow", "wrist", "knee", "ankle"):
    for name in (f"left_{joint}", f"right_{joint}"):
        lengths = MEDIAPIPE_33.bone_lengths(filmed.poses_world)
        lengths = lengths[:, MEDIAPIPE_33.index(name) - 1]
        low, middle, high = lengths.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
        rows.append([name, f"{1000 * middle:.0f}", f"{1000 * (high - low):.0f}"])
Markdown(table(["bone to", "length, mm", "middle half within, mm"], rows))

# %% [markdown]
# And how far is this person from the one that OpenPose's joints make, with the same cameras, filter and moments?
# We compare the joints that both name, with and without each care that was taken.

# %%
shared = tuple(j for j in MEDIAPIPE_33.joints if j in BODY_25B.joints)
theirs = reconstruct(replace(recording, cameras=train.cameras), cutoff_hz=6.0)
theirs = map_joints(theirs.poses_world, BODY_25B.joints, shared)


def apart_from_theirs(dataset, robust=True):
    ours = reconstruct(dataset, cutoff_hz=6.0, robust=robust).poses_world
    ours = map_joints(ours, MEDIAPIPE_33.joints, shared)
    return 1000 * (ours - theirs).norm(dim=-1).nanmean(0)


# %%
still_swapped = replace(seen, cameras=train.cameras)
apart = {
    "every view counts alike": apart_from_theirs(still_swapped, robust=False),
    "robust": apart_from_theirs(still_swapped),
    "exchanged back, and robust": apart_from_theirs(in_place),
}
plain_mm, robust_mm, both_mm = (joints.mean().item() for joints in apart.values())
assert max(robust_mm, both_mm) < 0.6 * plain_mm

# %% tags=["hide-input"]
rows = [[title, f"{joints.mean():.0f}"] for title, joints in apart.items()]
Markdown(table(["MediaPipe's person from OpenPose's", "mm"], rows))

# %% [markdown]
# A view that contradicts the others for a while does little harm if triangulation is robust, and this is the default.
# What remains is no noise, or not only. By joint:

# %% tags=["hide-input"]
right_or_middle = [j for j in shared if not j.startswith("left")]
by_joint = {
    j: both.item() for j, both in zip(shared, apart["exchanged back, and robust"])
}
rows = [[j, f"{by_joint[j]:.0f}"] for j in sorted(right_or_middle, key=by_joint.get)]
Markdown(table(["joint", "mm apart"], rows))

# %%
hips, shoulders = (
    mean(by_joint[f"{side}_{joint}"] for side in ("left", "right"))
    for joint in ("hip", "shoulder")
)
assert hips > 1.3 * shoulders

# %% [markdown]
# Hips are further apart than shoulders. It may be what the section before found, two right places, now of two detectors.
# Nobody wore markers here, so we cannot say who is nearer to the bones.
# Nor does MediaPipe's model know toes as OpenPose's does: it has a heel and one point at the tip of each foot, and no big and small toe to compare.
#
# ## The same without Python
#
# ```text
# python -m posekit.rig check FOLDER --frame-rate 60
# python -m posekit.rig triangulate FOLDER --frame-rate 60 --adjust --undo-swaps
# python -m posekit.rig lift FOLDER --frame-rate 60 --adjust --undo-swaps
# ```
#
# `--cutoff 6` smooths by the filter of the second part. Leave out what you do not need; `--undo-swaps` needs four cameras.
# If your calibration's world is that of a board or of one of the cameras, up is not its z; the commands say so, and `triangulate --upright` turns the world until people stand.
# Results go to `FOLDER/posekit`: a report as a page that opens in any browser, the 3D joints as TRC and npz, the lifter.
# Nothing that was there before is touched.
#
# ## What we saw
#
# - A recording is a calibration and a detector's joints. What the files do not say (frame rate, sometimes skeleton and units) you must give or check yourself.
# - Views that should agree, bones that should keep their lengths and people of the right size tell much about a recording without labels. Cameras that disagreed were found, and adjusting them helped on frames that they were not adjusted to.
# - Each fault has a face, but not all can be seen in the images: measure, too.
# - Joints of the same name are not the same point.
# - From videos a detector of your own makes such a recording. It brings errors of its own, such as exchanged sides; other views tell them, if there are enough of them.
# - What two detectors find independently, here cameras that are not where the calibration says, is in the recording.
#
# ## Exercises
#
# **1.** How little is enough? Train the lifter on every fifth frame.

# %% tags=["hide-cell"]
few = learn_to_lift(train15.every(5), test15, epochs=5 * epochs, width=width)
few_mm = few.against_triangulation.metrics_mm["mpjpe"]
all_mm = mean(lifted["four cameras, later frames"]["mpjpe"])
assert few_mm < 1.3 * all_mm
f"mpjpe {few_mm:.0f} mm from a fifth of the frames, {all_mm:.0f} mm from all"

# %% [markdown]
# **2.** Adjust the cameras on your own recording in two halves, one after the other. Do both corrections turn the same camera the same way? If not, what else may be wrong?
#
# **3.** Take two of the four views, face to face, and run `check`. What does it say about the angle, and what happens to the bones?

# %% tags=["hide-cell"]
opposite = recording.select_views(["cam_02_json", "cam_04_json"])
halved = Detections(
    opposite.view_names, BODY_25B, opposite.pixels, opposite.confidence, folder
)
of_two = check(Calibration(opposite.view_names, opposite.cameras[0]), halved)
assert of_two.quality.angle_deg > 140
assert any("lengths" in finding.what for finding in of_two.findings)
print(of_two)
