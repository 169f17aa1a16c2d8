"""Cases of PGGAN, StyleGAN and TensorFlow pickles for tests/parity_families.rs.

The official PyTorch codes compute every number: genforce, pytorch_GAN_zoo, mmgeneration and stylegan2-ada-pytorch, from
checkouts that the caller names. TensorFlow pickles are made by the writer below from those networks, and read back by
the official converters (`--check`).
"""
import argparse
import importlib
import os
import pickle
import sys
import tempfile
import types
from unittest.mock import MagicMock

import numpy as np
import torch
import torch.nn.functional as F

from common import rng, wave_loss, write_any, write_case, write_tensors

# Official code without a module that is not needed here.
SKIP = "tensorflow cv2 torchvision utils utils.visualizer tqdm requests".split()


# ---------------------------------------------------------------------------------------------------------------------
# Networks with random numbers in every tensor.

def fill(module, name, scale=lambda key: 1.0):
    """Random numbers for all parameters and buffers but `kernel` and `lod`, each from a stream of its own name."""
    for key, t in list(module.named_parameters()) + list(module.named_buffers()):
        if key.endswith("kernel") or key.endswith("lod"):
            continue
        t.data.copy_(torch.from_numpy(rng(f"{name} {key}").randn(*t.shape).astype(np.float32)) * scale(key))
    return module.eval()


def normal(name, *shape):
    return torch.from_numpy(rng(name).randn(*shape).astype(np.float32))


def numbers(network, z, labels=None, weights=()):
    """Picture, loss and gradients; `weights` are (our name, parameter, how its gradient becomes one of ours)."""
    z = z.clone().requires_grad_(True)
    inputs = [z] if labels is None else [z, labels.clone().requires_grad_(True)]
    parameters = [p for _, p, _ in weights]
    for p in parameters:
        p.requires_grad_(True)
    image = network(*inputs)
    loss = wave_loss(image)
    grads = torch.autograd.grad(loss, inputs + parameters)
    out = {"z": z, "image": image, "loss": loss.reshape(1), "grad.z": grads[0]}
    if labels is not None:
        out.update({"labels": labels, "grad.labels": grads[1]})
    for (name, _, change), grad in zip(weights, grads[len(inputs):]):
        out[f"grad.weight.{name}"] = change(grad)
    return out


def same(grad):
    return grad


def spec(side, channels, z_dim, c_dim=0, **more):
    return {"width": side, "height": side, "channels": channels, "z_dim": z_dim, "c_dim": c_dim, **more}


def about(code, family, spec, noise="none"):
    return {"code": code, "family": family, "noise": noise, "tolerance": 1e-3, "spec": spec}


# ---------------------------------------------------------------------------------------------------------------------
# TensorFlow pickles: `(G, D, Gs)` of `dnnlib.tflib.network.Network`, or `tfutil.Network` before StyleGAN.

def network_class(module):
    """A class that pickles as the official one: no arguments, and a dictionary as its state."""
    for name in [".".join(module.split(".")[:i + 1]) for i in range(module.count(".") + 1)]:
        sys.modules.setdefault(name, types.ModuleType(name))
    cls = type("Network", (), {"__module__": module, "__getstate__": lambda self: self.state,
                               "__setstate__": lambda self, state: self.__dict__.update(state=state)})
    sys.modules[module].Network = cls
    return cls


def network(cls, version, name, function, static_kwargs, variables, components=None):
    """Variables without dimensions come out of a session as numpy scalars."""
    values = [(k, np.float32(v) if np.ndim(v) == 0 else np.ascontiguousarray(v, np.float32)) for k, v in variables]
    net = cls()
    net.state = {"version": version, "name": name, "static_kwargs": static_kwargs,
                 "build_module_src": "# placeholder: the source of the network's functions\n",
                 "build_func_name": function, "variables": values}
    if version > 2:
        net.state["components"] = components or {}
    return net


def write_pickle(folder, name, nets, numbers, reference, protocol=4):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name + ".pkl")
    with open(path, "wb") as f:
        pickle.dump(nets, f, protocol)
    print(f"{os.path.getsize(path):>9}  {path}")
    write_tensors(os.path.join(folder, name + ".ref.safetensors"), numbers, {"reference": reference})
    return path


def array(t):
    return t.detach().numpy()


def to_tensorflow(net, mapping, fused=False):
    """The variables of a genforce network by the names that it says itself: the converters' changes undone."""
    state, out = net.state_dict(), []
    for torch_name, name in mapping.items():
        value = array(state[torch_name])
        if "weight" in name:
            if "4x4/Dense/" in name:
                value = np.transpose(value[:, :, ::-1, ::-1], (1, 0, 2, 3)).reshape(value.shape[1], -1)
            elif "Dense" in name or "StyleMod" in name:
                value = value.T
            elif "LabelConcat" not in name and "Noise" not in name:
                value = np.transpose(value, (2, 3, 1, 0))
        out.append((name, value))
    return out


def discriminator(cls, version):
    return network(cls, version, "D", "D_basic", {"resolution": 4}, [("4x4/Dense0/weight", np.ones((2, 2))), ("lod", 0)])


# ---------------------------------------------------------------------------------------------------------------------
# PGGAN.

def pggan_genforce(models, name, side, lod=0.0, **more):
    net = models.PGGANGenerator(side, z_space_dim=5, fmaps_base=96, fmaps_max=7, **more)
    fill(net, name)
    net.lod.fill_(lod)
    return net


def pggan_cases(models, zoo, mmgen, out, codes, check):
    def call(net):
        return lambda *a: net(*a)["image"]

    for name, side, lod, root in [("genforce_16", 16, 0.0, ""), ("genforce_32_lod", 32, 1.25, "generator_smooth.")]:
        net = pggan_genforce(models, name, side, lod, image_channels=1 if lod else 3)
        weights = [("b4.conv.weight", net.layer1.weight, same), ("b8.conv0.weight", net.layer2.weight, same),
                   ("b4.dense.weight", net.layer0.weight, lambda g: g.flip(2, 3).permute(0, 2, 3, 1).reshape(-1, 5))]
        found = numbers(call(net), normal(name + " z", 2, 5), weights=weights)
        state = {root + k: v for k, v in net.state_dict().items()}
        if root:
            state.update({f"generator.{k}": v + 1 for k, v in net.state_dict().items()})
        write_case(out, name, state, found, about(codes["genforce"], "pggan", spec(side, 1 if lod else 3, 5)))

    name = "genforce_16_labels"
    net = pggan_genforce(models, name, 16, label_size=3)
    found = numbers(call(net), normal(name + " z", 2, 5), normal(name + " c", 2, 3))
    write_case(out, name, net.state_dict(), found, about(codes["genforce"], "pggan", spec(16, 3, 5, 3)), {"label_size": 3})

    # pytorch_GAN_zoo: an AC-GAN, and a blend. Its optimizers are not of this torch, nor needed.
    zoo.ProgressiveGAN.getOptimizerD = zoo.ProgressiveGAN.getOptimizerG = lambda self: MagicMock()
    attributes = {"hair": {"order": 1, "values": ["long", "short", "none"]}, "age": {"order": 0, "values": ["old", "young"]}}
    for name, config, alpha in [
        ("gan_zoo_32_alpha", dict(dimLatentVector=5, depthScale0=7, dimOutput=1, lossMode="WGANGP"), 0.3),
        ("gan_zoo_16_labels", dict(dimLatentVector=4, depthScale0=6, dimOutput=3, lossMode="DCGAN", leakyness=0.1,
                                   attribKeysOrder=attributes, weightConditionD=1.0, weightConditionG=1.0), 0.0),
    ]:
        model = zoo.ProgressiveGAN(useGPU=False, **config)
        for depth in [6, 5, 4][: 3 if alpha else 2]:
            model.addScale(depth)
        model.config.alpha = alpha
        net = model.getNetG()
        fill(net, name)
        size, classes = model.config.noiseVectorDim, model.config.categoryVectorDim
        assert classes == (0 if alpha else 5)
        labels = normal(name + " c", 2, classes) if classes else None
        gain = (2 / (9 * 7 if alpha else 9 * 6)) ** 0.5
        assert abs(gain - net.groupScale0[0].weight) < 1e-6
        scale = net.scaleLayers[0][0].module
        weights = [("b4.conv.bias", net.groupScale0[0].module.bias, same), ("b8.conv0.weight", scale.weight, same),
                   ("b4.dense.bias", net.formatLayer.module.bias, lambda g: g / 4)]
        found = numbers(lambda z, *c: net(torch.cat([z, *c], 1)), normal(name + " z", 2, size), labels, weights)
        state = {f"avgG.{k}": v for k, v in net.state_dict().items()}
        state.update({f"netG.{k}": v + 1 for k, v in net.state_dict().items()})
        side = 32 if alpha else 16
        wanted = spec(side, config["dimOutput"], size, classes)
        said = {k: v for k, v in vars(model.config).items() if v is not None}
        write_case(out, name, state, found, about(codes["pytorch_GAN_zoo"], "pggan", wanted), {"config": said})
        if check:
            # As its own code writes the file: the configuration is an object of its class.
            model.netG, model.avgG = net, net
            config = sys.modules.setdefault("models.utils.config", types.ModuleType("models.utils.config"))
            config.BaseConfig = type(model.config)
            model.save(os.path.join(check, name + ".pth"))

    for name, side, fused, channels in [("mmgen_32", 32, True, (48, 7)), ("mmgen_16_nearest", 16, False, (24, 6))]:
        net = mmgen.PGGANGenerator(noise_size=5, out_scale=side, base_channels=channels[0], max_channels=channels[1],
                                   fused_upconv=fused, label_size=0)
        fill(net, name)
        turned = (lambda g: g.permute(1, 0, 2, 3).flip(2, 3)) if fused else same
        last = 2 * (side.bit_length() - 1) - 5
        weights = [("b4.conv.weight", net.conv_blocks[0].conv.weight_orig, same),
                   (f"b{side}.conv0.weight", net.conv_blocks[last].conv.weight_orig, turned)]
        found = numbers(net, normal(name + " z", 2, 5), weights=weights)
        state = {f"state_dict.generator_ema.{k}": v for k, v in net.state_dict().items()}
        write_case(out, name, state, found, about(codes["mmgeneration"], "pggan", spec(side, 3, 5)))

    # TensorFlow: fused upsampling in a conditional network, and not fused while a resolution fades in. There the label
    # is normalised with z, so the reference runs genforce's layers on both.
    cls = network_class("tfutil")
    name = "tensorflow_16_labels"
    net = pggan_genforce(models, name, 16, fused_scale=True, label_size=2)
    z, c = normal(name + " z", 2, 5), normal(name + " c", 2, 2)

    def joint(z, c):
        x = net.layer0.pixel_norm(torch.cat([z, c], 1)).reshape(2, 7, 1, 1)
        for i in range(6):
            x = getattr(net, f"layer{i}")(x)
        return net.output2(x)

    weights = [("b8.conv0.weight", net.layer2.weight, lambda g: g.permute(1, 0, 2, 3).flip(2, 3))]
    found = numbers(joint, z, c, weights)
    kwargs = {"num_channels": 3, "resolution": 16, "label_size": 2, "fmap_base": 96, "fmap_max": 7, "latent_size": 5}
    write_nets(cls, 2, net, kwargs, "G_paper", out, name, found, about(codes["genforce"], "pggan", spec(16, 3, 5, 2)), 2)
    name = "tensorflow_32_lod"
    net = pggan_genforce(models, name, 32, 0.4)
    found = numbers(call(net), normal(name + " z", 2, 5))
    kwargs = {"num_channels": 3, "resolution": 32, "label_size": 0, "fmap_base": 96, "fmap_max": 7, "latent_size": 5,
              "fused_scale": False, "use_wscale": True}
    path = write_nets(cls, 2, net, kwargs, "G_paper", out, name, found, about(codes["genforce"], "pggan", spec(32, 3, 5)))
    if check:
        check_genforce("pggan", path, net)


def write_nets(cls, version, net, kwargs, function, out, name, found, reference, protocol=4):
    """The trained copy G, which is not to be read, D, and the averaged Gs."""
    def build(shift, called):
        variables = [(k, v + shift) for k, v in to_tensorflow(net, net.pth_to_tf_var_mapping)]
        return network(cls, version, called, function, kwargs, variables)
    nets = (build(1.0, "G"), discriminator(cls, version), build(0.0, "Gs"))
    return write_pickle(out, name, nets, found, reference, protocol)


# ---------------------------------------------------------------------------------------------------------------------
# StyleGAN.

def style_numbers(net, name, z_dim, labels=None):
    z = normal(name + " z", 2, z_dim)
    weights = [("synthesis.b4.const", net.synthesis.layer0.const, lambda g: g[0]),
               ("synthesis.b8.conv0.weight", net.synthesis.layer2.weight, same),
               ("synthesis.b8.conv1.noise_strength", net.synthesis.layer3.apply_noise.weight, same),
               ("synthesis.b4.conv1.affine.weight", net.synthesis.layer1.style.weight, same),
               ("mapping.fc0.bias", net.mapping.dense0.bias, same)]
    out = numbers(lambda *a: net(*a)["image"], z, labels, weights)
    with torch.no_grad():
        w = net.mapping(z, labels)["w"]
    w.requires_grad_(True)
    ws = net.truncation(w)
    grads = torch.autograd.grad(wave_loss(net.synthesis(ws)["image"]), [w, ws])
    out.update({"w": w, "ws": ws, "grad.w": grads[0], "grad.ws": grads[1]})
    return out


def stylegan(models, name, side, lod=0.0, base=96, most=6, **more):
    net = models.StyleGANGenerator(side, z_space_dim=5, w_space_dim=7, mapping_layers=3, mapping_fmaps=6, fmaps_base=base,
                                   fmaps_max=most, **more)
    # A learning rate of .01 scales the mapping network's weights and biases.
    fill(net, name, lambda k: 100.0 if "dense" in k and "weight" in k else 20.0 if "dense" in k else 1.0)
    net.synthesis.lod.fill_(lod)
    for module in net.modules():
        if hasattr(module, "noise"):
            module.noise.copy_(module.noise.half().float())
    return net


def stylegan_cases(models, mmgen, out, codes, check):
    def reference(side, channels, c_dim=0):
        wanted = spec(side, channels, 5, c_dim, w_dim=7, num_ws=2 * (side.bit_length() - 1) - 2)
        return about(codes["genforce"], "stylegan1", wanted, "const")

    name = "genforce_16_labels"
    net = stylegan(models, name, 16, label_size=3)
    found = style_numbers(net, name, 5, normal(name + " c", 2, 3))
    write_case(out, name, net.state_dict(), found, reference(16, 3, 3))
    name = "genforce_32_lod"
    net = stylegan(models, name, 32, 1.4, image_channels=1)
    state = {f"generator_smooth.{k}": v for k, v in net.state_dict().items()}
    write_case(out, name, state, style_numbers(net, name, 5), reference(32, 1))
    # From 128 pixels on upsampling is fused. The noise maps are halves, as they fill the file.
    name = "genforce_128"
    net = stylegan(models, name, 128, base=256, most=4, image_channels=1)
    found = style_numbers(net, name, 5)
    state = {k: v.half() if k.endswith("noise") else v for k, v in net.state_dict().items()}
    write_any(os.path.join(out, name + ".safetensors"), {k: v.contiguous() for k, v in state.items()}, {})
    write_tensors(os.path.join(out, name + ".ref.safetensors"), found, {"reference": reference(128, 1)})

    for name, side, channels in [("mmgen_16", 16, [6, 5, 4]), ("mmgen_32", 32, [5, 5, 4, 3])]:
        net = mmgen.StyleGANv1Generator(side, 6, num_mlps=3)
        # The official numbers of channels do not fit a small file: the same blocks with fewer.
        blocks, reads = [], channels[0]
        for i, c in enumerate(channels):
            blocks.append(mmgen.StyleConv(reads, c, 3, 6, initial=i == 0, upsample=True, fused=True))
            reads = c
        net.convs = torch.nn.ModuleList(blocks)
        net.to_rgbs = torch.nn.ModuleList([mmgen.EqualizedLRConvModule(c, 3, 1, act_cfg=None) for c in channels])
        fill(net, name, lambda k: 100.0 if "style_mapping" in k and "weight" in k else 20.0 if "style_mapping" in k else 1.0)
        z = normal(name + " z", 2, 6)
        weights = [("synthesis.b8.conv0.weight", net.convs[1].conv1[0].conv.weight_orig, same),
                   ("synthesis.b4.const", net.convs[0].conv1.input, lambda g: g[0]),
                   ("synthesis.b8.conv1.noise_strength", net.convs[1].noise_injector2.weight, same)]
        found = numbers(lambda z: net(z, randomize_noise=False), z, weights=weights)
        with torch.no_grad():
            found["w"] = net.style_mapping(z)
        wanted = spec(side, 3, 6, w_dim=6, num_ws=2 * len(channels))
        state = {f"state_dict.generator_ema.{k}": v for k, v in net.state_dict().items()}
        write_case(out, name, state, found, about(codes["mmgeneration"], "stylegan1", wanted, "const"))

    # TensorFlow: fused as its arguments say, with labels; and the usual way while a resolution fades in.
    cls = network_class("dnnlib.tflib.network")
    for name, side, lod, more, kwargs in [
        ("tensorflow_16_labels", 16, 0.0, {"label_size": 2, "fused_scale": True}, {"label_size": 2, "fused_scale": True}),
        ("tensorflow_32_lod", 32, 0.3, {"image_channels": 1}, {"label_size": 0, "num_channels": 1}),
    ]:
        net = stylegan(models, name, side, lod, **more)
        labels = normal(name + " c", 2, 2) if kwargs["label_size"] else None
        found = style_numbers(net, name, 5, labels)
        kwargs = {"num_channels": 3, "resolution": side, "latent_size": 5, "dlatent_size": 7, "mapping_layers": 3,
                  "mapping_fmaps": 6, "fmap_base": 96, "fmap_max": 6, "blur_filter": [1, 2, 1], **kwargs}

        def build(shift, called):
            variables = [(k, v + shift) for k, v in to_tensorflow(net, net.pth_to_tf_var_mapping)]
            own = [(k, v) for k, v in variables if k in ("lod", "dlatent_avg")]
            parts = {"synthesis": [("lod", lod)], "mapping": []}
            for k, v in variables:
                if k not in ("lod", "dlatent_avg"):
                    of = "mapping" if k.startswith("Dense") or k.startswith("LabelConcat") else "synthesis"
                    parts[of].append((k, v))
            components = {k: network(cls, 3, f"G_{k}", f"G_{k}", kwargs, v) for k, v in parts.items()}
            return network(cls, 3, called, "G_style", kwargs, own, components)

        nets = (build(1.0, "G"), discriminator(cls, 3), build(0.0, "Gs"))
        reference_ = reference(side, kwargs["num_channels"], kwargs["label_size"])
        path = write_pickle(out, name, nets, found, reference_, 3)
        if check:
            check_genforce("stylegan", path, net)


# ---------------------------------------------------------------------------------------------------------------------
# StyleGAN2 and StyleGAN2-ADA from TensorFlow.

def stylegan2_variables(G):
    """The variables of a network of NVIDIA's PyTorch code, by part: its importer's changes undone."""
    state = {k: array(v) for k, v in G.state_dict().items()}
    own, mapping, synthesis = [("lod", 0.0)], [], [("lod", 0.0)]
    own.append(("dlatent_avg", state.pop("mapping.w_avg")))
    for key, value in state.items():
        parts = key.split(".")
        if parts[-1] == "resample_filter":
            continue
        if parts[0] == "mapping":
            layer = "LabelEmbed" if parts[1] == "embed" else f"Dense{parts[1][2:]}"
            mapping.append((f"{layer}/{parts[2]}", value.T))
            continue
        side = int(parts[1][1:])
        block, log2 = f"{side}x{side}", side.bit_length() - 1
        if parts[2] == "const":
            synthesis.append((f"{block}/Const/const", value[None]))
            continue
        layer, what = parts[2], ".".join(parts[3:])
        names = {"conv0": "Conv0_up", "conv1": "Conv" if side == 4 else "Conv1", "torgb": "ToRGB", "skip": "Skip"}
        to = f"{block}/{names[layer]}"
        if what == "weight":
            value = np.transpose(value, (2, 3, 1, 0))
            value = value[::-1, ::-1] if layer in ("conv0", "skip") else value
            synthesis.append((f"{to}/weight", value))
        elif what == "affine.weight":
            synthesis.append((f"{to}/mod_weight", value.T))
        elif what == "affine.bias":
            synthesis.append((f"{to}/mod_bias", value - 1))
        elif what == "noise_const":
            index = 0 if side == 4 else 2 * log2 - (5 if layer == "conv0" else 4)
            synthesis.append((f"noise{index}", value[None, None]))
        else:
            synthesis.append((f"{to}/{what}", value))
    return own, mapping, synthesis


def stylegan2_cases(path, out, codes):
    # Its own `dnnlib` in place of the writer's; the class that is pickled joins it.
    for name in [n for n in sys.modules if n.split(".")[0] == "dnnlib"]:
        del sys.modules[name]
    sys.path.insert(0, path)
    networks = importlib.import_module("training.networks")
    from torch_utils.ops import bias_act, upfirdn2d
    for module in (bias_act, upfirdn2d):
        module._init = lambda: False
    legacy = importlib.import_module("legacy")
    cls = network_class("dnnlib.tflib.network")
    for name, side, version, architecture, c_dim, base in [
        ("stylegan2_16", 16, 4, "skip", 0, 96), ("ada_32_labels", 32, 5, "resnet", 3, 96)]:
        G = networks.Generator(z_dim=5, c_dim=c_dim, w_dim=7, img_resolution=side, img_channels=3,
                               mapping_kwargs=dict(num_layers=2, layer_features=6, embed_features=4, lr_multiplier=0.02),
                               synthesis_kwargs=dict(channel_base=base, channel_max=6, architecture=architecture,
                                                     conv_clamp=200 if version == 5 else None))
        for key, t in list(G.named_parameters()) + list(G.named_buffers()):
            if not key.endswith("resample_filter"):
                scale = 50.0 if "fc" in key and "weight" in key else 0.3 if "noise_strength" in key else 1.0
                t.data.copy_(torch.from_numpy(np.array(rng(f"{name} {key}").randn(*t.shape), np.float32)) * scale)
        G = G.eval().requires_grad_(False)
        z = normal(name + " z", 2, 5)
        labels = normal(name + " c", 2, c_dim) if c_dim else None
        call = lambda z, c=None: G.synthesis(G.mapping(z, c), noise_mode="const", force_fp32=True)
        conv = G.synthesis.b8.conv0
        weights = [("synthesis.b8.conv0.weight", conv.weight, same), ("synthesis.b8.conv0.affine.bias", conv.affine.bias, same)]
        found = numbers(call, z, labels, weights)
        with torch.no_grad():
            found["w"] = G.mapping(z, labels)[:, 0]
        kwargs = {"num_channels": 3, "resolution": side, "label_size": c_dim, "latent_size": 5, "dlatent_size": 7,
                  "mapping_layers": 2, "mapping_fmaps": 6, "mapping_lrmul": 0.02, "fmap_base": base // 2, "fmap_max": 6,
                  "architecture": architecture, "resample_kernel": [1, 3, 3, 1]}
        if version == 5:
            kwargs.update(conv_clamp=200, num_fp16_res=0, w_avg_beta=None, label_fmaps=4)

        def build(shift, called):
            own, mapping, synthesis = [[(k, v + shift) for k, v in part] for part in stylegan2_variables(G)]
            synthesis = [(k, v - shift if k.startswith("noise") else v) for k, v in synthesis]
            parts = {"synthesis": network(cls, version, "G_synthesis", "G_synthesis_stylegan2", kwargs, synthesis),
                     "mapping": network(cls, version, "G_mapping", "G_mapping", kwargs, mapping)}
            return network(cls, version, called, "G_main", kwargs, own, parts)

        nets = (build(1.0, "G"), discriminator(cls, version), build(0.0, "Gs"))
        wanted = spec(side, 3, 5, c_dim, w_dim=7, num_ws=2 * (side.bit_length() - 1) - 2)
        reference = about(codes["stylegan2-ada-pytorch"], "stylegan2", wanted, "const")
        file = write_pickle(out, name, nets, found, reference)
        # The official importer makes the same network of the file.
        with open(file, "rb") as f:
            data = legacy._LegacyUnpickler(f).load()
        again = legacy.convert_tf_generator(data[2])
        for key, t in again.state_dict().items():
            assert torch.allclose(t, G.state_dict()[key], atol=1e-6), key
        with torch.no_grad():
            image = again.synthesis(again.mapping(z, labels), noise_mode="const", force_fp32=True)
        print(f"    legacy.py on {name}: the picture differs by {(image - found['image']).abs().max():.1e}")


# ---------------------------------------------------------------------------------------------------------------------
# Checks by the official converters of genforce, with the parts of TensorFlow that they touch.

def check_genforce(kind, path, net):
    converter = importlib.import_module(f"converters.{kind}_converter")

    class Net:
        def __init__(self, state):
            self.state = state
            self.input_shapes = [[None, 5], [None, state["static_kwargs"]["label_size"]]]
            self.output_shape = [None, state["static_kwargs"]["num_channels"]] + [state["static_kwargs"]["resolution"]] * 2
            parts = {k: Net(v.state) for k, v in state.get("components", {}).items()}
            self.components = types.SimpleNamespace(**parts)
            if parts:
                parts["mapping"].output_shape = [None, 1, 7]

        def __getstate__(self):
            return self.state

    with open(path, "rb") as f:
        nets = [n.state for n in pickle.load(f)]
    nets[1]["static_kwargs"].update(label_size=0, num_channels=3)
    converter.pickle = types.SimpleNamespace(load=lambda f: [Net(n) for n in nets])
    build = converter.build_model

    def small(module, **kwargs):
        if module == "discriminator":
            return types.SimpleNamespace(pth_to_tf_var_mapping={}, state_dict=dict)
        more = dict(fused_scale=True) if nets[2]["static_kwargs"].get("fused_scale") is True else {}
        if kind == "stylegan":
            more["mapping_layers"] = 3
        return build(module=module, **{**kwargs, **more})

    converter.build_model = small
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "net.pth")
        getattr(converter, f"convert_{kind}_weight")(path, file, test_num=0)
        state = torch.load(file)["generator_smooth"]
    converter.build_model = build
    expected = net.state_dict()
    for key in net.pth_to_tf_var_mapping:
        assert torch.equal(state[key].reshape(expected[key].shape), expected[key]), key
    print(f"    genforce's converter on {os.path.basename(path)}: the same {len(net.pth_to_tf_var_mapping)} tensors")


# ---------------------------------------------------------------------------------------------------------------------

def load_mmgen(path, mmcv):
    """mmgeneration without the parts of mmcv that are compiled, and without what its packages import besides."""
    sys.path.insert(0, mmcv)

    class Anything(types.ModuleType):
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return MagicMock()

    for name in ["mmcv.ops", "mmcv.ops.fused_bias_leakyrelu", "mmcv.ops.upfirdn2d", "mmcv._ext"]:
        sys.modules[name] = Anything(name)
    sys.modules["mmcv.ops.fused_bias_leakyrelu"].FusedBiasLeakyReLU = torch.nn.Module

    def upfirdn2d(x, kernel, up=1, down=1, pad=(0, 0)):
        x = F.pad(x, (pad[0], pad[1], pad[0], pad[1]))
        return F.conv2d(x, kernel.flip(0, 1)[None, None].repeat(x.shape[1], 1, 1, 1), groups=x.shape[1])

    sys.modules["mmcv.ops.upfirdn2d"].upfirdn2d = upfirdn2d
    below = "models models.architectures models.architectures.stylegan core core.runners".split()
    for name in ["mmgen"] + [f"mmgen.{n}" for n in below]:
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(path, *name.split("."))]
        sys.modules[name] = module
    pggan = importlib.import_module("mmgen.models.architectures.pggan.modules")
    shared = sys.modules["mmgen.models.architectures"]
    shared.PixelNorm, shared.MiniBatchStddevLayer = pggan.PixelNorm, pggan.MiniBatchStddevLayer
    of = lambda name: importlib.import_module("mmgen.models.architectures." + name)
    return types.SimpleNamespace(
        PGGANGenerator=of("pggan").PGGANGenerator,
        EqualizedLRConvModule=pggan.EqualizedLRConvModule,
        StyleGANv1Generator=of("stylegan.generator_discriminator_v1").StyleGANv1Generator,
        StyleConv=of("stylegan.modules.styleganv1_modules").StyleConv,
    )


def alone(path, package, names):
    """Modules of a package `models` or the like, whose name another checkout has too."""
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        del sys.modules[name]
    sys.path.insert(0, path)
    found = {}
    for name in names:
        found.update(vars(importlib.import_module(f"{package}.{name}")))
    return types.SimpleNamespace(**found)


def main():
    p = argparse.ArgumentParser()
    for name in ["genforce", "gan-zoo", "mmgen", "mmcv", "stylegan2", "out"]:
        p.add_argument("--" + name, required=True)
    p.add_argument("--commits", nargs="*", default=[], help="owner/repo@commit of each checkout")
    p.add_argument("--check", help="a folder for what is only checked: runs the official converters too")
    a = p.parse_args()
    for name in SKIP:
        sys.modules[name] = MagicMock()
    codes = {c.split("/")[1].split("@")[0]: c for c in a.commits}
    for name in ["genforce", "pytorch_GAN_zoo", "mmgeneration", "stylegan2-ada-pytorch"]:
        codes.setdefault(name, name)
    mmgen = load_mmgen(a.mmgen, a.mmcv)
    zoo = alone(a.gan_zoo, "models", ["progressive_gan"])
    models = alone(a.genforce, "models", ["pggan_generator", "stylegan_generator"])
    out = lambda family: os.path.join(a.out, family)
    for family in ["pggan", "stylegan1", "tensorflow"]:
        os.makedirs(out(family), exist_ok=True)
    pggan_cases(models, zoo, mmgen, out("pggan"), codes, a.check)
    stylegan_cases(models, mmgen, out("stylegan1"), codes, a.check)
    stylegan2_cases(a.stylegan2, out("tensorflow"), codes)


if __name__ == "__main__":
    main()
