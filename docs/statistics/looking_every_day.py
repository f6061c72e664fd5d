#!/usr/bin/env python3
"""Draws looking-every-day.svg: two simulated tests, day by day, with an ordinary interval and with the engine's.

    python3 docs/statistics/looking_every_day.py target/release/outcome-runtime

The units are made up (seeded, so the picture is always the same); the confidence sequences are the engine's, through
`stats eval`. The first test is picked among tests of nothing because its ordinary interval raises a false alarm: 27 of 100
do that when looked at once a day (simulation.md). Only Python's standard library is used.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

DAYS, PER_ARM, RATE, TAU = 28, 1000, 0.05, 0.005
# Seed, rate of the treatment, title, and what is written below it.
TESTS = [
    (10, 0.05, "Nothing changed", "the new page is a copy of the old one; difference in percentage points"),
    (11, 0.06, "A real improvement", "6 instead of 5 of 100 visitors buy; difference in percentage points"),
]
WIDTH, HEIGHT, TOP, BOTTOM, PANEL = 860, 384, 64, 296, 380
LEFTS, REACH = (52, 470), 2.2  # left edges of the panels; percentage points up and down


def path(seed, rate):
    """Cumulative (n, x control, x treatment) of each day."""
    rng = random.Random(seed)
    n = a = b = 0
    days = []
    for _ in range(DAYS):
        n += PER_ARM
        a += sum(rng.random() < RATE for _ in range(PER_ARM))
        b += sum(rng.random() < rate for _ in range(PER_ARM))
        days.append((n, a, b))
    return days


def ask(engine, days):
    """The engine's answer for each day."""
    lines = [
        json.dumps({"id": day, "fn": "ab", "input": {"kind": "proportion", "control": {"n": n, "x": a},
                    "treatment": {"n": n, "x": b}, "alpha": 0.05, "tau": TAU}})
        for day, (n, a, b) in enumerate(days, 1)
    ]
    done = subprocess.run([engine, "stats", "eval"], input="\n".join(lines), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def intervals(answer):
    """(day, effect, ordinary low, high, sequence low, high) in percentage points."""
    out = []
    for one in answer:
        if one["status"] != "ok":
            continue
        effect, half = 100 * one["delta"], 196 * one["var"] ** 0.5
        low, high = (100 * end for end in one["ci"])
        out.append((one["id"], effect, effect - half, effect + half, low, high))
    return out


def x_of(left, day):
    return left + PANEL * (day - 1) / (DAYS - 1)


def y_of(points):
    return TOP + (BOTTOM - TOP) * (REACH - points) / (2 * REACH)


def points(left, rows, column):
    return [f"{x_of(left, row[0]):.1f},{y_of(row[column]):.1f}" for row in rows]


def band(left, rows, low, high, style):
    """The area between two columns, with its two borders; what leaves the panel is cut off."""
    upper, lower = points(left, rows, high), points(left, rows, low)
    return [
        f'<polygon class="{style}" stroke="none" points="{" ".join(upper + lower[::-1])}"/>',
        f'<polyline class="{style} border" points="{" ".join(upper)}"/>',
        f'<polyline class="{style} border" points="{" ".join(lower)}"/>',
    ]


def text(x, y, words, style="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{words}</text>'


def panel(left, rows, title, subtitle):
    zero = y_of(0)
    out = [text(left, 28, title, "title"), text(left, 48, subtitle, "soft")]
    out.append(f'<clipPath id="c{left}"><rect x="{left}" y="{TOP}" width="{PANEL}" height="{BOTTOM - TOP}"/></clipPath>')
    out.append(f'<g clip-path="url(#c{left})">')
    out += band(left, rows, 4, 5, "sequence") + band(left, rows, 2, 3, "ordinary")
    out.append(f'<polyline class="effect" points="{" ".join(points(left, rows, 1))}"/></g>')
    out.append(f'<line class="zero" x1="{left}" x2="{left + PANEL}" y1="{zero:.1f}" y2="{zero:.1f}"/>')
    for value in (-2, -1, 0, 1, 2):
        out.append(text(left - 8, y_of(value) + 4, f"{value:+d}" if value else "0", "soft", "end"))
    for day in (1, 7, 14, 21, 28):
        out.append(text(x_of(left, day), BOTTOM + 18, str(day), "soft", "middle"))
    out.append(text(left + PANEL / 2, BOTTOM + 36, "day", "soft", "middle"))
    alarms = [row for row in rows if row[2] > 0 or row[3] < 0]
    proofs = [row for row in rows if row[4] > 0 or row[5] < 0]
    return out, alarms, proofs


def note(x, y, to_x, to_y, lines, style):
    """Words with a line to the place that they are about; the line starts below the words."""
    out = [text(x, y + 15 * i, line, style, "middle") for i, line in enumerate(lines)]
    start = y + 15 * (len(lines) - 1) + 5 if to_y > y else y - 13
    out.append(f'<line class="leader" x1="{x:.1f}" y1="{start:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"/>')
    return out


STYLE = """
text { fill: #1a1a1a; font: 13px sans-serif } .title { font-size: 16px; font-weight: bold } .soft { fill: #595959 }
.back { fill: #ffffff } .sequence { fill: #b9d3f5 } .ordinary { fill: #f3c98b }
.border { fill: none } .sequence.border { stroke: #0b57d0 } .ordinary.border { stroke: #8a5a00; stroke-dasharray: 3 2 }
.effect { fill: none; stroke: #1a1a1a; stroke-width: 2 } .zero { stroke: #1a1a1a; stroke-dasharray: 6 3 } .leader { stroke: #1a1a1a }
.dot { fill: #1a1a1a; stroke: #ffffff; stroke-width: 1.5 } .loud { font-weight: bold }
@media (prefers-color-scheme: dark) {
text { fill: #f0f0f0 } .soft { fill: #b8b8b8 } .back { fill: #16181d }
.sequence { fill: #1f3f6e } .ordinary { fill: #7a5414 } .border { fill: none }
.sequence.border { stroke: #8ab4f8 } .ordinary.border { stroke: #f3c98b }
.effect, .zero, .leader { stroke: #f0f0f0 } .dot { fill: #f0f0f0; stroke: #16181d }
}"""


def main(engine):
    body = []
    for number, (left, (seed, rate, title, subtitle)) in enumerate(zip(LEFTS, TESTS)):
        days = path(seed, rate)
        rows = intervals(ask(engine, days))
        drawn, alarms, proofs = panel(left, rows, title, subtitle)
        body += drawn
        first = (alarms if number == 0 else proofs)[0]
        day, (x, y) = first[0], (x_of(left, first[0]), y_of(0))
        body.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        if number == 0:
            lines = [f"day {day}: false alarm", "of the ordinary interval"]
        else:
            lines = [f"day {day}: the whole sequence", "is above 0: proven"]
        body += note(left + 250, 258, x, y + 6, lines, "loud")
        print(f"{title}: ordinary says so on days {[row[0] for row in alarms]}, the engine on {[row[0] for row in proofs]}")
        print("  day, n per arm, control, treatment:", day, *days[day - 1])
    y = HEIGHT - 26
    body.append(f'<polygon class="ordinary" points="52,{y} 78,{y} 78,{y + 14} 52,{y + 14}"/>')
    body.append(text(86, y + 12, "ordinary 95 % interval: right for one look"))
    body.append(f'<polygon class="sequence" points="370,{y} 396,{y} 396,{y + 14} 370,{y + 14}"/>')
    body.append(text(404, y + 12, "confidence sequence: right at all looks together"))
    body.append(text(LEFTS[1] + PANEL, y + 12, "line: measured difference", "", "end"))
    svg = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">
<title id="t">Looking every day</title>
<desc id="d">Two simulated tests over 28 days; the measured difference in percentage points with an ordinary interval and with a \
wider confidence sequence. Where nothing changed the ordinary interval leaves zero for some days and comes back; the confidence \
sequence never leaves it. Where the new page is better the confidence sequence leaves zero and stays away.</desc>
<style>{STYLE}
</style>
<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>
""" + "\n".join(body) + "\n</svg>\n"
    Path(__file__).with_name("looking-every-day.svg").write_text(svg)


if __name__ == "__main__":
    main(*sys.argv[1:])
