"""Examples of the documentation, each run by a test."""
