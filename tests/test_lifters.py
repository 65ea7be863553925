import pytest
import torch
from safetensors.torch import save_file

from posekit.lifters import FrameLifter, SequenceLifter, TemporalConvLifter, fill_missing, load_lifter, save_lifter
from posekit.random import generator


def lifter(**options):
    return FrameLifter(15, **dict(width=32, generator=generator(0)) | options)


def published_twin(width, joints):
    """The report's figure 2, put together by hand."""
    from torch import nn

    def layer(inputs):
        return [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.5)]

    return nn.ModuleList(
        [
            nn.Sequential(*layer(2 * joints)),
            nn.Sequential(*layer(width), *layer(width)),
            nn.Sequential(*layer(width), *layer(width)),
            nn.Linear(width, 3 * joints),
        ]
    )


def test_published_is_the_reports_network(source):
    ours = lifter(root="free", dropout=0.5).eval()
    inner, first, second, outer = published_twin(32, 15).eval()
    theirs = [*inner.parameters(), *first.parameters(), *second.parameters(), *outer.parameters()]
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs]
    with torch.no_grad():
        for target, value in zip(theirs, ours.parameters()):
            target.copy_(value)
        screen = torch.rand(6, 15, 2, generator=source) - 0.5
        hidden = inner(screen.flatten(1))
        hidden = hidden + first(hidden)
        anchored = outer(hidden + second(hidden)).unflatten(1, (15, 3))
        anchored[:, 1:] += anchored[:, :1]
        torch.testing.assert_close(ours(screen), anchored)


def test_the_published_seed_gives_torchs_own_weights():
    ours = FrameLifter(15, width=32, root="free", generator=generator(982356147))
    with torch.random.fork_rng():
        torch.manual_seed(982356147)
        theirs = published_twin(32, 15)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))


@pytest.mark.parametrize("batch", [(), (5,), (2, 3), (2, 3, 4)])
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_any_leading_axes(batch, norm, source):
    screen = torch.rand(*batch, 15, 2, generator=source)
    poses = lifter(norm=norm).eval()(screen)
    assert poses.shape == (*batch, 15, 3)
    alone = lifter(norm=norm).eval()(screen.reshape(-1, 15, 2))
    torch.testing.assert_close(poses.reshape(-1, 15, 3), alone)


def test_a_positive_root_is_in_front_whatever_the_weights(source):
    ours = lifter(scene_distance=3.0)
    screen = torch.rand(50, 15, 2, generator=source)
    start = ours(screen)
    torch.testing.assert_close(start, torch.tensor([0.0, 0.0, 3.0]).expand_as(start))
    with torch.no_grad():
        ours.outer.linear.weight.normal_(generator=source)
    assert (ours(screen)[:, 0, 2] > 0).all()


def test_where_people_start_does_not_depend_on_how_the_root_is_read(source):
    screen = torch.rand(50, 15, 2, generator=source)
    for root in ("free", "positive"):
        start = lifter(root=root, start_weights="zero", start_distance=40.0)(screen)
        torch.testing.assert_close(start, torch.tensor([0.0, 0.0, 40.0]).expand_as(start))
    free, moved = (lifter(root="free", start_distance=metres).eval()(screen) for metres in (0.0, 4.0))
    torch.testing.assert_close(moved, free + torch.tensor([0.0, 0.0, 4.0]))
    scattered = lifter(start_weights="random", start_distance=40.0).eval()(screen)[:, 0, 2]
    assert (scattered > 20).all()
    assert scattered.std() > 0.1


def test_the_start_is_no_other_draw_of_weights():
    """So that runs from one seed differ in their start alone."""
    ours, moved = (dict(lifter(root=root, start_weights="random").named_parameters()) for root in ("free", "positive"))
    assert all(torch.equal(ours[name], moved[name]) for name in ours)
    assert all(torch.equal(a, b) for a, b in zip(lifter().parameters(), lifter(start_weights="zero").parameters()))


def test_missing_joints_enter_at_the_centroid_and_none_at_all_stays_missing(source):
    screen = torch.rand(4, 15, 2, generator=source)
    screen[0, 3] = torch.nan
    screen[1] = torch.nan
    filled = fill_missing(screen)
    torch.testing.assert_close(filled[0, 3], screen[0, [j for j in range(15) if j != 3]].mean(0))
    torch.testing.assert_close(filled[2:], screen[2:])
    poses = lifter().eval()(screen)
    assert poses[1].isnan().all()
    assert poses[[0, 2, 3]].isfinite().all()


def test_a_missing_pose_does_not_poison_the_gradient(source):
    screen = torch.rand(4, 15, 2, generator=source)
    screen[1] = torch.nan
    ours = lifter()
    ours(screen)[[0, 2, 3]].sum().backward()
    assert all(p.grad.isfinite().all() for p in ours.parameters())


def test_the_same_generator_seed_gives_the_same_weights_and_leaves_torch_alone():
    before = torch.random.get_rng_state()
    first, second, other = lifter(), lifter(), lifter(generator=generator(1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
    assert not torch.equal(first.inner[0].weight, other.inner[0].weight)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match=r"norm must be one of \('batch', 'layer'\)"):
        lifter(norm="group")
    with pytest.raises(ValueError, match=r"root must be one of \('positive', 'free'\)"):
        lifter(root="negative")
    with pytest.raises(ValueError, match=r"start_weights must be one of .* got 'preset' and -1.0"):
        lifter(start_distance=-1.0)


def test_another_skeleton_is_refused(source):
    for ours in (lifter(), sequence(), temporal()):
        with pytest.raises(ValueError, match="takes poses of 15 joints, got 17"):
            ours(torch.rand(2, 5, 1, 17, 2, generator=source))


def sequence(**options):
    return SequenceLifter(15, **dict(width=16, heads=2, root="free", generator=generator(0)) | options).eval()


def of_clips(**options):
    return sequence(window=None, **options)


def temporal(**options):
    return TemporalConvLifter(15, **dict(width=16, root="free", generator=generator(0)) | options).eval()


over_time = pytest.mark.parametrize("make", [sequence, of_clips, temporal], ids=["sequence", "clips", "temporal"])


@over_time
@pytest.mark.parametrize("batch", [(), (3,), (2, 2)])
def test_sequences_keep_their_axes_and_views_apart(make, batch, source):
    screen = torch.rand(*batch, 27, 3, 15, 2, generator=source)
    poses = make()(screen)
    frames = (27,) if make is of_clips else ()
    assert poses.shape == (*batch, *frames, 3, 15, 3)
    torch.testing.assert_close(make()(screen[..., 1:2, :, :]), poses[..., 1:2, :, :], atol=1e-5, rtol=1e-5)


def test_padding_of_clips_stays_missing_and_changes_nothing(source):
    screen = torch.rand(2, 50, 3, 15, 2, generator=source)
    screen[0, 30:] = torch.nan
    poses = of_clips()(screen)
    assert poses[0, 30:].isnan().all()
    torch.testing.assert_close(poses[0, :30], of_clips()(screen[:1, :30])[0], atol=1e-5, rtol=1e-5)
    assert of_clips()(torch.full((4, 1, 15, 2), torch.nan)).isnan().all()


def test_padding_of_stretches_is_not_attended_to(source):
    """The middle frame's pose is that of the whole-clip lifter with the same weights and only the frames there."""
    screen = torch.rand(27, 1, 15, 2, generator=source)
    screen[20:] = torch.nan
    stretch, clip = sequence(), of_clips()
    torch.testing.assert_close(stretch(screen), clip(screen[:20])[13], atol=1e-5, rtol=1e-5)


def test_the_temporal_convolution_holds_the_ends(source):
    screen = torch.rand(27, 2, 15, 2, generator=source)
    held = screen.clone()
    screen[:4], held[:4] = torch.nan, screen[4].clone()
    screen[25:], held[25:] = torch.nan, screen[24].clone()
    torch.testing.assert_close(temporal()(screen), temporal()(held))


@pytest.mark.parametrize("make", [sequence, temporal])
def test_a_stretch_without_its_middle_frame_has_no_pose(make, source):
    screen = torch.rand(2, 27, 1, 15, 2, generator=source)
    screen[0, 13] = torch.nan
    poses = make()(screen)
    assert poses[0].isnan().all()
    assert poses[1].isfinite().all()
    assert make()(torch.full((27, 1, 15, 2), torch.nan)).isnan().all()


@pytest.mark.parametrize("make", [sequence, temporal])
def test_a_window_of_another_length_is_refused(make, source):
    with pytest.raises(ValueError, match="takes windows of 27 frames, got 26"):
        make()(torch.rand(26, 1, 15, 2, generator=source))


@pytest.mark.parametrize("window", [0, 3, 26, 28, 80])
def test_windows_that_are_no_power_of_three_are_refused(window):
    with pytest.raises(ValueError, match=f"power of 3, at least 9, got {window}"):
        temporal(window=window)


@over_time
def test_gradients_survive_padding_and_missing_joints(make, source):
    screen = torch.rand(2, 27, 3, 15, 2, generator=source)
    screen[0, 20:], screen[1, 5, 0], screen[1, 9, 1, 3] = torch.nan, torch.nan, torch.nan
    ours = make().train()
    ours(screen).nansum().backward()
    assert all(p.grad.isfinite().all() for p in ours.parameters())


def test_without_positions_the_order_of_the_frames_is_lost_and_with_them_it_is_not(source):
    screen = torch.rand(20, 1, 15, 2, generator=source)
    order = torch.randperm(20, generator=source)
    bag, ordered = of_clips(positions=False), of_clips(positions=True)
    torch.testing.assert_close(bag(screen[order]), bag(screen)[order], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(ordered(screen[order]), ordered(screen)[order], atol=1e-3)


@pytest.mark.parametrize("window", [9, 27, 81])
def test_the_temporal_convolution_sees_its_whole_window(window, source):
    screen = torch.rand(window, 1, 15, 2, generator=source, requires_grad=True)
    temporal(window=window)(screen).sum().backward()
    assert (screen.grad.abs().sum((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("make", [lifter, sequence, of_clips, temporal])
def test_lifters_survive_the_disk(make, tmp_path, source):
    ours = make().eval()
    save_lifter(ours, tmp_path / "a.safetensors")
    theirs = load_lifter(tmp_path / "a.safetensors")
    screen = torch.rand(27, 3, 15, 2, generator=source)
    assert torch.equal(ours(screen), theirs(screen))
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_file_that_holds_no_lifter_is_refused_by_name(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\x80\x04junk")
    with pytest.raises(ValueError, match=r"a\.safetensors: not a whole safetensors file"):
        load_lifter(tmp_path / "a.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "b.safetensors", metadata={"lifter": "os.system"})
    with pytest.raises(ValueError, match=r"b\.safetensors: expected one of FrameLifter, .* found os\.system"):
        load_lifter(tmp_path / "b.safetensors")


def test_reprs_summarise():
    assert repr(FrameLifter(15, width=256)) == "FrameLifter(15 joints, width 256, 0.3 M weights)"
    assert repr(SequenceLifter(15, width=64)) == "SequenceLifter(15 joints, width 64, window 27, 76.3 k weights)"
    assert "window whole clips" in repr(SequenceLifter(15, width=64, window=None))
    assert repr(TemporalConvLifter(17, width=64)) == "TemporalConvLifter(17 joints, width 64, window 27, 43.6 k weights)"
