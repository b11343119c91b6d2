"""A config that names ``mmstreet.X`` resolves without custom_imports, with either framework absent."""

import subprocess
import sys

BLOCK = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {absent!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Absent())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.split('.')[0] in {absent!r} else real(name, package)
"""


def run(code: str, absent: tuple[str, ...] = ()) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BLOCK.format(absent=absent) + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_fresh_process_resolves_our_types_from_any_framework(warm_python, tmp_path):
    code = "from mmseg.registry import MODELS; print(MODELS.build(dict(type='mmstreet.FocalDiceLoss')).loss_name)"
    done = warm_python.run("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "loss_focal_dice"), done.stderr


def test_segmentation_works_with_mmdet_absent():
    code = "from mmseg.registry import DATASETS; print(DATASETS.get('mmstreet.BDD100KSemSeg').__name__)"
    assert run(code, absent=("mmdet",)) == "BDD100KSemSeg"


def test_our_core_works_with_both_absent():
    code = "from mmengine.registry import METRICS; print(METRICS.get('mmstreet.StreetIoUMetric').__name__)"
    assert run(code, absent=("mmseg", "mmdet")) == "StreetIoUMetric"


def test_programs_of_the_warm_python_start_without_our_package_and_end_with_their_own_code(warm_python, tmp_path):
    code = "import sys; print([name for name in sys.modules if name.startswith('mmstreet')], 'mmengine' in sys.modules); sys.exit(3)"
    for _ in range(2):
        done = warm_python.run("-c", code, cwd=tmp_path, env={})
        assert (done.returncode, done.stdout, done.stderr) == (3, "[] True\n", "")
    (tmp_path / "broken.py").write_text("import mmstreet\nraise OSError('gone')")
    done = warm_python.run(tmp_path / "broken.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("OSError: gone\n")
