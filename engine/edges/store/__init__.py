"""The store: the journal as tables for people and queries."""
