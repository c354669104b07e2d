"""Level 5: the only files of the engine that do I/O."""
