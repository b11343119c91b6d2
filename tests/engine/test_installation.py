import json
import os
from pathlib import Path

from mmstreet.engine import installation as doctor
from tests.helpers.ops import HERE


def test_two_families_at_once_are_a_failure():
    found = doctor.clashes({"mmcv", "onedl-mmcv", "mmengine"})
    assert [f.check for f in found] == ["families: mmcv"]
    assert found[0].level == "fail"
    assert doctor.clashes({"onedl-mmcv", "onedl-mmengine"}) == []


def test_each_known_import_error_is_answered_with_what_to_do():
    cases = {
        "libGL.so.1: cannot open shared object file": "apt-get install libgl1",
        "_ext.so: undefined symbol: _ZN3c10": "compiled against another torch",
        "No module named 'mmcv._ext'": "semantic segmentation works without them",
        "MMCV==2.2.0 is used but incompatible": "constraints/",
    }
    for message, advice in cases.items():
        assert advice in doctor.explain_import_error(message)
    assert doctor.explain_import_error("something else") == "something else"


def test_only_failures_stop_training():
    notes = [doctor.Finding("extra [sam]", "note", "not installed")]
    assert doctor.training_works(notes)
    assert not doctor.training_works([*notes, doctor.Finding("torch", "fail", "absent")])


def test_a_check_that_breaks_is_reported_not_raised(monkeypatch):
    def broken():
        raise OSError("disk on fire")

    monkeypatch.setattr(doctor, "_extras", broken)
    for name in ("_semantic_task", "_instance_task"):
        monkeypatch.setattr(doctor, name, list)
    found = doctor.examine()
    assert [f for f in found if f.level == "fail"] == [doctor.Finding("extras", "fail", "OSError: disk on fire")]


def test_without_compiled_ops_semantic_training_works_and_instances_say_what_they_need(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "has_ops", lambda: False)
    levels = {f.check: f.level for f in doctor.examine()}
    assert (levels["semantic task"], levels["mmcv ops"], levels["instance task"]) == ("ok", "note", "note")
    assert doctor.clashes({"mmcv-lite", "onedl-mmengine"}) == []
    assert doctor.clashes({"mmcv-lite", "onedl-mmcv"})[0].level == "fail"


def test_the_tool_prints_pure_json_and_both_tasks_run(warm_python, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = warm_python.run("-m", "mmstreet", "doctor", "--json", "--offline", cwd=tmp_path, env=environment)
    report = json.loads(done.stdout)
    levels = {f["check"]: f["level"] for f in report["findings"]}
    assert levels["semantic task"] == "ok"
    assert levels["instance task"] == ("ok" if HERE else "note")
    assert report["ok"] == (done.returncode == 0)
