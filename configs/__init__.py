"""The configurations that ship with the package, so that an installed wheel can run its demo."""
