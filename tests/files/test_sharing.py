"""Shares of work over processes: complete, without overlap, and summed up whoever ends last."""

import threading

import pytest

from mmstreet.files.sharing import STATE, Shard, SharedWork, choose_size, current_job, current_shard, cut_chunks, publish


@pytest.mark.parametrize(("count", "multiple"), [(0, 1), (1, 4), (10, 1), (63, 1), (100, 3), (1000, 8), (20_000, 5)])
def test_chunks_cover_all_items_in_order_in_multiples(count, multiple):
    chunks = cut_chunks(range(count), choose_size(count, multiple=multiple))
    assert [item for chunk in chunks for item in chunk] == list(range(count))
    assert all(len(chunk) % multiple == 0 for chunk in chunks[:-1])
    assert all(len(chunk) <= 64 + multiple for chunk in chunks)


def test_a_process_by_itself_does_all_and_leaves_no_state(tmp_path):
    work = SharedWork(cut_chunks("abc", 1), tmp_path, names="abc", environ={})
    work.run(lambda chunk: {"did": chunk})
    assert work.results() == [{"did": ["a"]}, {"did": ["b"]}, {"did": ["c"]}]
    assert work.is_complete()
    assert list(tmp_path.iterdir()) == []


def test_processes_of_a_job_do_each_chunk_once_and_all_see_all_results(tmp_path):
    env = {"SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_JOB_ID": "7"}
    works = [
        SharedWork(cut_chunks("abcdef", 1), tmp_path, names="abcdef", environ={**env, "SLURM_ARRAY_TASK_ID": str(i)}) for i in range(3)
    ]
    did = [[], [], []]
    done = [iter(work._leases) for work in works]
    for turn in range(6):  # in turn, as processes of the same speed
        i = turn % 3
        number = next(done[i])
        did[i] += works[i].chunks[number]
        works[i]._leases.finish(number, {"did": works[i].chunks[number]})
    assert [list(rest) for rest in done] == [[], [], []]
    assert did == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert [work.is_complete() for work in works] == [True] * 3
    assert works[0].results() == works[2].results() == [{"did": [x]} for x in "abcdef"]
    assert [path.name for path in tmp_path.iterdir()] == [STATE]


def test_other_items_have_other_state(tmp_path):
    env = {"MMSTREET_JOB": "x"}
    first = SharedWork(cut_chunks("ab", 1), tmp_path, names="ab", environ=env)
    first.run(lambda chunk: {})
    assert not SharedWork(cut_chunks("ac", 1), tmp_path, names="ac", environ=env).is_complete()


@pytest.mark.parametrize(
    ("environ", "job"),
    [
        ({}, ("", True)),
        ({"SLURM_JOB_ID": "5"}, ("", True)),  # a batch script of one process
        ({"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_JOB_ID": "5", "SLURM_JOB_ID": "6"}, ("slurm-5", True)),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_JOB_ID": "6", "SLURM_STEP_ID": "0"}, ("slurm-6-0", True)),
        ({"RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "abc"}, ("torchrun-abc--", True)),
        (
            {"RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none", "MASTER_ADDR": "h", "MASTER_PORT": "1"},
            ("torchrun-none-h-1", False),
        ),
        ({"MMSTREET_JOB": "mine"}, ("mine", False)),
    ],
)
def test_a_job_is_what_its_processes_have_in_common(environ, job):
    assert current_job(environ) == job


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
