"""The page's colours: legible on their backgrounds, and told apart also by the colour-blind."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import combinations

import pytest

STYLE = (files("diembft.pages") / "assets" / "style.css").read_text(encoding="utf-8")
TYPES = ("proposal", "vote", "timeout", "sync")
SIDES = ("side0", "side1")
"""Those of two blocks that conflict; more than two are rare, and numbered too."""

Rgb = tuple[float, float, float]

# How colours are seen, in linear RGB: Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of
# color vision deficiency", 2009, severity 1.0.
SEEN = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "all colours": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}


def colours(theme: str) -> dict[str, Rgb]:
    """The named colours of a theme, as linear RGB."""
    light, dark = re.findall(r":root[^{]*\{(.*?)\}", STYLE, re.DOTALL)[:2]
    found = re.findall(r"--([\w-]+): #([0-9a-f]{6})", light if theme == "light" else dark)
    return {name: linear(code) for name, code in found}


def linear(code: str) -> Rgb:
    """From sRGB, in six hexadecimal digits."""
    red, green, blue = (int(code[index : index + 2], 16) / 255 for index in (0, 2, 4))
    return _linear(red), _linear(green), _linear(blue)


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def contrast(one: Rgb, other: Rgb) -> float:
    """The ratio of the Web Content Accessibility Guidelines, from 1 to 21."""
    darker, lighter = sorted(0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def seen(colour: Rgb, matrix: tuple[Rgb, Rgb, Rgb]) -> Rgb:
    """A colour as somebody sees it."""
    red, green, blue = (
        min(1.0, max(0.0, sum(weight * part for weight, part in zip(row, colour, strict=True)))) for row in matrix
    )
    return red, green, blue


def lab(colour: Rgb) -> Rgb:
    """CIE L*a*b*, in which distances are about what an eye tells apart."""
    red, green, blue = colour
    x = _cube_root((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505)
    y = _cube_root(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    z = _cube_root((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _cube_root(value: float) -> float:
    return float(value ** (1 / 3)) if value > 0.008856 else 7.787 * value + 16 / 116


def distance(one: Rgb, other: Rgb) -> float:
    """How far apart two colours are; 2 is just visible side by side."""
    return float(sum((a - b) ** 2 for a, b in zip(lab(one), lab(other), strict=True)) ** 0.5)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sight", SEEN)
def test_types_and_sides_are_told_apart(theme: str, sight: str) -> None:
    named = colours(theme)
    for group in (TYPES, SIDES):
        for one, other in combinations(group, 2):
            apart = distance(seen(named[one], SEEN[sight]), seen(named[other], SEEN[sight]))
            assert apart > 17, f"{one} and {other} for {sight}: {apart:.1f}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_and_lines_stand_out(theme: str) -> None:
    named = colours(theme)
    for text in ("text", "soft", "bad", "good", "accent"):
        for back in ("back", "panel", "raised"):
            assert contrast(named[text], named[back]) >= 4.5, f"{text} on {back}"
    for line in (*TYPES, *SIDES, "side2", "side3", "client", "commit", "wall"):
        assert contrast(named[line], named["back"]) >= 3, line
    for back in ("side0-back", "side1-back", "side2-back", "side3-back", "bad-back"):
        assert contrast(named["text"], named[back]) >= 4.5, back
