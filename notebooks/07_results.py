# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Results: what reproduces, and what does not

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
from statistics import mean, stdev

import torch
from IPython.display import Markdown

from posekit.datasets import load_dataset
from posekit.drawing import Layer, Panel, show
from posekit.experiments import Experiment
from posekit.figures import curve_figure
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss, supervised_loss
from posekit.random import generator
from posekit.records import (
    by_seed,
    in_words,
    is_lost,
    mean_and_spread,
    plus_minus,
    recorded,
    report_table,
    table,
)
from posekit.training import Curve, adapt, fit, lift

runs = recorded()
theirs = {name: report_table(name) for name in ("humaneva", "human36m")}
switched = "label_free, dropout 0.5->0.0"


# %% tags=["remove-input"]
def mm(row, dataset="humaneva", metric="report_mpjpe"):
    return mean_and_spread(runs[f"{dataset}/{row}"], metric)[0]


def errors_of(row):
    """Errors on HumanEva-I by seed."""
    records = by_seed(runs[f"humaneva/{row}"])
    return {seed: r.metrics_mm["report_mpjpe"] for seed, r in records.items()}


def against(row, name):
    """The report's number, and the mean of ours."""
    return f"table {theirs['humaneva'][name]}, ours {mm(row):.2f} mm"


def reach(row, name):
    """The report's number, and from where to where ours go."""
    errors = errors_of(row).values()
    ours = f"{min(errors):.0f} to {max(errors):.0f} mm"
    return f"table {theirs['humaneva'][name]}, ours {ours}"


seeds = [
    *runs["humaneva/ablation-width512"],
    *runs["humaneva/ablation-width512-other-seeds"],
]
lost = sum(map(is_lost, seeds))

# %% tags=["remove-input"]
Markdown(f"""
**In plain words.**
On HumanEva-I the rows the report rests on reproduce:
learning with labels ({against("supervised-published", "supervised")})
and without them ({against("label_free-published", switched)}).
So does its sequence model ({against("sequence-published", "sequence")}).
The rows with one dropout to the end are far worse, as the report says, and in our runs worse than it says
(0.0: {reach("label_free-published-dropout0.0", "label_free, dropout 0.0")};
0.5: {reach("label_free-published-dropout0.5", "label_free, dropout 0.5")}):
such a training never comes to rest, so its number is where the last epoch happened to land,
and some of our seeds start worse than the report's did.
Adaptation at test time beats everything with one view
({against("adaptation-published", "adaptation")}), and is still on its way down when it ends.

Three things the numbers do not say.
Learning without labels succeeds or fails with the seed, which decides how many people the untrained network puts behind the camera:
of {len(seeds)} seeds at width 512, {lost} ended with everybody there.
The sequence model cannot tell the order of frames; with that mended it reaches {mm("sequence-ours"):.2f} mm.
And adaptation has the same inputs as triangulation, which needs no learning and is {mm("triangulation"):.3f} mm from the truth.

On Human3.6M we ran every fifth frame for a few epochs only, and those numbers do not test the report's.
Its comparison with the literature does not stand: it mixes protocols, and its metric is not the literature's.
""")

# %% [markdown]
# ## How to read the numbers
#
# `report_mpjpe` is the report's own metric: the root's absolute position counts as one joint among the others, which are relative to the root.
# `mpjpe` is the literature's, relative to the root. The two are never compared here.
# Ours are means over seeds, ± the standard deviation between seeds where there is more than one.
# All use exact 2D poses, projected from the 3D truth, as the report does.
# The names in the last column are files of [records](../book/rerun); every number on this page is read from them.
# `make reproduce` makes them again.
#
# ## Table 1
#
# First with the report's settings: its network, its projection, its lens, its learning rate.
# The seeds are chosen: their untrained networks put most people in front of the camera.
# They are the smallest such seeds and, but for the sequence model, the one that the report's code sets.
# Others may fail altogether; [](../book/what_we_found) shows them.


# %% tags=["hide-input"]
REPORTS_SEED = 982356147  # the one that the report's code sets


def curve_of(row, seed=REPORTS_SEED):
    """Epochs and errors of a row's run."""
    record = by_seed(runs[f"humaneva/{row}"])[seed]
    return Curve(**record.curve).measured()


def link(dataset, row):
    place = "https://github.com/posekit/posekit/blob/main/book/results"
    seeds = [record.experiment["seed"] for record in runs[f"{dataset}/{row}"]]
    files = [f"[{s}]({place}/{dataset}/{row}-seed{s}.json)" for s in seeds]
    return f"`{row}`, seed {', '.join(files)}" if files else "–"


def line(words, dataset, row, test, printed=None):
    records = runs[f"{dataset}/{row}"]
    cells = [in_words(records), in_words(records, "mpjpe")]
    return [words, test, printed or "–", *cells, link(dataset, row)]


header = ["method", "sees at test", "Table 1", "`report_mpjpe`", "`mpjpe`"]
header.append("records")
frame, three = "1 view, 1 frame", "3 views, calibrated"

# %% tags=["hide-input"]
rows = {
    "with 3D labels": ("supervised-published", frame, "supervised"),
    "no labels, dropout 0.0": (
        "label_free-published-dropout0.0",
        frame,
        "label_free, dropout 0.0",
    ),
    "no labels, dropout 0.5": (
        "label_free-published-dropout0.5",
        frame,
        "label_free, dropout 0.5",
    ),
    "no labels, dropout 0.5 → 0.0": ("label_free-published", frame, switched),
    "+ sequence model": (
        "sequence-published",
        "1 view, whole clip",
        "sequence",
    ),
    "+ test-time adaptation": ("adaptation-published", three, "adaptation"),
}
printed = theirs["humaneva"]
lines = [
    line(words, "humaneva", row, test, printed[key])
    for words, (row, test, key) in rows.items()
]
Markdown("**HumanEva-I, as published, mm**\n\n" + table(header, lines))

# %% [markdown]
# Which rows differ by more than 15 percent?

# %% tags=["hide-input"]
off = {
    words: mm(row) / printed[key] - 1
    for words, (row, _, key) in rows.items()
    if abs(mm(row) / printed[key] - 1) > 0.15
}
lines = [[words, f"{share:+.0%}"] for words, share in off.items()]
Markdown(table(["row", "ours over Table 1's"], lines))

# %% [markdown]
# Two things make the first two of these differences. One is the start.
# Untrained, the published network puts some people behind the camera. How many is up to the seed, and they come to the front late or never.
# The other is noise. Without the switch, batch norm goes on to the end, and at a constant learning rate the training never comes to rest:
# the error jumps from epoch to epoch, and a table shows where the last one happened to land.
# Here is where it went in the last third of the epochs, with the seed that the report's code sets,
# and with the smallest seed that puts less than a tenth of the people behind the camera:


# %% tags=["hide-input"]
FRONT = 6


def late(row, seed):
    """Smallest and largest error of the last third of the epochs."""
    epochs, errors = curve_of(row, seed)
    kept = [error for epoch, error in zip(epochs, errors) if epoch > 100]
    return min(kept), max(kept)


unsteady = {
    name: (printed[key], late(row, REPORTS_SEED), late(f"{row}-front", FRONT))
    for name, (row, _, key) in rows.items()
    if "dropout" in name
}
lines = [
    [name, number, *(f"{low:.0f} to {high:.0f}" for low, high in ranges)]
    for name, (number, *ranges) in unsteady.items()
]
columns = [
    "epochs 100 to 150, mm",
    "Table 1",
    f"seed {REPORTS_SEED}",
    f"seed {FRONT}",
]
Markdown(table(columns, lines))

# %% tags=["remove-input"]
within = [low <= n <= high for n, _, (low, high) in unsteady.values()]
Markdown(
    f"From the good start {sum(within)} of the {len(within)} numbers in Table 1 lie within these ranges."
)

# %% [markdown]
# Dropout is not the only noise: freezing batch norm half way calms a training without dropout as well, as the ablations below show.
#
# Adaptation starts from the label-free model and inherits its luck. And it has not arrived when it ends:

# %% tags=["hide-input"]
epochs_done, errors = curve_of("adaptation-published")
at = range(50, 201, 50)
points = [f"{errors[epochs_done.index(epoch)]:.1f}" for epoch in at]
columns = ["epochs of adaptation, report's seed", *map(str, at)]
Markdown(table(columns, [["`report_mpjpe`, mm", *points]]))

# %% [markdown]
# [](../book/what_we_found) goes through the reasons one by one.
#
# Then the same with what we think are sound settings:
# a root depth that is positive by construction, nothing clamped, the lens the data was made with,
# layer norm instead of batch norm, no dropout, and a learning rate that rises and falls once.

# %% tags=["hide-input"]
ours = {
    "with 3D labels": ("supervised-ours", frame),
    "no labels": ("label_free-ours", frame),
    "no labels, half the width": ("label_free-ours-width256", frame),
    "no labels, twice the width": ("label_free-ours-width1024", frame),
    "+ transformer over time": ("sequence-ours", "1 view, 9 frames"),
    "+ convolution over time": (
        "temporal_convolution-ours-width512",
        "1 view, 27 frames",
    ),
    "+ convolution over time, half the width": (
        "temporal_convolution-ours",
        "1 view, 27 frames",
    ),
    "+ test-time adaptation": ("adaptation-ours", three),
    "triangulation, no learning": ("triangulation", three),
    "triangulation, the report's lens": ("triangulation-report-lens", three),
}
lines = [line(words, "humaneva", *row) for words, row in ours.items()]
Markdown("**HumanEva-I, our settings, mm**\n\n" + table(header, lines))

# %% [markdown]
# Human3.6M follows with the report's settings, but every fifth frame only and for fewer epochs, on a machine without a graphics card.

# %% tags=["hide-input"]
theirs36 = theirs["human36m"]
rows36 = {
    "with 3D labels": ("supervised-published-stride5", frame, "supervised"),
    "no labels, dropout 0.5 → 0.0": (
        "label_free-published-stride5",
        frame,
        switched,
    ),
    "no labels, our settings": ("label_free-ours-stride5", frame, None),
    "+ test-time adaptation": (
        "adaptation-published-stride5",
        three,
        "adaptation",
    ),
    "triangulation, no learning": ("triangulation-stride5", three, None),
}


def passes(row):
    """The epochs of a row's records, of adaptation where it adapts."""
    key = "adapt_epochs" if "adaptation" in row else "epochs"
    counts = {r.experiment[key] for r in runs[f"human36m/{row}"]}
    return "–" if "triangulation" in row else ", ".join(map(str, counts))


# %% tags=["hide-input"]
lines = []
for words, (row, test, key) in rows36.items():
    cells = line(words, "human36m", row, test, theirs36.get(key))
    lines.append([*cells[:2], passes(row), *cells[2:]])
Markdown(
    "**Human3.6M, every fifth frame, mm**\n\n"
    + table([*header[:2], "epochs", *header[2:]], lines)
)

# %% [markdown]
# Triangulation has no error at all on Human3.6M: its 2D poses are projections of the truth through the very cameras it is given.
# On HumanEva-I the 2D poses come with the dataset, which puts the cameras to the test.
#
# Any row can be run again. This is the command of the label-free one:

# %% tags=["hide-input"]
experiment = Experiment(**runs["humaneva/label_free-published"][0].experiment)
Markdown(f"```\n{experiment.command_text()}\n```")

# %% [markdown]
# ## Table 2, with the protocols it leaves out
#
# The report sets its numbers beside two published methods.
# Their numbers were measured under other conditions, and on Human3.6M with another metric.

# %% tags=["hide-input"]
ours_were = "exact, none, with root"
lines = [
    f"label-free, 1, 1, {ours_were}, {printed[switched]}, {theirs36[switched]}",
    f"+ adaptation, 3, 1, {ours_were}, {printed['adaptation']}, {theirs36['adaptation']}",
    f"+ sequence, 1, clip, {ours_were}, {printed['sequence']}, –",
    "Strided\N{ZERO WIDTH SPACE}Transformer, 1, many, detected, 3D, root-relative, 12.2, 43.7",
    "TesseTrack, several, many, from images, 3D, root-relative, –, 18.7",
]
columns = ["method", "views", "frames", "2D", "labels", "error"]
columns += ["HumanEva-I", "Human3.6M"]
Markdown("**mm**\n\n" + table(columns, [line.split(", ") for line in lines]))

# %% [markdown]
# The two rows below {cite}`li2022strided,reddy2021tessetrack` learn from 3D labels, and have to cope with 2D poses as a program finds them in pictures.
# No row can be ranked against another. [](../book/related_work) sets methods side by side by what they need.
#
# ## Figure 4
#
# The report's figure 4 shows the test error over the epochs for the three dropout settings. These are our recorded runs from the good start.


# %% tags=["hide-input"]
settings = {
    "dropout 0.0": "label_free-published-dropout0.0-front",
    "dropout 0.5": "label_free-published-dropout0.5-front",
    "dropout 0.5 → 0.0": "label_free-published-front",
}
curve_figure(
    {name: curve_of(row, FRONT) for name, row in settings.items()},
    "epoch",
    "report_mpjpe (mm)",
    alt="Test error on HumanEva-I over 150 epochs for three dropout settings. All fall from more than half a metre; the curve of 0.5 to 0.0 drops at once after half of the epochs and ends lowest.",
    log_y=True,
)

# %% tags=["hide-input"]
figure_4 = report_table("humaneva", "figure_4")
moments = {"before the switch": 75, "after the switch": 80, "at the end": 150}
starts = {
    f"ours, seed {FRONT}": ("label_free-published-front", FRONT),
    "ours, seed 2": ("label_free-published", 2),
    "ours, seed 0": ("label_free-published", 0),
    f"ours, seed {REPORTS_SEED}": ("label_free-published", REPORTS_SEED),
}
lines = [["the report's figure 4", *(f"{figure_4[m]}" for m in moments)]]
for words, start in starts.items():
    errors = dict(zip(*curve_of(*start)))
    lines.append([words, *(f"{errors[e]:.0f}" for e in moments.values())])
columns = [
    "dropout 0.5 → 0.0, mm",
    *(f"{m}, epoch {e}" for m, e in moments.items()),
]
Markdown(table(columns, lines))

# %% [markdown]
# So the report's run began like our good starts. With the seed that its code sets, ours did not:
# the same number need not mean the same network in other code.
#
# ## What the switch does
#
# "0.5 → 0.0" switches two things at once: dropout off, and the batch-norm statistics frozen.
# Runs at width 512 show which of them does the work, and what other parts of the recipe are worth.
# Seeds differ by some millimetres, so each is also compared with the published recipe from the same seed.

# %% tags=["hide-input"]
ablations = {
    "the published recipe at width 512": "ablation-width512",
    "switch dropout off, keep batch norm going": "ablation-switch-dropout",
    "freeze batch norm, keep dropout": "ablation-switch-norm",
    "no switch, dropout to the end": "ablation-dropout0.5",
    "no dropout at all": "ablation-dropout0.0",
    "no dropout, freeze batch norm": "ablation-dropout0.0-switch-norm",
    "no dropout, one-cycle learning rate": "ablation-dropout0.0-one-cycle",
    "without the own-view term": "ablation-without-own",
    "without the cross-view term": "ablation-without-cross",
    "without the consistency term": "ablation-without-consistency",
    "two cameras in training": "ablation-two-views",
    "width 1024": "label_free-published",
    "width 1024, the right lens": "label_free-published-opencv",
}


# %% tags=["hide-input"]
def changes(row):
    """What a change does to the published recipe at width 512, seed by seed."""
    published, changed = map(errors_of, ("ablation-width512", row))
    return [changed[seed] - published[seed] for seed in published]


def change(row):
    """The same, mean ± spread."""
    if row == "ablation-width512" or not row.startswith("ablation"):
        return "–"
    by = changes(row)
    return plus_minus(mean(by), stdev(by), digits=1, sign="+")


# %% tags=["hide-input"]
lines = []
for words, row in ablations.items():
    error = in_words(runs[f"humaneva/{row}"])
    lines.append([words, error, change(row), link("humaneva", row)])
columns = [
    "HumanEva-I, label-free",
    "`report_mpjpe`, mm",
    "change, same seed",
]
Markdown(table([*columns, "records"], lines))

# %% tags=["hide-input"]
base, only_dropout, only_norm, unswitched = (
    mm(f"ablation-{name}")
    for name in ("width512", "switch-dropout", "switch-norm", "dropout0.5")
)
never, frozen = (mm(f"ablation-dropout0.0{name}") for name in ("", "-switch-norm"))
one_cycle = errors_of("ablation-dropout0.0-one-cycle").values()
wide = mm("label_free-published")
Markdown(
    f"Without the switch the recipe ends at {unswitched:.1f} mm. "
    f"Batch norm frozen gives {only_norm:.1f} mm, dropout off {only_dropout:.1f} mm, both {base:.1f} mm. "
    f"Without any dropout, freezing batch norm turns {never:.1f} into {frozen:.1f} mm. "
    f"With a one-cycle schedule instead, the seeds end from {min(one_cycle):.1f} to {max(one_cycle):.1f} mm: "
    "the worst of them left some people behind a camera, as [](../book/what_we_found) tells. "
    f"The report's text says width 512, its code 1024: the table's {printed[switched]} mm compares with "
    f"{base:.1f} mm at 512 and {wide:.1f} mm at 1024. "
    "Without the own-view or the cross-view term every seed ends a few millimetres worse, and with two cameras more than that. "
    "Without the consistency term every seed ends a little better. It asks nothing new: what matches the same picture matches each other."
)

# %% tags=["remove-cell"]
missed = ("without-own", "without-cross", "two-views")
assert all(min(changes(f"ablation-{name}")) > 0 for name in missed)
assert max(changes("ablation-without-consistency")) < 0
assert mean(changes("ablation-two-views")) > max(
    mean(changes(f"ablation-without-{term}")) for term in ("own", "cross")
)

# %% [markdown]
# ## Noise, and the number of views
#
# With exact 2D poses triangulation cannot be beaten. With noisy ones it may be.
# Gaussian noise was added to the 2D poses of training and test alike.

# %% tags=["hide-input"]
pixels = [0, 1, 2, 5, 10]
contestants = {
    "lifter, 1 view": "label_free",
    "adapted, 2 views": "adaptation-2views",
    "adapted, 3 views": "adaptation-3views",
    "triangulation, 2 views": "triangulation-2views",
    "triangulation, 3 views": "triangulation-3views",
}
by_noise = {
    words: (pixels, [mm(f"noise{px}-{row}") for px in pixels])
    for words, row in contestants.items()
}
curve_figure(
    by_noise,
    "2D noise (pixels)",
    "report_mpjpe (mm)",
    alt="Error on HumanEva-I against 2D noise. Triangulation rises in proportion to the noise from zero; the one-view lifter starts higher and rises slowly; adapted lifters lie between.",
)

# %% tags=["hide-input"]
lines = [
    [words, *(f"{value:.1f}" for value in values)]
    for words, (_, values) in by_noise.items()
]
best = {
    px: min(by_noise, key=lambda words: by_noise[words][1][k])
    for k, px in enumerate(pixels)
}
lines.append(["**best**", *best.values()])
Markdown(table(["`report_mpjpe`, mm", *(f"{px} px" for px in pixels)], lines))

# %% [markdown]
# ## See for yourself
#
# The report shows poses from both datasets. Those may not be published.
# Here the same comparison stands on the embedded synthetic people. Whoever has the files sets `dataset` in the parameters and gets theirs.

# %% tags=["parameters"]
dataset = "synthetic"  # of the pictures below: synthetic, or humaneva or human36m where you have the files
stride = 1  # take every stride-th frame; 5 is enough for human36m
epochs = 24  # passes of training over the training set, for the pictures
adapt_epochs = 15  # passes of adaptation over the test set
width = 256  # hidden units a layer
seed = 0  # of weights and batch order

# %%
train = load_dataset(dataset, "train", stride=stride)
test = load_dataset(dataset, "test", stride=stride)
views, joints = train.views(), len(train.skeleton)


def trained(samples, loss, epochs):
    source = generator(seed)
    lifter = FrameLifter(joints, width, dropout=0.0, norm="layer", generator=source)
    settings = dict(learning_rate=1e-3, schedule="one_cycle", generator=source)
    fit(lifter, samples, loss, epochs=epochs, **settings)
    return lifter


baseline = trained(train.labelled_poses(), supervised_loss, max(1, epochs // 3))
without = trained(views, label_free_loss, epochs)
adapted, _ = adapt(
    without,
    test.views(),
    label_free_loss,
    epochs=adapt_epochs,
    learning_rate=3e-4,
    generator=generator(seed),
)


# %% tags=["hide-input"]
def side_by_side(frame, view=0):
    """Input | baseline | ours | ours + adaptation | truth, of one frame."""
    moment = slice(frame, frame + 1)
    screen = test.screen()[moment, view]
    camera = test.frame_cameras[moment][:, view]
    truth = test.poses_world[moment]
    home = truth[:, :1] * torch.tensor([1.0, 1.0, 0.0])
    size = tuple(camera.image_size_px[0].tolist())
    seen = Layer(test.pixels[moment, view], test.skeleton)
    panels = [Panel("input", [seen], image_size=size)]
    lifters = {
        "baseline": baseline,
        "ours": without,
        "ours + adaptation": adapted,
    }
    for name, lifter in lifters.items():
        pose = camera.camera_to_world(lift(lifter, screen))
        panels.append(Panel(name, [Layer(pose - home, test.skeleton)]))
    panels.append(Panel("ground truth", [Layer(truth - home, test.skeleton)]))
    clip = test.clips[test.clip_of_frame[frame]]
    alt = f"{clip.subject}, {clip.action}: the 2D input and four 3D skeletons side by side: with labels, without, adapted, and the truth."
    return show(panels, alt, height=300)


first, last = test.clips[0], test.clips[-1]
side_by_side((first.start + first.stop) // 2)

# %% tags=["hide-input"]
side_by_side((last.start + last.stop) // 2)

# %% [markdown]
# ## What we saw
#
# - The report's two central rows reproduce, the label-free one with luck in the seed that sound settings make unnecessary.
# - Adaptation reproduces too, but geometry does better with the same inputs, as long as the 2D poses are exact.
# - Most of the recipe's odd parts are cures for its own choices; without those it gets simpler and better.
#
# ## Exercise
#
# **1.** Which action is hardest? Each record has errors by action.

# %% tags=["hide-cell"]
record = runs["humaneva/label_free-ours"][0]
lines = [
    [action, f"{errors['report_mpjpe']:.1f}", f"{errors['mpjpe']:.1f}"]
    for action, errors in record.by_action.items()
]
Markdown(table(["action", "`report_mpjpe`, mm", "`mpjpe`, mm"], lines))
