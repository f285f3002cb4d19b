"""One way to add a route, so that none forgets its permission.

`Routes.add` names an action of `domain.access.RULES`; what it wraps around the
handler authenticates, permits, validates and turns every failure into a problem
document (RFC 9457). Handlers are `async`, get a `Call` and the ids in the path,
and return a `Reply` or plain data:

    routes = Routes(authenticate=authentication.principal)

    @routes.get("/api/fleets/<uuid:fleet_id>", "fleets.read")
    async def get_fleet(call: Call, fleet_id: str) -> Fleet: ...

    @routes.post("/api/fleets", "fleets.write", body=NewFleet, status=201)
    async def create_fleet(call: Call) -> Fleet:
        return await fleets.create(call.user, name=call.body.name)

Data may hold frozen dataclasses, structs and datetimes (written as ISO 8601, Z).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map

from edgetainer.api.answer import Reply, problem, write
from edgetainer.api.schemas import BODY_LIMIT, decode_json, decode_query, printable
from edgetainer.domain.access import RULES, DeviceIdentity, Principal, decide
from edgetainer.errors import EdgetainerError

__all__ = ["Authenticate", "Call", "Reply", "Route", "Routes", "problem"]

Handler = Callable[..., Awaitable[Any]]
Authenticate = Callable[[str], Awaitable[Principal]]

# Characters of a bearer token: ours have about 400.
_TOKEN_LIMIT = 4096


@dataclass(frozen=True)
class Call:
    """One request, after every check: what a handler works on."""

    request: IRequest
    who: Principal | DeviceIdentity | None
    body: Any = None  # an instance of the route's `body` schema
    query: Any = None  # an instance of the route's `query` schema

    @property
    def user(self) -> Principal:
        """The person asking."""
        if not isinstance(self.who, Principal):
            raise EdgetainerError("unauthenticated")
        return self.who

    @property
    def device(self) -> DeviceIdentity:
        """The device asking, over its tunnel."""
        if not isinstance(self.who, DeviceIdentity):
            raise EdgetainerError("unauthenticated")
        return self.who

    @property
    def address(self) -> str:
        """The address the request came from; "" when there is none (in memory)."""
        return str(getattr(self.request.getClientAddress(), "host", None) or "")

    def header(self, name: str) -> str | None:
        """A header that may occur once at most; None when absent.

        :raises EdgetainerError: `invalid_request` when it occurs twice.
        """
        values = self.request.requestHeaders.getRawHeaders(name, [])
        if len(values) > 1:
            raise EdgetainerError("invalid_request", f"The header {name} is given twice.")
        return values[0] if values else None


@dataclass(frozen=True)
class Route:
    """What was said about a route when it was added."""

    method: str
    path: str
    action: str
    handler: Handler
    body: type | None = None
    query: type | None = None
    status: int = 200
    owner: str | None = None  # the path's id whose owner is that user or device
    limit: int = BODY_LIMIT  # bytes

    @property
    def endpoint(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Routes:
    """The routes of the API on one Klein app.

    :param authenticate: a bearer token's Principal; raises EdgetainerError.
    """

    authenticate: Authenticate
    klein: Klein = field(default_factory=Klein)
    by_endpoint: dict[str, Route] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Werkzeug would answer near misses with a redirect built from the Host
        # header; a path that is not ours is simply not found.
        self.klein._url_map = Map(strict_slashes=True, merge_slashes=False, redirect_defaults=False)
        self.klein.handle_errors(Exception)(_unrouted)

    def get(self, path: str, action: str, **kwargs: Any) -> Callable[[Handler], Handler]:
        """Add a GET (and HEAD) route; see `add`."""
        return self.add("GET", path, action, **kwargs)

    def post(self, path: str, action: str, **kwargs: Any) -> Callable[[Handler], Handler]:
        """Add a POST route; see `add`."""
        return self.add("POST", path, action, **kwargs)

    def put(self, path: str, action: str, **kwargs: Any) -> Callable[[Handler], Handler]:
        """Add a PUT route; see `add`."""
        return self.add("PUT", path, action, **kwargs)

    def delete(self, path: str, action: str, **kwargs: Any) -> Callable[[Handler], Handler]:
        """Add a DELETE route, which answers 204; see `add`."""
        return self.add("DELETE", path, action, **{"status": 204, **kwargs})

    def add(
        self, method: str, path: str, action: str, **kwargs: Any
    ) -> Callable[[Handler], Handler]:
        """Add a route.

        :param path: a werkzeug rule; write ids as `<uuid:name>`.
        :param action: the row of `domain.access.RULES` that permits it.
        :param body: the schema of the JSON body; without it a body is refused.
        :param query: the schema of the query string; without it one is refused.
        :param status: of a plain success.
        :param owner: the name of the id in the path that says whose the thing is.
        :param limit: bytes of body.
        """
        if action not in RULES:
            raise ValueError(f"{method} {path}: {action} is not in domain.access.RULES")

        def add(handler: Handler) -> Handler:
            route = Route(method=method, path=path, action=action, handler=handler, **kwargs)
            if route.endpoint in self.by_endpoint:
                raise ValueError(f"{route.endpoint} is added twice")
            self.by_endpoint[route.endpoint] = route

            def run(request: IRequest, **ids: Any) -> Deferred[bytes]:
                return _sheltered(self._answer(route, request, ids))

            self.klein.route(path, methods=[method], endpoint=route.endpoint)(run)
            return handler

        return add

    async def _answer(self, route: Route, request: IRequest, ids: dict[str, Any]) -> bytes:
        try:
            ids = {name: str(v) if isinstance(v, UUID) else v for name, v in ids.items()}
            call = await self._admit(route, request, ids)
            result = await route.handler(call, **ids)
            reply = result if isinstance(result, Reply) else Reply(result)
            return write(request, reply, status=route.status)
        except Exception:
            return problem(request, Failure())

    async def _admit(self, route: Route, request: IRequest, ids: dict[str, Any]) -> Call:
        rule = RULES[route.action]
        who: Principal | DeviceIdentity | None = None
        if rule.device:
            # Set by the tunnel's handshake; a request by any other way has none.
            connection = getattr(getattr(request, "channel", None), "connection", None)
            identity = getattr(connection, "identity", None)
            if not isinstance(identity, DeviceIdentity):
                raise EdgetainerError(
                    "unauthenticated", "Only a device can ask this, over its tunnel."
                )
            who = identity
        elif not rule.public:
            who = await self.authenticate(_bearer(request))
        owner = None if route.owner is None else ids[route.owner]
        decision = decide(who, route.action, owner=owner)
        if not decision.allowed:
            raise EdgetainerError("forbidden", decision.reason)
        return Call(
            request=request,
            who=who,
            body=_body(request, route, browser=not rule.device),
            query=_query(request, route),
        )


def _sheltered(answer: Any) -> Deferred[bytes]:
    """Run to the end even when the client goes away.

    Klein cancels what it waits for when a client disconnects. A handler that is
    cut between its transaction and what follows from it (dropping a revoked key
    from memory) would leave the two different.
    """
    outer: Deferred[bytes] = Deferred()
    Deferred.fromCoroutine(answer).addCallbacks(outer.callback, outer.errback)
    return outer


def _bearer(request: IRequest) -> str:
    values = request.requestHeaders.getRawHeaders("authorization", [])
    if len(values) != 1:
        raise EdgetainerError("unauthenticated", "Send one Authorization header: Bearer <token>.")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > _TOKEN_LIMIT:
        raise EdgetainerError("unauthenticated", "Send Authorization: Bearer <token>.")
    return token


def _body(request: IRequest, route: Route, *, browser: bool) -> Any:
    if getattr(request, "too_large", False):
        raise EdgetainerError("body_too_large", f"The body has more than {route.limit} bytes.")
    raw = request.content.read(route.limit + 1)
    if len(raw) > route.limit:
        raise EdgetainerError("body_too_large", f"The body has more than {route.limit} bytes.")
    if route.body is None:
        if raw:
            raise EdgetainerError("invalid_request", "This takes no body.")
        return None
    if browser:
        # A page elsewhere can make a browser send text/plain here, but not JSON.
        kind = request.requestHeaders.getRawHeaders("content-type", [""])[0]
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise EdgetainerError("unsupported_media_type", "Send Content-Type: application/json.")
    return decode_json(raw, route.body)


def _query(request: IRequest, route: Route) -> Any:
    if route.query is not None:
        return decode_query(request.args, route.query)
    if request.args:
        name = printable(next(iter(request.args)).decode("utf-8", "replace"))[:100]
        raise EdgetainerError("invalid_field", "This takes no such parameter.", field=name)
    return None


def _unrouted(request: IRequest, failure: Failure) -> bytes:
    """What Klein and werkzeug raise when no route takes the request."""
    error = failure.value
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        request.setHeader("allow", allowed)
        failure = _as_failure("method_not_allowed", f"Use {allowed}.")
    elif isinstance(error, HTTPException):
        failure = _as_failure("not_found", "There is nothing at this address.")
    return problem(request, failure)


def _as_failure(code: str, detail: str) -> Failure:
    return Failure(EdgetainerError(code, detail))
