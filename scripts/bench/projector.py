"""The projector of stylegan2-ada-pytorch against gannet's, with the same generator, target and feature network: time, loss.

    python projector.py --official DIR --gannet BINARY [--resolution 256] [--steps 1000] [--threads 2] [--json]

DIR is a clone of NVlabs/stylegan2-ada-pytorch: its networks are imported, its loop is written anew here from its description
(README.md). A try-out: --resolution 32 --steps 20.
"""
import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time

import common
import draws

HERE = os.path.dirname(os.path.abspath(__file__))
FEATURES = os.path.join(HERE, "..", "..", "models", "faces", "attributes.safetensors")
Z_DIM, MAPPING_LAYERS, W_SAMPLES, STATISTICS_SEED = 512, 8, 10_000, 123
LEARNING_RATE, RAMP_UP, RAMP_DOWN = 0.1, 0.05, 0.25
W_NOISE, W_NOISE_RAMP = 0.05, 0.75
NOISE_WEIGHT = 1e5
# How far the control's start is moved, relative: as far as gradients in single precision may be off.
NUDGE = 1e-5


# ---- the parts, in processes of their own ----

def generator(a):
    """The random generator of the seed."""
    import torch
    networks = common.official(a.official)
    torch.manual_seed(a.seed)
    g = networks.Generator(z_dim=Z_DIM, c_dim=0, w_dim=common.W_DIM, img_resolution=a.resolution, img_channels=3,
                           mapping_kwargs=dict(num_layers=MAPPING_LAYERS), synthesis_kwargs=common.widths(a.resolution))
    return common.freeze(g)


def manifest(a, g):
    config = dict(z_dim=Z_DIM, c_dim=0, w_dim=common.W_DIM, img_resolution=a.resolution, img_channels=3,
                  num_ws=g.mapping.num_ws, mapping_layers=MAPPING_LAYERS, mapping_lr_multiplier=0.01,
                  architecture="skip", conv_clamp=None, name="random")
    return {"gannet": json.dumps(dict(format=1, family="stylegan2", config=config, provenance={}))}


def prepare(a):
    """A folder that gannet loads: generator and feature network; and the target, a picture that the generator can make."""
    import numpy as np
    import torch
    from PIL import Image
    from safetensors.torch import save_file
    g = generator(a)
    tensors = {k: v.contiguous().clone() for k, v in g.state_dict().items() if not k.endswith("resample_filter")}
    save_file(tensors, os.path.join(a.folder, "generator.safetensors"), metadata=manifest(a, g))
    shutil.copyfile(a.features, os.path.join(a.folder, "attributes.safetensors"))
    path = os.path.join(a.folder, "target.png")
    if a.target:
        picture = Image.open(a.target).convert("RGB")
        if picture.size != (a.resolution, a.resolution):
            sys.exit(f"--target has {picture.size}, the generator makes {a.resolution} pixels a side")
        picture.save(path)
        return
    z = np.random.RandomState(a.seed).randn(1, Z_DIM).astype(np.float32)
    with torch.inference_mode():
        picture = g(torch.from_numpy(z), None, noise_mode="const")[0]
    values = ((picture.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    Image.fromarray(values.permute(1, 2, 0).numpy()).save(path)


class Distance:
    """gannet's perceptual distance to a target, from the tensors of its feature network: activations of all 3x3 convolutions
    but the first, unit length over the channels, squared difference, mean over space and layers."""

    def __init__(self, path, target):
        from safetensors import safe_open
        with safe_open(path, "pt") as f:
            config = json.loads(f.metadata()["gannet"])["config"]
            layers = range(len(config["strides"]))
            self.convs = [(f.get_tensor(f"conv{i}.weight").float(), f.get_tensor(f"conv{i}.bias").float(),
                           config["strides"][i]) for i in layers]
        self.side, self.leaky = config["input_resolution"], config.get("leaky", 0.2)
        self.target = [tap.detach() for tap in self.taps(target)]

    def sized(self, x):
        import torch.nn.functional as F
        side = x.shape[-1]
        if side > 256:
            x, side = F.interpolate(x, size=(256, 256), mode="area"), 256
        if side == self.side:
            return x
        if side > self.side and side % self.side:
            sys.exit(f"pictures of {side} are not shrunk to {self.side} alike in both programs: take another resolution")
        if side > self.side:
            return F.interpolate(x, size=(self.side, self.side), mode="area")
        return F.interpolate(x, size=(self.side, self.side), mode="bilinear", align_corners=False)

    def taps(self, x):
        import torch.nn.functional as F
        x, taps = self.sized(x), []
        for i, (weight, bias, stride) in enumerate(self.convs):
            x = F.leaky_relu(F.conv2d(x, weight, bias, stride=stride, padding=1), self.leaky)
            if i > 0:
                taps.append(x / (x.square().sum(1, keepdim=True) + 1e-10).sqrt())
        return taps

    def __call__(self, picture):
        pairs = zip(self.taps(picture), self.target)
        return sum((a - b).square().sum(1).mean() for a, b in pairs) / len(self.target)


def regulariser(maps):
    """How alike neighbours are in the noise maps, at all scales down to 8 (Karras et al. 2020, appendix D)."""
    import torch
    import torch.nn.functional as F
    total = 0.0
    for noise in maps:
        noise = noise[None, None]
        while True:
            for axis in (3, 2):
                total = total + (noise * torch.roll(noise, 1, axis)).mean().square()
            if noise.shape[2] <= 8:
                break
            noise = F.avg_pool2d(noise, 2)
    return total


def rate(t):
    """The learning rate at the part `t` of the run."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - t) / RAMP_DOWN))
    return LEARNING_RATE * down * min(1.0, t / RAMP_UP)


def statistics_of_w(g):
    """Mean `[1, 1, w_dim]` and spread of w, from the draws that gannet takes."""
    import torch
    z = draws.normals(STATISTICS_SEED, W_SAMPLES * Z_DIM).reshape(W_SAMPLES, Z_DIM)
    with torch.inference_mode():
        w = torch.cat([g.mapping(part, None)[:, :1] for part in torch.from_numpy(z).split(500)])
    w = w.clone()
    mean = w.mean(0, keepdim=True)
    return mean, math.sqrt((w - mean).square().sum().item() / W_SAMPLES)


def target_of(a):
    """The target's bytes, `[H, W, 3]`, and its tensor."""
    import numpy as np
    import torch
    from PIL import Image
    values = np.asarray(Image.open(os.path.join(a.folder, "target.png")).convert("RGB"))
    return values, torch.from_numpy(values.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


def random_numbers(a, picture, maps):
    """What both programs draw, before any clock runs: the noise maps to start with, and the noise on w of every step."""
    import torch
    drawn = draws.Projector(picture, a.seed)
    start = [torch.from_numpy(m) for m in drawn.maps([m.shape for m in maps])]
    on_w = [torch.from_numpy(drawn.on_w(step, common.W_DIM)) for step in range(a.steps)]
    return start, on_w


def descend(a, g, distance, start, steps, fused):
    """The loop: w and the noise maps after `steps` steps, the seconds it took, and the losses on the way."""
    import torch
    (mean, spread), (first, on_w) = start
    maps = common.free_noise(g.synthesis)
    with torch.no_grad():
        for m, drawn in zip(maps, first, strict=True):
            m.copy_(drawn)
    w = mean.clone().requires_grad_(True)
    adam = torch.optim.Adam([w, *maps], lr=LEARNING_RATE, betas=(0.9, 0.999))
    losses, clock = [], time.perf_counter()
    for step in range(steps):
        t = step / a.steps
        adam.param_groups[0]["lr"] = rate(t)
        noise = on_w[step] * (spread * W_NOISE * max(0.0, 1.0 - t / W_NOISE_RAMP) ** 2)
        ws = (w + noise).repeat(1, g.mapping.num_ws, 1)
        seen = distance(g.synthesis(ws, noise_mode="const", fused_modconv=fused))
        loss = seen + NOISE_WEIGHT * regulariser(maps)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        losses.append(loss.item())
        with torch.no_grad():
            for m in maps:
                m -= m.mean()
                m *= m.square().mean().rsqrt()
    return w.detach(), [m.detach() for m in maps], time.perf_counter() - clock, losses


def judge(g, distance, w, maps):
    """The loss of a point, term by term, without noise on w."""
    import torch
    for layer, noise in zip(common.noise_layers(g.synthesis), maps, strict=True):
        layer.noise_const = noise.reshape(layer.noise_const.shape).clone()
    with torch.inference_mode():
        picture = g.synthesis(w.reshape(1, 1, -1).repeat(1, g.mapping.num_ws, 1), noise_mode="const")
        seen, noise = distance(picture).item(), NOISE_WEIGHT * float(regulariser(maps))
    return dict(distance=seen, noise=noise, loss=seen + noise)


def run(a, g, distance, start, fused):
    """One whole run of PyTorch's, judged."""
    w, maps, seconds, losses = descend(a, g, distance, start, a.steps, fused)
    return dict(seconds=seconds, variant="fused" if fused else "unfused", least=min(losses), losses=losses,
                **judge(g, distance, w, maps))


def torch_part(a):
    """PyTorch's run; then both results judged by the same code."""
    import torch
    from safetensors.torch import load_file
    torch.set_num_threads(a.threads)
    torch.set_num_interop_threads(1)
    g = generator(a)
    picture, target = target_of(a)
    distance = Distance(a.features, target)
    start = statistics_of_w(g), random_numbers(a, picture, common.free_noise(g.synthesis))
    # The faster way to modulate, by a few steps of each; the first step of each warms up.
    tried = {}
    for fused in (True, False):
        descend(a, g, distance, start, 1, fused)
        tried[fused] = descend(a, g, distance, start, 2, fused)[2]
    fused = min(tried, key=tried.get)
    found = dict(pytorch=run(a, g, distance, start, fused))
    if a.control:
        (mean, spread), drawn = start
        nudge = torch.from_numpy(draws.normals(a.seed, mean.numel())).reshape(mean.shape)
        found["control"] = run(a, g, distance, ((mean * (1 + NUDGE * nudge), spread), drawn), fused)
    theirs = load_file(os.path.join(a.folder, "gannet.safetensors"))
    maps = [theirs[f"noise.{i}"].reshape(m.shape) for i, m in enumerate(start[1][0])]
    print(json.dumps(dict(found, gannet=judge(g, distance, theirs["code"], maps))))


# ---- the whole ----

def part(a, name, env=None):
    command = [sys.executable, os.path.abspath(__file__), "--part", name, "--folder", a.folder, "--official", a.official,
               "--features", a.features, "--resolution", str(a.resolution), "--steps", str(a.steps), "--threads",
               str(a.threads), "--seed", str(a.seed)]
    if a.target:
        command += ["--target", a.target]
    if a.control:
        command.append("--control")
    threads = {"OMP_NUM_THREADS": str(a.threads), "MKL_NUM_THREADS": str(a.threads)}
    return common.child(command, {**os.environ, **threads, **(env or {})})


def gannet_part(a, how, file):
    """gannet's run with these arguments of `invert`: the JSON of its inversion; code and noise maps are left in a file."""
    program = f'x = image("target.png", align: none); r = invert(x, {how}, seed: {a.seed}); save(r, "{file}"); r'
    command = [os.path.abspath(a.gannet), "eval", program, "--model", ".", "--out", ".", "--json", "--quiet",
               "--threads", str(a.threads)]
    done = subprocess.run(command, cwd=a.folder, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"gannet ended with {done.returncode}")
    values = [json.loads(line) for line in done.stdout.splitlines()]
    return next(v for v in values if v.get("type") == "Inversion")


def to_quality(found, wanted):
    """Seconds after which a run of gannet had come to a perceptual distance; none where it did not. Steps take equal time."""
    (trace,) = found["trace"]
    column = trace["names"].index("perceptual")
    first = next((step for step, terms in zip(trace["steps"], trace["terms"]) if terms[column] <= wanted), None)
    return None if first is None else found["seconds"] * (first + 1) / (found["steps"] + 1)


def together(one, other):
    """The first step in which two runs' losses differ by more than a thousandth, a hundredth, a tenth; none where they never
    do. Rounding alone drives them apart, ever faster."""
    apart = [(step, abs(loss / other[step] - 1)) for step, loss in one if step < len(other)]
    return {str(part): next((step for step, by in apart if by > part), None) for part in (1e-3, 1e-2, 1e-1)}


def whole(a):
    (allocator,) = common.allocators(a.allocator).items()
    common.say("generator and target")
    part(a, "prepare")
    common.say(f"gannet: {a.steps} steps")
    own = gannet_part(a, f"method: projector, space: W, steps: {a.steps}", "gannet.safetensors")
    common.say("gannet: as it inverts unless told otherwise")
    usual = gannet_part(a, "perceptual: 1", "usual.safetensors")
    common.say(f"PyTorch: {a.steps} steps")
    (both,) = part(a, "torch", allocator[1])
    gannet, peer = both["gannet"], both["pytorch"]
    gannet.update(seconds=own["seconds"], least=own["loss"][0])
    (trace,) = own["trace"]
    losses = peer.pop("losses")
    same = together([(step, sum(terms)) for step, terms in zip(trace["steps"], trace["terms"])], losses)
    found = dict(resolution=a.resolution, steps=a.steps, threads=a.threads, seed=a.seed, allocator=allocator[0],
                 gannet=gannet, pytorch=peer, time_ratio=peer["seconds"] / gannet["seconds"],
                 loss_ratio=gannet["loss"] / peer["loss"], least_ratio=gannet["least"] / peer["least"],
                 distance_ratio=gannet["distance"] / peer["distance"], same_until=same)
    reached = to_quality(usual, peer["distance"])
    found.update(usual=dict(how=usual["origin"], seconds=usual["seconds"], to_quality=reached,
                            ratio=reached and peer["seconds"] / reached))
    if a.control:
        control = found["control"] = both["control"]
        found.update(control_ratio=control["loss"] / peer["loss"],
                     control_same_until=together(enumerate(control.pop("losses")), losses))
    return found


def show(r):
    columns = ["", "seconds", "loss", "distance", "noise", "least loss"]
    rows = []
    for name in [n for n in ("gannet", "pytorch", "control") if n in r]:
        side = r[name]
        rows.append([name, side["seconds"], *(f"{side[key]:.5f}" for key in ("loss", "distance", "noise", "least"))])
    print(common.table(columns, rows))
    print(f"\n{r['steps']} steps at {r['resolution']}, {r['threads']} threads, PyTorch {r['pytorch']['variant']}, "
          f"{r['allocator']}: time ratio {r['time_ratio']:.2f}, loss ratio {r['loss_ratio']:.4f}")
    print(f"first step with losses apart by .1 %, 1 %, 10 %: {list(r['same_until'].values())}")
    if "control" in r:
        print(f"control, PyTorch from a start moved by {NUDGE:g} of itself: loss ratio {r['control_ratio']:.4f}, "
              f"apart {list(r['control_same_until'].values())}")
    usual = r["usual"]
    if usual["to_quality"] is None:
        print(f"invert(x) takes {usual['seconds']:.1f} s and does not come to PyTorch's distance")
    else:
        print(f"invert(x) comes to PyTorch's distance in {usual['to_quality']:.2f} s, 1/{usual['ratio']:.1f} of PyTorch's time")
    print("loss: of the codes and noise maps found, judged by one code in PyTorch, without noise on w; least loss: as each "
          "program saw it on its way")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--official", required=True, help="a clone of NVlabs/stylegan2-ada-pytorch")
    a.add_argument("--gannet", help="a release build")
    a.add_argument("--features", default=FEATURES, help="the feature network: an attributes.safetensors")
    a.add_argument("--target", help="a picture of the generator's size; one of its own unless given")
    a.add_argument("--resolution", type=int, default=256)
    a.add_argument("--steps", type=int, default=1000)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--seed", type=int, default=0)
    a.add_argument("--allocator", default="glibc-tuned", help="PyTorch's: default, glibc-tuned, jemalloc or tcmalloc")
    a.add_argument("--control", action="store_true",
                   help="PyTorch once more from a start moved by 1e-5 of itself: how far rounding moves the final loss")
    a.add_argument("--json", action="store_true")
    a.add_argument("--part", choices=["prepare", "torch"], help=argparse.SUPPRESS)
    a.add_argument("--folder", help=argparse.SUPPRESS)
    a = a.parse_args()
    if a.part:
        {"prepare": prepare, "torch": torch_part}[a.part](a)
        return
    if not a.gannet:
        sys.exit("--gannet BINARY is needed")
    with tempfile.TemporaryDirectory() as a.folder:
        found = whole(a)
    print(json.dumps(found)) if a.json else show(found)


if __name__ == "__main__":
    main()
