"""The last gate an order passes: kill switch, expiry and epoch, looked at right before it leaves."""

from typing import Protocol

from engine.edges.directory import Counter, Directory, KillSwitchPage, Stage
from engine.messages import AnyMessage, OrderRequest, Reason, RequestRefused
from ext.page import Page


class Gateway(Protocol):
    """The sockets of an actor's venues."""

    def perform(self, effect: AnyMessage) -> Reason:
        """Send what the effect says; the reason when it could not be sent."""


class Gate:
    """Lets an order's bytes out, or says why not."""

    def __init__(
        self, directory: Directory, actor: str, epoch: int, page: Page, kill_switch: KillSwitchPage
    ) -> None:
        self.gateway: Gateway | None = None
        self.journal_full = False
        self._directory = directory
        self._actor = actor
        self._epoch = epoch
        self._page = page
        self._kill_switch = kill_switch

    def pass_order(self, effect: OrderRequest) -> Reason:
        """NONE when it was sent. Cancels pass the kill switch and do not expire."""
        now_ns = self._directory.now_ns()
        reason = self._held(effect, now_ns)
        if reason is Reason.NONE and self.gateway is not None:
            reason = self.gateway.perform(effect)
        if reason is not Reason.NONE:
            self._page.add(Counter.ORDERS_HELD, 1)
            return reason
        self._page.add(Counter.ORDERS_SENT, 1)
        if effect.received_ns:
            self._page.record(Stage.TICK_TO_ORDER, now_ns - effect.received_ns)
        return Reason.NONE

    def _held(self, effect: OrderRequest, now_ns: int) -> Reason:
        if effect.raises_exposure and self._kill_switch.on:
            return Reason.KILLED
        if effect.raises_exposure and self.journal_full:
            return Reason.JOURNAL_FULL
        if effect.raises_exposure and now_ns > effect.expires_ns:
            return Reason.EXPIRED
        if self._directory.epoch(self._actor) not in (0, self._epoch):
            return Reason.STALE_EPOCH
        return Reason.NOT_CONNECTED if self.gateway is None else Reason.NONE


def refused_request(effect: OrderRequest, reason: Reason, number: int) -> RequestRefused:
    """What a venue is told of a request that the gate did not let out, as the shell's `number`th."""
    name, call, kind = effect.client_order_id, effect.call, effect.kind
    return RequestRefused(0, number, effect.received_ns, effect.venue, name, reason, call, kind)
