# SPDX-License-Identifier: Apache-2.0
"""A little SVG: a picture on its own ground, in light and dark, and charts with logarithmic axes."""
import math
from html import escape

# of light and of dark pictures
COLOURS = {
    "ground": ("#ffffff", "#0d1117"), "ink": ("#1f2328", "#e6edf3"), "faint": ("#59636e", "#9ba5b0"),
    "grid": ("#d8dee4", "#30363d"), "ours": ("#0b62d6", "#58a6ff"), "stock": ("#b45309", "#f0a04b"),
    "podman-zstd": ("#1a7f37", "#57c06d"), "podman-none": ("#8250df", "#bc9cff"),
}


def colours(which):
    """Classes, since not every viewer knows variables in a style."""
    return "\n".join(f".f-{name} {{ fill: {pair[which]}; }} .s-{name} {{ stroke: {pair[which]}; }}"
                     for name, pair in COLOURS.items())


STYLE = f"""
text {{ font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }}
.title {{ font-size: 17px; font-weight: 600; }}
.small {{ font-size: 12px; }}
polyline {{ fill: none; stroke-linejoin: round; }}
{colours(0)}
@media (prefers-color-scheme: dark) {{
{colours(1)}
}}
"""


class Picture:
    def __init__(self, width, height, title, subtitle):
        self.width, self.height, self.parts = width, height, []
        self.name = title
        self.text(24, 32, title, "title")
        self.text(24, 52, subtitle, "small", colour="faint")

    def text(self, x, y, words, kind="", anchor="start", colour="ink"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind} f-{colour}" '
                          f'text-anchor="{anchor}">{escape(words)}</text>')

    def stroke(self, points, colour, width=1.0):
        where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{where}" class="s-{colour}" stroke-width="{width}"/>')

    def bar(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" '
                          f'class="f-{colour}"/>')

    def mark(self, x, y, colour, shape):
        """A sign of its own for each colour, for those who do not see it."""
        r = 5
        corners = {"square": [(-r, -r), (r, -r), (r, r), (-r, r)],
                   "diamond": [(0, -r - 1.5), (r + 1.5, 0), (0, r + 1.5), (-r - 1.5, 0)],
                   "triangle": [(0, -r - 1), (r + 1, r), (-r - 1, r)]}.get(shape)
        style = f'class="f-{colour} s-ground" stroke-width="1.5"'
        if corners is None:
            self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r + .5}" {style}/>')
        else:
            where = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners)
            self.parts.append(f'<polygon points="{where}" {style}/>')

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
                f'width="{self.width}" height="{self.height}" role="img">\n'
                f"<title>{escape(self.name)}</title>\n<style>{STYLE}</style>\n"
                f'<rect width="{self.width}" height="{self.height}" class="f-ground"/>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def log_ticks(low, high):
    """1, 2 and 5 of each power of ten, from the last one below low to the first above high."""
    ticks = [m * 10.0**e for e in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
             for m in (1, 2, 5)]
    first = max(t for t in ticks if t <= low)
    last = min(t for t in ticks if t >= high)
    return [t for t in ticks if first <= t <= last]


def spread_out(places, apart):
    """Move sorted places (down a column) so that each is this far apart from the next."""
    out = []
    for y in places:
        out.append(max(y, out[-1] + apart) if out else y)
    shift = sum(out) / len(out) - sum(places) / len(places) if out else 0
    return [y - shift for y in out]
