"""Shares of work over processes: complete, without overlap, and summed up whoever ends last."""

import threading

import pytest

from mmstreet.predict.sharding import Shard, current_shard, publish


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_shares_cover_all_items_once_and_differ_by_one_at_most(count):
    items = list(range(10))
    shares = [Shard(i, count).take(items) for i in range(count)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_process_alone_has_all_of_it():
    assert current_shard({}) == Shard(0, 1)
    assert current_shard({"SLURM_ARRAY_TASK_ID": "3"}) == Shard(0, 1)


def test_torchrun_names_the_share():
    assert current_shard({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}) == Shard(1, 4)


@pytest.mark.parametrize("first", [0, 1, 100])
def test_a_slurm_array_counts_from_wherever_it_starts(first):
    env = {"SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": str(first)}
    assert [current_shard({**env, "SLURM_ARRAY_TASK_ID": str(first + i)}) for i in range(3)] == [Shard(i, 3) for i in range(3)]


def test_processes_within_the_tasks_of_an_array_all_have_different_shares():
    shares = {
        current_shard({"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "2", "RANK": str(rank), "WORLD_SIZE": "3"})
        for task in range(2)
        for rank in range(3)
    }
    assert shares == {Shard(i, 6) for i in range(6)}


def test_torchrun_below_srun_counts_its_own_processes_only():
    env = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "RANK": "5", "WORLD_SIZE": "8"}
    assert current_shard(env) == Shard(5, 8)


def test_a_batch_script_is_one_process_although_slurm_names_a_number_of_tasks():
    env = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}
    assert current_shard(env) == Shard(0, 1)
    assert current_shard({**env, "SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4"}) == Shard(2, 4)


def test_an_array_with_gaps_is_refused_with_advice():
    with pytest.raises(ValueError, match=r"number the tasks without gaps, e\.g\. --array=0-2"):
        current_shard({"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "0"})


def test_what_comes_in_while_the_summary_is_written_is_not_lost(tmp_path):
    """The other process ends between this one's look at the folder and its write."""
    (tmp_path / "a.done").touch()

    def read():
        seen = sorted(path.name for path in tmp_path.glob("*.done"))
        (tmp_path / "b.done").touch()
        return " ".join(seen)

    assert publish(read, tmp_path / "summary.txt") == "a.done b.done"
    assert (tmp_path / "summary.txt").read_text() == "a.done b.done"


def test_many_processes_that_end_together_leave_the_whole_report(tmp_path):
    def work(i):
        (tmp_path / f"{i:02d}.done").touch()
        publish(lambda: " ".join(sorted(path.name for path in tmp_path.glob("*.done"))), tmp_path / "summary.txt")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len((tmp_path / "summary.txt").read_text().split()) == 16
