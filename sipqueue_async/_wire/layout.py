"""Where an answer's records lie, and what of them differs in the next answer: found without parsing it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice, pairwise
from typing import Final, NamedTuple, Protocol

import msgspec

_splitter: Final = msgspec.json.Decoder(list[msgspec.Raw])

_PAGE: Final = 16  # records; of 4 to 64 the fastest, with 1 % of the records changed


class Frame(NamedTuple):
    """What stands around the records of an answer."""

    head: bytes = b""
    """All that is before the first."""
    between: bytes = b","
    """What is between the first two: in a list a comma, perhaps with blanks."""
    behind: bytes = b"]"
    """As many bytes as that, from behind the last."""

    @classmethod
    def of(cls, body: bytes, records: Collection[bytes]) -> Frame:
        """Return what stands around these records of a body, provided that it is the same between any two of them."""
        first, second = next(iter(records), body), next(islice(records, 1, None), None)
        head, _, rest = body.partition(first)
        between = b"," if second is None else rest.partition(second)[0]
        end = len(head) + sum(map(len, records)) + len(between) * (len(records) - 1)
        return cls(head, between, body[end : end + len(between)])

    @property
    def is_list(self) -> bool:
        """Whether the records are a list's, which has nothing but a comma between two of them.

        There may be more between the first two: names, in an object; a record that comes twice.
        """
        return self.between.strip(b" \t\r\n") == b","

    def first_object(self, body: bytes) -> bytes:
        """Return what looks like the first record of another body, if that begins in the same way."""
        begin = len(self.head)
        return body[begin : body.find(b"}", begin) + 1] if body.startswith(self.head) else b""


class Layout:
    """The text of an answer's records, in pages of a few, and what stands around them.

    An answer is only compared here. What is found so is a guess until the new pieces have been parsed: the changed
    records or runs of them, and the two ends with something else between them. If each is what it should be, so is the
    whole, because what is an object in one JSON text is an object in any that goes on with a comma or a bracket.
    """

    def __init__(self, frame: Frame, pages: Sequence[_Page]) -> None:
        self._frame = frame
        self._pages = pages

    @classmethod
    def of(cls, frame: Frame, records: Sequence[bytes]) -> Layout:
        """Return the layout of records, at least one, that stand in the frame of a list."""
        texts = [record + frame.between for record in records[:-1]] + [records[-1] + frame.behind]
        return cls(frame, [_page(texts[first : first + _PAGE]) for first in range(0, len(texts), _PAGE)])

    def records(self) -> list[bytes]:
        """Return the records, in order, or none of them if what stands between them is not always the same."""
        pages = [page.located(self._frame.between) for page in self._pages]
        found = [page.records(len(self._frame.between)) for page in pages if page is not None]
        return list(chain.from_iterable(found)) if len(found) == len(pages) else []

    def follow(self, body: bytes, reader: Reader) -> Followed | None:
        """Go through an answer that has these records in these places, some of them changed.

        Returns:
            None if this is another kind of answer, or as soon as the reader says so.
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
                # Where most records change, looking for each that did costs more than reading those that did not.
                run = known.rewritten(body, at, between) if is_crowded else None
                count = None if run is None else reader.read_run(first, run.size, run.text[: -len(between)])
                found = run if count is not None else known.follow(body, at, between, first, changed)
                # If the first are others', as they are in another order, it would be in vain to go on.
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
    """Is given what looks like a record where another one was, as it is found, and says what it makes of it."""

    def read_some(self, changed: Mapping[int, bytes]) -> bool:
        """Read records, by place; return whether each is the one of its place, else it is in vain to go on."""
        ...

    def read_run(self, first: int, size: int, records: bytes) -> int | None:
        """Read so many records from a place on, with commas between them; return how many of them have changed.

        None if it cannot be done so: then the same records may come again, one by one.
        """
        ...


class Followed(NamedTuple):
    """An answer with the records of the one before in their places, but for some that have changed."""

    layout: Layout
    """Where its own records lie: the layout that was followed, if none has changed."""
    head: bytes
    """All that is before the first record."""
    tail: bytes
    """All that is behind the last."""


class _Page(NamedTuple):
    """A few records that follow each other, each with what is behind it."""

    text: bytes
    size: int
    """How many there are."""
    ends: tuple[int, ...]
    """Where in the text each of them ends; nothing as long as nobody had to know."""

    def records(self, between: int) -> Iterator[bytes]:
        """Return the text of each record alone, with so many bytes between two of them."""
        return (self.text[first : end - between] for first, end in pairwise((0, *self.ends)))

    def follow(self, body: bytes, start: int, between: bytes, place: int, changed: dict[int, bytes]) -> _Page | None:
        """Return the page that begins there in a body, if it is one, and add what has changed.

        The page's first record has that place in the answer.
        """
        known = self.located(between)
        if known is None:
            return None
        text, ends, gap = self.text, known.ends, len(between)
        # Where the text would begin, if all of it were as long as what stands in its place at present.
        base, first = start, 0
        for number, end in enumerate(known.ends):  # pragma: no branch  # it ends behind the last one that differs
            if not body.startswith(text[first:end], base + first):
                # An object ends at its first brace, unless it holds another one or a text with a brace in it. What is
                # cut off too early is no JSON, so nobody takes it for a record.
                close = body.find(b"}", base + first) + 1
                if body[close : close + gap] != text[end - gap : end]:
                    return None
                changed[place + number] = body[base + first : close]
                longer = close + gap - base - end
                if longer:
                    ends = (*ends[:number], *(it + longer for it in ends[number:]))
                    base += longer
                # Mostly it is the only one.
                if body.startswith(text[end:], base + end):
                    break
            first = end
        return _Page(body[start : start + ends[-1]], self.size, ends)

    def rewritten(self, body: bytes, start: int, between: bytes) -> _Page | None:
        """Return the page that begins there in a body, if as many records seem to follow, and it ends in the same way.

        What these are is for whoever reads them to find out.
        """
        seam, last = b"}" + between, self.text[-len(between) - 1 :]
        text = body[start : start + len(self.text)]
        if not text.endswith(last):
            # Some of them are longer or shorter.
            end = start
            for _ in range(self.size - 1):
                end = body.find(seam, end) + len(seam)
            text = body[start : body.find(last, end) + len(last)]
        return _Page(text, self.size, ()) if text.endswith(last) else None

    def located(self, between: bytes) -> _Page | None:
        """Return the page with its ends, or None if what stands between its records is not always the same."""
        if self.ends:
            return self
        text, behind = self.text[: -len(between)], self.text[-len(between) :]
        records = list(map(bytes, _splitter.decode(b"[%b]" % text)))
        page = _page([*(record + between for record in records[:-1]), records[-1] + behind])
        return page if page.text == self.text else None


def _page(texts: Sequence[bytes]) -> _Page:
    return _Page(b"".join(texts), len(texts), tuple(accumulate(map(len, texts))))
