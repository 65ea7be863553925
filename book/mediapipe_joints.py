"""What is in a video: run by `detect.py` in an environment of its own, which has MediaPipe and OpenCV but not posekit.

`look VIDEO` prints its size, frame rate and number of frames as one line of JSON. `find VIDEO` prints one line a frame: x and
y in pixels and visibility, 0 to 1, of MediaPipe's 33 landmarks, or null where nobody was found.
"""

import json
import sys
from collections.abc import Iterator

import cv2


def look(path: str) -> dict[str, float]:
    """Size in pixels, as the video is shown, frames per second, and the frames that can really be read."""
    video = _opened(path)
    frames = 0
    while video.grab():
        frames += 1
    size = [video.get(number) for number in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
    return dict(width=int(size[0]), height=int(size[1]), frame_rate=video.get(cv2.CAP_PROP_FPS), frames=frames)


def find(path: str) -> Iterator[list | None]:
    """The landmarks of the person in each frame, found in that frame alone.

    MediaPipe's own smoothing only knows the past, so that joints would lag behind; posekit smooths later, to both sides.
    The model is the middle one of three, the only one that lies in MediaPipe's wheel.
    """
    from mediapipe.python.solutions.pose import Pose

    video = _opened(path)
    with Pose(static_image_mode=True, model_complexity=1) as pose:
        while True:
            more, image = video.read()
            if not more:
                return
            height, width = image.shape[:2]
            person = pose.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).pose_landmarks
            yield [[p.x * width, p.y * height, p.visibility] for p in person.landmark] if person else None


def _opened(path: str) -> cv2.VideoCapture:
    video = cv2.VideoCapture(path)
    if not video.isOpened():
        sys.exit(f"{path}: not a video that OpenCV can read")
    return video


if __name__ == "__main__":
    task, path = sys.argv[1:]
    for line in [look(path)] if task == "look" else find(path):
        print(json.dumps(line), flush=True)
