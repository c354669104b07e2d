"""Exchange protocols, sans I/O: one small class an exchange, bytes in and news out."""
