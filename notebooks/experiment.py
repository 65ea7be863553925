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

from posekit.experiments import Experiment, notebook_parameters, run
from posekit.figures import curve_figure
from posekit.training import Curve

# %% tags=["parameters"]
dataset: str = "synthetic"  # synthetic, humaneva, human36m
method: str = "label_free"  # supervised, label_free, adaptation, sequence, temporal_convolution, triangulation
parametrisation: str = "sound"  # sound, published
lens: str = "own"  # own (the one the 2D follows), opencv, human36m
cameras: str = "all"  # that training sees, such as "C1+C2"
test_cameras: str = "all"  # that the test uses
stride: int = 1  # take every stride-th frame
noise_px: float = 0.0  # added 2D noise, pixels, training and test
width: int = 256  # hidden units a layer
blocks: int = 2  # residual blocks, or encoder layers
norm: str = "batch"  # batch, layer
dropout: str = "0.0"  # probability, or "0.5->0.0" to switch it off half way
switch: str = "both"  # what "->0.0" switches off: dropout, norm, both
loss_terms: str = "own+cross+consistency"  # of the label-free loss
window: int = 27  # frames a sequence lifter sees; 0 for whole clips
positions: str = "sinusoid"  # how the transformer knows time: sinusoid, none
epochs: int = 30  # passes over the training set
batch_size: int = 128  # a step: moments, poses (supervised) or stretches
learning_rate: float = 0.001  # of Adam; the peak with one_cycle
schedule: str = "one_cycle"  # constant, one_cycle
adapt_epochs: int = 200  # passes of adaptation over the test set
adapt_batch_size: int = 64  # moments a step of adaptation
adapt_learning_rate: float = 0.00004  # of adaptation
triangulation: str = "dlt"  # dlt, midpoint, refined, robust
seed: int = 0  # of initial weights, batch order, dropout and noise
results_dir: str = "results"  # the record goes there, by dataset
name: str = ""  # of the row in the file name; default: method and a digest
models_dir: str = ""  # for lifters and unfinished runs; default: nowhere
device: str = "cpu"  # or "cuda"
threads: int = 0  # CPU threads; 0 leaves it to torch
test_every: int = 1  # epochs between two points of the error curve

# %% [markdown]
# Papermill puts its values in a cell below the one above, and only warns about a name it does not know.
# So all names are checked here, before anything runs.

# %%
options = (
    "results_dir",
    "name",
    "models_dir",
    "device",
    "threads",
    "test_every",
)
experiment = Experiment.parse(notebook_parameters(globals(), *options))
experiment

# %% [markdown]
# One call loads the data, trains, and measures.

# %%
if threads:
    torch.set_num_threads(threads)
record, lifter = run(
    experiment,
    device=device,
    test_every=test_every,
    models_dir=models_dir or None,
)
record.metrics_mm

# %% [markdown]
# The record is written whole or not at all.
# A record of another experiment under the same name is left alone, with an error.

# %%
record.save(results_dir, name)

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
