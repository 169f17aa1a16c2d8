"""What BasinCMA tells CMA-ES, by the official code of pix2latent.

    python basincma.py --official CHECKOUT --out tests/reference/optim

CHECKOUT is a clone of minyoungg/pix2latent; its packages for pictures are not needed and replaced by names. The function
is Rastrigin's, in f32. Needs pycma and easydict.
"""
import argparse
import math
import os
import sys
import types

import torch

from common import write_json

STEPS, RATE, SIGMA, START, META = 6, 0.05, 1.5, [1.7, -0.6, 2.4, 0.3], 2


def stub(name, **members):
    m = types.ModuleType(name)
    m.__dict__.update(members)
    sys.modules[name] = m


def rastrigin(out, target=None, weight=None):
    return (out ** 2 + 10 * (1 - torch.cos(2 * math.pi * out))).sum(1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--official", required=True)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    for name in ("cv2", "nevergrad", "torchvision.transforms"):
        stub(name)
    stub("torchvision", transforms=sys.modules["torchvision.transforms"], utils=None)
    for name in ("transform_functions", "spatial_transform"):
        stub("pix2latent.transform." + name)
    torch.Tensor.cuda = lambda self, *_: self
    sys.path.insert(0, os.path.abspath(a.official))
    for name in ("ng_optimizer", "hybrid_ng_optimizer"):
        kind = "NevergradOptimizer" if name == "ng_optimizer" else "HybridNevergradOptimizer"
        stub("pix2latent.optimizer." + name, **{kind: None})
    from pix2latent import VariableManager
    from pix2latent.optimizer import BasinCMAOptimizer, base_cma_optimizer
    told = []
    wrapped = base_cma_optimizer.CMA

    class Told(wrapped):
        def __init__(self, mu, sigma=1.0, seed=None):
            super().__init__(mu, sigma, seed=7)

        def tell(self, x, y):
            told.append({"candidates": [list(map(float, c)) for c in x], "losses": [float(v) for v in y]})
            return super().tell(x, y)

    base_cma_optimizer.CMA = Told
    variables = VariableManager()
    variables.register("z", (len(START),), "input", grad_free=(START, SIGMA), learning_rate=RATE)

    class Model:
        eval = lambda self: self
        __call__ = lambda self, z: z

    optimizer = BasinCMAOptimizer(Model(), variables, rastrigin, max_batch_size=99)
    # The picture that is shown at the end is of no interest.
    sys.modules["pix2latent.optimizer.basincma_optimizer"].to_grid = lambda *_: None
    initialize = variables.initialize

    def with_output(**k):      # the official step looks for targets
        found = initialize(**k)
        found["output"] = {}
        return found

    variables.initialize = with_output
    optimizer.optimize(META, STEPS, 1)
    write_json(os.path.join(a.out, "basincma.json"), {"steps": STEPS, "rate": RATE, "generations": told})


main()
