"""XML as camt needs it: streamed, with nothing that a document type could bring in.

Python's expat is used as it is. A document type declaration is refused by the handler that expat calls before it reads
any entity declaration, so neither entity expansion nor an external entity can happen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import (
    MAX_XML_DEPTH,
    MAX_XML_ELEMENTS,
    MAX_XML_TAG_BYTES,
    MAX_XML_TEXT_CHARACTERS,
)
from payonce.reconciliation.readers.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 65_536
MESSAGE = "Document"
RECORD_DEPTH = 3  # Document / message / statement: their children are handed out one by one
# So is each transaction of an entry, as a batch may have any number of them.
PARTS = ("Ntry", "NtryDtls", "TxDtls")


@dataclass(slots=True)
class Node:
    """An element of the message's own namespace, without its prefix.

    ``currency`` is its attribute ``Ccy``, the only one that is read. ``part_count`` is how many of its children were
    handed out as parts, and are not among ``children``.
    """

    name: str
    line: int
    currency: str = ""
    text: str = ""
    children: list[Node] = field(default_factory=list)
    part_count: int = 0

    def find(self, path: str) -> Node | None:
        """Return the first element at ``path`` (``Refs/EndToEndId``)."""
        return next(self.each(path), None)

    def each(self, path: str) -> Iterator[Node]:
        """Yield every element at ``path``."""
        head, _, rest = path.partition("/")
        for child in self.children:
            if child.name == head:
                if rest:
                    yield from child.each(rest)
                else:
                    yield child

    def value(self, path: str) -> str | None:
        """Return the text at ``path`` without surrounding blanks, or ``None``."""
        found = self.find(path)
        return (found.text.strip() or None) if found is not None else None


@dataclass(frozen=True, slots=True)
class Opened:
    """An element down to the statement's level has begun."""

    name: str
    namespace: str
    depth: int
    line: int


@dataclass(frozen=True, slots=True)
class Closed:
    """An element down to the statement's level has ended."""

    name: str
    depth: int
    line: int


@dataclass(frozen=True, slots=True)
class Part:
    """A transaction of the entry that is being read and will follow as a node."""

    node: Node


type Event = Opened | Closed | Part | Node


def events(data: bytes) -> Iterator[Event]:
    """Yield the document's outer elements as they open and close, and each child of a statement as a whole node.

    Only one child, or one transaction of an entry, is in memory at a time. Raises ``FileRejected`` for what is not
    well-formed, for a document type, for an element of another namespace, and above the limits of depth, text, tags and
    elements.
    """
    builder = _Builder()
    view = memoryview(data)
    for start in range(0, len(data), CHUNK_BYTES):
        builder.feed(bytes(view[start : start + CHUNK_BYTES]), final=False)
        yield from builder.taken()
        if start + CHUNK_BYTES - builder.parser.CurrentByteIndex > MAX_XML_TAG_BYTES + CHUNK_BYTES:
            raise FileRejected(f"a tag or a comment is longer than {MAX_XML_TAG_BYTES} bytes", line=builder.line)
    builder.feed(b"", final=True)
    yield from builder.taken()


class _Builder:
    def __init__(self) -> None:
        self.parser: Any = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.EntityDeclHandler = self.entity
        self.parser.ExternalEntityRefHandler = self.external
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.namespace: str | None = None
        self.depth = 0  # below the message: what wraps it (BizMsgEnvlp, with a header beside it) is not counted
        self.around = 0
        self.stack: list[Node] = []
        self.held = 0  # elements of the record, without those of the parts that were handed out
        self.held_before_part = 0
        self.out: list[Event] = []

    def feed(self, chunk: bytes, *, final: bool) -> None:
        try:
            self.parser.Parse(chunk, final)
        except expat.ExpatError as error:
            problem = f"the XML is not well-formed: {expat.ErrorString(error.code)}"
            raise FileRejected(problem, line=error.lineno) from None
        except (LookupError, ValueError):
            # An encoding that Python does not know, or can't map byte by byte.
            raise FileRejected("the XML's encoding is not supported; send UTF-8", line=1) from None

    def taken(self) -> list[Event]:
        out, self.out = self.out, []
        return out

    @property
    def line(self) -> int:
        return int(self.parser.CurrentLineNumber)

    def doctype(self, *_: object) -> None:
        raise FileRejected("a document type declaration is refused: no bank's statement has one", line=self.line)

    def entity(self, *_: object) -> None:
        raise FileRejected("an entity declaration is refused", line=self.line)

    def external(self, *_: object) -> int:
        raise FileRejected("an external entity is refused", line=self.line)

    def start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        if self.depth == 0 and name != MESSAGE and self.around < MAX_XML_DEPTH:
            self.around += 1
            return
        self.depth += 1
        if self.depth > MAX_XML_DEPTH:
            raise FileRejected(f"elements are nested deeper than {MAX_XML_DEPTH}", line=self.line)
        if self.namespace is None:
            self.namespace = namespace
        if self.depth <= RECORD_DEPTH:
            if namespace != self.namespace:
                raise FileRejected(f"{shown(name)} is of another namespace", line=self.line)
            self.out.append(Opened(name, namespace, self.depth, self.line))
        else:
            # Supplementary data of another namespace is kept out of reach under a name no path has.
            local = name if namespace == self.namespace else f"{{{namespace}}}{name}"
            self.open(Node(local, self.line, attributes.get("Ccy", "")))

    def open(self, node: Node) -> None:
        self.stack.append(node)
        if self.is_part():
            self.held_before_part = self.held
        self.held += 1
        if self.held > MAX_XML_ELEMENTS:
            path = "/".join(open_node.name for open_node in self.stack[: len(PARTS)])
            raise FileRejected(f"it has more than {MAX_XML_ELEMENTS} elements", line=self.line, field=path[:100])

    def is_part(self) -> bool:
        return len(self.stack) == len(PARTS) and all(
            node.name == name for node, name in zip(self.stack, PARTS, strict=True)
        )

    def end(self, qualified: str) -> None:
        if self.depth == 0:
            self.around -= 1
            return
        if self.depth <= RECORD_DEPTH:
            self.out.append(Closed(qualified.rpartition(" ")[2], self.depth, self.line))
        else:
            part = self.is_part()
            node = self.stack.pop()
            if part:
                self.stack[-1].part_count += 1
                self.held = self.held_before_part
                self.out.append(Part(node))
            elif self.stack:
                self.stack[-1].children.append(node)
            else:
                self.held = 0
                self.out.append(node)
        self.depth -= 1

    def characters(self, text: str) -> None:
        if not self.stack:
            return
        node = self.stack[-1]
        if node.text or not text.isspace():
            node.text += text
        if len(node.text) > MAX_XML_TEXT_CHARACTERS:
            raise FileRejected(
                f"the text is longer than {MAX_XML_TEXT_CHARACTERS} characters", line=self.line, field=node.name
            )
