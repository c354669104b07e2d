"""Slow, obvious kernels: what each one of ext/ is held against."""
