"""The positions of an answer's records, and the comparison with the next answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice, pairwise
from typing import Final, NamedTuple, Protocol

import msgspec

_splitter: Final = msgspec.json.Decoder(list[msgspec.Raw])

# Records in a page: the fastest number from 4 to 64 if 1 % of the records change.
_PAGE: Final = 16


class Frame(NamedTuple):
    """The bytes around the records of an answer."""

    head: bytes = b""
    """The bytes before the first record."""
    between: bytes = b","
    """The bytes between the first two records: in a list a comma, perhaps with blanks."""
    behind: bytes = b"]"
    """The bytes after the last record, as many as in `between`."""

    @classmethod
    def of(cls, body: bytes, records: Collection[bytes]) -> Frame:
        """Return the frame of a body with these records, if the bytes between any two of them are the same."""
        first, second = next(iter(records), body), next(islice(records, 1, None), None)
        head, _, rest = body.partition(first)
        between = b"," if second is None else rest.partition(second)[0]
        end = len(head) + sum(map(len, records)) + len(between) * (len(records) - 1)
        return cls(head, between, body[end : end + len(between)])

    @property
    def is_list(self) -> bool:
        """Whether a comma separates the first two records.

        If the records are in an object, a name is between them too; if the first record is repeated, its copy is.
        """
        return self.between.strip(b" \t\r\n") == b","

    def first_object(self, body: bytes) -> bytes:
        """Return the bytes that look like the first record of a body with the same head; none for another head."""
        begin = len(self.head)
        return body[begin : body.find(b"}", begin) + 1] if body.startswith(self.head) else b""


class Layout:
    """The text of an answer's records in pages, and the frame around them.

    It only compares texts. The changed records that it finds are guesses until a `Reader` has parsed them.
    """

    def __init__(self, frame: Frame, pages: Sequence[_Page]) -> None:
        self._frame = frame
        self._pages = pages

    @classmethod
    def of(cls, frame: Frame, records: Sequence[bytes]) -> Layout:
        """Return the layout of a list of one or more records."""
        texts = [record + frame.between for record in records[:-1]] + [records[-1] + frame.behind]
        return cls(frame, [_page(texts[first : first + _PAGE]) for first in range(0, len(texts), _PAGE)])

    def records(self) -> list[bytes]:
        """Return the text of each record in order; nothing if the bytes between records differ."""
        pages = [page.located(self._frame.between) for page in self._pages]
        found = [page.records(len(self._frame.between)) for page in pages if page is not None]
        return list(chain.from_iterable(found)) if len(found) == len(pages) else []

    def follow(self, body: bytes, reader: Reader) -> Followed | None:
        """Compare a body with this layout, and pass the changed records to a reader.

        Returns:
            None if the body does not have the same seats in the same order, or if the reader refuses a record.
        """
        head, between, _ = self._frame
        if not body.startswith(head):
            return None
        at = len(head)
        pages: list[_Page] = []
        changed: dict[int, bytes] = {}
        has_changed = is_crowded = False
        for known in self._pages:
            page = known
            if not body.startswith(known.text, at):
                first, before = len(pages) * _PAGE, len(changed)
                # If most records change, parsing all costs less than finding the changed ones.
                run = known.rewritten(body, at, between) if is_crowded else None
                count = None if run is None else reader.read_run(first, run.size, run.text[: -len(between)])
                found = run if count is not None else known.follow(body, at, between, first, changed)
                # Parse the first changed records now: if the order differs, they are of other seats.
                if found is None or not (has_changed or reader.read_some(changed)):
                    return None
                page = found
                is_crowded = 2 * (len(changed) - before if count is None else count) > known.size
                if not has_changed:
                    has_changed = True
                    changed.clear()
            pages.append(page)
            at += len(page.text)
        if not reader.read_some(changed):
            return None
        layout = Layout(self._frame, pages) if has_changed else self
        return Followed(layout, head, body[at - len(between) :])


class Reader(Protocol):
    """Parses the pieces of a body that look like changed records; `RecordPatch` in the product."""

    def read_some(self, changed: Mapping[int, bytes]) -> bool:
        """Read records by number; return False if one is refused."""
        ...

    def read_run(self, first: int, size: int, records: bytes) -> int | None:
        """Read `size` adjacent records from number `first` on; return how many have changed.

        Returns:
            None if they must be read one by one.
        """
        ...


class Followed(NamedTuple):
    """A body that was compared to its end."""

    layout: Layout
    """The body's layout; the same object as before if no record has changed."""
    head: bytes
    """The bytes before the first record."""
    tail: bytes
    """The bytes after the last record."""


class _Page(NamedTuple):
    """A few adjacent records, each followed by the bytes between it and the next."""

    text: bytes
    size: int
    """The number of records."""
    ends: tuple[int, ...]
    """The offset in `text` at which each record and the bytes after it end; empty until needed."""

    def records(self, between: int) -> Iterator[bytes]:
        """Return the text of each record, without the `between` bytes after it."""
        return (self.text[first : end - between] for first, end in pairwise((0, *self.ends)))

    def follow(self, body: bytes, start: int, between: bytes, place: int, changed: dict[int, bytes]) -> _Page | None:
        """Return the new page at an offset of a body, and collect its changed records.

        Args:
            body: The body.
            start: The offset.
            between: The bytes between two records.
            place: The number of the page's first record.
            changed: Receives the changed records by number.

        Returns:
            None if fewer records follow than the page has.
        """
        known = self.located(between)
        if known is None:
            return None
        text, ends, gap = self.text, known.ends, len(between)
        # The offset at which the page's old text would start, moved by the lengths of the changed records so far.
        base, first = start, 0
        for number, end in enumerate(known.ends):  # pragma: no branch  # it breaks after the last changed record
            if not body.startswith(text[first:end], base + first):
                # An object ends at its first brace unless it contains another one. If it does, the piece is not JSON,
                # and the reader refuses it.
                close = body.find(b"}", base + first) + 1
                if body[close : close + gap] != text[end - gap : end]:
                    return None
                changed[place + number] = body[base + first : close]
                longer = close + gap - base - end
                if longer:
                    ends = (*ends[:number], *(it + longer for it in ends[number:]))
                    base += longer
                # Usually only one record of a page has changed.
                if body.startswith(text[end:], base + end):
                    break
            first = end
        return _Page(body[start : start + ends[-1]], self.size, ends)

    def rewritten(self, body: bytes, start: int, between: bytes) -> _Page | None:
        """Return the new page at an offset of a body, if as many records as before seem to follow."""
        seam, last = b"}" + between, self.text[-len(between) - 1 :]
        text = body[start : start + len(self.text)]
        if not text.endswith(last):
            # Some records are longer or shorter than before.
            end = start
            for _ in range(self.size - 1):
                end = body.find(seam, end) + len(seam)
            text = body[start : body.find(last, end) + len(last)]
        return _Page(text, self.size, ()) if text.endswith(last) else None

    def located(self, between: bytes) -> _Page | None:
        """Return the page with its ends, or None if the bytes between its records differ."""
        if self.ends:
            return self
        text, behind = self.text[: -len(between)], self.text[-len(between) :]
        records = list(map(bytes, _splitter.decode(b"[%b]" % text)))
        page = _page([*(record + between for record in records[:-1]), records[-1] + behind])
        return page if page.text == self.text else None


def _page(texts: Sequence[bytes]) -> _Page:
    return _Page(b"".join(texts), len(texts), tuple(accumulate(map(len, texts))))
