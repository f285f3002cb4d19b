"""YAML from strangers, read without trusting it.

PyYAML's `safe_load` is safe against code, not against size: nine lines of
aliases expand to gigabytes, a run of brackets exhausts the stack, and a key
given twice silently means the second. `read` refuses all three. It also
resolves plain scalars the way Docker Compose does (YAML 1.2: `22:22` and `yes`
are text), so that what is checked here is what will run there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from edgetainer.errors import EdgetainerError

# Far above what people write by hand, yet reading stays under a tenth of a
# second, which matters because it happens on the reactor's thread.
MAX_BYTES = 128 * 1024
MAX_DEPTH = 32  # levels of nesting
MAX_NODES = 20_000  # nodes, each alias counted as often as it is used

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}\Z|0x[0-9a-fA-F]{1,15}\Z|0o[0-7]{1,20}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?\Z")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_QUOTES = frozenset("'\"|>")  # the styles of scalars that are text whatever they hold
_Refuse = Callable[[str], EdgetainerError]

# libyaml scans many times faster; the pure scanner has the same grammar.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(text: str, *, code: str, field: str) -> Any:
    """The one document in `text` as dicts, lists, strings, numbers and None.

    :param text: at most `MAX_BYTES` bytes of UTF-8.
    :param code: the error code to refuse with.
    :param field: what to call the whole text in errors, "compose" for instance.
    :raises EdgetainerError: `code`, where the text is too large, too deep, not
        YAML, more than one document, or uses tags, cycles or doubled keys.
    """

    def refuse(reason: str) -> EdgetainerError:
        return EdgetainerError(code, reason, field=field)

    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise refuse("The text is not valid Unicode.") from None
    if size > MAX_BYTES:
        raise refuse(f"The text has {size} bytes; at most {MAX_BYTES} are read.")
    try:
        _measure(text, refuse)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise refuse(f"{where}{error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise refuse(f"The text is not YAML: {str(error).splitlines()[0]}.") from None
    if node is None:
        raise refuse("The text is empty.")
    return _Builder(refuse).value(node, "")


def _measure(text: str, refuse: _Refuse) -> None:
    # The events come from an iterative parser, so depth is known before
    # anything recursive looks at the text.
    depth = documents = nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        nodes += isinstance(event, yaml.NodeEvent)
        line = event.start_mark.line + 1 if event.start_mark else 0
        # `!!int`, `!reset`, `!!python/…` change what a value means, in ways on
        # which parsers disagree.
        if (tag := getattr(event, "tag", None)) is not None:
            raise refuse(f"Line {line}: the tag {tag!r} is not accepted.")
        if depth > MAX_DEPTH:
            raise refuse(f"Line {line}: nested deeper than {MAX_DEPTH} levels.")
        if documents > 1:
            raise refuse(f"Line {line}: a second document begins; give one.")
        if nodes > MAX_NODES:
            raise refuse(f"Line {line}: there are more than {MAX_NODES} values.")


class _Builder:
    """Turns nodes into values, counting aliases as often as they are used."""

    def __init__(self, refuse: _Refuse) -> None:
        self._refuse = refuse
        self._nodes = 0
        self._open: set[int] = set()  # ids of the nodes above: a repeat is a cycle

    def value(self, node: yaml.Node, path: str) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._refuse(f"Its aliases expand to more than {MAX_NODES} values.")
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self._open:
            raise self._refuse(f"{path} contains itself.")
        # The text was measured; aliases in aliases can nest deeper than it.
        if len(self._open) >= MAX_DEPTH:
            raise self._refuse(f"{path}: nested deeper than {MAX_DEPTH} levels.")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return [self.value(item, f"{path}[{n}]") for n, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
                raise self._refuse(f"Line {line}: a key under {path or 'the top'} is not text.")
            key: str = key_node.value
            below = f"{path}.{key}" if path else key
            if key == "<<":
                # Of several merged mappings the first that has a key gives it.
                for source in self._merge_sources(value_node, below):
                    merged = {**source, **merged}
                continue
            if key in own:
                raise self._refuse(f"Line {line}: {below} is given twice.")
            own[key] = self.value(value_node, below)
        return {**merged, **own}

    def _merge_sources(self, node: yaml.Node, path: str) -> list[dict[str, Any]]:
        value = self.value(node, path)
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            raise self._refuse(f"{path}: only mappings can be merged.")
        return sources


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text: str = node.value
    if node.style in _QUOTES:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))
    return float(text) if _FLOAT.match(text) else text
