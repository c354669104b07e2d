"""The simulated exchange, pure: its market, its account, its protocol. Frames and time in and out."""
