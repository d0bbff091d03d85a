"""Draws which module of the package may import which, from the import rules in pyproject.toml.

`python docs/structure.py` writes docs/_static/structure.svg; the build of the documentation does so too.
"""

import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "_static" / "structure.svg"
WIDTH, ROW, GAP = 900, 34, 14
LETTER = 82
"""The width of a letter, in tenths."""
LEGEND = "orange: built on the public names of the core; blue: the core"


def rows(text: str) -> tuple[list[list[str]], set[str]]:
    """Return the layers of modules, the highest first, and the modules that are built on the core."""
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    layers = next(it["layers"] for it in contracts if it["type"] == "layers")
    extras = next(it["source_modules"] for it in contracts if it["name"].startswith("What is built on the core"))
    built_on_core = {"__main__", *(it.removeprefix("sipqueue_async.") for it in extras)}
    return [layer.split(" | ") for layer in layers], built_on_core


def drawing(text: str) -> str:
    """Return the drawing for a pyproject.toml, as SVG."""
    layers, extras = rows(text)
    height = len(layers) * (ROW + GAP) + 3 * GAP + 20
    size = f'viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="14"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        "<title>The package's modules in layers; each may import those below it</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
    ]
    for number, layer in enumerate(layers):
        y = GAP + number * (ROW + GAP)
        widths = [len(name) * LETTER // 10 + 24 for name in layer]
        x = (WIDTH - 60 - sum(widths) - GAP * (len(layer) - 1)) // 2
        for name, width in zip(layer, widths, strict=True):
            fill, line = ("#fff3e0", "#e0a458") if name in extras else ("#e7f0fa", "#6c9bcf")
            lines.append(
                f'<rect x="{x}" y="{y}" width="{width}" height="{ROW}" rx="4" fill="{fill}" stroke="{line}"/>'
                f'<text x="{x + width // 2}" y="{y + ROW // 2 + 5}" text-anchor="middle">{escape(name)}</text>'
            )
            x += width + GAP
    bottom = len(layers) * (ROW + GAP)
    grey = 'text-anchor="middle" fill="#555555"'
    arrow = f"M{WIDTH - 40} {GAP} V{bottom - 6} m-5 -9 l5 9 l5 -9"
    lines += [
        f'<path d="{arrow}" fill="none" stroke="#555555" stroke-width="1.5"/>',
        f'<text transform="translate({WIDTH - 20} {bottom // 2}) rotate(90)" {grey}>may import</text>',
        f'<text x="{(WIDTH - 60) // 2}" y="{bottom + 2 * GAP}" {grey} font-size="12">{LEGEND}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def write() -> None:
    PICTURE.write_text(drawing((ROOT / "pyproject.toml").read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
