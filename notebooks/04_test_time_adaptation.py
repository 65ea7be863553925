# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Adapt at test time
#
# **What you will do.** Take the label-free lifter to new people, let it look at their 2D views, and watch its error fall.
#
# **What you will learn**
#
# - why a loss without labels can go on working after training;
# - what adaptation needs that plain lifting does not;
# - how to read a number that was measured on the data it was tuned on.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | [](03_lift_without_labels) | adaptation is the same loss, on other data | read it first |
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

# %%
from functools import partial

import torch
from IPython.display import Markdown

from posekit.datasets import load_dataset
from posekit.figures import comparison_figure, curve_figure
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss
from posekit.random import generator
from posekit.records import in_words, recorded, report_table, table
from posekit.training import adapt, evaluate, evaluate_poses, fit, lift
from posekit.triangulation import triangulate

# %% tags=["parameters"]
width = 256  # hidden units a layer
epochs = 20  # passes of training over the training set
adapt_epochs = 15  # passes of adaptation over the test set
adapt_learning_rate = 0.0003  # of adaptation, constant
one_steps = 80  # steps of adaptation to a single moment
seed = 0  # of weights and batch order

# %% [markdown]
# ## A lifter for strangers
#
# We train as in the last chapter, on three people.
# The test clips show the same three doing the same things another time.

# %%
train = load_dataset("synthetic", "train")
test = load_dataset("synthetic", "test")
source = generator(seed)
lifter = FrameLifter(15, width, dropout=0.0, generator=source)
fit(
    lifter,
    train.views(),
    label_free_loss,
    epochs=epochs,
    learning_rate=1e-3,
    schedule="one_cycle",
    generator=source,
)
before = evaluate(lifter, test).metrics_mm

# %% [markdown]
# ## Keep training, on the test
#
# The label-free loss asks for 2D poses and calibrated cameras, and for nothing else.
# If the test has those too, training can go on there.
# The report calls this **test-time adaptation** {cite}`jain2022pose`:
# a small learning rate, the lifter in eval mode throughout, every frame of the test set seen again and again.
#
# `adapt` is `fit` on a copy. That is all of it:
#
# ```python
# adapted = copy.deepcopy(lifter)
# curve = fit(adapted, views, loss, switch="both", switch_after=0, ...)
# ```

# %%
weights = {name: w.clone() for name, w in lifter.state_dict().items()}
adapted, curve = adapt(
    lifter,
    test.views(),
    label_free_loss,
    epochs=adapt_epochs,
    learning_rate=adapt_learning_rate,
    generator=generator(seed),
    test=test,
)
after = evaluate(adapted, test).metrics_mm

# %% [markdown]
# The model we started from is untouched. We can use it again for other people.

# %%
for name, weight in lifter.state_dict().items():
    assert torch.equal(weight, weights[name])

# %%
curve_figure(
    {
        "adapted": (
            [0, *curve.epoch],
            [before["report_mpjpe"], *curve.report_mpjpe_mm],
        )
    },
    "epoch of adaptation",
    "report_mpjpe (mm)",
    alt="The error on the test clips falls with every epoch of adaptation to them.",
    log_y=True,
)

# %% [markdown]
# ## What it cost
#
# Compare what each way of lifting was given.
# Plain lifting has one camera's picture and knows nothing of where the camera stands.
# Adaptation has three pictures of every moment, and the three cameras' calibration.
#
# With the same inputs one can also do geometry: [triangulation](06_triangulation) needs no network and no training.

# %%
points = triangulate(test.pixels, test.frame_cameras).points
in_view = test.frame_cameras.world_to_camera(points.float().unsqueeze(1))
geometry = evaluate_poses(in_view, test).metrics_mm
assert geometry["report_mpjpe"] < after["report_mpjpe"] < before["report_mpjpe"]
rows = [
    ["label-free", "1 view", f"{before['report_mpjpe']:.2f}"],
    ["+ adaptation", "3 calibrated views", f"{after['report_mpjpe']:.2f}"],
    [
        "triangulation",
        "3 calibrated views",
        f"{geometry['report_mpjpe']:.2f}",
    ],
]
Markdown(table(["method", "needs at test", "mm, synthetic test clips"], rows))

# %% [markdown]
# So the fair comparison for adaptation is triangulation, and with exact 2D poses triangulation wins.
# Adaptation *is* triangulation, carried out slowly, by a network that has to stay a function of one view.
# It can win where that restraint helps: with few views and noisy 2D poses. [](07_results) shows where.
#
# ## On HumanEva-I
#
# The recorded runs, as published and with our settings, next to the report's Table 1:

# %%
runs = recorded()
theirs = report_table("humaneva")
rows = []
for words, published, plain, tuned in (
    ("as published", True, "label_free-published", "adaptation-published"),
    ("ours", False, "label_free-ours", "adaptation-ours"),
):
    for method, row, printed in (
        ("label-free", plain, theirs["label_free, dropout 0.5->0.0"]),
        ("+ adaptation", tuned, theirs["adaptation"]),
    ):
        records = runs[f"humaneva/{row}"]
        seeds = len(records)
        rows.append(
            [
                method,
                words,
                seeds,
                in_words(records),
                printed if published else "–",
            ]
        )
header = [
    "HumanEva-I",
    "settings",
    "seeds",
    "`report_mpjpe`, mm",
    "Table 1, mm",
]
Markdown(table(header, rows))

# %% [markdown]
# The table's number is real, but it does not mean "a lifter with this error".
# It is the error on the very frames that were adapted to, with views and calibration that a lifter does without.
#
# ## Does it learn people, or these frames?
#
# Adapt to one clip of each person and measure on the clips left out.

# %%
boxing = [clip for clip in test.clips if clip.action == "Box"]
moving = [clip for clip in test.clips if clip.action != "Box"]
seen, held_out = test.select_clips(moving), test.select_clips(boxing)


def adapted_to(views, epochs=adapt_epochs, loss=label_free_loss):
    """A copy of the lifter, adapted as above."""
    settings = dict(epochs=epochs, learning_rate=adapt_learning_rate)
    return adapt(lifter, views, loss, **settings, generator=generator(seed))[0]


elsewhere = adapted_to(seen.views())

# %%
rows = []
for words, part in {
    "walk and jog, adapted to": seen,
    "box, held out": held_out,
}.items():
    mm = [evaluate(m, part).metrics_mm["report_mpjpe"] for m in (lifter, elsewhere)]
    rows.append([words, *(f"{value:.1f}" for value in mm)])
Markdown(table(["synthetic test clips", "before, mm", "after, mm"], rows))

# %% [markdown]
# What was gained on the clips adapted to does not carry over to other movements.
# Adaptation learns these frames.
#
# ## One moment only
#
# The report also adapts to a single example. All the frames are then one frame, seen three times.

# %%
k = test.clips[1].start + 60
one = adapted_to(test.views()[k : k + 1], epochs=one_steps)
moment = slice(k, k + 1)
to_world = test.frame_cameras[moment].camera_to_world
lifted = {
    name: to_world(lift(model, test.screen()[moment]))[0, 0]
    for name, model in {"before": lifter, "after": one}.items()
}

# %%
comparison_figure(test.poses_world[k], lifted, test.skeleton)

# %%
errors = {
    name: (pose - test.poses_world[k]).norm(dim=-1).mean().item() * 1000
    for name, pose in lifted.items()
}
assert errors["after"] < errors["before"]
f"mean joint distance: {errors['before']:.0f} mm before, {errors['after']:.0f} mm after"

# %% [markdown]
# ## What we saw
#
# - A loss without labels works wherever there are views and calibrated cameras, at test as well.
# - Adaptation takes in the test frames themselves. Its error is not the error of a lifter on new frames.
# - With the same inputs triangulation is more exact and takes no training.
#
# ## Exercises
#
# **1.** Adapt with the cameras C1 and C2 only, then measure on C3. Does the third camera gain too?

# %% tags=["hide-cell"]
two, third = test.select_views(["C1", "C2"]), test.select_views(["C3"])
from_two = adapted_to(two.views())
mm = [evaluate(m, third).metrics_mm["report_mpjpe"] for m in (lifter, from_two)]
f"C3, never looked at: {mm[0]:.1f} mm before, {mm[1]:.1f} mm after"

# %% [markdown]
# **2.** What is left of the loss with one camera only?

# %% tags=["hide-cell"]
try:
    adapt(
        lifter,
        third.views(),
        label_free_loss,
        epochs=1,
        generator=generator(seed),
    )
    message = ""
except ValueError as error:
    message = str(error)
assert "two" in message
message

# %% [markdown]
# **3.** Adapt with the published clamp, `partial(label_free_loss, clamp=1.0)`. Where people stand in front of all cameras, does it change anything?

# %% tags=["hide-cell"]
clamped = adapted_to(
    test.views(),
    max(1, adapt_epochs // 4),
    partial(label_free_loss, clamp=1.0),
)
f"with the clamp: {evaluate(clamped, test).metrics_mm['report_mpjpe']:.1f} mm"
