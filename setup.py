"""Builds the Cython kernels of ext/; everything else about the package is in pyproject.toml."""

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

setup(
    ext_modules=cythonize(
        [
            Extension(f"ext.{source.stem}", [source.as_posix()], extra_compile_args=["-O3"])
            for source in sorted(Path("ext").glob("*.pyx"))
        ],
        compiler_directives=DIRECTIVES,
    )
)
