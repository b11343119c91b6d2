"""Logs of a run are read as one story, over resumes and torn lines."""

from mmstreet.report.run_folder import RunFolder
from mmstreet.report.run_logs import read_scalars
from tests.helpers.run_folders import write_logs


def test_a_resumed_run_is_one_curve_and_repeated_steps_count_once(tmp_path):
    write_logs(tmp_path, epochs=range(1, 4))
    write_logs(tmp_path, start="20260102_000000", epochs=range(3, 6), offset=0.5)
    scalars = read_scalars(RunFolder(tmp_path))
    steps, losses = scalars.series("train", "loss")
    assert steps == list(range(1, 21))
    assert losses == [2.0 / step + (0.5 if step > 8 else 0) for step in steps]
    assert scalars.series("val", "mIoU") == ([1, 2, 3, 4, 5], [10, 20, 30.5, 40.5, 50.5])
    assert scalars.starts == 2


def test_a_torn_line_and_values_that_are_not_finite_are_told_from_zero(tmp_path):
    write_logs(tmp_path, epochs=range(1, 2))
    with open(tmp_path / "20260101_000000/vis_data/scalars.json", "a") as file:
        file.write('{"loss": NaN, "lr": 0.1, "epoch": 2, "iter": 5, "step": 5}\n{"loss": 0.3, "ep')
    scalars = read_scalars(RunFolder(tmp_path))
    assert scalars.broken_lines == 1
    assert scalars.series("train", "loss")[1][-1] is None
    assert scalars.series("train", "lr")[1][-1] == 0.1


def test_a_folder_without_logs_has_none(tmp_path):
    scalars = read_scalars(RunFolder(tmp_path))
    assert not scalars.train
    assert not scalars.val
    assert scalars.names("train") == []
