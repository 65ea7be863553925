# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Learn to lift, with labels
#
# **What you will do.** Train a small network to turn one view's 2D pose into a 3D pose, from examples whose answers are known.
#
# **What you will learn**
#
# - what a lifter is: the network of the report that this book reproduces {cite}`jain2022pose`;
# - what its error is, and why one number called "MPJPE" can mean several things;
# - how good a lifter gets when it is told the truth: the yardstick for doing without.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](01_one_pose_many_views) | it explains poses, camera coordinates and screen coordinates | read it first |
# | what training a network means | one is trained here | PyTorch's [60 minute blitz](https://docs.pytorch.org/tutorials/beginner/deep_learning_60min_blitz.html) |
#
# **Time.** 15 minutes to read, about half a minute to run.

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
from torch import nn

from posekit import metrics
from posekit.datasets import load_dataset
from posekit.figures import comparison_figure, curve_figure
from posekit.lifters import FrameLifter
from posekit.losses import supervised_loss
from posekit.random import generator, seeded
from posekit.records import in_words, recorded, report_table, table
from posekit.skeleton import to_root_anchored
from posekit.training import evaluate, fit, lift

torch.set_num_threads(1)  # small networks run fastest on one

# %% tags=["parameters"]
width = 256  # hidden units per layer; the report's network has 1024
epochs = 30  # passes over the training set; the report makes 150
learning_rate = 0.001  # peak of the schedule
batch_size = 128  # poses per step
seed = 0  # of weights and batch order

# %% [markdown]
# ## Questions and answers
#
# The training set consists of questions, the 2D poses, and their answers, the 3D poses.
# Every frame gives one such pair for each camera.

# %%
train = load_dataset("synthetic", "train")
test = load_dataset("synthetic", "test")
samples = train.labelled_poses()
samples.screen.shape, samples.poses_camera.shape

# %% [markdown]
# The question is in screen coordinates, the answer in the coordinates of the camera that asks.
# Since the lifter is not told which camera that is, it needs one view and no calibration at all at test time.
#
# ## The network
#
# The report uses a simple network and a good one {cite}`martinez2017simple`: no convolution and no attention, only layers that
# multiply by a matrix, normalise, and cut off what is negative. One such layer:


# %%
def layer(inputs, outputs, dropout):
    linear, norm = nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs)
    return nn.Sequential(linear, norm, nn.ReLU(), nn.Dropout(dropout))


# %% [markdown]
# Two of them make a block:


# %%
def block(width, dropout):
    return nn.Sequential(layer(width, width, dropout), layer(width, width, dropout))


# %% [markdown]
# The network expands the 15 × 2 numbers of a 2D pose to `width` numbers,
# passes them through residual blocks {cite}`he2016resnet`, and reduces them to 15 × 3.
#
# ![The lifter: a 2D pose goes through one layer, two residual blocks of two layers with a skip around each, and a linear map, to a 3D pose.](../book/images/network.svg)


# %%
class Lifter(nn.Module):
    def __init__(self, joints, width, blocks=2, dropout=0.5):
        super().__init__()
        self.inner = layer(2 * joints, width, dropout)
        self.blocks = nn.ModuleList(block(width, dropout) for _ in range(blocks))
        self.outer = nn.Linear(width, 3 * joints)

    def forward(self, screen):
        hidden = self.inner(screen.flatten(1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.outer(hidden).unflatten(1, (-1, 3))


# %% [markdown]
# Its output is **root-anchored**: the first of the 15 rows is the position of the root in camera coordinates,
# and the others are offsets from the root.
#
# This is posekit's `FrameLifter` in its published form: batch norm, dropout 0.5, and the initial weights that torch gives a layer. With `norm="layer"`, which later chapters use, `nn.LayerNorm` takes the place of batch norm, and nothing else changes.
# To see that they agree, give both the same weights:

# %%
ours = Lifter(15, width).eval()
theirs = FrameLifter(15, width, root="free").eval()
pairs = zip(theirs.parameters(), ours.parameters())
with torch.no_grad():
    for weight, copied in pairs:
        weight.copy_(copied)

# %% [markdown]
# Both now give the same answer to the same question, once posekit's is root-anchored as well.

# %%
question = samples.screen[:8]
answer = to_root_anchored(theirs(question))
torch.testing.assert_close(answer, ours(question), atol=1e-5, rtol=1e-5)

# %% [markdown]
# ## The default head
#
# posekit's default, which we train below, differs in its last layer, the **head**.
# It reads the first row as a direction $(x, y)$ and the logarithm of a depth, relative to the distance at which people are expected.
# The depth of the root is thus positive whatever the weights. The other joints are offsets from it, and free.


# %%
def positive_head(rows, scene_distance=4.0):
    """Rows (N, J, 3) of the last layer -> absolute joints (N, J, 3)."""
    x, y, log_depth = rows[:, :1].unbind(-1)
    ray = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    root = scene_distance * log_depth.exp().unsqueeze(-1) * ray
    return torch.cat([root, root + rows[:, 1:]], dim=1)


# %% [markdown]
# The layer also starts at zero: before training everybody is at one point, straight ahead of the camera and 4 m away.

# %%
default = FrameLifter(15, width).eval()
start = default(question)
torch.testing.assert_close(start, torch.tensor([0.0, 0.0, 4.0]).expand_as(start))

# %% [markdown]
# With other weights in that layer, so that there is something to compare, the two heads agree:

# %%
features = torch.rand(8, width, generator=generator(seed))
linear = default.outer.linear
with torch.no_grad():
    linear.weight.uniform_(-0.1, 0.1, generator=generator(seed))
    rows = linear(features).unflatten(-1, (-1, 3))
    torch.testing.assert_close(positive_head(rows), default.outer(features))

# %% [markdown]
# What the start and the positive depth are good for is a question for [](03_lift_without_labels).
#
# ## The error, by its full name
#
# How wrong is a 3D pose? The usual answer is the **mean per-joint position error**, MPJPE:
# the distance between a predicted joint and the true one, averaged over the joints.


# %%
def mean_joint_distance(predicted, true):
    return (predicted - true).norm(dim=-1).mean(dim=-1)


# %% [markdown]
# But are the poses aligned first, and how?
# The literature moves both roots to the origin, so that only the pose itself counts and not where the person is.


# %%
def mpjpe(predicted, true):
    return mean_joint_distance(predicted - predicted[:, :1], true - true[:, :1])


# %% [markdown]
# Try it on the right pose, placed 30 cm too far away:

# %%
true = samples.poses_camera[:8]
moved = true + torch.tensor([0.0, 0.0, 0.3])
torch.testing.assert_close(mpjpe(moved, true), metrics.mpjpe(moved, true))
f"{1000 * mpjpe(moved, true).mean():.1f} mm"

# %% [markdown]
# The report does something else. It compares root-anchored poses:
# fourteen joints relative to the root, and the root itself with its absolute error.


# %%
def report_mpjpe(predicted, true):
    return mean_joint_distance(to_root_anchored(predicted), to_root_anchored(true))


# %% [markdown]
# Here is the same pose, 30 cm too far away, by this metric:

# %%
error = report_mpjpe(moved, true)
torch.testing.assert_close(error, metrics.report_mpjpe(moved, true))
f"{1000 * error.mean():.1f} mm"

# %% [markdown]
# Of the same pose one metric says that it is perfect, and the other that it is not.
# This book therefore never writes just "MPJPE" beside a number. It has five metrics, each with a name of its own:
#
# | name | what is compared |
# | --- | --- |
# | `report_mpjpe` | the report's: offsets from the root, and the position of the root as one of the joints |
# | `mpjpe` | joints relative to the root, the literature's "protocol 1" |
# | `root_error` | the position of the root alone |
# | `pa_mpjpe` | joints after the best rotation, translation and scale, "protocol 2" |
# | `n_mpjpe` | joints relative to the root, after the best scale |
#
# ## Training
#
# The loss is the report's metric itself, in metres.
# The loop that makes it smaller is always the same: shuffle, take a batch, step downhill.
# The steps are those of Adam {cite}`kingma2015adam`, which scales each weight's step by how large its gradients have been.
# How long the steps are follows the **one-cycle** schedule {cite}`smith2019superconvergence`: the learning rate rises to its peak, then falls to nearly zero.


# %%
def train_loop(lifter, samples, loss, epochs, batch_size, learning_rate, rng):
    steps = epochs * -(-len(samples) // batch_size)
    optimizer = torch.optim.Adam(lifter.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps)
    lifter.train()
    with seeded(rng):  # torch's own generator continues ours here
        for _ in range(epochs):
            for index in torch.randperm(len(samples)).split(batch_size):
                value = loss(lifter, samples[index])
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                schedule.step()
    lifter.eval()


# %% [markdown]
# posekit's `fit` is this loop, with the curve, early stopping, checkpoints and the switch of [](03_lift_without_labels) around it.
# Where nothing else is said it takes batches of 128 at a constant learning rate of 0.0003, as the report does, and keeps the weights of the last epoch.
# From the same seed both lead to the same weights, to the last bit:

# %%
some = samples[::20]
brief = dict(epochs=2, batch_size=batch_size, learning_rate=learning_rate)


def trained_by(loop, draws, **how):
    lifter = FrameLifter(15, 32, dropout=0.5, generator=draws)
    loop(lifter, some, supervised_loss, **brief, **how)
    return lifter.state_dict().values()


# %%
rng, same = generator(seed), generator(seed)
ours = trained_by(train_loop, rng, rng=rng)
theirs = trained_by(fit, same, generator=same, schedule="one_cycle")
assert all(torch.equal(a, b) for a, b in zip(ours, theirs))

# %% [markdown]
# Now with all poses:

# %%
options = dict(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
options |= dict(schedule="one_cycle")
rng = generator(seed)
lifter = FrameLifter(15, width, dropout=0.0, generator=rng)
curve = fit(lifter, samples, supervised_loss, **options, generator=rng, test=test)

# %% [markdown]
# The loss falls on the training poses, and the error falls on the test clips ({numref}`fig-supervised`):

# %% tags=["hide-input", "fig-supervised"]
loss_mm = [1000 * loss for loss in curve.loss]
curves = {
    "training loss": (curve.epoch, loss_mm),
    "test error": (curve.epoch, curve.report_mpjpe_mm),
}
alt = (
    "Two falling curves over the epochs, in millimetres: the training loss and the "
    "test error, which lies above it in the last epochs."
)
curve_figure(curves, "epoch", "report_mpjpe (mm)", alt=alt, log_y=True)

# %% [markdown]
# Only towards the end do the two curves part: by then the network knows the training poses better than new ones.
# The test set shows the same three people in other clips.

# %%
result = evaluate(lifter, test)
assert result.metrics_mm["report_mpjpe"] < curve.report_mpjpe_mm[0]

# %% tags=["hide-input"]
rows = [[f"`{name}`", f"{value:.1f}"] for name, value in result.metrics_mm.items()]
Markdown(table(["metric", "mm, synthetic test clips"], rows))

# %% [markdown]
# The error of the root is by far the largest. One picture hardly shows how far away somebody is,
# as we saw in [](01_one_pose_many_views).

# %%
root_part = result.metrics_mm["root_error"] / 15
share = root_part / result.metrics_mm["report_mpjpe"]
f"the root is one joint of fifteen, and {share:.0%} of the report's metric"

# %% [markdown]
# What does the lifter go by? Change one thing about the picture at a time, and see what becomes of the depth.
# A person drawn a tenth smaller might be further away; so might one whose feet are higher in the picture, on a floor that these cameras look down on.


# %%
def depth_of(screen):
    return lift(lifter, screen)[..., 0, 2].median().item()


seen = test.screen()
centre = seen.mean(dim=-2, keepdim=True)
smaller = centre + 0.9 * (seen - centre)
lower = seen + torch.tensor([0.0, 16 / 320])  # 16 of 640 x 480 pixels

# %%
change = {
    "a tenth smaller": depth_of(smaller) / depth_of(seen) - 1,
    "16 pixels lower": depth_of(lower) / depth_of(seen) - 1,
}
assert change["a tenth smaller"] > 0 > change["16 pixels lower"]
{name: f"{share:+.1%}" for name, share in change.items()}

# %% [markdown]
# It goes by both: by how large people appear, which tells the distance of people whose size it has learnt, and by where they are in the picture.
# A person a tenth smaller is not taken to be a tenth further away, as size alone would say.
# The second clue is one of these cameras, and does not hold for others.

# %% [markdown]
# ## See the poses
#
# Take the first walk of the test set, and lift it from each camera alone.

# %%
clip = test.clips[0]
frames = slice(clip.start, clip.start + 90)
in_camera = lift(lifter, test.screen()[frames])
lifted = test.frame_cameras[frames].camera_to_world(in_camera)

# %% [markdown]
# Here are the lifted poses, with the true one in grey ({numref}`fig-lifted-with-labels`).

# %% tags=["opening", "fig-lifted-with-labels"]
true, rate = test.poses_world[frames], test.frame_rate
views = enumerate(test.view_names)
by_view = {f"lifted from {name}": lifted[:, view] for view, name in views}
comparison_figure(by_view, true, test.skeleton, frame_rate=rate)

# %% [markdown]
# ## The real thing
#
# The numbers above are from the embedded synthetic people.
# On HumanEva-I, which needs a licence, we ran the same training with the report's settings and recorded it.

# %% tags=["hide-input"]
runs = recorded()["humaneva/supervised-published"]
published = report_table("humaneva")["supervised"]
ours = [f"our rerun, {len(runs)} seeds, mean ± spread", in_words(runs)]
rows = [["the report's Table 1", published], ours]
Markdown(table(["HumanEva-I, supervised, `report_mpjpe`", "mm"], rows))

# %% [markdown]
# Every one of the seeds comes close:

# %%
errors = [record.metrics_mm["report_mpjpe"] for record in runs]
assert all(abs(error - published) < 1.5 for error in errors)

# %% [markdown]
# The row reproduces.
# It does so with width 1024, and with dropout and batch-norm updates switched off after the first half of the epochs,
# as in the report's code. The report's text says width 512, and does not mention the switch for this row.
#
# ## What we saw
#
# - A lifter maps 15 points on a screen to 15 points in space; the report's is a plain residual network.
# - "MPJPE" has several meanings. The report's includes the absolute position of the root, the hardest of all joints.
# - With labels, the report's number on HumanEva-I reproduces.
#
# ## Exercises
#
# **1.** Which joints are hardest? Average the root-relative error of each joint.

# %% tags=["hide-cell"]
predicted, true = lift(lifter, test.screen()), test.poses_camera()
error = (to_root_anchored(predicted) - to_root_anchored(true)).norm(dim=-1)
error = error.mean(dim=(0, 1))
hardest = error[1:].argsort(descending=True)[:4] + 1
assert error[hardest[0]] > error[1:].mean()
{test.skeleton.joints[k]: f"{1000 * error[k]:.0f} mm" for k in hardest.tolist()}

# %% [markdown]
# **2.** A mirrored pose is as good a question as the pose itself.
# Train on both, for as many steps as before, and see whether the test error falls. `Skeleton.mirror` mirrors 2D and 3D poses.
# A mirrored picture is that of a mirrored camera, which the test does not have, and each pose itself comes up half as often.

# %% tags=["hide-cell"]
mirror = train.skeleton.mirror
screen = torch.cat([samples.screen, mirror(samples.screen)])
poses = torch.cat([samples.poses_camera, mirror(samples.poses_camera)])
both = type(samples)(screen, poses)
half = options | dict(epochs=max(1, epochs // 2))  # twice the poses, as many steps
rng = generator(seed)
with_mirror = FrameLifter(15, width, dropout=0.0, generator=rng)
fit(with_mirror, both, supervised_loss, **half, generator=rng)
mirrored_mm = evaluate(with_mirror, test).metrics_mm["report_mpjpe"]
without_mm = result.metrics_mm["report_mpjpe"]
assert mirrored_mm > 0.9 * without_mm
f"no gain on this test: {mirrored_mm:.1f} mm with them, {without_mm:.1f} mm without"
