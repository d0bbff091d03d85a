"""Incremental decoding: finds the records of an answer that differ from the last one's, without parsing the others.

A poll mostly brings the text of the last one again. So the text of the last answer is kept, in pages of 16 records:

    {"ret":200,"data":{"result":[{record 0},{record 1}, … {record 15},{record 16}, … {record 31},…],"rsptime":1581}}
    '----------- head ----------''-------------- page 0 --------------''-------- page 1 --------'...'---- tail ----'

    page 0:  {record 0},{record 1},{record 2}, … {record 15},
             ends:     ^          ^          ^              ^

A new body is compared with it from the left:

1. The head must be the same.
2. A page whose text stands in its place is unchanged: one comparison for 16 records.
3. In any other page the records are compared one by one, and a changed one ends at its first brace (a guess).
   `RecordPatch` parses it, and refuses it unless it is a record of the same seat.
4. Where most records of a page have changed, the next pages are parsed whole, without looking for the changes (a run).
5. The head and the tail are parsed with something else between them.

The guesses are sound once all new pieces have been parsed: an object of one JSON text is an object in any other that
continues with a comma or a bracket. A body that does not fit (another order, another number of records, notices of
PHP before the head) is decoded in full. `LastAnswer` is the door to this package.
"""

from sipqueue_async._wire.incremental.answer import LastAnswer, Patch
from sipqueue_async._wire.incremental.layout import Frame

__all__ = ["Frame", "LastAnswer", "Patch"]
