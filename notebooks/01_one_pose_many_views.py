# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # See one pose through many cameras
#
# **What you will do.** Take one moment of one person and follow their joints into three cameras, one formula at a time.
#
# **What you will learn**
#
# - what a pose is in this book: joints, bones, sides, metres;
# - how a camera turns a 3D point into a pixel: rotate and translate, divide by depth, bend through the lens, scale;
# - why one picture cannot tell how far away a person is, and why a second picture can.
#
# **What you need**
#
# | You should know | because | if not |
# | --- | --- | --- |
# | arrays and indexing in Python | poses are arrays | the [NumPy beginner's guide](https://numpy.org/doc/stable/user/absolute_beginners.html) |
# | rotation matrices | every camera has one | any first course in linear algebra |
#
# **Time.** 15 minutes to read, seconds to run.

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

from posekit.cameras import distort
from posekit.datasets import load_dataset
from posekit.figures import pose_figure, scene_figure, views_figure
from posekit.sliders import scaled_from, sizes_figure

# %% [markdown]
# The next cell holds everything you may want to change.
# Choose another person, action or moment and run the notebook again.

# %% tags=["parameters"]
subject = "S2"  # of the embedded dataset: S1 (1.64 m tall), S2 (1.75 m), S3 (1.86 m)
action = "Walking"  # Walking, Jog or Box
frame = 40  # which moment, in 1/60 s
seconds = 2.0  # length of the animation

# %% [markdown]
# ## A pose is a handful of points
#
# The book comes with a small dataset of synthetic people, so that every page runs without a download.
# They move in the room where a real dataset, HumanEva-I {cite}`sigal2010humaneva`, was recorded, and its three real cameras see them.

# %%
dataset = load_dataset("synthetic", "test", subjects=(subject,), actions=(action,))
skeleton = dataset.skeleton
pose = dataset.poses_world[frame]
pose.shape

# %% [markdown]
# Fifteen joints with three coordinates each, in metres.
# A `Skeleton` knows the names of the joints and how the bones connect them.

# %%
joints = skeleton.joints
[f"{joints[parent]} – {joints[child]}" for parent, child in skeleton.bones[:5]]

# %% [markdown]
# Drag the figure ({numref}`fig-pose`) to walk around the person.
# Throughout the book left is blue and right is orange, and one square of the floor is half a metre wide, in a whole room a metre.

# %% tags=["fig-pose"]
pose_figure(pose, skeleton, f"{subject}, {action.lower()}")

# %% [markdown]
# Joint 0, the pelvis, is the **root**: it stands for where the person is.
# The other joints, taken relative to it, say how the person is holding themselves.

# %%
root = pose[0]
relative = pose - root
relative[skeleton.index("head")]

# %% [markdown]
# These numbers are **world coordinates**: the z axis points up, and the origin lies on the floor in the middle of the room.
# The head should therefore be above the pelvis, and no joint below the floor.

# %%
assert relative[skeleton.index("head"), 2] > 0.5
assert (pose[:, 2] > 0).all()

# %% [markdown]
# ## A camera has a place and a direction
#
# Three cameras are watching. Here they are, together with what each of them sees ({numref}`fig-room`).

# %% tags=["fig-room"]
cameras = dataset.cameras[0]  # those of the first clip
seen = dataset.pixels[frame]
scene_figure(pose, cameras, dataset.view_names, skeleton, pixels=seen)

# %% [markdown]
# Every camera has coordinates of its own: x to the right, y down, and z forward along its line of sight.
# The rotation $R$ and the translation $t$ take a point from world coordinates to camera coordinates:
#
# $$
# x_{\text{camera}} = R \, x_{\text{world}} + t .
# $$
#
# Together they are the camera's **extrinsics**. In code, for one camera:


# %%
def world_to_camera(points, R, t):
    return points @ R.T + t


C1 = cameras[0]
in_C1 = world_to_camera(pose, C1.R_world_to_camera, C1.t_world_to_camera)
in_C1[0]

# %% [markdown]
# The third number is the **depth**: how many metres in front of the camera the pelvis is.
# `posekit` has the same function for any number of cameras at once.

# %%
in_all = cameras.world_to_camera(pose)
torch.testing.assert_close(in_all[0], in_C1)
in_all.shape

# %% [markdown]
# The axes are `(views, joints, xyz)`, part of the order that the whole book uses: `(frames, views, joints, xyz)`.
#
# ## Projection, step by step
#
# **Divide by depth.** A pinhole camera sees a point in the direction $(x / z, y / z)$.
# That is all there is to perspective: what is twice as far away looks half as large.

# %%
rays = in_C1[:, :2] / in_C1[:, 2:]
rays[0]

# %% [markdown]
# **Bend through the lens.** A real lens moves points a little, and more so towards the edge of the image.
# The usual model {cite}`brown1971close` has a radial part ($k_1, k_2, k_3$) and a tangential part ($p_1, p_2$);
# with $r^2 = x^2 + y^2$,
#
# $$
# \begin{aligned}
# x' &= x \, (1 + k_1 r^2 + k_2 r^4 + k_3 r^6) + 2 p_1 x y + p_2 (r^2 + 2 x^2), \\
# y' &= y \, (1 + k_1 r^2 + k_2 r^4 + k_3 r^6) + p_1 (r^2 + 2 y^2) + 2 p_2 x y .
# \end{aligned}
# $$


# %%
def bend(rays, radial, tangential):
    (k1, k2, k3), (p1, p2) = radial, tangential
    x, y = rays.unbind(-1)
    r2 = x**2 + y**2
    gain = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    bent_x = x * gain + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    bent_y = y * gain + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return torch.stack([bent_x, bent_y], dim=-1)


# %% [markdown]
# It equals posekit's `distort`, which lets the lens bend no further once a ray is far outside the picture ([](../book/conventions)).

# %%
bent = bend(rays, C1.radial, C1.tangential)
torch.testing.assert_close(bent, distort(rays, C1.radial, C1.tangential))

# %% [markdown]
# How much does it matter? In pixels:

# %%
shift_px = ((bent - rays) * C1.focal_px).norm(dim=-1)
f"the lens moves a joint by {shift_px.min():.1f} to {shift_px.max():.1f} pixels"

# %% [markdown]
# **Scale to pixels.** The focal lengths $f_x, f_y$ say how many pixels one unit of direction covers,
# and the principal point $c_x, c_y$ is where the line of sight meets the image.
# These and the lens are the camera's **intrinsics**.

# %%
pixels = bent * C1.focal_px + C1.center_px
torch.testing.assert_close(pixels, C1.camera_to_pixels(in_C1))
pixels[0]

# %% [markdown]
# They are exactly the pixels that the dataset holds for this moment and this camera:

# %%
torch.testing.assert_close(pixels, dataset.pixels[frame, 0])

# %% [markdown]
# **Scale for the network.** A network should not depend on how many pixels an image has.
# It sees **screen coordinates** instead: x runs from −1 to 1 over the width of the image, and y has the same scale.

# %%
width, height = C1.image_size_px
x, y = pixels.unbind(-1)
screen = torch.stack([2 * x / width - 1, (2 * y - height) / width], dim=-1)
torch.testing.assert_close(screen, C1.pixels_to_screen(pixels))
screen[0]

# %% [markdown]
# All of this in one call, for all cameras ({numref}`fig-pictures`):

# %% tags=["fig-pictures"]
views_figure(cameras.world_to_pixels(pose), cameras, dataset.view_names, skeleton)

# %% [markdown]
# ## One picture cannot tell depth
#
# Now to the question of this book: can we go back from the pixels to the pose?
# Make the person one fifth larger, and move them one fifth further away from camera C1.

# %%
giant = C1.camera_to_world(1.2 * in_C1)

# %% [markdown]
# The figure ({numref}`fig-giant`) has this giant in colour and the person as before in grey, both on the rays that reach C1.
# With its slider the person shrinks and comes nearer, to 0.8 of size and distance, or grows and moves away, to 1.3.

# %% tags=["fig-giant"]
sizes = [twentieths / 20 for twentieths in range(16, 27)]
names, start = dataset.view_names, sizes.index(1.2)
sizes_figure(pose, cameras, names, skeleton, sizes, start=start)

# %% [markdown]
# Camera C1 sees exactly what it saw before, for size and distance cancel in the division by depth.
# The other two cameras see somebody else, somewhere else.

# %%
moved_px = cameras.world_to_pixels(giant) - cameras.world_to_pixels(pose)
moved_px = moved_px.norm(dim=-1).mean(dim=-1)
{name: f"{px:.1f} px" for name, px in zip(dataset.view_names, moved_px.tolist())}

# %% [markdown]
# For C1 the difference is nothing but rounding, and for the others it is large:

# %%
assert moved_px[0] < 0.01
assert (moved_px[1:] > 10).all()

# %% [markdown]
# It is so at every size of the slider:

# %%
resized = scaled_from(C1, pose, torch.tensor(sizes))
torch.testing.assert_close(resized[start], giant)
all_px = cameras.world_to_pixels(resized.unsqueeze(1)) - cameras.world_to_pixels(pose)
all_px = all_px.norm(dim=-1).mean(dim=-1)
assert all_px[:, 0].max() < 0.01
{name: f"up to {px:.1f} px" for name, px in zip(names, all_px.amax(dim=0).tolist())}

# %% [markdown]
# This is the whole idea of learning without labels.
# Whoever guesses a 3D pose from C1's picture can be checked by C2 and C3, and nobody has to know the true pose.
#
# ## The same, moving
#
# This is the beginning of the clip, in the room and in all three pictures ({numref}`fig-moving`).

# %% tags=["opening", "fig-moving"]
clip = dataset.clips[0]
stop = min(clip.start + int(seconds * dataset.frame_rate), clip.stop)
beginning = slice(clip.start, stop)
moving, seen = dataset.poses_world[beginning], dataset.pixels[beginning]
shown = dict(frame_rate=dataset.frame_rate, pixels=seen)
scene_figure(moving, cameras, dataset.view_names, skeleton, **shown)

# %% [markdown]
# ## What we saw
#
# - A pose is fifteen points in metres. The root says where the person is, the other joints say how they hold themselves.
# - A camera rotates and translates, divides by depth, bends and scales; each step is a line or a few of code and equals posekit's.
# - Depth is lost in the division. A second camera recovers it.
#
# ## Exercises
#
# **1.** Where do the cameras stand, and how far are they from the pelvis?
# Use `cameras.centers_world`.

# %% tags=["hide-cell"]
places = cameras.centers_world
distances = (places - pose[0]).norm(dim=-1)
assert (distances > 2).all()
measured = zip(dataset.view_names, distances, places[:, 2])
[f"{name}: {d:.2f} m away, {z:.2f} m high" for name, d, z in measured]

# %% [markdown]
# **2.** The published code used another lens formula, Human3.6M's, for these cameras.
# How many pixels does that cost? Load the dataset with `lens="human36m"` and project again.

# %% tags=["hide-cell"]
wrong = load_dataset("synthetic", "test", subjects=(subject,), lens="human36m").cameras[
    0
]
error_px = wrong.world_to_pixels(pose) - cameras.world_to_pixels(pose)
error_px = error_px.norm(dim=-1)
assert 0.05 < error_px.mean() < 2
f"{error_px.mean():.2f} px on average, {error_px.max():.2f} px at most"

# %% [markdown]
# **3.** Undo the projection: recover the 3D pose from C1's pixels and the true depths.
# `Cameras.pixels_to_rays` gives the point at depth 1 on each pixel's ray.

# %% tags=["hide-cell"]
back = C1.camera_to_world(C1.pixels_to_rays(pixels) * in_C1[:, 2:])
torch.testing.assert_close(back, pose, atol=1e-4, rtol=0)
