"""The wire protocols that the simulated exchange speaks: bytes and time in, bytes out; no socket."""
