"""Builds the Cython kernels of ext/; everything else about the package is in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DIRECTIVES = {
    "language_level": "3",
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
}

PROCESSORS = os.cpu_count() or 1

setup(
    ext_modules=cythonize(
        [
            Extension(f"ext.{source.stem}", [source.as_posix()], extra_compile_args=["-O3", "-g0"])
            for source in sorted(Path("ext").glob("*.pyx"))
        ],
        compiler_directives=DIRECTIVES,
        nthreads=PROCESSORS,
    ),
    options={"build_ext": {"parallel": PROCESSORS}},
)
