# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Sequences
#
# **What you will do.** Let the lifter see the frames before and after the one it lifts.
#
# **What you will learn**
#
# - what motion can tell that a single frame cannot;
# - why the report's sequence model could not know the order of its frames;
# - how stretches of frames become good training samples, and how they become bad ones.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](03_lift_without_labels) | the loss is the same | read it first |
# | attention and convolution | two ways to look along time | [Vaswani et al.](https://arxiv.org/abs/1706.03762) |
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
import torch
from IPython.display import Markdown

from posekit.datasets import load_dataset
from posekit.figures import comparison_figure, curve_figure
from posekit.lifters import FrameLifter, SequenceLifter, TemporalConvLifter
from posekit.losses import (
    label_free_loss,
    middle_frame_loss,
    multiview_loss,
)
from posekit.random import generator
from posekit.records import in_words, recorded, report_table, table
from posekit.training import evaluate, fit, lift_dataset

# %% tags=["parameters"]
width = 128  # hidden units a layer
window = 27  # frames that the convolution sees: 9, 27 or 81
epochs = 10  # passes over the training set
learning_rate = 0.002  # peak of the schedule
stride = 2  # take every second frame, 30 a second
batch_size = 64  # moments a step
seed = 0  # of weights and batch order

# %% [markdown]
# ## Why look at more frames
#
# One picture leaves depth open: an arm that points at the camera looks like an arm that points away.
# A moment later the arm has moved on, and only one of the two stories makes a motion that people make.
# So the field's best lifters look at many frames {cite}`pavllo2019videopose3d`.
#
# The report tried it too, with a transformer {cite}`vaswani2017attention`. Its error got worse, not better:

# %%
theirs, runs = report_table("humaneva"), recorded()
rows = [
    [
        "one frame",
        theirs["label_free, dropout 0.5->0.0"],
        in_words(runs["humaneva/label_free-published"]),
    ],
    [
        "whole clip, transformer",
        theirs["sequence"],
        in_words(runs["humaneva/sequence-published"]),
    ],
]
header = ["HumanEva-I, label-free, as published", "Table 1, mm", "ours, mm"]
Markdown(table(header, rows))

# %% [markdown]
# Why?
#
# ## A bag of frames
#
# A transformer encoder treats its inputs as a set.
# Time comes in only through a **positional encoding** that is added to each frame.
# In the published code that line is commented out.
# Here is what follows. Shuffle the frames of a clip, lift, and put the results back in order:

# %%
clip = torch.rand(30, 1, 15, 2, generator=generator(1))  # frames, views, joints, xy
order = torch.randperm(30, generator=generator(2))


def changed_by_shuffling(lifter):
    lifter.eval()
    with torch.no_grad():
        return (lifter(clip[order]) - lifter(clip)[order]).abs().max().item()


options = dict(width=32, window=None, root="free", generator=generator(seed))
bag = SequenceLifter(15, positions=False, **options)
ordered = SequenceLifter(15, positions=True, **options)
assert changed_by_shuffling(bag) < 1e-5 < changed_by_shuffling(ordered)
f"{changed_by_shuffling(bag):.1e} m without positions, {changed_by_shuffling(ordered):.1e} m with"

# %% [markdown]
# Nothing changes. To this model a walk and the same walk cut up and shuffled are the same.
# It can tell what kind of clip a frame is from, but not what comes next.
#
# ## A convolution over time
#
# The known-good reference is simpler: a convolution that slides along time.
# Each layer looks at three groups of frames, so that 27 frames become 9, then 3, then 1: the pose of the frame in the middle.

# %%
lifter = TemporalConvLifter(15, width, window=window, root="free")
frames = torch.rand(1, window, 1, 15, 2, requires_grad=True)
pose = lifter(frames)  # (stretches, views, joints, xyz)
pose.sum().backward()
seen = frames.grad.abs().sum((0, 2, 3, 4)) > 0
assert seen.all()
tuple(frames.shape), tuple(pose.shape), f"{seen.sum()} frames have a say"

# %% [markdown]
# Where a clip begins or ends, some of these frames do not exist. `surrounding_frames` marks them with -1, and the samples hold NaN there.
# The convolution holds the first or last pose; the transformer is told not to attend.

# %%
train = load_dataset("synthetic", "train", stride=stride)
test = load_dataset("synthetic", "test", stride=stride)
train.surrounding_frames(9)[:3]

# %% [markdown]
# ## What makes a good batch
#
# A stretch of frames is a comfortable sample: let the network lift all of its frames and take the loss over all of them.
# But neighbouring frames are nearly the same. How far is each pose of a batch from the one most like it, in either case?

# %%
source = generator(seed)
screen = train.screen()[:, 0].flatten(1)  # C1's 2D poses, a row each


def nearest(frames):
    """Mean distance of a pose to the most similar other pose, screen units."""
    distance = torch.cdist(screen[frames], screen[frames])
    return distance.fill_diagonal_(torch.inf).min(dim=1).values.mean().item()


around = train.surrounding_frames(window)
whole = around[(around >= 0).all(dim=1)]
stretches = whole[torch.randint(len(whole), (4,), generator=source)].flatten()
moments = torch.randint(len(train), (len(stretches),), generator=source)
f"{nearest(moments):.2f} among random moments, {nearest(stretches):.2f} in four stretches of as many frames"

# %% [markdown]
# With a few stretches a step the gradient is that of a few poses, however many frames they hold.
# So each stretch lends its middle frame only, and a batch has as many stretches as a single-frame batch has moments.
# VideoPose3D trains in this way {cite}`pavllo2019videopose3d`.
# The loss is the one we know, for the middle frame:


# %%
def written_out(lifter, batch):
    middle = batch[:, window // 2]  # what the cameras saw at that moment
    return sum(multiview_loss(lifter(batch.screen), middle))


stretches = train.views().windows(around)
lifter.eval()
torch.testing.assert_close(
    written_out(lifter, stretches[:20]),
    middle_frame_loss(lifter, stretches[:20]),
)

# %% [markdown]
# ## Training
#
# Three lifters, the same loop, the same number of steps: one frame, 27 frames by convolution, 9 frames by attention with positions.

# %%
contestants = {
    "one frame": (FrameLifter, dict(dropout=0.0, norm="layer")),
    f"convolution, {window} frames": (
        TemporalConvLifter,
        dict(dropout=0.0, window=window),
    ),
    "transformer, 9 frames": (SequenceLifter, dict(dropout=0.0, window=9)),
}


def train_one(make, options):
    source = generator(seed)
    lifter = make(15, width, generator=source, **options)
    samples, loss = train.views(), label_free_loss
    if hasattr(lifter, "window"):
        samples = samples.windows(train.surrounding_frames(lifter.window))
        loss = middle_frame_loss
    settings = dict(epochs=epochs, batch_size=batch_size, test=test)
    settings |= dict(learning_rate=learning_rate, schedule="one_cycle")
    settings |= dict(test_every=2, generator=source)
    return lifter, fit(lifter, samples, loss, **settings)


trained = {name: train_one(*contestant) for name, contestant in contestants.items()}


# %%
curve_figure(
    {name: curve.measured() for name, (_, curve) in trained.items()},
    "epoch",
    "report_mpjpe (mm)",
    alt="Test error on the synthetic clips over the epochs for a single-frame lifter, a temporal convolution and a transformer with positions.",
)

# %% [markdown]
# The error is one thing, its steadiness another. A lifter that sees one frame at a time does not know where the joint was before.
# **Jitter** is how much its error changes from frame to frame: the mean length of the error's second difference.


# %%
def jitter_mm(lifter, clip):
    frames = slice(clip.start, clip.stop)
    error = (lift_dataset(lifter, test) - test.poses_camera())[frames]
    return 1000 * error.diff(n=2, dim=0).norm(dim=-1).mean().item()


rows = []
for name, (lifter, _) in trained.items():
    metrics = evaluate(lifter, test).metrics_mm
    rows.append(
        [
            name,
            f"{metrics['report_mpjpe']:.1f}",
            f"{metrics['mpjpe']:.1f}",
            f"{jitter_mm(lifter, test.clips[0]):.2f}",
        ]
    )
Markdown(
    table(
        ["synthetic test clips, mm", "`report_mpjpe`", "`mpjpe`", "jitter"],
        rows,
    )
)

# %%
clip = test.clips[1]
frames = slice(clip.start, clip.start + 45)
cameras = test.frame_cameras[frames, :1]
lifted = {
    name: cameras.camera_to_world(lift_dataset(lifter, test)[frames, :1])[:, 0]
    for name, (lifter, _) in trained.items()
}
comparison_figure(
    test.poses_world[frames],
    lifted,
    test.skeleton,
    frame_rate=test.frame_rate,
)

# %% [markdown]
# ## On HumanEva-I
#
# The recorded runs, with our settings throughout: positive root, the right lens, layer norm, a one-cycle schedule.

# %%
rows = []
for name, row in {
    "one frame, width 256": "label_free-ours-width256",
    "one frame, width 512": "label_free-ours",
    "one frame, width 1024": "label_free-ours-width1024",
    "27 frames, convolution, width 256": "temporal_convolution-ours",
    "27 frames, convolution, width 512": "temporal_convolution-ours-width512",
    "9 frames, transformer with positions": "sequence-ours",
    "whole clip, bag of frames, as published": "sequence-published",
}.items():
    records = runs[f"humaneva/{row}"]
    rows.append([name, len(records), in_words(records), in_words(records, "mpjpe")])
Markdown(
    table(
        ["HumanEva-I, label-free, mm", "seeds", "`report_mpjpe`", "`mpjpe`"],
        rows,
    )
)

# %% [markdown]
# Positions, batches of unlike samples and a sound schedule mend the transformer: it now beats the published single-frame lifter above.
# At equal width the convolution is more exact than one frame.
# But a step of it costs as much as one of a single-frame network of twice the width, and that network is a little more exact still.
# Exact 2D poses from one camera already say a lot. The published numbers of this kind of lifter were measured with detected,
# that is noisy, 2D poses, where neighbours help more.
#
# ## What we saw
#
# - Without a positional encoding a transformer sees a bag of frames, not a motion.
# - Frames of one stretch are nearly the same sample. Train on the middle frame of many stretches.
# - Lifters that see neighbouring frames are steadier, and more exact at equal width. At equal effort, with exact 2D poses, they need not be.
#
# ## Exercises
#
# **1.** Add 5 pixels of detector noise to the test clips. Which lifter suffers least?

# %% tags=["hide-cell"]
noisy = test.with_detector_noise(5.0, 0.0, generator(seed))
{
    name: f"{evaluate(lifter, noisy).metrics_mm['report_mpjpe']:.0f} mm"
    for name, (lifter, _) in trained.items()
}

# %% [markdown]
# **2.** Hide the middle frame from the convolution by repeating its left neighbour there. How much does the pose depend on its own picture?

# %% tags=["hide-cell"]
convolution = trained[f"convolution, {window} frames"][0]
half = window // 2
batch = train.views().windows(whole[:200])
blind = batch.screen.clone()
blind[:, half] = blind[:, half - 1]
with torch.no_grad():
    moved = (convolution(blind) - convolution(batch.screen)).norm(dim=-1).mean()
assert moved > 0
f"{1000 * moved:.1f} mm"
