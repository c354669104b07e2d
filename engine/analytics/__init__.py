"""What markets, real and simulated, are measured by: numbers in, numbers out."""
