"""Strategies, one a file. A bot hears market data and its own orders' fate, and says intents."""
