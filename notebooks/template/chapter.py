# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Say with a verb what this chapter does
#
# **What you will do.** One sentence.
#
# **What you will learn**
#
# - one thing per line, each of which returns under "What we saw";
# - two to four things in all.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | another chapter, or a skill | what it is needed for | where to learn it |
#
# **Time.** Minutes to read, minutes to run on two cores. One is about right, and two are the limit.

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

from posekit.datasets import load_dataset
from posekit.figures import pose_figure

torch.set_num_threads(1)  # small networks run fastest on one

# %% tags=["parameters"]
subject = "S1"  # of the embedded dataset: S1, S2 or S3
frame = 40  # which moment, in 1/60 s

# %% [markdown]
# ## Why before how
#
# Say what the next cell is for, then show it.
# A cell has a few lines, about four, and comes after a sentence or two of prose.
# The page opens with what the cell tagged "opening" draws: the figure that the chapter comes to.

# %% tags=["opening"]
dataset = load_dataset("synthetic", "test", subjects=(subject,))
pose = dataset.poses_world[frame]
pose_figure(pose, dataset.skeleton, f"{subject}, frame {frame}")

# %% [markdown]
# A function of posekit is written out where it first appears, and asserted to equal posekit's.


# %%
def lengths(pose):
    parents, children = zip(*dataset.skeleton.bones)
    return (pose[list(children)] - pose[list(parents)]).norm(dim=-1)


torch.testing.assert_close(lengths(pose), dataset.skeleton.bone_lengths(pose))

# %% [markdown]
# A number in the text comes from a cell, never from the keyboard.
# A section that makes a claim ends with an assertion, so that the chapter fails when the claim does.

# %%
height = pose[:, 2].max() - pose[:, 2].min()
assert 1.2 < height < 1.9
f"{height:.2f} m from the lowest joint to the highest"

# %% [markdown]
# ## What we saw
#
# - One line for each line of "What you will learn".
#
# ## Exercises
#
# **1.** A question that one changed line can answer.

# %% tags=["hide-cell"]
lengths(dataset.poses_world[frame + 30]).max()
