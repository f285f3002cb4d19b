"""Lists come in pages: `?limit=…&cursor=…` asks, `{items, next, total}` answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from edgetainer.api.schemas import Schema


class Page(Schema):
    """Which part of a list. Routes with filters of their own inherit from it."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 500
    # What the last answer said in `next`; today a number, tomorrow perhaps not.
    cursor: Annotated[int, Meta(ge=0, le=10_000_000)] = 0


def whole(items: Sequence[Any]) -> dict[str, Any]:
    """The answer of a list that is short by its nature and comes at once."""
    return {"items": items, "next": None, "total": len(items)}


def listed(items: Sequence[Any], total: int, page: Page) -> dict[str, Any]:
    """The answer; `next` is null at the end."""
    after = page.cursor + len(items)
    more = bool(items) and after < total
    return {"items": items, "next": str(after) if more else None, "total": total}
