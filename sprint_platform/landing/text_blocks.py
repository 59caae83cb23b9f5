"""A text file in blocks that end where records end, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sprint_platform.landing.files import FileRefused, Found
from sprint_platform.landing.streams import Readable, refuse_binary, refuse_nul

BLOCK_BYTES = 16 * 2**20
LINE_BYTES = 16 * 2**20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def text_blocks(
    stream: Readable,
    found: Found,
    notes: set[str],
    last_end: Callable[[bytes], int],
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[bytes]:
    """Blocks of whole records; the last one may lack its line end. ``last_end`` returns
    the end of the last whole record of a text that begins with a record (0: there is none).

    Raises FileRefused for what is no text, and for a line that does not end.
    """
    rest = b""
    first = True
    while block := stream.read(block_bytes):
        if first:
            refuse_binary(block, found)
            if block.startswith(BYTE_ORDER_MARK):
                block = block.removeprefix(BYTE_ORDER_MARK)
                notes.add("UTF-8 byte order mark skipped")
            first = False
        refuse_nul(block)
        block = rest + block
        end = last_end(block)
        rest = block[end:]
        if len(rest) > LINE_BYTES:
            raise FileRefused(
                "line_too_long",
                f"a record is longer than {LINE_BYTES // 2**20} MiB: a line end or a quote is"
                " missing",
            )
        if end:
            block = block[:end]
            if b"\r" in block and b"\r\n" in block:  # one letter is found faster
                notes.add("CRLF line ends")
            yield block
    if rest:
        yield rest


def last_line_end(block: bytes) -> int:
    """The end of the last line of a block; 0: there is none."""
    return block.rfind(b"\n") + 1
