"""Controls around the book's figures, for readers who run a chapter with a live kernel.

A page has no kernel: a slider would move and nothing would happen. While the book is being built, an explorer
therefore shows itself as a plain figure and creates no controls at all.
"""

import json
from collections.abc import Callable
from functools import cached_property, lru_cache

import ipywidgets
import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor, nn

from posekit.figures import lifting_figure
from posekit.metrics import mpjpe
from posekit.random import generator
from posekit.sequences import MultiViewDataset
from posekit.training import lift_dataset, quiet

PLOTLY_MIME = "application/vnd.plotly.v1+json"

Method = nn.Module | Callable[[MultiViewDataset], Float[Tensor, "F V J 3"]]
"""A lifter, or a function of a dataset that gives poses in each view's camera frame, metres."""


class LiftExplorer:
    """One moment, lifted as the reader chooses: clip, frame, view, method and 2D noise.

    On the last line of a cell it shows its controls and the figure they redraw; in the built book, only the figure.

    Args:
        dataset: the clips to choose from. A whole clip is lifted at once, so a sequence lifter gets whole windows.
        methods: what to choose from, by the name shown in the menu. A function receives the chosen clip as a dataset.
        seed: of the 2D noise.

    Raises:
        ValueError: if there are no methods.
    """

    def __init__(self, dataset: MultiViewDataset, methods: dict[str, Method], seed: int = 0):
        if not methods:
            raise ValueError("methods must name at least one lifter or function, got none")
        self.dataset, self.methods, self.seed = dataset, methods, seed
        self._lifted = lru_cache(maxsize=16)(self._lift)  # moving through a clip lifts it once

    def figure(
        self, clip: int = 0, frame: int | None = None, view: int = 0, method: str | None = None, noise_px: float = 0.0
    ) -> go.Figure:
        """The figure for one set of choices.

        Args:
            clip: index of the clip.
            frame: within the clip; by default its middle.
            view: index of the camera.
            method: name; by default the first.
            noise_px: typical standard deviation of the 2D joints, pixels.
        """
        method = method or next(iter(self.methods))
        seen, poses_camera = self._lifted(clip, method, noise_px)
        frame = len(seen) // 2 if frame is None else frame
        camera, true = seen.cameras[0, view], seen.poses_world[frame]
        lifted = camera.camera_to_world(poses_camera[frame, view])
        return lifting_figure(
            seen.pixels[frame, view],
            lifted,
            true,
            camera,
            seen.skeleton,
            titles=(f"camera {seen.view_names[view]}", f"{method}, mpjpe {1000 * mpjpe(lifted, true):.0f} mm"),
        )

    def _lift(self, clip: int, method: str, noise_px: float) -> tuple[MultiViewDataset, Tensor]:
        """The clip as a detector would see it, and its poses by a method."""
        seen = self.dataset.select_clips([self.dataset.clips[clip]])
        seen = seen.with_detector_noise(noise_px, 0.0, generator(self.seed))
        chosen = self.methods[method]
        return seen, lift_dataset(chosen, seen) if isinstance(chosen, nn.Module) else chosen(seen)

    @cached_property
    def controls(self) -> dict[str, ipywidgets.ValueWidget]:
        """The menus and sliders, by the name of the argument of `figure` that each sets."""
        clips = [(f"{clip.subject}, {clip.name}", index) for index, clip in enumerate(self.dataset.clips)]
        views = [(name, index) for index, name in enumerate(self.dataset.view_names)]
        last = len(self.dataset.clips[0]) - 1
        controls = dict(
            clip=ipywidgets.Dropdown(options=clips, description="clip"),
            frame=ipywidgets.IntSlider(value=(last + 1) // 2, max=last, description="frame"),
            view=ipywidgets.Dropdown(options=views, description="view"),
            method=ipywidgets.Dropdown(options=list(self.methods), description="method"),
            noise_px=ipywidgets.FloatSlider(max=20.0, step=0.5, description="noise, px"),
        )
        for control in controls.values():
            control.observe(self._redraw, names="value")
        return controls

    @cached_property
    def drawn(self) -> go.FigureWidget:
        """The figure that the controls redraw."""
        return go.FigureWidget(self._chosen())

    def _chosen(self) -> go.Figure:
        return self.figure(**{name: control.value for name, control in self.controls.items()})

    def _redraw(self, change) -> None:
        """Move the lines of the existing figure, so that the reader's viewpoint is kept."""
        self.controls["frame"].max = len(self.dataset.clips[self.controls["clip"].value]) - 1
        new = self._chosen()
        with self.drawn.batch_update():
            for trace, moved in zip(self.drawn.data, new.data):
                trace.update({axis: moved[axis] for axis in ("x", "y", "z") if axis in moved})
            self.drawn.update_layout({key: new.layout[key] for key in ("annotations", "xaxis", "yaxis")})

    @cached_property
    def live(self) -> ipywidgets.VBox:
        """Controls and figure, one above the other."""
        row = ipywidgets.HBox(list(self.controls.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        return ipywidgets.VBox([row, self.drawn])

    def _repr_mimebundle_(self, **options) -> dict:
        if quiet():
            return {PLOTLY_MIME: json.loads(self.figure().to_json())}
        return self.live._repr_mimebundle_(**options)
