"""The whole engine under a clock, a bus and exchanges that a seed makes go wrong; see docs/simulation.md."""
