"""What is validated on several processes is what is saved."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmstreet.engine.launch import build_runner
from mmstreet.engine.processes import agree_on_buffers
from mmstreet.engine.safe_load import read_checkpoint
from tests.helpers.tiny_runs import tiny_config


def in_process(rank, call, folder, *args):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    try:
        call(rank, Path(folder), *args)
    finally:
        torch.distributed.destroy_process_group()


def in_two_processes(call, folder, *args):
    torch.multiprocessing.start_processes(in_process, (call, str(folder), *args), nprocs=2, start_method="fork")


def train_and_note_scores(rank, folder, length):
    hook = dict(type="mmstreet.AtomicCheckpointHook", interval=1 if "epochs" in length else 4, by_epoch="epochs" in length)
    cfg = tiny_config(folder / "work", launcher="pytorch", validate=True, checkpoint=hook, batch_size=3, **length)
    cfg.val_dataloader.dataset.noise = 0.0
    runner = build_runner(cfg)
    runner.train()
    found = {name: runner.message_hub.get_scalar(f"val/{name}").current() for name in ("accuracy", "total", "count")}
    torch.save({"scores": found, "buffers": dict(runner.model.module.named_buffers())}, folder / f"{rank}.pt")


@pytest.mark.parametrize("length", [{"epochs": 2}, {"iterations": 8}], ids=["by epoch", "by iteration"])
def test_the_score_of_a_training_is_that_of_its_checkpoint(tmp_path, length):
    in_two_processes(train_and_note_scores, tmp_path, length)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in range(2))
    (path,) = (tmp_path / "work").glob("*_2.pth" if "epochs" in length else "*_8.pth")
    saved = read_checkpoint(path)["state_dict"]
    for name in ("body.1.running_mean", "body.1.running_var", "body.1.num_batches_tracked"):
        assert torch.equal(first["buffers"][name], saved[name]), name
        assert torch.equal(second["buffers"][name], saved[name]), name
    cfg = tiny_config(tmp_path / "alone", validate=True)
    cfg.load_from = str(path)
    cfg.val_dataloader.dataset.noise = 0.0
    alone = build_runner(cfg).val()
    assert first["scores"] == second["scores"] == pytest.approx(alone, rel=1e-5)


def differ_then_agree(rank, folder):
    net = torch.nn.BatchNorm1d(2)
    net.running_mean.copy_(torch.tensor([0.0, 4.0]) + 2 * rank)
    net.num_batches_tracked.fill_(5 + rank)
    net.register_buffer("queue", torch.tensor([10.0 * (1 + rank)]))
    net.register_buffer("third", torch.tensor([0.1]))
    agree_on_buffers(net)
    torch.save(dict(net.named_buffers()), folder / f"{rank}.pt")


def test_running_statistics_are_averaged_and_other_buffers_are_the_main_processs(tmp_path):
    in_two_processes(differ_then_agree, tmp_path)
    for rank in range(2):
        buffers = torch.load(tmp_path / f"{rank}.pt")
        assert buffers["running_mean"].tolist() == [1.0, 5.0]
        assert buffers["running_var"].tolist() == [1.0, 1.0]
        assert buffers["num_batches_tracked"] == 5
        assert buffers["queue"].tolist() == [10.0]
        assert torch.equal(buffers["third"], torch.tensor([0.1]))


def resume_without_a_validation(rank, folder):
    hook = dict(type="mmstreet.AtomicCheckpointHook", interval=1, save_best="accuracy", rule="greater")
    for start in range(2):
        cfg = tiny_config(folder / "work", launcher="pytorch", validate=True, checkpoint=hook, epochs=1)
        if start:
            cfg.resume, cfg.load_from = True, str(folder / "work/epoch_1.pth")
        runner = build_runner(cfg)
        runner.train()
        scores = {name: float(runner.message_hub.get_scalar(f"val/{name}").current()) for name in ("accuracy", "total")}
        torch.save(scores, folder / f"{start}{rank}.pt")
        torch.distributed.barrier()
        if not rank and not start:
            for path in (*folder.glob("work/best_*.pth"), folder / "work/last_validation.json"):
                path.unlink()
        torch.distributed.barrier()


def test_a_validation_is_made_up_on_all_processes(tmp_path):
    in_two_processes(resume_without_a_validation, tmp_path)
    scores = [torch.load(tmp_path / f"{start}{rank}.pt") for start in range(2) for rank in range(2)]
    assert scores[1:] == scores[:1] * 3
    assert (tmp_path / "work/last_validation.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the user's cache is elsewhere")
@pytest.mark.parametrize(("attempts", "said"), [(8, "imported"), (1, "EOFError")])
def test_a_grammar_file_that_another_process_has_not_finished_is_read_again(tmp_path, attempts, said):
    script = f"""
import importlib, os, pathlib, sys, threading
import platformdirs, yapf_third_party
from mmstreet.engine.processes import import_formatter
if "yapf" in sys.modules:
    sys.exit("mmengine")
version = importlib.metadata.version("yapf")
folder = pathlib.Path(platformdirs.user_cache_dir("YAPF", "Google", version))
folder.mkdir(parents=True)
for name in ("Grammar", "PatternGrammar"):
    (folder / f"{{name}}-py{{'.'.join(map(str, sys.version_info))}}.pickle").touch()  # named, and still empty
threading.Timer(0.3, lambda: [path.unlink() for path in folder.iterdir()]).start()
try:
    import_formatter({attempts})
    from yapf.yapflib.yapf_api import FormatCode
    print("imported", FormatCode("a=1")[0])
except EOFError:
    print("EOFError")
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    if done.stderr.strip() == "mmengine":
        pytest.skip("this mmengine has read the file before, as it is imported")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == (["imported", "a", "=", "1"] if said == "imported" else [said])
