"""PLACEHOLDER until the view lands."""

from engine.component import NOTHING, Component


class Monitor(Component):
    kind = "view"

    def __init__(self, sender, instruments):
        super().__init__(sender)

    def on_message(self, message, now_ns):
        return NOTHING

    def snapshot(self):
        return b""

    def restore(self, data):
        pass
