"""Fuzz targets: what must hold of any bytes. tests/test_fuzz.py drives them; atheris can too."""
