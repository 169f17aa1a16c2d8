"""What the fits of directions work with: pictures of codes of any space, attributes in steps, descent.

Space S (StyleSpace, Wu et al. 2021) is the concatenation, in the order of execution, of what the
affine map of every convolution and toRGB makes of its row of w.
"""

import math

import torch

from attributes import load_attributes, load_tensors
from networks import Generator

BATCH = 50
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear red, green, blue (Rec. 709)

# name: the row of the head that it reads, where it is called otherwise
SCALARS = {
    "yaw": "yaw_deg",
    "pitch": "pitch_deg",
    "roll": "roll_deg",
    "light": "light_deg",
    "gender": "gender",
    "age": "age",
    "smile": "smile",
    "mouth_open": "mouth_open",
    "brow": "brow",
    "eye_closure": "eye_closure",
    "weight": "weight",
    "skin_luminance": "skin_luminance",
    "glasses": "glasses",
}
COLOURS = {"hair_luminance": "hair", "background_luminance": "background"}
CLASSES = {
    "bald": ("hair.bald",),
    "long_hair": ("hair.long01", "hair.braid01", "hair.ponytail01", "hair.bob01", "hair.bob02"),
}
WATCHED = ("sunglasses", "african", "asian", "caucasian")  # leaked into, not searched for
READ = 0.1  # score on held-out pictures below which an output says nothing: `weight`
DEGREE_STEPS = ("yaw",)  # one step is one degree; of all others one standard deviation


def load_generator(path, device):
    """The generator of a `stylegan2` model file."""
    tensors, manifest = load_tensors(path)
    config = manifest["config"]
    resolutions = [4 << i for i in range(config["num_ws"] // 2)]
    channels = {r: len(tensors[f"synthesis.b{r}.conv1.bias"]) for r in resolutions}
    generator = Generator(channels, config["z_dim"], config["w_dim"], config["mapping_layers"])
    generator.load_state_dict(tensors)
    return generator.to(device).eval().requires_grad_(False)


def descend(steps, rate, start, loss_at):
    """Where `steps` steps of Adam lead from the tensor `start`, the rate falling to 0 as a cosine.

    `loss_at(step, free)` is what `free`, of the shape of `start`, costs at this step.
    """
    free = start.clone().requires_grad_(True)
    adam = torch.optim.Adam([free], lr=rate, betas=(0.9, 0.99))
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for step in range(steps):
        adam.zero_grad()
        loss_at(step, free).backward()
        adam.step()
        decay.step()
    return free.detach()


class Target:
    """One attribute: how it is read off the head's raw output, and its unit."""

    def __init__(self, name, unit, spread, read):
        self.name, self.unit, self.read = name, unit, read
        self.spread = spread  # one standard deviation, in `unit`; None: of the samples

    @property
    def per_step(self):
        return 1.0 if self.name in DEGREE_STEPS else self.spread

    @property
    def steps_per_sd(self):
        return self.spread / self.per_step


def scalar(outputs, name, attribute):
    """A row of the head: the data's standard deviation, or a logit."""
    i = [o["name"] for o in outputs].index(attribute)
    mean, std = outputs[i]["mean"], outputs[i]["std"]
    if outputs[i]["kind"] == "regression":
        return Target(name, outputs[i]["unit"], std, lambda raw: raw[:, i] * std + mean)
    return Target(name, "logit", None, lambda raw: raw[:, i])


def luminance(outputs, name, group):
    rows = [[o["name"] for o in outputs].index(f"{group}_{c}") for c in "rgb"]

    def read(raw):
        parts = (raw[:, i] * outputs[i]["std"] + outputs[i]["mean"] for i in rows)
        return sum(weight * part for weight, part in zip(LUMINANCE, parts))

    return Target(name, "linear luminance, 0 to 1", None, read)


def classes(outputs, name, wanted):
    """The logit of any of the `wanted` classes of one softmax group."""
    group = next(o["group"] for o in outputs if o["name"] == wanted[0])
    rows = [i for i, o in enumerate(outputs) if o.get("group") == group and o["kind"] == "category"]
    inside = torch.tensor([outputs[i]["name"] in wanted for i in rows])

    def read(raw):
        logits = raw[:, rows]
        return logits[:, inside].logsumexp(1) - logits[:, ~inside].logsumexp(1)

    return Target(name, "logit", None, read)


def all_targets(outputs):
    """Targets that the network can read, and how many of them are searched for."""
    names = {o["name"] for o in outputs if o.get("score", {"value": 1})["value"] >= READ}
    found = [scalar(outputs, n, a) for n, a in SCALARS.items() if a in names]
    found += [luminance(outputs, n, g) for n, g in COLOURS.items() if f"{g}_r" in names]
    found += [classes(outputs, n, c) for n, c in CLASSES.items() if names.issuperset(c)]
    searched = len(found)
    return found + [scalar(outputs, n, n) for n in WATCHED if n in names], searched


class Bench:
    """Renders codes of any space and scores the pictures."""

    def __init__(self, generator_path, attributes_path, device):
        self.generator = load_generator(generator_path, device)
        net, self.outputs = load_attributes(attributes_path, device)
        self.net = net.requires_grad_(False)
        if device.type == "cpu":
            self.net = self.net.to(memory_format=torch.channels_last)
        self.device, self.rendered = device, 0
        self.targets, self.searched = all_targets(self.outputs)
        self.identity = [i for i, o in enumerate(self.outputs) if o.get("group") == "identity"]
        self.layers = []  # (affine, row of w, first style), in the order of execution
        self.given, at = None, 0
        for block, start in self.generator.synthesis.blocks():
            convolutions = [block.conv1] if block.first else [block.conv0, block.conv1]
            for i, layer in enumerate([*convolutions, block.torgb]):
                self.layers.append((layer.affine, start + i, at))
                layer.affine.register_forward_hook(self._give(at, len(layer.affine.bias)))
                at += len(layer.affine.bias)
        self.s_dim = at

    def _give(self, at, size):
        """While a style code is rendered, its styles stand for what the affine maps make."""

        def hook(_module, _inputs, output):
            return output if self.given is None else self.given[:, at : at + size]

        return hook

    @torch.no_grad()
    def sample(self, count, seed):
        """z [N, Dz], the same on every device."""
        rng = torch.Generator().manual_seed(seed)
        z = torch.randn(count, self.generator.config["z_dim"], generator=rng)
        return z.to(self.device)

    @torch.no_grad()
    def styles(self, ws):
        """ws [N, L, D] -> s [N, S]."""
        return torch.cat([affine(ws[:, row]) for affine, row, _ in self.layers], 1)

    @torch.no_grad()
    def lift(self, code, to):
        """A code of Z, W, W+ in a wider space; `code` is (space, tensor)."""
        space, x = code
        if space == "Z" and to != "Z":
            space, x = "W", torch.cat([self.generator.mapping(part) for part in x.split(1000)])
        if space == "W" and to in ("W+", "S"):
            space, x = "W+", self.generator.broadcast(x)
        return self.styles(x) if (space, to) == ("W+", "S") else x

    @torch.no_grad()
    def render(self, space, codes):
        """Pictures [N, 3, R, R] of at most a batch of codes."""
        if space != "S":
            ws = self.lift((space, codes), "W+")
            return self.generator.synthesis(ws, "const", torch.bfloat16).clamp(-1, 1)
        rows, width = self.generator.synthesis.num_ws, self.generator.config["w_dim"]
        self.given = codes
        try:
            ws = codes.new_zeros(len(codes), rows, width)
            return self.generator.synthesis(ws, "const", torch.bfloat16).clamp(-1, 1)
        finally:
            self.given = None

    @torch.no_grad()
    def raw(self, space, codes):
        """What the network says about the codes' pictures: [N, outputs]."""
        self.rendered += len(codes)
        parts = []
        for part in codes.split(BATCH):
            with torch.autocast(self.device.type, torch.bfloat16):
                x = self.render(space, part).contiguous(memory_format=torch.channels_last)
                parts.append(self.net(x).float().cpu())
        return torch.cat(parts)

    def read(self, raw):
        """Targets [N, targets] in their own units."""
        return torch.stack([t.read(raw) for t in self.targets], 1)

    def score(self, space, codes):
        """Targets [N, targets] in standard deviations."""
        spreads = torch.tensor([t.spread for t in self.targets])
        return self.read(self.raw(space, codes)) / spreads

    def settle_spreads(self, values):
        """Targets without a standard deviation of the data take that of the samples."""
        for target, column in zip(self.targets, values.T):
            target.spread = target.spread or column.std().item()
            if not math.isfinite(target.spread) or target.spread <= 0:
                raise SystemExit(f"{target.name} is the same in all samples")
