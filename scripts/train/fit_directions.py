"""Find editing directions in Z, W and S with the attribute network, and measure what they do.

    python fit_directions.py --generator models/faces/generator.safetensors \\
        --attributes models/faces/attributes.safetensors \\
        --out models/faces/directions.safetensors \\
        --report WORK/directions.json --sheet WORK/directions.png

For each attribute and space: ridge regression of the attribute on the codes of samples at psi 1
(Shen et al. 2020, "Interpreting the Latent Space of GANs", with regression for the SVM; logits
where the network gives probabilities). In S, half of the samples mix two codes at a random layer:
styles of one w alone say nothing about which layer holds an attribute. The normal's length is
searched by rendering: +1 step moves the attribute by one standard deviation of the data (yaw by
one degree), +2 by two, fitted to both; a direction of W that misses this, or falls for one code in
twenty-five, is bent (steer.py). Then, on codes that no fit has seen: the movement at -2 to
+2, its monotonicity, leakage into all other attributes, the layers that act. Principal components
of W: one step is one standard deviation, named by what they move. Conditional directions
(residual of the projection, as `a | b`) against raw ones for all pairs with |cos| > 0.1.
"""

import argparse
import hashlib
import json
import time

import torch

from common import pick_device, save_model, write_atomically, write_sheet
from editing import SCALARS, Bench
from steer import steer

SPACES = ("Z", "W", "S")
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)
STRENGTHS = (-2, -1, 1, 2)
COMPONENTS = 20
CLEAR = 0.5  # standard deviations at +2 from which a component is named after what it moves
REACH = 1.0  # how far +2 may lead, in mean distances of samples from their mean
MISSED, FALLS = 0.4, 0.04  # deviations at +2, share of codes, from which a direction is bent
ROUNDS = 2  # of bending, at most
PAIR = 0.1  # |cosine| from which a pair is conditioned


def ridge(x, y, held_x, held_y):
    """The best of `RIDGES` for each column of y: unit normals [D, T], slopes [T], R2 [T].

    A slope is what the regression predicts for one unit of length along the normal.
    """
    x, y, held_x, held_y = (t.double() for t in (x, y, held_x, held_y))
    centre, mean = x.mean(0), y.mean(0)
    x, y, held_x, held_y = x - centre, y - mean, held_x - centre, held_y - mean
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    target = vectors.T @ (x.T @ y / len(x))
    best_r2 = torch.full((y.shape[1],), -torch.inf, dtype=torch.double)
    best = torch.zeros(x.shape[1], y.shape[1], dtype=torch.double)
    for strength in RIDGES:
        beta = vectors @ (target / (values.clamp(min=0) + strength * values.mean())[:, None])
        residual = (held_y - held_x @ beta).square().mean(0)
        score = 1 - residual / held_y.square().mean(0)
        better = score > best_r2
        best_r2, best = torch.where(better, score, best_r2), torch.where(better, beta, best)
    slopes = best.norm(dim=0)
    return (best / slopes).float(), slopes.float(), best_r2.float()


def mixed(bench, count, seed):
    """ws [N, L, D] whose rows from a random one on belong to another code."""
    first = bench.lift(("Z", bench.sample(count, seed)), "W+")
    second = bench.lift(("Z", bench.sample(count, seed + 1)), "W+")
    rng = torch.Generator().manual_seed(seed + 2)
    cut = torch.randint(1, first.shape[1], (count, 1, 1), generator=rng).to(first.device)
    rows = torch.arange(first.shape[1], device=first.device)[:, None]
    return torch.where(rows < cut, first, second)


def fit_all(bench, args):
    """{space: (normals [D, T], slopes [T], R2 [T])}; sets the targets' standard deviations."""
    held = args.held_out
    z = bench.sample(args.samples + held, args.seed)
    values = bench.read(bench.raw("Z", z))
    bench.settle_spreads(values)
    y = (values / torch.tensor([t.spread for t in bench.targets]))[:, : bench.searched]
    codes = {space: bench.lift(("Z", z), space).cpu() for space in SPACES}
    found = {s: ridge(codes[s][:-held], y[:-held], codes[s][-held:], y[-held:]) for s in ("Z", "W")}
    s = bench.styles(mixed(bench, args.mixed, args.seed + 100))
    x = torch.cat([codes["S"][:-held], s.cpu()])
    mixed_y = bench.score("S", s)[:, : bench.searched]
    found["S"] = ridge(x, torch.cat([y[:-held], mixed_y]), codes["S"][-held:], y[-held:])
    return found


def moved(bench, space, codes, direction, strengths, start):
    """Movement [strengths, N, targets] in standard deviations; `start` [N, targets]."""
    direction = direction.to(codes.device)
    all_codes = torch.cat([codes + k * direction for k in strengths])
    scores = bench.score(space, all_codes)
    return scores.view(len(strengths), len(codes), -1) - start


def calibrate(bench, space, codes, start, normal, slope, target):
    """The normal at the length where +1 and +2 move the target by one and two deviations.

    Never beyond `REACH`: a weak direction stays short and is said to be, instead of leaving the
    domain for a score that means nothing there.
    """
    radius = (codes - codes.mean(0)).norm(dim=1).mean().item()
    longest = REACH * radius / 2
    length = min(1 / max(slope.item(), 1e-6), longest / 2)
    best = (torch.inf, length)
    for _ in range(5):
        change = moved(bench, space, codes, length * normal, (1, 2), start)[:, :, target].mean(1)
        ratio = ((change[0] + 2 * change[1]) / 5).item()
        best = min(best, (abs(ratio - 1), length))
        following = min(longest, length / min(3.0, max(0.5, ratio)))
        if abs(ratio - 1) < 0.03 or following == length:
            break
        length = following
    return best[1] * normal


def layer_shares(bench, codes, start, direction, target, whole):
    """What pairs of layers do alone at +2, as shares of what all do together.

    Codes [N, D] and direction [D] of W, or [N, L, D] and [L, D] of W+.
    """
    rows, shares = bench.generator.synthesis.num_ws, []
    ws = bench.generator.broadcast(codes) if codes.dim() == 2 else codes
    everywhere = direction.expand(rows, -1)
    for first in range(0, rows, 2):
        step = torch.zeros(rows, direction.shape[-1])
        step[first : first + 2] = everywhere[first : first + 2]
        change = moved(bench, "W+", ws, step, (2,), start)[0, :, target].mean().item()
        share = round(change / whole, 3)
        shares.append({"from": first, "to": min(first + 2, rows), "share": share})
    return shares


def facts(bench, target, r2, movement):
    """What is said about a direction; movement [strengths, N, targets] at `STRENGTHS`; no `r2`: None."""
    t, steps = bench.targets[target], bench.targets[target].steps_per_sd
    mean = movement.mean(1)
    path = torch.cat([movement[:2, :, target], torch.zeros(1, movement.shape[1])])
    path = torch.cat([path, movement[2:, :, target]])
    others = [i for i in range(len(bench.targets)) if i != target]
    keys = [f"{k * steps:.4g}" for k in STRENGTHS]
    return {
        "attribute": SCALARS.get(t.name, t.name),  # as the labels call it
        "unit": t.unit,
        "per_step": round(t.per_step, 5),
        **({} if r2 is None else {"accuracy": round(r2.item(), 4)}),
        "effect": {k: round(v.item() * steps, 3) for k, v in zip(keys, mean[:, target])},
        "monotone": round((path.diff(dim=0) > 0).all(0).float().mean().item(), 4),
        "monotone_up": round((path[2:].diff(dim=0) > 0).all(0).float().mean().item(), 4),
        "leakage": {bench.targets[i].name: round(mean[-1, i].item(), 3) for i in others},
        "leakage_at": round(2 * steps, 3),
    }


def misses(target, told):
    """Whether +2 does not move the attribute by about two deviations, or codes turn back."""
    at_two = list(told["effect"].values())[-1] / target.steps_per_sd
    return abs(at_two - 2) > MISSED or told["monotone_up"] < 1 - FALLS


def measure_space(bench, args, space, fit):
    """({name: direction of one deviation}, {name: facts}, {name: movement}) of one space."""
    normals, slopes, scores = fit
    count = args.probes if space == "W" else args.fewer_probes
    codes = bench.lift(("Z", bench.sample(count, args.seed + 200)), space)
    start = bench.score(space, codes)
    few, directions, told, movements = slice(0, args.tuning_probes), {}, {}, {}

    def measure(direction, i):
        movement = moved(bench, space, codes, direction, STRENGTHS, start)
        return movement, facts(bench, i, scores[i], movement)

    for i, target in enumerate(bench.targets[: bench.searched]):
        name = target.name
        tuned = (space, codes[few], start[few], normals[:, i], slopes[i], i)
        directions[name] = calibrate(bench, *tuned)
        movements[name], told[name] = measure(directions[name], i)
        for k in range(ROUNDS):
            if space != "W" or not misses(target, told[name]):
                break
            directions[name] = steer(bench, args.seed + 500 + k, directions[name], i)
            movements[name], told[name] = measure(directions[name], i)
            told[name]["steered"] = k + 1
        if space == "W":
            whole = movements[name][-1, few, i].mean().item()
            told[name]["layers"] = layer_shares(
                bench, codes[few], start[few], directions[name], i, whole
            )
        effect = list(told[name]["effect"].values())
        leaks = {n: v for n, v in told[name]["leakage"].items() if abs(v) >= 0.5}
        print(f"{space}/{name}: R2 {scores[i]:.2f}, {effect}, {leaks}", flush=True)
    return directions, told, (codes, start, movements)


def cosines(directions):
    """{name: {name: cosine}}."""
    units = torch.stack([d / d.norm() for d in directions.values()])
    table = (units @ units.T).tolist()
    rounded = ([round(c, 3) for c in row] for row in table)
    return {a: dict(zip(directions, row)) for a, row in zip(directions, rounded)}


def components(bench, args):
    """({name: direction}, {name: facts}) of the first principal components of W."""
    w = bench.lift(("Z", bench.sample(args.component_samples, args.seed + 300)), "W").cpu().double()
    values, vectors = torch.linalg.eigh(torch.cov(w.T))
    codes = bench.lift(("Z", bench.sample(args.fewer_probes, args.seed + 400)), "W")
    start, directions, told = bench.score("W", codes), {}, {}
    for k in range(COMPONENTS):
        variance, direction = values[-1 - k], vectors[:, -1 - k] * values[-1 - k].sqrt()
        up, down = moved(bench, "W", codes, direction.float(), (2, -2), start).mean(1)
        change = (up - down) / 2
        top = change.abs().argmax()
        if change[top] < 0:  # the sign of a component is free: what it moves most, it raises
            direction, change = -direction, -change
        name, named = f"pc{k + 1:02}", bench.targets[top].name
        directions[name] = direction.float()
        told[name] = {
            "attribute": SCALARS.get(named, named) if change[top] >= CLEAR else "",
            "unit": "standard deviation of the component",
            "per_step": 1.0,
            "variance": round((variance / values.sum()).item(), 5),
            "leakage": {t.name: round(v, 3) for t, v in zip(bench.targets, change.tolist())},
            "leakage_at": 2.0,
        }
        moves = {n: v for n, v in told[name]["leakage"].items() if abs(v) >= CLEAR}
        print(f"W/{name}: {100 * told[name]['variance']:.1f} %, moves {moves}", flush=True)
    return directions, told


def conditional(bench, args, directions, measured):
    """Leakage on b of a and of a | b, at +2, for all pairs with |cos| > `PAIR`."""
    codes, start, movements = measured
    few = slice(0, args.tuning_probes * 2)
    index, rows = {t.name: i for i, t in enumerate(bench.targets)}, []
    for a, x in directions.items():
        for b, y in directions.items():
            cosine = (x @ y / x.norm() / y.norm()).item()
            if a == b or abs(cosine) <= PAIR:
                continue
            pure = x - (x @ y) / (y @ y) * y
            change = moved(bench, "W", codes[few], pure, (2,), start[few])[0].mean(0)
            raw = movements[a][-1, few].mean(0)
            rows.append(
                {
                    "direction": a,
                    "condition": b,
                    "cosine": round(cosine, 3),
                    "leakage_raw": round(raw[index[b]].item(), 3),
                    "leakage_conditional": round(change[index[b]].item(), 3),
                    "movement_raw": round(raw[index[a]].item(), 3),
                    "movement_conditional": round(change[index[a]].item(), 3),
                }
            )
    return rows


def summary(told, pairs):
    """What the model card asks for, counted."""

    def counts(space):
        all_ = [t for key, t in told.items() if key.startswith(space + "/") and "effect" in t]
        at_two = [list(t["effect"].values())[-1] / (t["leakage_at"] / 2) for t in all_]
        return {
            "directions": len(all_),
            "moved_by_2_within_half": sum(1.5 <= v <= 2.5 for v in at_two),
            "monotone_95": sum(t["monotone"] >= 0.95 for t in all_),
            "monotone_up_95": sum(t["monotone_up"] >= 0.95 for t in all_),
            "mean_absolute_leakage": round(
                sum(sum(map(abs, t["leakage"].values())) / len(t["leakage"]) for t in all_)
                / max(1, len(all_)),
                3,
            ),
        }

    less = [abs(p["leakage_conditional"]) < abs(p["leakage_raw"]) for p in pairs]
    spaces = {s: counts(s) for s in SPACES}
    return {**spaces, "pairs": len(pairs), "pairs_that_leak_less": sum(less)}


def draw_sheet(bench, path, directions, measured):
    """Two codes a row, each at -3 .. +3, one row a direction of W."""
    codes, rows = measured[0], []
    for direction in directions.values():
        step = direction.to(codes.device)
        rows.append(torch.stack([codes[k] + t * step for k in (0, 1) for t in range(-3, 4)]))
    pictures = torch.cat([bench.render("W", row) for row in rows])
    write_sheet(path, pictures, columns=14, zoom=1)


def file_sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def write(args, bench, found):
    """The model file: tensors SPACE/NAME in steps, and what was measured."""
    directions, told = found
    steps = {t.name: t.steps_per_sd for t in bench.targets}
    tensors = {
        f"{space}/{name}": direction / steps.get(name, 1.0)
        for space, of in directions.items()
        for name, direction in of.items()
    }
    config = {
        "generator_sha256": file_sha256(args.generator),
        "directions": told,
        "cosines": {space: cosines(of) for space, of in directions.items()},
        "definitions": {
            "per_step": "one step in `unit`: one standard deviation of the data, of the samples "
            "for logits and luminances; of yaw one degree",
            "accuracy": f"R2 of a linear fit on {args.held_out} held-out codes",
            "effect": "mean movement at these strengths, in steps",
            "monotone": "share of codes that rise at every step from the lowest strength up",
            "monotone_up": "the same from 0 up",
            "steered": "how often it was bent from the regression normal by rendering (steer.py)",
            "leakage": "mean movement of others at `leakage_at`, in their standard deviations",
            "layers": "movement of these layers of w alone, as a share of the whole",
        },
    }
    provenance = {
        "script": "scripts/train/fit_directions.py",
        "attributes_sha256": file_sha256(args.attributes),
        "samples": args.samples,
        "mixed": args.mixed,
        "probes": [args.probes, args.fewer_probes],
        "seed": args.seed,
        "licence": "MIT OR Apache-2.0",
    }
    manifest = {"family": "directions", "config": config, "provenance": provenance}
    save_model(args.out, tensors, manifest)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--generator", required=True)
    add("--attributes", required=True)
    add("--out", required=True)
    add("--report", help="JSON with every number, for the model card")
    add("--sheet", help="PNG with each direction of W at -3 .. +3")
    add("--samples", type=int, default=6000, help="codes to fit on")
    add("--held-out", type=int, default=1000, help="codes to score the fits on")
    add("--mixed", type=int, default=4000, help="codes of two w, for S")
    add("--probes", type=int, default=200, help="fresh codes to measure directions of W on")
    add("--fewer-probes", type=int, default=60, help="the same for Z, S and components")
    add("--tuning-probes", type=int, default=32, help="of these, to search the length on")
    add("--component-samples", type=int, default=50_000)
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1)
    add("--device", default="auto")
    return parser.parse_args()


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    begun = time.time()
    bench = Bench(args.generator, args.attributes, pick_device(args.device))
    fits = fit_all(bench, args)
    print(f"fitted: {bench.rendered} pictures, {time.time() - begun:.0f} s", flush=True)
    directions, told, measured = {}, {}, None
    for space in SPACES:
        directions[space], about, state = measure_space(bench, args, space, fits[space])
        told.update({f"{space}/{name}": a for name, a in about.items()})
        measured = state if space == "W" else measured
    pairs = conditional(bench, args, directions["W"], measured)
    if args.sheet:
        draw_sheet(bench, args.sheet, directions["W"], measured)
    found, about = components(bench, args)
    directions["W"] |= found
    told.update({f"W/{name}": a for name, a in about.items()})
    write(args, bench, (directions, told))
    counted = summary(told, pairs)
    seconds = round(time.time() - begun)
    print(json.dumps(counted, indent=1), f"{bench.rendered} pictures, {seconds} s", flush=True)
    if args.report:
        report = {"summary": counted, "seconds": seconds, "pictures": bench.rendered}
        report |= {"directions": told, "conditional": pairs}
        write_atomically(args.report, json.dumps(report, indent=1).encode())


if __name__ == "__main__":
    main()
