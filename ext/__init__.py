"""Level 0: Cython kernels. Numbers in, numbers out; nothing of ours is imported here."""
