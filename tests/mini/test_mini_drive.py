"""A drive through a generated street: what is ahead comes nearer, and nothing else changes."""

import numpy as np
import pytest

from mmstreet.cli.mini_video import main
from mmstreet.labels import BDD100K_SEM19
from mmstreet.mini.drive import MovedCamera, render_drive
from mmstreet.mini.picture import develop
from mmstreet.mini.scene import plan_scene

CAMERA = dict(size_wh=(640, 360), focal=500.0, horizon=180.0, height=1.5, bend=0.0)


def test_the_first_frame_is_the_scene_as_it_stands():
    scene = plan_scene(np.random.default_rng([3, 2, 5, 0]), 5, (96, 64))
    still = develop(scene.render(), np.random.default_rng([3, 2, 5, 1]))
    first = next(render_drive(seed=3, index=5, frames=2, size_wh=(96, 64)))
    np.testing.assert_array_equal(first.image, still.image)
    np.testing.assert_array_equal(first.labels, still.labels)


def test_at_half_the_distance_a_thing_is_twice_as_tall():
    far, near = MovedCamera(**CAMERA), MovedCamera(**CAMERA, ahead=10.0)
    tall = [camera.project(1.0, 0.0, 20.0)[1] - camera.project(1.0, 2.0, 20.0)[1] for camera in (far, near)]
    assert tall == pytest.approx([50.0, 100.0])
    assert near.scale(20.0) == pytest.approx(2 * far.scale(20.0))


def test_what_lies_behind_is_cut_off():
    face = [(0, 0, 5), (0, 2, 5), (1, 2, 5), (1, 0, 5)]
    assert len(MovedCamera(**CAMERA).polygon(face)) == 4
    assert MovedCamera(**CAMERA, ahead=6.0).polygon(face) == []


def test_the_car_ahead_grows_and_the_same_seed_gives_the_same_drive():
    car = BDD100K_SEM19.index("car")
    drive = list(render_drive(index=4, frames=3, speed_mps=5, fps=1, size_wh=(160, 90)))
    shares = [(picture.labels == car).mean() for picture in drive]
    assert shares == sorted(shares)
    assert shares[2] > 1.5 * shares[0]
    again = list(render_drive(index=4, frames=3, speed_mps=5, fps=1, size_wh=(160, 90)))
    for one, other in zip(drive, again):
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize("wrong", [dict(frames=0), dict(frames=2, fps=0), dict(frames=2, speed_mps=-1), dict(frames=1000, speed_mps=5)])
def test_a_drive_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"a drive needs frames|the drive is .* m long"):
        next(render_drive(**wrong))


def test_the_command_writes_a_video(tmp_path, capsys):
    from mmstreet.predict.video import VideoReader

    assert main([str(tmp_path / "a.mp4"), "--seconds", "1", "--fps", "3", "--size", "96x64"]) == 0
    assert capsys.readouterr().out == f"3 frames of 96x64 in {tmp_path / 'a.mp4'}\n"
    reader = VideoReader(tmp_path / "a.mp4")
    assert (reader.count, reader.fps, reader.size_hw) == (3, 3.0, (64, 96))
