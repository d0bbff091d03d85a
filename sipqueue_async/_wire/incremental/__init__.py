"""Incremental decoding: finds the records of an answer that differ from the last one's, without parsing the others.

Most of an answer's text equals that of the answer before. So the decoder keeps the last text, in pages of 16 records:

    {"ret":200,"data":{"result":[{record 0},{record 1}, … {record 15},{record 16}, … {record 31},…],"rsptime":1581}}
    '----------- head ----------''-------------- page 0 --------------''-------- page 1 --------'...'---- tail ----'

    page 0:  {record 0},{record 1},{record 2}, … {record 15},
             ends:     ^          ^          ^              ^

It compares a new body with that text from the left:

1. The head must be the same.
2. A page whose text is found at its offset is unchanged: one comparison covers 16 records.
3. In any other page the records are compared one by one. A changed record is assumed to end at its first brace.
   `RecordPatch` parses it, and refuses it unless it is a record of the same seat.
4. After a page in which most records changed, the next page is parsed whole, without searching for changes (a run).
5. The head and the tail are parsed with a placeholder between them.

The assumption of step 3 is safe once all pieces have been parsed: a piece that is a whole JSON object, followed by a
comma or a bracket, is an object of the body too. A body that does not fit (another order, another number of records,
PHP notices before the head) is decoded in full. `LastAnswer` is the entry point of this package.
"""

from sipqueue_async._wire.incremental.answer import LastAnswer, Patch
from sipqueue_async._wire.incremental.layout import Frame

__all__ = ["Frame", "LastAnswer", "Patch"]
