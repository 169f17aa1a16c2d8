"""BigGAN, BigGAN-deep and the residual and transposed-convolution generators of PyTorch-StudioGAN, by their official
code: python biggan.py --hf CHECKOUT --ajbrock CHECKOUT --studiogan CHECKOUT --out tests/reference/biggan [--files DIR]

The code is run as it is, but for sizes that it fixes: the side of the first map (2, so that pictures are small) and the
widths of deep_conv are replaced in its text before it is run. Labels are soft, so that they have gradients."""
import argparse
import contextlib
import importlib
import json
import os
import sys
import types

from common import rng, write_any, write_case

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

N = 2
# Numbers of the largest gradient of a weight that is kept.
MOST = 200
HF = "huggingface/pytorch-pretrained-BigGAN@1e18aed2dff75db51428f13b940c38b923eb4a3d"
AJ = "ajbrock/BigGAN-PyTorch@98459431a5d618d644d54cd1e9fceb1e5045648d"
ST = "POSTECH-CVLab/PyTorch-StudioGAN@947b35e9835b67860fdce44d337f6d7fee7c8db3"


def hf(path, case):
    """A generator, the modules that read a row, how they read it, and the function from rows to the picture."""
    sys.path.insert(0, path)
    # Its downloads want packages that nothing else here needs.
    downloads = types.ModuleType("pytorch_pretrained_biggan.file_utils")
    downloads.cached_path = downloads.PYTORCH_PRETRAINED_BIGGAN_CACHE = None
    sys.modules[downloads.__name__] = downloads
    m = importlib.import_module("pytorch_pretrained_biggan.model")
    c = importlib.import_module("pytorch_pretrained_biggan.config")
    config = c.BigGANConfig(**case["config"])
    g = m.BigGAN(config)
    gen = g.generator
    ups = sum(up for up, _, _ in config.layers)
    spec = dict(z_dim=config.z_dim, c_dim=config.num_classes, w_dim=2 * config.z_dim, size=4 << ups,
                num_ws=1 + len(config.layers))
    blocks = [b for b in gen.layers if isinstance(b, m.GenBlock)]

    def embed(labels):
        return g.embeddings(labels)

    def run(rows):
        return gen(rows[0], case["truncation"])

    told = json.loads(config.to_json_string()) if case.get("told") else None
    return g, gen.gen_z, blocks, embed, lambda i, row: row, run, spec, told


def ajbrock(path, case):
    sys.path.insert(0, path)
    m = importlib.import_module(case["module"])
    layers = importlib.import_module("layers")
    real = nn.Embedding.forward
    nn.Embedding.forward = lambda s, x: x @ s.weight if x.is_floating_point() else real(s, x)
    kw = case["kw"]
    g = m.Generator(no_optim=True, bottom_width=2, **kw)
    z, classes = g.dim_z, kw["n_classes"]
    size = g.shared_dim if g.G_shared else classes
    blocks = [b for stage in g.blocks for b in stage if not isinstance(b, layers.Attention)]
    deep = case["module"] == "BigGANdeep"
    spec = dict(z_dim=z, c_dim=classes, w_dim=z + size, size=2 * kw["resolution"] // 4, num_ws=1 + len(blocks))

    def part(i, row):
        own, y = row[:, :z], row[:, z:]
        if deep:
            return torch.cat([y, own], 1)
        if kw.get("hier"):
            own = torch.split(own, g.z_chunk_size, 1)[i]
            return own if i == 0 else torch.cat([y, own], 1)
        return own if i == 0 else y

    def run(rows):
        return g(rows[0][:, :z], rows[0][:, z:])

    return g, g.linear, blocks, lambda labels: g.shared(labels), part, run, spec, None


def studiogan(path, case):
    # Its package `utils` has the name of a module of BigGAN-PyTorch; what its models need of it is one file.
    utils, misc = types.ModuleType("utils"), types.ModuleType("utils.misc")
    utils.__path__ = [os.path.join(path, "src", "utils")]
    misc.dummy_context_mgr = contextlib.nullcontext
    utils.misc = misc
    sys.modules.update({"utils": utils, "utils.misc": misc})
    ops = importlib.import_module("utils.ops")
    backbone, kw = case["backbone"], case["kw"]
    with open(os.path.join(path, "src", "models", backbone + ".py")) as f:
        text = f.read()
    for theirs, ours in case.get("replace", {}).items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    space = {"__name__": backbone}
    # Soft labels in place of whole numbers.
    shim = types.SimpleNamespace(**{k: getattr(F, k) for k in ("interpolate",)})
    shim.one_hot = lambda label, num_classes: label
    exec(compile(text, backbone, "exec"), space)
    space["F"] = shim
    sn, cond = case["sn"], kw["g_cond_mtd"] != "W/O"
    modules = types.SimpleNamespace(
        g_conv2d=ops.snconv2d if sn else ops.conv2d, g_deconv2d=ops.sndeconv2d if sn else ops.deconv2d,
        g_linear=ops.snlinear if sn else ops.linear, g_act_fn=nn.ReLU(inplace=True),
        g_bn=ops.ConditionalBatchNorm2d if cond or backbone == "big_resnet" else ops.batchnorm_2d)
    model = types.SimpleNamespace(info_type="N/A", g_info_injection="N/A")
    g = space["Generator"](g_init="ortho", mixed_precision=False, MODULES=modules, MODEL=model, **kw)
    z, classes = kw["z_dim"], kw["num_classes"] if cond else 0
    shared = hasattr(g, "shared")
    size = kw["g_shared_dim"] if shared else classes
    blocks = [b for stage in g.blocks for b in stage if not isinstance(b, ops.SelfAttention)]
    hier, deep = backbone == "big_resnet", "deep_" in backbone and backbone != "deep_conv"
    reads = hier or deep or cond
    ups = sum(1 for b in blocks if getattr(b, "upsample", True))
    bottom = getattr(g, "bottom", 2 if "*4*4" in case["replace"] else 4)
    spec = dict(z_dim=z, c_dim=classes, w_dim=z + size, size=bottom << ups, num_ws=1 + len(blocks) if reads else 0)

    def embed(labels):
        return labels @ g.shared.weight if shared else labels

    def part(i, row):
        own, y = row[:, :z], row[:, z:]
        if deep:
            return torch.cat([y, own], 1)
        if hier:
            own = torch.split(own, g.chunk_size, 1)[i]
            return own if i == 0 else torch.cat([y, own], 1)
        return own if i == 0 else y

    def run(rows):
        own, y = rows[0][:, :z], rows[0][:, z:]
        return g(own, y, shared_label=y) if shared else g(own, y)

    return g, g.linear0, blocks, embed, part, run, spec, None


# Texts of StudioGAN that fix sizes.
SMALL = {'bottom_collection = {"32": 4, "64": 4': 'bottom_collection = {"32": 2, "64": 2'}
DCGAN = {"[512, 256, 128]": "[16, 8, 8]", "[256, 128, 64]": "[8, 8, 4]"}


def studio(backbone, size, ch, cond, sn, attn=(), z=4, shared=2, replace=None, depth=2):
    kw = dict(z_dim=z, g_shared_dim=shared, img_size=size, g_conv_dim=ch, apply_attn=bool(attn), attn_g_loc=list(attn),
              g_cond_mtd="cBN" if cond else "W/O", num_classes=5, g_depth=depth)
    return dict(make=studiogan, code=ST, backbone=backbone, kw=kw, sn=sn, replace=SMALL if replace is None else replace)


def aj(module, resolution, ch, **kw):
    kw = dict(resolution=resolution, G_ch=ch, n_classes=5, G_attn="0") | kw
    return dict(make=ajbrock, code=AJ, module=module, kw=kw)


CASES = {
    "hf_16": dict(make=hf, code=HF, truncation=1.0, config=dict(
        output_dim=16, z_dim=3, class_embed_dim=3, channel_width=3, num_classes=5, n_stats=3, attention_layer_position=1,
        layers=[(False, 16, 8), (True, 8, 4), (False, 4, 2), (True, 2, 1)])),
    "hf_32": dict(make=hf, code=HF, truncation=0.43, told=True, config=dict(
        output_dim=32, z_dim=2, class_embed_dim=2, channel_width=3, num_classes=3, n_stats=4, attention_layer_position=1,
        eps=1e-3, layers=[(True, 16, 8), (True, 8, 4), (False, 4, 2), (True, 2, 1)])),
    "hf_8": dict(make=hf, code=HF, truncation=0.317, told=True, config=dict(
        output_dim=8, z_dim=2, class_embed_dim=2, channel_width=3, num_classes=5, n_stats=6, attention_layer_position=-1,
        layers=[(False, 16, 8), (False, 8, 4), (True, 4, 2), (False, 2, 1)])),
    "aj_hier_16": aj("BigGAN", 32, 2, dim_z=8, shared_dim=2, hier=True, G_attn="16"),
    "aj_plain_32": aj("BigGAN", 64, 1, dim_z=6, shared_dim=4, mybn=True),
    "aj_unshared_16": aj("BigGAN", 32, 2, dim_z=6, G_shared=False, G_attn="8", G_param="None"),
    "aj_deep_16": aj("BigGANdeep", 32, 3, dim_z=3, shared_dim=2, hier=True, G_attn="16"),
    "aj_deep_32": aj("BigGANdeep", 64, 1, dim_z=2, shared_dim=3, hier=True, num_G_SVs=2),
    "st_big_32": studio("big_resnet", 64, 2, True, True, attn=[1], z=5),
    "st_big_16_free": studio("big_resnet", 32, 2, False, False, z=12),
    "st_legacy_16": studio("big_resnet_deep_legacy", 32, 3, True, True, attn=[2]),
    "st_legacy_32": studio("big_resnet_deep_legacy", 64, 2, True, False, z=3),
    "st_deep_16": studio("big_resnet_deep_studiogan", 32, 3, True, True, attn=[2]),
    "st_deep_32": studio("big_resnet_deep_studiogan", 64, 2, True, False, z=3),
    "st_sagan_16": studio("resnet", 32, 2, True, True, attn=[2]),
    "st_sngan_32": studio("resnet", 64, 1, False, False),
    "st_dcgan_32": studio("deep_conv", 32, 0, True, True, attn=[2], replace=DCGAN),
    "st_dcgan_16_free": studio("deep_conv", 32, 0, False, False, replace=DCGAN | {"*4*4": "*2*2", ", 4, 4)": ", 2, 2)"}, z=3),
}

# Some of the tensors whose gradients are kept, by our name, and theirs where a case has it.
PROBES = {
    "embedding.weight": ["embeddings.weight", "shared.weight"],
    "first.{w}": ["generator.gen_z.{w}", "linear.{w}", "linear0.{w}"],
    "blocks.0.conv1.{w}": ["generator.layers.0.conv_0.{w}", "blocks.0.0.conv1.{w}", "blocks.0.0.conv2d1.{w}"],
    "blocks.0.conv2.{w}": ["generator.layers.0.conv_1.{w}", "blocks.0.0.conv2.{w}", "blocks.0.0.conv2d2.{w}"],
    "blocks.0.skip.{w}": ["blocks.0.0.conv_sc.{w}", "blocks.0.0.conv2d0.{w}"],
    "blocks.0.deconv.{w}": ["blocks.0.0.deconv0.{w}"],
    "blocks.0.norm1.gain.{w}": ["generator.layers.0.bn_0.scale.{w}", "blocks.0.0.bn1.gain.{w}", "blocks.0.0.bn0.gain.{w}"],
    "blocks.0.norm1.gain": ["blocks.0.0.bn1.weight", "blocks.0.0.bn0.weight"],
    "blocks.1.attention.theta.{w}": ["generator.layers.1.snconv1x1_theta.{w}", "blocks.1.1.theta.{w}",
                                     "blocks.1.0.conv1x1_theta.{w}"],
    "blocks.2.attention.gamma": ["generator.layers.2.gamma", "blocks.2.1.gamma", "blocks.2.0.sigma"],
    "last.norm.gain": ["generator.bn.weight", "output_layer.0.gain", "bn4.weight"],
    "last.conv.{w}": ["generator.conv_to_rgb.{w}", "output_layer.2.{w}", "conv2d5.{w}", "conv4.{w}"],
}


def probes(params):
    for ours, theirs in PROBES.items():
        for w in ("weight_orig", "weight"):
            for name in theirs:
                if name.format(w=w) in params and ("{w}" in name or w == "weight"):
                    yield ours.format(w=w), name.format(w=w)


def scatter(g, name):
    """Numbers that no training left as they were drawn: all parameters, all statistics, singular vectors underway."""
    r = rng("biggan " + name)
    with torch.no_grad():
        for key, p in g.named_parameters():
            spread = 0.3 if p.dim() == 1 or key.endswith("gain") else 1.0 / np.sqrt(max(p[0].numel(), 1) if p.dim() else 1)
            mean = 1.0 if p.dim() < 2 and key.endswith(("bn4.weight", "bn.weight", ".gain", "sigma", "gamma")) else 0.0
            if p.dim() == 1 and ".bn" in key and key.endswith(".weight"):
                mean = 1.0
            if key in ("generator.bn.weight", "output_layer.0.gain", "bn4.weight"):
                # So that the picture does not sit at the ends of tanh.
                mean, spread = 0.4, 0.1
            p.copy_(torch.from_numpy(np.asarray(mean + spread * r.randn(*p.shape))))
        for key, b in g.named_buffers():
            part = key.rsplit(".", 1)[-1]
            if part in ("running_mean", "stored_mean", "running_means"):
                b.copy_(torch.from_numpy(0.4 * r.randn(*b.shape)))
            elif part in ("running_var", "stored_var", "running_vars"):
                b.copy_(torch.from_numpy(np.exp(0.4 * r.randn(*b.shape))))
            elif part == "accumulation_counter":
                b.fill_(7.0)
            elif part == "num_batches_tracked":
                b.fill_(100)
            elif part.startswith("sv"):
                b.fill_(123.0)
            elif part in ("weight_u", "weight_v", "u0", "u1"):
                b.copy_(torch.from_numpy(r.randn(*b.shape)))
            else:
                raise ValueError(key)
        for module in g.modules():
            if hasattr(module, "accumulate_standing"):
                module.accumulate_standing = True
        # Two steps of the power method, so that vectors are near, but not at, the singular ones.
        for module in g.modules():
            if hasattr(module, "weight_u"):
                w = module.weight_orig
                w = w.transpose(0, 1) if isinstance(module, nn.ConvTranspose2d) else w
                w = w.reshape(w.shape[0], -1)
                for _ in range(2):
                    module.weight_v.copy_(F.normalize(w.t() @ module.weight_u, dim=0))
                    module.weight_u.copy_(F.normalize(w @ module.weight_v, dim=0))
            elif hasattr(module, "u0"):
                w = module.weight.reshape(module.weight.shape[0], -1)
                module.u0.copy_(F.normalize(module.u0 @ w @ w.t(), dim=1))


def evaluate(made, case, name):
    g, first, blocks, embed, part, run, spec, _ = made
    r = rng("biggan codes " + name)
    z = torch.from_numpy(r.randn(N, spec["z_dim"])).requires_grad_(True)
    out = {"z": z}
    labels = None
    if spec["c_dim"]:
        labels = torch.from_numpy(0.2 + r.rand(N, spec["c_dim"]))
        labels = (labels / labels.sum(1, keepdim=True)).requires_grad_(True)
        out["labels"] = labels
    if "truncation" in case:
        out["truncation"] = torch.tensor([case["truncation"]], dtype=torch.float64)
    w = z if labels is None else torch.cat([z, embed(labels)], 1)
    if spec["num_ws"]:
        w.retain_grad()
    # A row for the first layer and one for each block, each with a gradient of its own.
    rows = [w.clone() for _ in range(max(spec["num_ws"], 1))]
    for row in rows:
        row.retain_grad()

    def give(i):
        def hook(module, args):
            return (part(0, rows[0]),) if i == 0 else (args[0], part(i, rows[i]), *args[2:])
        return hook

    if spec["num_ws"]:
        for i, module in enumerate([first, *blocks]):
            module.register_forward_pre_hook(give(i))
    image = run(rows)
    target = torch.sin(0.37 * torch.arange(image.numel(), dtype=torch.float64)).reshape(image.shape)
    loss = (image - target).square().mean()
    loss.backward()
    out |= {"image": image, "loss": loss.reshape(1), "grad.z": z.grad}
    if labels is not None:
        out["grad.labels"] = labels.grad
    if spec["num_ws"]:
        out |= {"w": w, "grad.w": w.grad, "grad.ws": torch.stack([row.grad if row.grad is not None else
                                                                    torch.zeros_like(row) for row in rows], 1)}
    params = dict(g.named_parameters())
    for ours, theirs in probes(params):
        grad = params[theirs].grad
        if grad.numel() > MOST:
            continue
        unshared = case.get("kw", {}).get("G_shared") is False and ".norm" in ours
        if unshared or (case["make"] is hf and ours == "embedding.weight"):
            grad = grad.t()
        out["grad.weight." + ours] = grad
    return {k: v.detach().clone() for k, v in out.items()}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--hf", required=True)
    a.add_argument("--ajbrock", required=True)
    a.add_argument("--studiogan", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--only")
    a.add_argument("--files", help="a folder for files as the official code saves them")
    a = a.parse_args()
    path = {hf: a.hf, ajbrock: a.ajbrock, studiogan: a.studiogan}
    for name, case in CASES.items():
        if a.only and a.only != name:
            continue
        torch.manual_seed(0)
        made = case["make"](path[case["make"]], case)
        g, spec, told = made[0], made[6], made[7]
        scatter(g, name)
        g.eval()
        # Half precision holds them all, so that files are small.
        g.half().float()
        state = {k: v.half() for k, v in g.state_dict().items()}
        if a.files:
            save(a.files, name, g, case, told)
        g.double()
        numbers = evaluate(made, case, name)
        for k, v in numbers.items():
            assert torch.isfinite(v).all() and v.abs().max() > 0, (name, k)
        image = numbers["image"]
        print(name, tuple(image.shape), "rms", round(image.square().mean().sqrt().item(), 3), "loss",
              round(numbers["loss"].item(), 4))
        side = spec.pop("size")
        assert image.shape == (N, 3, side, side), (name, image.shape, side)
        reference = dict(code=case["code"], family="biggan", noise="none", tolerance=1e-3,
                         spec=dict(width=side, height=side, channels=3, **spec))
        write_case(a.out, name, state, numbers, reference, told)
        write_any(os.path.join(a.out, name + ".safetensors"), {k: v.contiguous() for k, v in state.items()}, {})


def save(folder, name, g, case, told):
    """As the official training or conversion code saves it."""
    os.makedirs(folder, exist_ok=True)
    at = lambda end: os.path.join(folder, end)
    if case["make"] is hf:
        torch.save(g.state_dict(), at(f"{name}-pytorch_model.bin"))
        config = told or json.loads(g.config.to_json_string())
        with open(at(f"{name}-config.json"), "w") as f:
            json.dump(config, f)
    elif case["make"] is ajbrock:
        os.makedirs(at(name), exist_ok=True)
        torch.save(g.state_dict(), at(f"{name}/G_ema.pth"), _use_new_zipfile_serialization=False)
        config = case["kw"] | {"G_activation": nn.ReLU(inplace=True), "D_activation": nn.ReLU(inplace=True)}
        torch.save({"itr": 7, "epoch": 1, "save_num": 0, "save_best_num": 0, "best_IS": 1.5, "best_FID": 30.5,
                    "config": config}, at(f"{name}/state_dict.pth"), _use_new_zipfile_serialization=False)
    else:
        torch.save({"state_dict": g.state_dict(), "seed": 1, "run_name": name, "step": 5, "epoch": 0, "topk": 1,
                    "aa_p": None, "best_step": 5, "best_fid": 3.5, "best_fid_ckpt": "x", "lecam_emas": None},
                   at(f"model=G_ema-best-weights-step={name}.pth"))


if __name__ == "__main__":
    main()
