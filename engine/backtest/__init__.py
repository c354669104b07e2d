"""The backtest runtime: the same components and host, an event queue for a clock."""
