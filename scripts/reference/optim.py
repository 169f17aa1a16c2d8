"""Optimiser trajectories, the projector's schedules and its noise regulariser.

    python optim.py --out tests/reference/optim [--official CHECKOUT] [--only lbfgs|cma|trajectories]

lbfgs.json holds the iterates of scipy's fmin_l_bfgs_b without bounds, from a machine with scipy.
cma.json holds the generations of pycma's CMAEvolutionStrategy, from a machine with pycma.

With --official the schedule lines and the regulariser are checked against the official projector, run for real with a
feature network that is a stand-in (a projection needs a file that we do not have); nothing of it is stored.
"""
import argparse
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

from common import rng, write_any, write_json

POINTS = {0: 0, 1: .002, 25: .05, 50: .1, 400: .1, 750: .1, 800: .09045, 875: .05, 950: .00955, 999: 3.95e-6}


def trajectory(opt, start, loss_of, steps=100):
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    o = opt([x])
    xs, losses = [x.detach().tolist()], []
    for _ in range(steps):
        o.zero_grad()
        loss = loss_of(x)
        loss.backward()
        losses.append(loss.item())
        o.step()
        xs.append(x.detach().tolist())
    return dict(x=xs, loss=losses)


class Lookahead:
    """Zhang et al. 2019, algorithm 1, over an optimiser of torch: every k steps slow += alpha (fast - slow), fast = slow."""
    def __init__(self, inner, k, alpha):
        self.inner, self.k, self.alpha, self.steps = inner, k, alpha, 0
        self.params = inner.param_groups[0]["params"]
        self.slow = [p.detach().clone() for p in self.params]

    def zero_grad(self):
        self.inner.zero_grad()

    def step(self):
        self.inner.step()
        self.steps += 1
        if self.steps % self.k == 0:
            for slow, p in zip(self.slow, self.params):
                slow.add_(p.detach() - slow, alpha=self.alpha)
                p.data.copy_(slow)


def schedule(steps=1000, lr=0.1, down=0.25, up=0.05, noise=0.05, ramp=0.75):
    out = dict(lr=[], w_noise=[])
    for i in range(steps):
        t = i / steps
        s = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - t) / down))
        out["lr"].append(lr * s * min(1.0, t / up))
        out["w_noise"].append(noise * max(0.0, 1.0 - t / ramp) ** 2)
    return out


def regulariser(n):
    total, n = 0.0, n[None, None]
    scales = []
    while True:
        a = (n * torch.roll(n, 1, 3)).mean() ** 2
        b = (n * torch.roll(n, 1, 2)).mean() ** 2
        total = total + a + b
        scales.append([a.item(), b.item()])
        if n.shape[2] <= 8:
            return total, scales
        n = F.avg_pool2d(n, 2)


def lbfgs(path):
    """Iterates of scipy's L-BFGS-B without bounds on functions whose value and gradient are closed forms."""
    import scipy
    from scipy.optimize import fmin_l_bfgs_b, rosen, rosen_der
    r = rng("lbfgs")

    def run(function, f, start, history, most, **facts):
        xs = [np.asarray(start, dtype=float)]
        best, value, info = fmin_l_bfgs_b(f, xs[0], m=history, factr=0.0, pgtol=1e-9, maxfun=10000, maxiter=10000,
                                          callback=lambda x: xs.append(x.copy()))
        return dict(function=function, history=history, x=[x.tolist() for x in xs[:most]], minimiser=best.tolist(),
                    value=float(value), evaluations=int(info["funcalls"]), iterations=int(info["nit"]), **facts)

    def quadratic(spread, start, history):
        n = len(spread)
        q = np.linalg.qr(r.standard_normal((n, n)))[0]
        A = q @ np.diag(spread) @ q.T
        A, b = (A + A.T) / 2, r.standard_normal(n)
        return run("quadratic", lambda x: (0.5 * x @ A @ x - b @ x, A @ x - b), start, history, 40,
                   A=A.tolist(), b=b.tolist())
    X, y = r.standard_normal((30, 5)), np.sign(r.standard_normal(30))

    def logistic(w):
        m = y * (X @ w)
        return (np.log1p(np.exp(-m)).mean() + 0.005 * w @ w,
                -(X * (y / (1 + np.exp(m)))[:, None]).mean(0) + 0.01 * w)
    rosenbrock = lambda x: (rosen(x), rosen_der(x))
    cases = dict(
        quadratic=quadratic([1.0, 3.0, 10.0, 30.0, 0.3, 0.1], r.standard_normal(6), 10),
        quadratic_short=quadratic([1.0, 2.0, 4.0, 8.0], r.standard_normal(4), 2),
        rosenbrock=run("rosenbrock", rosenbrock, [-1.2, 1.0], 10, 60),
        rosenbrock6=run("rosenbrock", rosenbrock, [-1.2, 1.0, 0.3, 2.0, -0.5, 0.7], 5, 15),
        logistic=run("logistic", logistic, np.zeros(5), 10, 40, X=X.tolist(), y=y.tolist()))
    write_json(path, dict(scipy=scipy.__version__, pgtol=1e-9, cases=cases))


def generations(path):
    """Candidates, losses and the state after each generation of pycma with its defaults.

    The covariance begins at the identity: pycma begins with variances that differ by up to 1e-4, against equal
    eigenvalues. `sigma_ask` and `mean_ask` are implied by the generation before.
    """
    import cma
    functions = dict(
        rosenbrock=lambda x: sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
        ellipsoid=lambda x: sum(10.0 ** (6 * np.arange(len(x)) / (len(x) - 1)) * x ** 2),
        rastrigin=lambda x: sum(x ** 2 + 10 * (1 - np.cos(2 * np.pi * x))))
    r = rng("cma")

    def run(function, n, sigma, count, wait=None):
        f, start = functions[function], r.standard_normal(n)
        options = dict(seed=1, verbose=-9, randn=lambda *shape: r.standard_normal(shape))
        es = cma.CMAEvolutionStrategy(start, sigma, dict(options, updatecovwait=wait))
        es.sm.C, es.sm.D, es.sm.B = np.eye(n), np.ones(n), np.eye(n)
        each = []
        for _ in range(count):
            xs = es.ask()
            fs = [float(f(x)) for x in xs]
            es.tell(xs, fs)
            each.append(dict(x=[x.tolist() for x in xs], f=fs, mean=es.mean.tolist(), sigma=float(es.sigma),
                             C=[es.sm.C[i, :i + 1].tolist() for i in range(n)], p_c=es.pc.tolist(),
                             p_sigma=es.adapt_sigma.ps.tolist()))
        weights = es.sp.weights
        p = es.sm.parameters(mueff=weights.mueff, lam=weights.lambda_)
        return dict(function=function, start=start.tolist(), sigma=sigma, wait=wait, popsize=es.popsize,
                    weights=list(weights), mueff=weights.mueff, c_1=p["c1"], c_mu=p["cmu"], c_c=es.sp.cc,
                    c_sigma=es.adapt_sigma.cs, damps=es.adapt_sigma.damps, generations=each)
    cases = dict(
        rosenbrock2=run("rosenbrock", 2, 0.5, 20), ellipsoid5=run("ellipsoid", 5, 1.0, 25),
        rastrigin8=run("rastrigin", 8, 2.0, 20), lazy5=run("ellipsoid", 5, 0.3, 25, wait=3))
    write_json(path, dict(pycma=cma.__version__, cases=cases))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", required=True)
    a.add_argument("--official")
    a.add_argument("--only", choices=["lbfgs", "cma", "trajectories"])
    a = a.parse_args()
    if a.only in (None, "lbfgs"):
        lbfgs(os.path.join(a.out, "lbfgs.json"))
    if a.only in (None, "cma"):
        generations(os.path.join(a.out, "cma.json"))
    if a.only in ("lbfgs", "cma"):
        return
    r = rng("optim")
    scale = [1.0, 10.0, 100.0, 1000.0, 0.1, 0.01]
    q = np.linalg.qr(r.standard_normal((6, 6)))[0]
    A = q @ np.diag(scale) @ q.T
    A = (A + A.T) / 2
    b = r.standard_normal(6)
    At, bt = torch.from_numpy(A), torch.from_numpy(b)
    quad = lambda x: 0.5 * x @ At @ x - bt @ x
    rosen = lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
    start6, start_r = r.standard_normal(6).tolist(), [-1.2, 1.0]
    adam = lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.9, 0.999), eps=1e-8)
    kinds = {
        "adam": adam,
        "sgd_momentum": lambda p: torch.optim.SGD(p, lr=1e-4, momentum=0.9),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99, eps=1e-8),
        "adamax": lambda p: torch.optim.Adamax(p, lr=0.02, betas=(0.9, 0.999), eps=1e-8),
        "radam": lambda p: torch.optim.RAdam(p, lr=5e-4, betas=(0.95, 0.999), eps=1e-8),
        "ranger": lambda p: Lookahead(torch.optim.RAdam(p, lr=5e-3, betas=(0.95, 0.999), eps=1e-8), 6, 0.5),
    }
    out = dict(quadratic=dict(A=A.tolist(), b=b.tolist(), start=start6, minimiser=np.linalg.solve(A, b).tolist(),
                              loss="x'Ax/2 - b'x"),
               rosenbrock=dict(start=start_r, loss="100 (y - x^2)^2 + (1 - x)^2"), trajectories={})
    for name, make in kinds.items():
        out["trajectories"][name] = dict(quadratic=trajectory(make, start6, quad), rosenbrock=trajectory(make, start_r, rosen))
    # with gradients that are exactly zero at times, and a learning rate that the schedule changes
    def scheduled(p):
        o = torch.optim.Adam(p, lr=0.0, betas=(0.9, 0.999), eps=1e-8)
        lrs, step = schedule(100)["lr"], o.step
        def run():
            o.param_groups[0]["lr"] = lrs.pop(0)
            step()
        o.step = run
        return o
    out["trajectories"]["adam_projector_schedule"] = dict(quadratic=trajectory(scheduled, start6, quad),
                                                          rosenbrock=trajectory(scheduled, start_r, rosen))
    write_json(os.path.join(a.out, "trajectories.json"), out)
    if a.only == "trajectories":
        return

    s = schedule()
    for i, v in POINTS.items():
        assert abs(s["lr"][i] - v) <= 5e-3 * max(v, 1e-9) or abs(s["lr"][i] - v) < 5e-6 * 1e-3, (i, v, s["lr"][i])
    write_json(os.path.join(a.out, "projector_schedule.json"), dict(
        steps=1000, initial_learning_rate=0.1, rampdown=0.25, rampup=0.05, initial_noise_factor=0.05, noise_ramp=0.75,
        note="w_noise is to be multiplied by sigma_w; the w of a step is w + N(0,1) * sigma_w * w_noise", **s))

    tensors, values = {}, {}
    for n in (4, 8, 16, 32):
        for kind in ("white", "smooth"):
            v = r.standard_normal((n, n))
            if kind == "smooth":
                v = v + 0.7 * np.roll(v, 1, 0) + 0.5 * np.roll(v, 1, 1)
            t = torch.from_numpy(v).requires_grad_(True)
            total, scales = regulariser(t)
            total.backward()
            k = f"{kind}_{n}"
            tensors[k + ".noise"], tensors[k + ".grad"] = t.detach(), t.grad
            m = t.detach() - t.detach().mean()
            tensors[k + ".normalised"] = m * m.square().mean().rsqrt()
            values[k] = dict(size=n, value=total.item(), scales=scales)
    write_any(os.path.join(a.out, "noise_reg.safetensors"), {k: v.contiguous() for k, v in sorted(tensors.items())}, {})
    write_json(os.path.join(a.out, "noise_reg.json"), dict(
        note="value without the factor 1e5; scales: [x, y] term at each size, largest first; grad is of value", maps=values))
    if a.official:
        check(a.official, s)


def check(path, s):
    """Runs the official project() for 1000 steps on a tiny network and compares learning rates and noise gradients.

    The stand-in's features are all zero, so that the gradients of the noise maps are the regulariser's alone.
    """
    import io
    import sys
    import types
    sys.modules.setdefault("imageio", types.ModuleType("imageio"))
    from common import official
    networks = official(path)
    import dnnlib
    import projector
    torch.manual_seed(0)
    g = networks.Generator(8, 0, 8, 32, 1, dict(num_layers=1), dict(channel_base=32, channel_max=2))

    class Features(torch.nn.Module):
        def forward(self, x, resize_images: bool = False, return_lpips: bool = True):
            return x * 0
    real = torch.optim.Adam
    seen, gaps = [], []

    class Spy(real):
        def step(self, *x, **k):
            seen.append(self.param_groups[0]["lr"])
            if len(seen) in (1, 2, 3, 4):     # later they are all but zero, and f32 noise
                for p in self.param_groups[0]["params"][1:]:
                    n = p.detach().double().requires_grad_(True)
                    regulariser(n)[0].backward()
                    want = 1e5 * n.grad
                    gaps.append((len(seen), p.shape[0], ((p.grad - want).abs().max() / want.abs().max()).item()))
            return super().step(*x, **k)
    torch.optim.Adam, load, url = Spy, torch.jit.load, dnnlib.util.open_url
    torch.jit.load, dnnlib.util.open_url = lambda f: Features(), lambda u: io.BytesIO()
    try:
        projector.project(g, torch.zeros(1, 32, 32), num_steps=1000, device=torch.device("cpu"))
    finally:
        torch.optim.Adam, torch.jit.load, dnnlib.util.open_url = real, load, url
    worst = max(abs(x - y) for x, y in zip(seen, s["lr"]))
    print("official projector:", len(seen), "steps, learning rates differ by at most", worst)
    print("noise gradients differ by at most", max(g[2] for g in gaps), "of the largest, in", len(gaps), "maps")
    assert len(seen) == 1000 and worst < 1e-15 and len(gaps) == 28 and max(g[2] for g in gaps) < 1e-5


if __name__ == "__main__":
    main()
