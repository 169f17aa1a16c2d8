"""Bend a direction of W until what is rendered along it moves as the direction says.

A regression normal tells where an attribute is read off codes, not that moving along it raises the
attribute for everybody: where a class is settled (glasses, hair) or an attribute follows another
(skin), many codes stand still or turn back. As in the linear walks of Jahanian et al. 2020, but
with the attribute network for the truth: movement in proportion to the strength, rising for every
code, little else moved.
"""

import torch
import torch.nn.functional as F

from editing import descend

STEPS, BATCH, RATE = 160, 12, 0.01  # the rate in standard deviations of w
CODES = 3000
SATURATED = 4.0  # squared deviations from which a code cannot follow and counts no more
RISE = 0.15  # standard deviations that every code must rise by in a step
RISING, LEAK = 4.0, 0.08  # weights


def read(bench, w, spreads):
    """Targets [N, targets] in standard deviations, with gradients."""
    ws = bench.generator.broadcast(w)
    made = bench.generator.synthesis(ws, "const", torch.bfloat16).clamp(-1, 1)
    with torch.autocast(bench.device.type, torch.bfloat16):
        raw = bench.net(made).float()
    return bench.read(raw) / spreads


def loss_of(target, strengths, movements):
    """`strengths` [N] and `movements` [N, targets] of the nearer and of the farther point."""
    (near, far), (before, after) = strengths, movements
    own = [m[:, target] - k for k, m in zip(strengths, movements)]
    off = sum(x.square().clamp(max=SATURATED).mean() for x in own)
    mean = (after[:, target].mean() / far.mean() - 1).square()
    rise = F.relu(RISE - after[:, target] + before[:, target]).mean()
    rise = rise + F.relu(RISE * near - before[:, target]).mean()
    others = [i for i in range(before.shape[1]) if i != target]
    leak = sum(m[:, others].square().mean() for m in movements)
    return off / 4 + mean + RISING * rise + LEAK * leak


def steer(bench, seed, direction, target):
    """The direction [D], one deviation of target number `target` a step, bent by rendering."""
    spreads = torch.tensor([t.spread for t in bench.targets])
    w = bench.lift(("Z", bench.sample(CODES, seed)), "W")
    rng = torch.Generator().manual_seed(seed)
    scale = w.std(0)

    def loss_at(_step, bend):
        codes = w[torch.randint(len(w), (BATCH,), generator=rng)]
        near = torch.rand(BATCH, generator=rng)
        with torch.no_grad():
            start = read(bench, codes, spreads)
        bent = direction + bend * scale
        strengths = (near, near + 1)
        moved = [read(bench, codes + k[:, None] * bent, spreads) - start for k in strengths]
        return loss_of(target, strengths, moved)

    bend = descend(STEPS, RATE, torch.zeros_like(direction), loss_at)
    return direction + bend * scale
