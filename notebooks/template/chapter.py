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
# - one thing a line, and each comes back under "What we saw";
# - two to four of them.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | another chapter, or a skill | what it is needed for | where to get it |
#
# **Time.** Minutes to read, minutes to run on two cores. A minute is right, two are the most.

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

from posekit.datasets import load_dataset
from posekit.figures import pose_figure

# %% tags=["parameters"]
subject = "S1"  # of the embedded dataset: S1, S2 or S3
frame = 40  # which moment, in 1/60 s

# %% [markdown]
# ## Why before how
#
# Say what the next cell is for, then show it.
# A cell has a few lines, and a Markdown cell stands before it.

# %%
dataset = load_dataset("synthetic", "test", subjects=(subject,))
pose = dataset.poses_world[frame]
pose_figure(pose, dataset.skeleton, f"{subject}, frame {frame}")

# %% [markdown]
# A function that posekit has is written out where it is first met, and asserted to equal posekit's.


# %%
def lengths(pose):
    return [
        (pose[child] - pose[parent]).norm() for parent, child in dataset.skeleton.bones
    ]


torch.testing.assert_close(
    torch.stack(lengths(pose)), dataset.skeleton.bone_lengths(pose)
)

# %% [markdown]
# A number reaches the text from a cell, never from the keyboard.
# A section that claims something ends with an assertion, so that the chapter fails when the claim does.

# %%
height = pose[:, 2].max() - pose[:, 2].min()
assert 1.2 < height < 1.9
f"{height:.2f} m from the lowest joint to the head's"

# %% [markdown]
# ## What we saw
#
# - One line for each line of "What you will learn".
#
# ## Exercises
#
# **1.** A question that one changed line can answer.

# %% tags=["hide-cell"]
torch.stack(lengths(dataset.poses_world[frame + 30])).max()
