"""`orchestrator flow`: the order flow of simulated markets beside that of recorded ones."""
