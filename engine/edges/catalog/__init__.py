"""The market data catalog: normalised book and trade events, and candles, as partitioned Parquet."""
