"""Print the tables of the model card from what the other scripts and `gannet bench --json` wrote.

    python tables.py --models models/faces --score WORK/score.json \\
        --directions WORK/directions.json --inversions WORK/inversions.jsonl --edits WORK/edits.jsonl

Each argument but the first may be left out; each gives its tables, in the card's order.
"""

import argparse
import json
import os

from attributes import load_tensors

LEAKS = 0.5  # standard deviations from which a direction's company is named


def table(columns, rows):
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def number(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def read_lines(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def attributes(config, score):
    """The attribute network's outputs: score on held-out pictures, distance of samples and data."""
    groups = {}
    for output in config["outputs"]:
        if "score" in output:
            single = output["kind"] != "category" and output.get("group") not in ("identity", "landmarks")
            groups.setdefault(output["name"] if single else output["group"], []).append(output)
    rows = []
    for name, members in groups.items():
        mean = sum(o["score"]["value"] for o in members) / len(members)
        kind = {"r2": "R²"}.get(members[0]["score"]["name"], members[0]["score"]["name"])
        unit = members[0].get("unit", "")
        unit = f"mean of {len(members)} coefficients" if name == "identity" else unit
        ks = score["ks"].get(name, {"ks": "", "halves": ""})
        rows.append([name, f"{kind} {mean:.3f}", unit, ks["ks"], ks["halves"]])
    return table(["output", "score", "unit", "KS, samples", "KS, halves"], rows)


def directions(told, space):
    """Directions of one space: what a step is and does."""
    rows = []
    for key, about in told.items():
        if not key.startswith(space + "/") or "effect" not in about:
            continue
        leaks = sorted(about["leakage"].items(), key=lambda pair: -abs(pair[1]))
        company = ", ".join(f"{n} {v:+.1f}" for n, v in leaks[:4] if abs(v) >= LEAKS)
        share = f"{100 * about['monotone']:.0f} / {100 * about['monotone_up']:.0f} %"
        name = key.split("/")[1] + (" *" if about.get("steered") else "")
        effect = [f"{about['effect'][k]:+.2f}" for k in sorted(about["effect"], key=float)]
        step = f"{about['per_step']:.4g} {about['unit']}"
        rows.append([name, number(about.get("accuracy"), 2), step, *effect, share, company])
    columns = ["direction", "R²", "one step", "-2", "-1", "+1", "+2", "monotone / upwards"]
    return table([*columns, f"moves along at +2 ({LEAKS} and over)"], rows)


def components(told):
    """Principal components of W, and what they move at +2."""
    lines = []
    for key, about in told.items():
        if "variance" in about:
            leaks = sorted(about["leakage"].items(), key=lambda pair: -abs(pair[1]))
            moves = ", ".join(f"{n} {v:+.1f}" for n, v in leaks[:3] if abs(v) >= LEAKS)
            share = f"{100 * about['variance']:.1f} %"
            lines.append(f"- {key.split('/')[1]} ({share}): {moves or 'nothing that is read'}\n")
    return "".join(lines)


def inversions(rows):
    """`gannet bench inversions --json`."""
    keys = {"psnr": 2, "ssim": 3, "perceptual": 4, "identity": 3, "offset": 2, "seconds": 2}
    columns = ["method", "space", "steps", "n", *keys]
    body = [[row[c] for c in columns[:4]] + [number(row[k], d) for k, d in keys.items()] for row in rows]
    return table(columns, body)


def edits(rows):
    """`gannet bench edits --json`."""
    keys = {"ssim": 3, "perceptual": 4, "identity": 3, "leakage": 3, "moved": 2}
    body = []
    for row in rows:
        gain = f"{row['psnr'] - row['psnr_no_edit']:+.3f} ± {row['gain_se']:.3f}"
        numbers = [number(row[k], 2) for k in ("psnr", "psnr_no_edit")]
        rest = [number(row["psnr_ceiling"], 2), *(number(row[k], d) for k, d in keys.items())]
        body.append([row["edit"], row["method"], row["n"], *numbers, gain, *rest])
    columns = ["edit", "method", "n", "PSNR", "no edit", "gain", "ceiling", *keys]
    return table(columns, body)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--models", required=True, help="the bundle's folder")
    add("--score", help="what score.py wrote")
    add("--directions", help="what fit_directions.py reported")
    add("--inversions", nargs="*", default=[], help="what gannet bench inversions --json printed")
    add("--edits", nargs="*", default=[], help="what gannet bench edits --json printed")
    args = parser.parse_args()
    _, manifest = load_tensors(os.path.join(args.models, "attributes.safetensors"))
    if args.score:
        with open(args.score) as f:
            print(attributes(manifest["config"], json.load(f)))
    for path in args.inversions:
        print(inversions(read_lines(path)))
    for path in args.edits:
        print(edits(read_lines(path)))
    if args.directions:
        with open(args.directions) as f:
            report = json.load(f)
        print(directions(report["directions"], "W"), components(report["directions"]), sep="\n")
        print(json.dumps(report["summary"], indent=1))
    _, manifest = load_tensors(os.path.join(args.models, "directions.safetensors"))
    print(directions(manifest["config"]["directions"], "W+"))


if __name__ == "__main__":
    main()
