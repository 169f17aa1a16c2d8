"""Time per image over batch, resolution and threads, measured with `gannet bench`, as a plot.

    python scaling.py --gannet BINARY --out scaling.svg [--data scaling.json] [--redraw]

--data keeps the rows; --redraw draws them again without measuring.
"""
import argparse
import json
import os

import common

# Dark enough on white, and still there on a dark page.
COLOURS = ["#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280"]
KINDS = [("forward_ms", "forward", "-"), ("step_ms", "step", "--")]


def plan(a):
    """What is measured, each once: (resolution, batch, threads)."""
    most = max(a.threads)
    points = [(r, 1, most) for r in a.resolution]
    points += [(r, b, most) for r in a.batch_resolution for b in a.batch]
    points += [(r, 1, t) for r in a.batch_resolution for t in a.threads]
    return sorted(set(points))


def measure(a):
    rows = []
    for resolution, batch, threads in plan(a):
        common.say(f"{resolution} px, batch {batch}, {threads} threads")
        rows.append(common.gannet_row(a.gannet, resolution, threads, batch, a.rounds))
        if a.data:
            with open(a.data, "w") as f:
                json.dump(rows, f, indent=1)
    return rows


def curve(axes, rows, over, label, colour):
    """Forward and step of some rows, ms an image."""
    rows = sorted(rows, key=lambda r: r[over])
    for key, kind, style in KINDS:
        xs = [r[over] for r in rows if r[key]]
        ys = [r[key] / r["batch"] for r in rows if r[key]]
        axes.plot(xs, ys, style, marker="o", markersize=3.5, linewidth=1.4, color=colour, label=f"{label}{kind}")


def panel(axes, title, over, rows):
    from matplotlib import ticker
    ticks = sorted({r[over] for r in rows})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel(title)
    axes.yaxis.set_major_locator(ticker.LogLocator(base=10, subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=7)


def draw(rows, out):
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"font.size": 8, "svg.hashsalt": "gannet", "svg.fonttype": "none"})
    import matplotlib.pyplot as plt
    most = max(r["threads"] for r in rows)
    figure, panels = plt.subplots(1, 3, figsize=(9, 2.9), sharey=True, layout="constrained")
    single = [r for r in rows if r["batch"] == 1 and r["threads"] == most]
    curve(panels[0], single, "resolution", "", COLOURS[0])
    panel(panels[0], f"resolution (batch 1, {most} threads)", "resolution", single)
    for axes, title, over, fixed in [(panels[1], f"batch ({most} threads)", "batch", ("threads", most)),
                                     (panels[2], "threads (batch 1)", "threads", ("batch", 1))]:
        chosen = [r for r in rows if r[fixed[0]] == fixed[1]]
        sides = [s for s in sorted({r["resolution"] for r in chosen})
                 if len({r[over] for r in chosen if r["resolution"] == s}) > 1]
        chosen = [r for r in chosen if r["resolution"] in sides]
        for side, colour in zip(sides, COLOURS):
            curve(axes, [r for r in chosen if r["resolution"] == side], over, f"{side}² ", colour)
        if chosen:
            panel(axes, title, over, chosen)
    panels[0].set_ylabel("ms an image")
    metadata = {"Date": None} if out.endswith(".svg") else None
    figure.savefig(out, dpi=160, facecolor="white", metadata=metadata)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--gannet", help="a release build")
    a.add_argument("--out", required=True, help="NAME.svg or NAME.png")
    a.add_argument("--data", help="the measured rows, JSON")
    a.add_argument("--redraw", action="store_true", help="draw what --data holds")
    a.add_argument("--resolution", type=common.numbers, default=[64, 128, 256, 512, 1024])
    a.add_argument("--batch", type=common.numbers, default=[1, 2, 4, 8, 16])
    a.add_argument("--batch-resolution", type=common.numbers, default=[64, 256], help="where batch and threads vary")
    a.add_argument("--threads", type=common.numbers, default=sorted({1, os.cpu_count() or 1}))
    a.add_argument("--rounds", type=int, help="of one call of gannet bench; its own number unless given")
    a = a.parse_args()
    if a.redraw:
        if not a.data:
            raise SystemExit("--redraw needs --data FILE")
        with open(a.data) as f:
            rows = json.load(f)
    elif a.gannet:
        rows = measure(a)
    else:
        raise SystemExit("--gannet BINARY is needed to measure")
    draw(rows, a.out)
    common.say(f"{a.out}: {os.path.getsize(a.out)} bytes")


if __name__ == "__main__":
    main()
