"""Who may connect to the hub: tickets for people who are signed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IReactorTime

from edgetainer.domain.access import Principal, demand
from edgetainer.services.tickets import Tickets

#: Seconds from asking for a ticket to showing it.
TICKET_S = 30.0


class HubTickets:
    """Issues and redeems the hub's tickets.

    :param standing: the principal as it stands now; raises EdgetainerError when
        it is signed out or disabled.
    """

    def __init__(
        self, *, standing: Callable[[Principal], Awaitable[Principal]], clock: IReactorTime
    ) -> None:
        self.standing = standing
        self._tickets: Tickets[Principal] = Tickets(clock=clock, lifetime_s=TICKET_S)

    async def issue(self, principal: Principal) -> str:
        """A ticket for one connection."""
        demand(principal, "hub.connect")
        return self._tickets.issue(principal, owner=principal.user_id)

    async def redeem(self, ticket: str) -> Principal:
        """Who it was issued to, with the rights of now.

        :raises EdgetainerError: ``ticket_invalid``, ``session_expired`` or ``forbidden``.
        """
        principal = await self.standing(self._tickets.redeem(ticket))
        demand(principal, "hub.connect")
        return principal
