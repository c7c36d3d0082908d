"""Events from the core to whoever listens: each subscriber has a bounded queue of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from cardd.model import CallerKey, Event

QUEUE_MAX = 256


class Subscription:
    """One listener's queue of events; it ends when the listener leaves, was too slow, or the bus closes."""

    def __init__(
        self, caller: CallerKey | None, leave: Callable[[Subscription], None], *, public: bool, whole_user: bool
    ) -> None:
        self.caller = caller
        self._public = public
        self._whole_user = whole_user
        self._leave = leave
        self._events: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    def offer(self, event: Event) -> None:
        """Queue the event when it is for this listener; a full queue ends the subscription, never blocks the core."""
        is_for_us = self._is_public(event) if event.to is None else event.to == self.caller
        if not is_for_us and self._whole_user and event.to and self.caller and event.to.uid == self.caller.uid:
            event, is_for_us = Event(event.type, {}, to=self.caller), True
        if not is_for_us or self._ended:
            return
        if len(self._events) >= QUEUE_MAX:
            self.end()
            return
        self._events.append(event)
        self._wake()

    def _is_public(self, event: Event) -> bool:
        if event.user is not None:
            return self.caller is not None and self.caller.uid == event.user
        return self._public

    async def next(self) -> Event | None:
        """The next event, in the order they were published; None once the subscription has ended."""
        while not self._events and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._events.popleft() if self._events else None

    def end(self) -> None:
        """Leave the bus; what is queued can still be read."""
        self._ended = True
        self._leave(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


class EventBus:
    """Publishes to every subscription, in order, without ever waiting."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def publish(self, event: Event) -> None:
        """Hand the event to everyone whom it concerns."""
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)

    def subscribe(self, caller: CallerKey | None, *, public: bool = True, whole_user: bool = False) -> Subscription:
        """A new listener that gets the events addressed to ``caller``, and, if ``public``, those to nobody else.

        With ``whole_user`` it hears too that something was told to another caller of its OS user, and not what.
        """
        subscription = Subscription(caller, self._left, public=public, whole_user=whole_user)
        self._subscriptions.append(subscription)
        return subscription

    def is_heard_by(self, caller: CallerKey) -> bool:
        """Return whether this caller listens."""
        return any(subscription.caller == caller for subscription in self._subscriptions)

    def streams_of_pages(self, uid: int) -> list[CallerKey]:
        """Return which of this OS user's pages listen, each as often as it does."""
        callers = [one.caller for one in self._subscriptions if one.caller]
        return [caller for caller in callers if caller.uid == uid and caller.page_key]

    @property
    def listeners(self) -> int:
        """How many listeners get what is published."""
        return len(self._subscriptions)

    def close(self) -> None:
        """End every subscription: the daemon stops."""
        self.end_where(lambda _: True)

    def end_where(self, condition: Callable[[Subscription], bool]) -> None:
        """End every subscription for which the condition holds."""
        for subscription in tuple(self._subscriptions):
            if condition(subscription):
                subscription.end()

    def _left(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
