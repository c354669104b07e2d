"""The control API: reads for everybody on this machine, actions for who has the token."""
