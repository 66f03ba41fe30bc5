"""Packaging. Ranges are wide; constraints.txt pins what the project is tested with."""

import re
from pathlib import Path

from setuptools import find_packages, setup


ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "timedistill_hf/__init__.py").read_text(encoding="utf-8")).group(
    1
)

EXPORT = ["onnx>=1.17", "onnxscript>=0.5", "onnxruntime>=1.20"]

setup(
    name="timedistill_hf",
    version=VERSION,
    description="Distil heavy time-series forecasters into small ones with the Hugging Face stack (TimeDistill)",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["timedistill_hf", "timedistill_hf.*"]),
    py_modules=["timedistill_start"],
    package_data={"timedistill_hf": ["templates/*.md"]},
    install_requires=[
        "torch>=2.6",
        "transformers>=5.0",
        "datasets>=4.0",
        "accelerate>=1.10",
        "huggingface-hub>=1.5",
        "evaluate>=0.4.6",
        "numpy>=1.26",
        "safetensors>=0.5",
        "filelock>=3.12",
        "pandas>=2.2",
        "scipy>=1.12",
        "matplotlib>=3.8",
        "pillow>=10",
        "tabulate>=0.9",
        "tqdm>=4.60",
        "xxhash>=3.0",
        "pyyaml>=6.0",
        "jinja2>=3.1",
    ],
    extras_require={
        "dev": ["pytest>=8", "pytest-xdist>=3.8", "hypothesis>=6", "ruff>=0.9", *EXPORT],
        "export": EXPORT,
        "chronos": ["chronos-forecasting>=2.3,<3"],
        "ray": ["ray[data]>=2.40"],
    },
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
