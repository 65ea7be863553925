# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Run one row of the table
#
# Every recorded number of this book comes from this notebook.
# It trains and measures one row, and writes one **record**: a small JSON file with the settings, the errors,
# the data, and which code on which machine made it.
#
# Here it runs with its default values, a short label-free training on the embedded synthetic people.
# For anything else, give papermill the values that differ, from the project's folder:
#
# ```
# papermill notebooks/experiment.ipynb out.ipynb -k python3 -p method supervised -p seed 1
# ```

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

from posekit.experiments import run
from posekit.figures import curve_figure
from posekit.records import place_for
from posekit.settings import Experiment, notebook_options, notebook_parameters
from posekit.training import Curve

# %% tags=["parameters"]
# the run
method: str = "label_free"  # which row of the table [supervised, label_free, adaptation, sequence, temporal_convolution, scenes, triangulation]
parametrisation: str = "sound"  # the preset of root, clamp and feedforward [sound, published]; not for scenes, triangulation
seed: int = 0  # of initial weights, batch order, dropout and 2D noise

# which poses, and who sees them
dataset: str = "synthetic"  # which poses [synthetic, humaneva, human36m, human36m_detected]
lens: str = "own"  # lens model of the cameras; own is the one the 2D follows [own, opencv, human36m]
cameras_from: str = "given"  # extrinsics in training: the dataset's, found from its people, or learned; see `calibration.recordings` [given, people, learned]; not for adaptation, triangulation
start_off_deg: float = 10.0  # by which cameras that are learned begin turned about the people; not for adaptation, triangulation
scale_from: str = "leg"  # what sizes found cameras: each person's own legs, or 1.7 m of stature for everybody [leg, stature]; not for adaptation, triangulation
cameras: str = "all"  # that training sees, joined by "+"; adaptation adapts to test_cameras; not for triangulation
test_cameras: str = "all"  # that the test uses, joined by "+"
subjects: str = "all"  # people that training sees, joined by "+"; not for triangulation
test_subjects: str = "all"  # people that the test uses, joined by "+"
training_share: float = 1.0  # of each person's frames of an action, the first ones, that training sees; not for triangulation
test_seen_by: str = "own"  # the test's cameras, or changed ones, for which its 2D is drawn; see `seen_by` [own, higher, nearer, half_focal]
floors: str = "given"  # each person's training floor, or all brought to one height; see `levelled` [given, levelled]; only for scenes
stride: int = 1  # take every stride-th frame
noise_px: float = 0.0  # typical added 2D noise, training and test; a joint's own is 0.5 to 1.5 times that
noise_correlation: float = 0.0  # frames over which it is correlated; see `detector.Detector`
missing: float = 0.0  # share of 2D joints that are not found
missing_run: float = 0.0  # mean frames of a run of these, or of swapped sides
swapped: float = 0.0  # share of frames in which a view's left and right are exchanged
test_noise: str = "same"  # of the test, if not as in training: "exact", or like "noise_px=5+missing=0.1"
smooth_3d: float = 0.0  # frames over which the test's lifted poses are smoothed; 0 for none; not for triangulation
offsets_from: str = "none"  # training people, "all" or joined by "+", whose labels tell the joint offsets that poses are corrected by
measured_against: str = "labels"  # or the poses that the test's own views triangulate as well, as `triangulated_mpjpe` [labels, labels+views]
measured_cameras: str = "all"  # of the test, whose poses are measured, joined by "+"
measured_on: str = "test"  # the test set, or a quarter held out of the training clips, to choose settings on [test, validation]

# what the lifter sees
needs: str = "level"  # of the camera: nothing, intrinsics, or tilt and height as well [screen, rays, level]; only for scenes
frames: int = 1  # of a window that a lifter of scenes sees; only for scenes
smooth_2d: float = 0.0  # frames over which the 2D is smoothed for a lifter of scenes that sees one; 0 for none; only for scenes
window: int = 27  # frames a sequence lifter sees; 0 for whole clips; only for sequence, temporal_convolution

# what it learns from
teacher: str = "preset"  # whose poses are the targets; preset: labels if supervised, triangulation for scenes [preset, triangulation, labels]; only for supervised, scenes
targets: str = "frames"  # triangulated frame by frame, or as smooth tracks with constant bones; see `tracked` [frames, tracks]; only for supervised, scenes
smooth_targets: float = 0.0  # frames over which triangulated targets are smoothed, for noisy 2D; 0 for none; only for supervised, scenes
loss_terms: str = "own+cross+consistency"  # terms of the label-free loss; only for label_free, adaptation, sequence, temporal_convolution
loss_weights: str = "alike"  # of the 2D joints in the label-free loss [alike, confidence]; only for label_free, adaptation, sequence, temporal_convolution
loss_reach: float = 0.0  # screen units beyond which a distance in the label-free loss counts less; 0 for never; only for label_free, adaptation, sequence, temporal_convolution
clamp: str = "preset"  # whether projected x / z and y / z are cut to -1..1 [preset, on, off]; only for label_free, adaptation, sequence, temporal_convolution
triangulation: str = "dlt"  # which triangulation [dlt, midpoint, refined, robust]; only for triangulation

# how scenes are put together
place: str = "anywhere"  # where people stand, and which way they face [anywhere, recorded]; only for scenes
mirror: float = 0.5  # share of mirror images; only for scenes
arms: float = 0.25  # share of arms of another frame; only for scenes
upper: float = 0.25  # share of upper bodies of another frame; only for scenes
jitter: float = 0.25  # share of poses with jittered bone directions; only for scenes
body_scale: float = 0.0  # typical change of a whole body's size; only for scenes
bone_scale: float = 0.0  # typical change of each bone's length; only for scenes
heads: float = 0.0  # share of heads below the thorax, as HumanEva-I's S3 has; only for scenes
balance: float = 0.7  # how evenly people and actions are drawn, 0 to 1; only for scenes
scene_cameras: str = "real"  # who sees the scenes [real, moved, drawn]; only for scenes
scene_noise: str = "same"  # their 2D's: as that of the data, of many detectors about noise_px, or the data's own errors [same, mixed, recorded]; only for scenes

# the lifter
width: int = 256  # hidden units per layer; not for triangulation
blocks: int = 2  # residual blocks, or encoder layers; not for temporal_convolution, triangulation
norm: str = "batch"  # normalisation layers [batch, layer]; not for scenes, triangulation
dropout: str = "0.0"  # probability, or "0.5->0.0" to switch it off half way; not for scenes, triangulation
root: str = "preset"  # how the root's depth is read [preset, positive, free]; not for scenes, triangulation
start_weights: str = "preset"  # of the last layer; preset: zero with a positive root, random with a free one [preset, zero, random]; only for supervised, label_free, adaptation
start_distance: float = 0.0  # metres in front of the camera at which people are put before training; 0 for the preset; only for supervised, label_free, adaptation
positions: str = "sinusoid"  # how the transformer knows time [sinusoid, none]; only for sequence
feedforward: int = 0  # hidden units of an encoder layer; 0 for the preset; only for sequence
output: str = "preset"  # depths along the rays, where rays are known, or anywhere [preset, depths, free]; only for scenes
mirrored: str = "preset"  # whether the test averages with the mirror image: where rays are known [preset, on, off]; only for scenes

# how it is trained
epochs: int = 30  # passes over the training set; not for triangulation
batch_size: int = 128  # samples per step: moments, poses, scenes or windows, by method; not for triangulation
learning_rate: float = 0.001  # the peak with one_cycle; not for triangulation
optimizer: str = "adam"  # see `training.fit` [adam, adamw]; not for triangulation
average: float = 0.0  # decay of the moving average of the weights that is kept; 0 for none; not for triangulation
precision: str = "float32"  # of the hidden layers in training [float32, bfloat16]; only for scenes
schedule: str = "one_cycle"  # of the learning rate [constant, one_cycle]; not for triangulation
switch: str = "both"  # what "->0.0" switches off: dropout, batch-norm statistics, or both [both, dropout, norm]; not for scenes, triangulation

# test-time adaptation
adapt_epochs: int = 200  # passes of adaptation over the test set; only for adaptation
adapt_batch_size: int = 64  # moments per step of adaptation; only for adaptation
adapt_learning_rate: float = 4e-05  # of adaptation, constant; only for adaptation

# how and where this notebook runs
results_dir: str = "results"  # the record goes there, by dataset
name: str = ""  # of the row in the file name; default: method and a digest
models_dir: str = ""  # for lifters and unfinished runs; default: nowhere
device: str = "cpu"  # or "cuda"
threads: int = 1  # CPU threads; 0 leaves it to torch
test_every: int = 1  # epochs between two points of the error curve

# %% [markdown]
# Papermill puts its values in a cell below the one above, and only warns about a name it does not know.
# So all names and values are checked here, before anything runs: a misspelt one stops the run, and so does a
# parameter that does not count for the chosen method.
# A record of another experiment under the same name stops it, too, and is left alone.

# %%
experiment = Experiment.parse(notebook_parameters(globals()))
options = notebook_options(globals())
place_for(experiment, options.results_dir, options.name)
experiment

# %% [markdown]
# One call loads the data, trains, and measures.

# %%
if options.threads:
    torch.set_num_threads(options.threads)
record, lifter = run(
    experiment,
    device=options.device,
    test_every=options.test_every,
    models_dir=options.models_dir or None,
)
record.metrics_mm

# %% [markdown]
# The record is written atomically.

# %%
record.save(options.results_dir, options.name)

# %% [markdown]
# How the error went, if anything was trained:

# %%
curve_figure(
    {"test error": Curve(**record.curve).measured()},
    "epoch",
    "report_mpjpe (mm)",
    alt="The test error of this run in millimetres over the epochs of training.",
    log_y=True,
)
