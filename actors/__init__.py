"""Ray: the shell that hosts components, launch, supervision and the control API; no trading logic."""
