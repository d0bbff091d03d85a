"""The parts of documentation pages that benchmarks write, each between two marks."""

from pathlib import Path


def replace_part(page: Path, begin: str, end: str, part: str) -> None:
    """Replace what stands between two marks of a page; raise ``ValueError`` if the page lacks one of them."""
    head, mark, rest = page.read_text("utf-8").partition(begin)
    _, behind, tail = rest.partition(end)
    if not mark or not behind:
        raise ValueError(f"{page.name} lacks {end if mark else begin}")
    text = part.strip("\n")
    page.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}", "utf-8")
