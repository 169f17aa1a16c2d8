"""StyleGAN2 as it is found: the checkpoints of other code bases and of forks, small, with the numbers of their code.

    python stylegan2_layouts.py --src FOLDER --out tests/reference/stylegan2_layouts [--only NAME]

FOLDER holds checkouts called as on GitHub, `OWNER+REPO`: NVlabs+stylegan2-ada-pytorch, rosinality+stylegan2-pytorch,
genforce+genforce, open-mmlab+mmgeneration, stylegan-human+StyleGAN-Human, eps696+stylegan2ada, and
PaddlePaddle+PaddleGAN, which also needs `paddlepaddle` (3.3.1). Each runs in a process
of its own, because several call their packages alike. CUDA operators are replaced by the references that the code bases
have themselves; of mmcv, which is not installed, only names are needed besides the two operators.
"""
import importlib
import importlib.abc
import importlib.machinery
import os
import subprocess
import sys
import types

import numpy as np
import torch

from common import parser, rng, wave_loss, write_case

COMMITS = {
    "NVlabs/stylegan2-ada-pytorch": "d72cc7d", "rosinality/stylegan2-pytorch": "bef283a",
    "PaddlePaddle/PaddleGAN": "094a2eb", "genforce/genforce": "197feee", "open-mmlab/mmgeneration": "ccd1f56",
    "stylegan-human/StyleGAN-Human": "a6a162a", "eps696/stylegan2ada": "a320ed0",
}

# name: code base, size, z, w, mapping layers, channels by resolution, and what is special about it
CASES = {
    # Config-e and its kin: other numbers of features than the usual ones.
    "nvidia_narrow_32": ("NVlabs/stylegan2-ada-pytorch", 32, 12, 12, 8, dict(base=128, max=6)),
    # Extended: more features, z and w of the same large size, 4 mapping layers; labels; two channels.
    "nvidia_wide_16": ("NVlabs/stylegan2-ada-pytorch", 16, 24, 24, 4, dict(base=512, max=12, c=3, channels=2)),
    "nvidia_state_dict_16": ("NVlabs/stylegan2-ada-pytorch", 16, 12, 16, 2, dict(base=96, max=6, root="state_dict.")),
    "human_32x16": ("stylegan-human/StyleGAN-Human", 32, 12, 16, 3, dict(base=128, max=6)),
    "human_16x8": ("stylegan-human/StyleGAN-Human", 16, 12, 12, 2, dict(base=96, max=8)),
    "init_12x20": ("eps696/stylegan2ada", 16, 12, 16, 2, dict(base=96, max=6, init=[3, 5])),
    "init_32x16_resnet": ("eps696/stylegan2ada", 16, 16, 12, 2, dict(base=96, max=6, init=[8, 4], arch="resnet")),
    "rosinality_16": ("rosinality/stylegan2-pytorch", 16, 8, 8, 8, dict(ch=[6, 6, 5], mean="w", copies=True)),
    "rosinality_32": ("rosinality/stylegan2-pytorch", 32, 12, 12, 3, dict(ch=[6, 6, 5, 4])),
    # TADNE: large style codes and a short mapping network.
    "rosinality_tadne_16": ("rosinality/stylegan2-pytorch", 16, 24, 24, 4, dict(ch=[10, 10, 10], mean="w")),
    # pSp, e4e: the decoder among other networks, the mean of w for every layer.
    "rosinality_psp_16": ("rosinality/stylegan2-pytorch", 16, 12, 12, 2,
                          dict(ch=[6, 6, 5], mean="rows", root="state_dict.decoder.")),
    # A filter of its own, which is not symmetric; old files have no noise maps.
    "rosinality_filter_16": ("rosinality/stylegan2-pytorch", 16, 12, 12, 2,
                             dict(ch=[8, 6, 5], kernel=[1, 2, 4, 1], noise="none")),
    "paddle_16": ("PaddlePaddle/PaddleGAN", 16, 12, 12, 2, dict(ch=[8, 6, 5])),
    "paddle_32": ("PaddlePaddle/PaddleGAN", 32, 8, 8, 3, dict(ch=[6, 6, 5, 4])),
    "genforce_16": ("genforce/genforce", 16, 12, 16, 3, dict(base=96, max=6, root="generator_smooth.")),
    "genforce_32": ("genforce/genforce", 32, 12, 12, 8, dict(base=128, max=6, channels=1)),
    "genforce_origin_16": ("genforce/genforce", 16, 12, 12, 2, dict(base=96, max=6, arch="origin")),
    # Labels beside z before both are normalised, as in StyleGAN2; embedded and normalised apart, as in ADA.
    "genforce_labels_16": ("genforce/genforce", 16, 12, 16, 2, dict(base=96, max=6, c=3, root="generator_smooth.")),
    "genforce_ada_labels_16": ("genforce/genforce", 16, 12, 16, 2, dict(base=96, max=6, c=2, ada=True)),
    "mmgen_16": ("open-mmlab/mmgeneration", 16, 12, 12, 2, dict(ch=[8, 6, 5], root="state_dict.generator_ema.")),
    "mmgen_32": ("open-mmlab/mmgeneration", 32, 8, 8, 8, dict(ch=[6, 6, 5, 4], root="generator_ema.")),
}


def native_upfirdn2d(x, kernel, up=1, down=1, pad=(0, 0)):
    """Rosinality's CPU path."""
    native = sys.modules["op.upfirdn2d"].upfirdn2d_native
    return native(x, kernel, up, up, down, down, pad[0], pad[1], pad[0], pad[1])


def native_lrelu(x, bias=None, negative_slope=0.2, scale=2 ** 0.5):
    if bias is not None:
        x = x + bias.view(1, -1, *([1] * (x.ndim - 2)))
    return torch.nn.functional.leaky_relu(x, negative_slope) * scale


def packages(src, names, **members):
    """Empty packages that find their modules in a checkout without running its `__init__`s."""
    for name in names:
        m = types.ModuleType(name)
        m.__path__ = [os.path.join(src, *name.split("."))]
        m.__dict__.update(members.get(name.replace(".", "_"), {}))
        sys.modules[name] = m


def rosinality_ops(src):
    """The package `op` without the compilation of its CUDA sources."""
    from torch.utils import cpp_extension
    load, cpp_extension.load = cpp_extension.load, lambda *a, **k: None
    sys.path.insert(0, src)
    try:
        import op
        importlib.import_module("op.upfirdn2d")
    finally:
        cpp_extension.load = load
    return op


class Names(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of a package that is not installed: every name in them is a registry or decorator that does nothing."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "mmcv":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        m = types.ModuleType(spec.name)
        m.__path__ = []

        class Anything:
            def register_module(self, *a, **k):
                return lambda c: c

            def __call__(self, *a, **k):
                return a[0] if a and callable(a[0]) else None

        class FusedBiasLeakyReLU(torch.nn.Module):
            def __init__(self, n):
                super().__init__()
                self.bias = torch.nn.Parameter(torch.zeros(n))
                self.negative_slope, self.scale = 0.2, 2 ** 0.5

        known = {"FusedBiasLeakyReLU": FusedBiasLeakyReLU, "upfirdn2d": native_upfirdn2d,
                 "fused_bias_leakyrelu": native_lrelu,
                 "is_seq_of": lambda seq, kind: isinstance(seq, list) and all(isinstance(v, kind) for v in seq)}

        def member(key):
            if key in known:
                return known[key]
            is_class = key[:1].isupper() and not key.isupper()
            return type(key, (torch.nn.Module,), {}) if is_class else Anything()

        m.__getattr__ = member
        return m

    def exec_module(self, module):
        pass


def build(name, src):
    """The official generator, and what turns (z, labels) into the picture with stored noise or none."""
    code, size, z, w, layers, extra = CASES[name]
    here = os.path.join(src, code.replace("/", "+"))
    noise = extra.get("noise", "const")
    if code.startswith(("NVlabs", "stylegan-human", "eps696")):
        if code.startswith("stylegan-human"):
            here = os.path.join(here, "training_scripts", "sg2")
            sys.path.insert(0, os.path.join(src, "stylegan-human+StyleGAN-Human"))
        if code.startswith("eps696"):
            here = os.path.join(here, "src")
        sys.path.insert(0, here)
        networks = importlib.import_module("training.networks")
        more = {"square": False} if code.startswith("stylegan-human") else {}
        more |= {"init_res": extra["init"]} if "init" in extra else {}
        g = networks.Generator(
            z_dim=z, c_dim=extra.get("c", 0), w_dim=w, img_resolution=size, img_channels=extra.get("channels", 3),
            mapping_kwargs=dict(num_layers=layers),
            synthesis_kwargs=dict(channel_base=extra["base"], channel_max=extra["max"],
                                  architecture=extra.get("arch", "skip")), **more)

        def run(z, c):
            ws = g.mapping(z, c if c is not None else torch.zeros(len(z), 0))
            return ws[:, 0], ws, g.synthesis(ws, noise_mode=noise, force_fp32=True)
    elif code.startswith("rosinality"):
        op = rosinality_ops(here)
        model = importlib.import_module("model")
        model.upfirdn2d, model.fused_leaky_relu = native_upfirdn2d, native_lrelu
        op.FusedLeakyReLU.forward = lambda self, x: native_lrelu(x, self.bias, self.negative_slope, self.scale)
        g = with_channels(extra["ch"], lambda: model.Generator(
            size, w, layers, blur_kernel=extra.get("kernel", [1, 3, 3, 1])), model)

        def run(z, _):
            maps = None if noise == "const" else [torch.zeros_like(n) for n in g.noises.buffers()]
            ws = g.get_latent(z)
            rows = ws.unsqueeze(1).repeat(1, g.n_latent, 1)
            return ws, rows, g([rows], input_is_latent=True, noise=maps, randomize_noise=False)[0]
    elif code.startswith("genforce"):
        packages(here, ["models"])
        ada = "ada" if extra.get("ada") else ""
        g = getattr(importlib.import_module(f"models.stylegan2{ada}_generator"), f"StyleGAN2{ada.upper()}Generator")(
            size, z_space_dim=z, label_size=extra.get("c", 0), w_space_dim=w, mapping_layers=layers, mapping_fmaps=w,
            image_channels=extra.get("channels", 3), architecture=extra.get("arch", "skip"),
            fmaps_base=extra["base"], fmaps_max=extra["max"])

        def run(z, c):
            ws = g.mapping(z, c)["w"]
            rows = g.truncation(ws)
            return ws, rows, g.synthesis(rows)["image"]
    else:
        rosinality_ops(os.path.join(src, "rosinality+stylegan2-pytorch"))
        sys.meta_path.insert(0, Names())
        inner = "mmgen.models.architectures"
        names = ["mmgen", "mmgen.core", "mmgen.core.runners", "mmgen.models", inner, inner + ".stylegan",
                 inner + ".stylegan.modules", inner + ".stylegan.ada", inner + ".pggan"]
        packages(here, names)
        stub("mmgen.core.runners.fp16_utils", auto_fp16=lambda *a, **k: (lambda f: f))
        stub("mmgen.models.builder", MODULES=types.SimpleNamespace(register_module=lambda *a, **k: (lambda c: c)),
             build_module=None)
        stub("mmgen.models.common", AllGatherLayer=None)
        stub("mmgen.ops", conv2d=torch.nn.functional.conv2d, conv_transpose2d=torch.nn.functional.conv_transpose2d)
        stub(inner + ".common", get_module_device=None)
        stub(inner + ".stylegan.ada.augment", AugmentPipe=None)
        stub(inner + ".stylegan.ada.misc", constant=None)
        stub(inner + ".stylegan.utils", get_mean_latent=None, style_mixing=None)
        pggan = importlib.import_module(inner + ".pggan.modules")
        for key in ("EqualizedLRConvModule", "EqualizedLRLinearModule", "equalized_lr"):
            setattr(sys.modules[inner + ".pggan"], key, getattr(pggan, key))
        sys.modules[inner].PixelNorm = pggan.PixelNorm
        model = importlib.import_module(inner + ".stylegan.generator_discriminator_v2")
        g = with_channels(extra["ch"], lambda: model.StyleGANv2Generator(size, w, num_mlps=layers), model)

        def run(z, _):
            ws = g.style_mapping(z)
            rows = ws.unsqueeze(1).repeat(1, g.num_latents, 1)
            picture = g([rows], input_is_latent=True, randomize_noise=False)
            return ws, rows, picture[:, [2, 1, 0]]      # its pictures are BGR; so do its demos
    return g, run


def stub(name, **members):
    m = types.ModuleType(name)
    m.__dict__.update(members)
    sys.modules[name] = m


def with_channels(widths, make, model):
    """The generator with few features: its code has no argument for them, so its table is made another on the way."""
    table = {4 << i: c for i, c in enumerate(widths)}
    constant = model.ConstantInput

    class Narrow(constant):
        def __init__(self, channel, *a, **k):
            frame = sys._getframe(1)
            frame.f_locals["self"].channels.update(table)
            super().__init__(table[4], *a, **k)

    class Table(dict):
        pass

    model.ConstantInput = Narrow
    first = {}
    for key in ("StyledConv", "ToRGB", "ModulatedStyleConv", "ModulatedToRGB"):
        if not hasattr(model, key):
            continue
        first[key] = cls = getattr(model, key)

        def narrow(inputs, *rest, cls=cls, **k):
            owner = sys._getframe(1).f_locals
            # The first block takes its widths from the table; the loop behind it from a variable that began as 512.
            inputs = owner["self"].channels[4] if inputs == 512 else inputs
            rest = tuple(owner["self"].channels[4] if r == 512 else r for r in rest)
            return cls(inputs, *rest, **k)
        setattr(model, key, narrow)
    try:
        return make()
    finally:
        model.ConstantInput = constant
        for key, cls in first.items():
            setattr(model, key, cls)


def randomise(g, name):
    """Every parameter and buffer gets numbers of its own that are neither zero nor one."""
    r = rng(name)
    done = set()
    with torch.no_grad():
        for key, t in list(g.named_parameters()) + list(g.named_buffers()):
            if t.data_ptr() in done or "filter" in key or "kernel" in key:
                continue
            done.add(t.data_ptr())
            x = r.standard_normal(tuple(t.shape))
            if any(part in key for part in ("mapping.fc", "mapping.dense", "style_mapping")) or key.startswith("style."):
                x *= (0.15 if key.endswith("bias") else 1) / 0.01
            elif key.endswith("w_avg"):
                x *= 0.3
            elif key.endswith("noise_strength") or "noise.weight" in key or "noise_injector" in key:
                x = np.sign(x) * (0.1 + 0.15 * abs(x))
            elif any(part in key for part in ("affine.bias", "modulation.bias")):
                x = 1 + 0.25 * x
            elif key.endswith("style.bias"):            # genforce adds 1 itself
                x *= 0.25
            elif any(part in key for part in ("affine.weight", "modulation.weight", "modulation.linear", "style.weight")):
                x *= 0.6
            elif key.endswith("bias"):
                x *= 0.2
            t.copy_(torch.from_numpy(np.asarray(x)).to(t.dtype))


def is_picture(key):
    return any(part in key for part in ("torgb.", "to_rgb", "output")) and not any(
        part in key for part in ("affine", "modulation", "style", "upsample"))


def main_of(name, src, out):
    code, size, z_dim, w_dim, layers, extra = CASES[name]
    g, run = build(name, src)
    g.eval()
    randomise(g, name)
    r = rng(name + ".inputs")
    c_dim = extra.get("c", 0)
    z = torch.from_numpy(r.standard_normal((2, z_dim)).astype(np.float32))
    labels = torch.from_numpy(r.uniform(-1, 1, (2, c_dim)).astype(np.float32)) if c_dim else None
    with torch.no_grad():
        # The picture is linear in its own layers: scale those so that it reaches 1.3.
        peak = run(z, labels)[2].abs().max()
        for key, t in g.named_parameters():
            if is_picture(key):
                t.mul_(1.3 / peak)
    z.requires_grad_(True)
    if labels is not None:
        labels.requires_grad_(True)
    for t in g.parameters():
        t.requires_grad_(True)
    w, ws, image = run(z, labels)
    w.retain_grad()
    ws.retain_grad()
    loss = wave_loss(image)
    loss.backward()
    numbers = {"z": z, "image": image, "loss": loss.reshape(1), "ws": ws, "grad.z": z.grad, "grad.ws": ws.grad}
    numbers["grad.w"] = ws.grad.sum(1)
    numbers["w"] = ws[:, 0]
    if labels is not None:
        numbers |= {"labels": labels, "grad.labels": labels.grad}
    params = dict(g.named_parameters())
    for ours, theirs, change in probes(code, size):
        if theirs in params:
            numbers[f"grad.weight.{ours}"] = change(params[theirs].grad)
    weights, config = found(name, g, extra)
    height, width = image.shape[2:]
    reference = {
        "code": f"{code}@{COMMITS[code]}", "family": "stylegan2", "noise": extra.get("noise", "const"), "tolerance": 1e-3,
        "spec": {"width": width, "height": height, "channels": image.shape[1], "z_dim": z_dim, "w_dim": w_dim,
                 "c_dim": c_dim, "num_ws": ws.shape[1]}}
    print(name, tuple(image.shape), "peak", image.abs().max().item(), "loss", loss.item())
    write_case(out, name, weights, {k: v.detach() for k, v in numbers.items()}, reference, config)


def main_paddle(name, src, out):
    """As main_of, with Paddle's own tensors and gradients."""
    import paddle
    code, size, z_dim, _, layers, extra = CASES[name]
    packages(os.path.join(src, "PaddlePaddle+PaddleGAN"), ["ppgan", "ppgan.models", "ppgan.models.generators", "ppgan.modules"])
    register = types.SimpleNamespace(register=lambda *a, **k: (lambda c: c))
    stub("ppgan.models.generators.builder", GENERATORS=register)
    model = importlib.import_module("ppgan.models.generators.generator_styleganv2")
    g = with_channels(extra["ch"], lambda: model.StyleGANv2Generator(size, z_dim, layers), model)
    g.eval()
    state = {k: torch.from_numpy(v.numpy()).clone() for k, v in g.state_dict().items()}
    holder = torch.nn.Module()
    holder.named_parameters = lambda: iter(state.items())
    holder.named_buffers = lambda: iter(())
    randomise(holder, name)
    load = lambda: g.set_state_dict({k: paddle.to_tensor(v.numpy()) for k, v in state.items()})
    load()
    z = paddle.to_tensor(rng(name + ".inputs").standard_normal((2, z_dim)).astype(np.float32), stop_gradient=False)

    def run():
        w = g.style(z)
        ws = w.unsqueeze(1).tile((1, g.n_latent, 1))
        ws.retain_grads()
        w.retain_grads()
        return w, ws, g([ws], input_is_latent=True, randomize_noise=False)[0]

    peak = float(run()[2].abs().max())
    for key in state:
        if is_picture(key):
            state[key] *= 1.3 / peak
    load()
    w, ws, image = run()
    wave = paddle.to_tensor(np.sin(0.37 * np.arange(image.size)).astype(np.float32)).reshape(image.shape)
    loss = ((image - wave) ** 2).mean()
    loss.backward()
    t = lambda v: torch.from_numpy(v.numpy()).clone()
    numbers = {"z": t(z), "image": t(image), "loss": t(loss).reshape(1), "ws": t(ws), "w": t(w), "grad.z": t(z.grad),
               "grad.ws": t(ws.grad), "grad.w": t(ws.grad).sum(1)}
    params = dict(g.named_parameters())
    for ours, theirs, change in probes("rosinality", size):
        change = (lambda grad: grad.T) if theirs.startswith("style.") else change
        numbers[f"grad.weight.{ours}"] = change(t(params[theirs].grad))
    reference = {
        "code": f"{code}@{COMMITS[code]}", "family": "stylegan2", "noise": "const", "tolerance": 1e-3,
        "spec": {"width": size, "height": size, "channels": 3, "z_dim": z_dim, "w_dim": z_dim, "c_dim": 0,
                 "num_ws": g.n_latent}}
    print(name, image.shape, "peak", float(image.abs().max()), "loss", float(loss))
    write_case(out, name, state, numbers, reference)
    if os.environ.get("PDPARAMS"):          # real files of it, for a check by hand
        paddle.save(g.state_dict(), os.path.join(os.environ["PDPARAMS"], name + ".pdparams"))
        paddle.save({"gen_ema": g.state_dict(), "disc": {}}, os.path.join(os.environ["PDPARAMS"], name + "_dict.pdparams"))


def probes(code, size):
    """Weights whose gradients are compared: our name, theirs, and how theirs becomes ours."""
    same = lambda g: g
    last = size.bit_length() - 4                 # of to_rgbs: 0 is 8 pixels
    if code.startswith(("NVlabs", "stylegan-human", "eps696")):
        keys = ["synthesis.b4.const", "synthesis.b8.conv0.weight", "synthesis.b8.conv0.affine.bias",
                "synthesis.b8.conv1.noise_strength", f"synthesis.b{size}.torgb.weight", "mapping.fc1.weight"]
        return [(k, k, same) for k in keys]
    if code.startswith("rosinality"):
        return [("synthesis.b4.const", "input.input", lambda g: g[0]),
                ("synthesis.b8.conv0.weight", "convs.0.conv.weight", lambda g: g[0]),
                ("synthesis.b8.conv1.bias", "convs.1.activate.bias", same),
                (f"synthesis.b{size}.torgb.weight", f"to_rgbs.{last}.conv.weight", lambda g: g[0]),
                ("mapping.fc0.weight", "style.1.weight", same)]
    if code.startswith("genforce"):
        return [("synthesis.b4.const", "synthesis.early_layer.const", lambda g: g[0]),
                ("synthesis.b8.conv0.weight", "synthesis.layer1.weight", lambda g: g.flip(2, 3)),
                ("synthesis.b8.conv1.weight", "synthesis.layer2.weight", same),
                ("synthesis.b8.conv0.affine.bias", "synthesis.layer1.style.bias", same),
                ("mapping.fc0.weight", "mapping.dense0.weight", same)]
    return [("synthesis.b4.const", "constant_input.input", lambda g: g[0]),
            ("synthesis.b8.conv0.weight", "convs.0.conv.weight_orig", lambda g: g[0]),
            (f"synthesis.b{size}.torgb.weight", f"to_rgbs.{last}.conv.weight_orig", lambda g: g[0].flip(0)),
            (f"synthesis.b{size}.torgb.bias", f"to_rgbs.{last}.bias", lambda g: g.reshape(-1).flip(0)),
            ("mapping.fc0.weight", "style_mapping.1.linear.weight_orig", same)]


def found(name, g, extra):
    """The tensors by the names of a user's file, and what its configuration says."""
    code = CASES[name][0]
    state = {k: v for k, v in g.state_dict().items() if v.dtype.is_floating_point}
    r = rng(name + ".file")
    draw = lambda *shape: torch.from_numpy(r.standard_normal(shape).astype(np.float32))
    if code.startswith("rosinality"):
        if extra.get("noise") == "none":
            state = {k: v for k, v in state.items() if not k.startswith("noises.")}
        root = extra.get("root", "g_ema.")
        out = {root + k: v for k, v in state.items()}
        mean = 0.3 * draw(CASES[name][3])
        if extra.get("mean") == "w":
            out["latent_avg"] = mean
        if extra.get("mean") == "rows":
            out["latent_avg"] = mean.repeat(g.n_latent, 1)
            out |= {"state_dict.encoder.input_layer.0.weight": draw(4, 3, 3, 3),
                    "state_dict.encoder.input_layer.1.bias": draw(4)}
        if extra.get("copies"):
            out |= {"g." + k: draw(*v.shape) for k, v in state.items()}
            out |= {"d.convs.0.0.weight": draw(4, 3, 1, 1), "d.convs.0.1.bias": draw(4)}
        return out, None
    root = extra.get("root", "")
    return {root + k: v for k, v in state.items()}, None


def main():
    a = parser()
    a.add_argument("--only")
    a = a.parse_args()
    src, out = os.path.abspath(a.src), os.path.abspath(a.out)
    if a.only in CASES:
        return (main_paddle if a.only.startswith("paddle") else main_of)(a.only, src, out)
    for name in CASES:
        if a.only and a.only not in name:
            continue
        subprocess.run([sys.executable, __file__, "--src", src, "--out", out, "--only", name], check=True)


if __name__ == "__main__":
    main()
