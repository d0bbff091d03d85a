"""Where an answer's records lie, and what of them differs in the next answer: found without parsing it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import accumulate, chain, islice, pairwise
from typing import Final, NamedTuple

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

    Comparing is all that is done here. What is found so is a guess until the new pieces have been parsed: the changed
    records, and the two ends with something else between them. If each is what it should be, so is the whole, because
    what is an object in one JSON text is an object in any that goes on with a comma or a bracket.
    """

    def __init__(self, frame: Frame, pages: Sequence[_Page]) -> None:
        self._frame = frame
        self._pages = pages

    @classmethod
    def of(cls, frame: Frame, records: Sequence[bytes]) -> Layout:
        """Return the layout of records, at least one, that stand in the frame of a list."""
        texts = [record + frame.between for record in records[:-1]] + [records[-1] + frame.behind]
        return cls(frame, [_page(texts[first : first + _PAGE]) for first in range(0, len(texts), _PAGE)])

    def records(self) -> Iterator[bytes]:
        """Return the records, in order."""
        return chain.from_iterable(page.records(len(self._frame.between)) for page in self._pages)

    def follow(self, body: bytes, is_known: Callable[[int, bytes], bool]) -> Followed | None:
        """Go through an answer that has these records in these places, some of them changed.

        Args:
            body: The answer.
            is_known: Is asked, with its place and text, whether the first changed record is the one of its place. If
                not, it would be in vain to go on.

        Returns:
            What has changed, or None if this is another kind of answer.
        """
        head, between, _ = self._frame
        if not body.startswith(head):
            return None
        at = len(head)
        pages: list[_Page] = []
        changed: dict[int, bytes] = {}
        for known in self._pages:
            if body.startswith(known.text, at):
                page = known
            else:
                place, first = len(pages) * _PAGE, not changed
                found = known.follow(body, at, len(between), place, changed)
                if found is None or (first and not is_known(*next(iter(changed.items())))):
                    return None
                page = found
            pages.append(page)
            at += len(page.text)
        layout = Layout(self._frame, pages) if changed else self
        return Followed(layout, changed, head, body[at - len(between) :])


class Followed(NamedTuple):
    """An answer with the records of the one before in their places, but for some that have changed."""

    layout: Layout
    changed: dict[int, bytes]
    """What looks like a record where another one was, by its place."""
    head: bytes
    """All that is before the first record."""
    tail: bytes
    """All that is behind the last."""


class _Page(NamedTuple):
    """A few records that follow each other, each with what is behind it."""

    text: bytes
    ends: tuple[int, ...]
    """Where in the text each of them ends."""

    def records(self, between: int) -> Iterator[bytes]:
        """Return the text of each record alone, with so many bytes between two of them."""
        return (self.text[first : end - between] for first, end in pairwise((0, *self.ends)))

    def follow(self, body: bytes, start: int, between: int, place: int, changed: dict[int, bytes]) -> _Page | None:
        """Return the page that begins there in a body, if it is one, and add what has changed.

        The page's first record has that place in the answer, and any two have so many bytes between them.
        """
        text, ends = self.text, self.ends
        # Where the text would begin, if all of it were as long as what stands in its place at present.
        base, first = start, 0
        for number, end in enumerate(self.ends):
            if not body.startswith(text[first:end], base + first):
                # An object ends at its first brace, unless it holds another one or a text with a brace in it. What is
                # cut off too early is no JSON, so nobody takes it for a record.
                close = body.find(b"}", base + first) + 1
                if body[close : close + between] != text[end - between : end]:
                    return None
                changed[place + number] = body[base + first : close]
                longer = close + between - base - end
                if longer:
                    ends = (*ends[:number], *(it + longer for it in ends[number:]))
                    base += longer
            first = end
        return _Page(body[start : start + ends[-1]], ends)


def _page(texts: Sequence[bytes]) -> _Page:
    return _Page(b"".join(texts), tuple(accumulate(map(len, texts))))
