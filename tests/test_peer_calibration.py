"""The benchmark beside a peer gives both the same, in the peer's own terms; without the peer it says so."""

import sys

import peer_calibration
import pytest
import torch

from posekit.datasets import load_dataset


@pytest.fixture(scope="module")
def seen():
    return peer_calibration.exact_joints(load_dataset("synthetic", "train", subjects=("S2",)))


def test_intrinsics_in_opencvs_form_draw_the_same_picture(seen):
    pixels, true = seen
    camera = true[1]
    given = peer_calibration.as_peer(camera)
    k1, k2, p1, p2, k3 = given["dist"]
    x, y = torch.tensor([0.21, -0.34], dtype=torch.float64)
    r2 = x**2 + y**2
    gain = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    bent = torch.stack(
        [
            x * gain + 2 * p1 * x * y + p2 * (r2 + 2 * x**2),
            y * gain + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y,
            torch.ones(()).double(),
        ]
    )
    drawn = (torch.as_tensor(given["matrix"]) @ bent)[:2]
    expected = camera.camera_to_pixels(torch.stack([x, y, torch.ones(()).double()])[None])[0]
    torch.testing.assert_close(drawn, expected)
    assert pixels.shape == (200, 3, 15, 2)


def test_a_way_that_fails_is_recorded_with_its_reason(seen):
    pixels, true = seen

    def fails(pixels, cameras, seed):
        assert torch.equal(cameras.t_world_to_camera, torch.zeros(3, 3))
        raise ValueError("only cameras [0] were found")

    assert peer_calibration.timed(fails, pixels, true, 0) == {"failed": "only cameras [0] were found"}
    run = peer_calibration.timed(lambda pixels, cameras, seed: true, pixels, true, 0)
    assert run["rotation_deg"] < 1e-3


def test_without_the_peer_it_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["peer_calibration.py", "--out", str(tmp_path / "peer.json")])
    monkeypatch.setattr(peer_calibration, "PEER", "no-such-peer")
    peer_calibration.main()
    assert "no-such-peer left out" in capsys.readouterr().out
    assert not (tmp_path / "peer.json").exists()
