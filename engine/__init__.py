"""The trading logic: it never imports Ray or a web framework. Levels: tests/tidy.py."""
