"""Orders that the engine emulates: their terms, their triggers, and what each does next."""
