"""Where an answer's records lie, and what of them differs in the next answer: found without parsing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain, pairwise
from typing import Final, NamedTuple

_PAGE: Final = 16  # records; of 4 to 64 the fastest, with 1 % of the records changed


class Layout:
    """The text of an answer up to its first record, and the records' own text, in pages of a few.

    Comparing is all that is done here. What is found so is a guess until the new pieces have been parsed: the changed
    records, and what surrounds the records with something else in their place. If each is what it should be, so is the
    whole, because what is an object in one JSON text is an object in any that goes on with a comma or a bracket.
    """

    def __init__(self, head: bytes, pages: list[_Page]) -> None:
        self._head = head
        self._pages = pages

    @classmethod
    def of(cls, head: bytes, records: Sequence[bytes]) -> Layout:
        """Return the layout of an answer that begins with `head` and goes on with these records, at least one."""
        texts = [record + b"," for record in records[:-1]] + [records[-1] + b"]"]
        return cls(head, [_page(texts[first : first + _PAGE]) for first in range(0, len(texts), _PAGE)])

    @property
    def head(self) -> bytes:
        """What stands before the first record."""
        return self._head

    def records(self) -> Iterator[bytes]:
        """Return the records, in order."""
        return chain.from_iterable(page.records() for page in self._pages)

    def follow(self, body: bytes, changed: Callable[[int, bytes], bool]) -> tuple[Layout, bytes] | None:
        """Go through an answer that has these records in these places, some of them changed.

        Args:
            body: The answer.
            changed: Is given the place and the text of each changed record; says whether to go on.

        Returns:
            The answer's layout and what follows its records; None if this is another kind of answer.
        """
        if not body.startswith(self._head):
            return None
        at = len(self._head)
        pages: list[_Page] = []
        is_same = True
        for known in self._pages:
            page = known
            if not body.startswith(known.text, at):
                followed = known.follow(body, at, len(pages) * _PAGE, changed)
                if followed is None:
                    return None
                page, is_same = followed, False
            pages.append(page)
            at += len(page.text)
        return self if is_same else Layout(self._head, pages), body[at - 1 :]


class _Page(NamedTuple):
    """A few records that follow each other."""

    text: bytes
    """Of each record, and the comma or, after the last of all, the bracket behind it."""
    ends: tuple[int, ...]
    """Where in the text each of them ends."""

    def records(self) -> Iterator[bytes]:
        """Return the text of each record alone."""
        return (self.text[first : end - 1] for first, end in pairwise((0, *self.ends)))

    def follow(self, body: bytes, start: int, place: int, changed: Callable[[int, bytes], bool]) -> _Page | None:
        """Do as `Layout.follow` with these records, the first of which has some place and starts there in the body."""
        at, first, text = start, 0, self.text
        ends: list[int] = []
        for end in self.ends:
            if body.startswith(text[first:end], at):
                at += end - first
            else:
                record = first_object(body, at)
                at += len(record) + 1
                if body[at - 1 : at] != text[end - 1 : end] or not changed(place + len(ends), record):
                    return None
            ends.append(at - start)
            first = end
        return _Page(body[start:at], tuple(ends))


def _page(texts: Sequence[bytes]) -> _Page:
    return _Page(b"".join(texts), tuple(accumulate(map(len, texts))))


def first_object(body: bytes, at: int) -> bytes:
    """Return what looks like the JSON object that begins at some place of a body.

    An object ends at its first brace, unless it holds another one or a text with a brace in it. What is cut off too
    early is no JSON.
    """
    return body[at : body.find(b"}", at) + 1]
