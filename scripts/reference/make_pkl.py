"""Our own writer of NVIDIA-format pickles: the structure of the real ones, none of their source.

    python make_pkl.py --cases tests/reference/stylegan2 --out tests/reference/pkl [--official CHECKOUT]

Weights come from the parity cases; `module_src` is a placeholder, so such a file can be read but not executed. With
--official every file is also loaded by the official loader (its import hook puts the real source back) and its image
compared with the parity case: a check of this writer, nothing of which is stored.
"""
import argparse
import io
import json
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict

import numpy as np
import torch
from safetensors import safe_open

from common import rng, write_any, write_json

PLACEHOLDER = "# placeholder: no source is stored here\n" * 8     # long enough for the opcode that real source takes


# --- names that the pickles mention -------------------------------------------------------------------------------

def named(module, value, name):
    for i, c in enumerate(module + "."):
        if c == ".":
            sys.modules.setdefault(module[:i], types.ModuleType(module[:i]))
    m = sys.modules[module]
    value.__module__, value.__qualname__, value.__name__ = module, name, name
    setattr(m, name, value)
    return value


class Names:
    """Stands in for the two official modules while we write; removed again before the official code is imported."""
    def __enter__(self):
        self.kept = {k: sys.modules.pop(k, None) for k in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util")}
        def reconstruct(meta):
            raise RuntimeError("a name only")
        named("torch_utils.persistence", reconstruct, "_reconstruct_persistent_obj")
        named("dnnlib.util", type("EasyDict", (dict,), {}), "EasyDict")
        self.reconstruct, self.easydict = reconstruct, sys.modules["dnnlib.util"].EasyDict
        return self

    def __exit__(self, *_):
        for k, v in self.kept.items():
            sys.modules.pop(k, None)
            if v is not None:
                sys.modules[k] = v


# --- tensors ------------------------------------------------------------------------------------------------------

STORAGE = {torch.float32: torch.FloatStorage, torch.float16: torch.HalfStorage, torch.float64: torch.DoubleStorage,
           torch.bfloat16: torch.BFloat16Storage, torch.int64: torch.LongStorage}


class Persistent(pickle._Pickler):
    def persistent_id(self, obj):
        return obj.ident if isinstance(obj, StorageId) else None


class StorageId:
    def __init__(self, *ident):
        self.ident = ident


def legacy_blob(flat, key, location="cpu"):
    """The legacy torch file of one storage: five pickles, then the element count and the raw elements."""
    raw = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    info = dict(protocol_version=1001, little_endian=True, type_sizes=dict(short=2, int=4, long=4))
    body = io.BytesIO()
    Persistent(body, protocol=2).dump(StorageId("storage", STORAGE[flat.dtype], key, location, flat.numel(), None))
    return (pickle.dumps(0x1950a86a20f9469cfc6c, 2) + pickle.dumps(1001, 2) + pickle.dumps(info, 2)
            + body.getvalue() + pickle.dumps([key], 2) + struct.pack("<q", flat.numel()) + raw)


class Storage:
    count = 0

    def __init__(self, flat, location="cpu"):
        Storage.count += 1
        self.flat, self.blob = flat, legacy_blob(flat, str(94000000000000 + 64 * Storage.count), location)

    def __reduce__(self):
        return torch.storage._load_from_bytes, (self.blob,)


class Tensor:
    def __init__(self, storage, offset, size, stride):
        self.args = (storage, offset, tuple(size), tuple(stride))

    def value(self):
        s, offset, size, stride = self.args
        return torch.as_strided(s.flat, size, stride, offset).contiguous().clone()

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, (*self.args, False, OrderedDict())


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def value(self):
        return self.tensor.value()

    def __reduce__(self):
        return torch._utils._rebuild_parameter, (self.tensor, False, OrderedDict())


def plain(t, location="cpu"):
    t = t.contiguous()
    return Tensor(Storage(t.reshape(-1), location), 0, t.shape, t.stride())


# --- modules ------------------------------------------------------------------------------------------------------

class Module:
    def __init__(self, names, class_name, state):
        self.names, self.class_name, self.state = names, class_name, state

    def __reduce__(self):
        meta = dict(type="class", version=6, module_src=PLACEHOLDER, class_name=self.class_name, state=self.state)
        return self.names.reconstruct, (meta,)


class Writer:
    def __init__(self, names, config, base, cmax, modern, tensor=None):
        self.names, self.cfg, self.base, self.cmax, self.modern = names, config, base, cmax, modern
        self.tensor = tensor or (lambda key, t: plain(t))
        self.written = {}

    def module(self, cls, params=(), buffers=(), children=(), attrs=(), args=(), kwargs=()):
        group = dict if self.modern else OrderedDict
        hooks = ["_backward_hooks", "_forward_hooks", "_forward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks"]
        state = dict(training=False, _parameters=group(params), _buffers=group(buffers), _non_persistent_buffers_set=set())
        if self.modern:
            hooks = ["_backward_pre_hooks", *hooks, "_forward_hooks_with_kwargs", "_forward_hooks_always_called",
                     "_forward_pre_hooks_with_kwargs", "_state_dict_pre_hooks", "_load_state_dict_post_hooks"]
            state["_is_full_backward_hook"] = None
        state.update({h: OrderedDict() for h in hooks})
        state["_modules"] = group(children)
        state.update(attrs)
        state.update(_init_args=tuple(args), _init_kwargs=dict(kwargs))
        return Module(self.names, cls, state)

    def tensors(self, w, prefix, params, buffers=()):
        p, b = [], []
        for names, out, wrap in ((params, p, Parameter), (buffers, b, lambda t: t)):
            for n in names:
                t = wrap(self.tensor(prefix + n, w[prefix + n]))
                self.written[prefix + n] = t
                out.append((n, t))
        return p, b

    def fc(self, w, prefix, activation, lr):
        o, i = w[prefix + "weight"].shape
        p, b = self.tensors(w, prefix, ["weight", "bias"])
        kw = dict(activation=activation, lr_multiplier=lr) if activation != "linear" else {}
        return self.module("FullyConnectedLayer", p, b, (), dict(
            activation=activation, weight_gain=lr / np.sqrt(i), bias_gain=lr), (i, o), kw)

    def layer(self, w, prefix, res, up):
        o, i = w[prefix + "weight"].shape[:2]
        p, b = self.tensors(w, prefix, ["weight", "noise_strength", "bias"], ["resample_filter", "noise_const"])
        return self.module("SynthesisLayer", p, b, [("affine", self.fc(w, prefix + "affine.", "linear", 1))], dict(
            resolution=res, up=up, use_noise=True, activation="lrelu", conv_clamp=self.cfg["conv_clamp"], padding=1,
            act_gain=np.sqrt(2)), (i, o), dict(w_dim=self.cfg["w_dim"], resolution=res, conv_clamp=self.cfg["conv_clamp"],
            channels_last=False, **(dict(up=2, resample_filter=[1, 3, 3, 1]) if up == 2 else {})))

    def torgb(self, w, prefix):
        o, i = w[prefix + "weight"].shape[:2]
        p, b = self.tensors(w, prefix, ["weight", "bias"])
        return self.module("ToRGBLayer", p, b, [("affine", self.fc(w, prefix + "affine.", "linear", 1))], dict(
            conv_clamp=self.cfg["conv_clamp"], weight_gain=1 / np.sqrt(i)), (i, o),
            dict(w_dim=self.cfg["w_dim"], conv_clamp=self.cfg["conv_clamp"], channels_last=False))

    def skip(self, w, prefix):
        o, i = w[prefix + "weight"].shape[:2]
        p, b = self.tensors(w, prefix, ["weight"], ["resample_filter"])
        return self.module("Conv2dLayer", p, b, (), dict(
            activation="linear", up=2, down=1, conv_clamp=None, padding=0, weight_gain=1 / np.sqrt(i), act_gain=1,
            bias=None), (i, o), dict(kernel_size=1, bias=False, up=2, resample_filter=[1, 3, 3, 1], channels_last=False))

    def generator(self, w):
        c, E = self.cfg, self.names.easydict
        blocks, arch, res = [], c["architecture"], 4
        while res <= c["img_resolution"]:
            pre, first, last = f"synthesis.b{res}.", res == 4, res == c["img_resolution"]
            p, b = self.tensors(w, pre, ["const"] if first else [], ["resample_filter"])
            parts = [] if first else [("conv0", self.layer(w, pre + "conv0.", res, 2))]
            parts.append(("conv1", self.layer(w, pre + "conv1.", res, 1)))
            if last or arch == "skip":
                parts.append(("torgb", self.torgb(w, pre + "torgb.")))
            if not first and arch == "resnet":
                parts.append(("skip", self.skip(w, pre + "skip.")))
            cin = 0 if first else w[pre + "conv0.weight"].shape[1]
            cout = w[pre + "conv1.weight"].shape[0]
            common = dict(w_dim=c["w_dim"], resolution=res, img_channels=c["img_channels"], is_last=last, use_fp16=False)
            blocks.append((f"b{res}", self.module("SynthesisBlock", p, b, parts, dict(
                in_channels=cin, **common, architecture=arch, channels_last=False, num_conv=1 if first else 2,
                num_torgb=int(last or arch == "skip")), (cin, cout),
                dict(**common, architecture=arch, conv_clamp=c["conv_clamp"]))))
            res *= 2
        recipe = dict(channel_base=self.base, channel_max=self.cmax, num_fp16_res=0, conv_clamp=c["conv_clamp"],
                      architecture=arch)
        size = dict(w_dim=c["w_dim"], img_resolution=c["img_resolution"], img_channels=c["img_channels"])
        synthesis = self.module("SynthesisNetwork", (), (), blocks, dict(
            **size, img_resolution_log2=int(np.log2(c["img_resolution"])), block_resolutions=[int(b[0][1:]) for b in blocks],
            num_ws=c["num_ws"]), (), {**size, **recipe})
        fcs = [("embed", self.fc(w, "mapping.embed.", "linear", 1))] if c["c_dim"] else []
        fcs += [(f"fc{i}", self.fc(w, f"mapping.fc{i}.", "lrelu", c["mapping_lr_multiplier"])) for i in range(c["mapping_layers"])]
        p, b = self.tensors(w, "mapping.", [], ["w_avg"])
        dims = dict(z_dim=c["z_dim"], c_dim=c["c_dim"], w_dim=c["w_dim"])
        recipe_m = dict(num_layers=c["mapping_layers"], lr_multiplier=c["mapping_lr_multiplier"])
        mapping = self.module("MappingNetwork", p, b, fcs, dict(
            **dims, num_ws=c["num_ws"], num_layers=c["mapping_layers"], w_avg_beta=0.995), (),
            dict(**dims, num_ws=c["num_ws"], **recipe_m))
        return self.module("Generator", (), (), [("synthesis", synthesis), ("mapping", mapping)], dict(
            **dims, img_resolution=c["img_resolution"], img_channels=c["img_channels"], num_ws=c["num_ws"]), (), dict(
            z_dim=c["z_dim"], w_dim=c["w_dim"], mapping_kwargs=E(recipe_m), synthesis_kwargs=E(recipe), c_dim=c["c_dim"],
            img_resolution=c["img_resolution"], img_channels=c["img_channels"]))

    def discriminator(self, r):
        """Not a whole one: the reader's job is to step over it."""
        c = self.cfg
        p = [("weight", Parameter(plain(torch.from_numpy(r.standard_normal((4, c["img_channels"], 1, 1)).astype(np.float32)))))]
        rgb = self.module("Conv2dLayer", p, (), (), dict(activation="lrelu", up=1, down=1, conv_clamp=None, padding=0,
                          weight_gain=1 / np.sqrt(c["img_channels"]), act_gain=np.sqrt(2), bias=None), (c["img_channels"], 4), dict(kernel_size=1))
        block = self.module("DiscriminatorBlock", (), (), [("fromrgb", rgb)], dict(resolution=c["img_resolution"]))
        return self.module("Discriminator", (), (), [(f"b{c['img_resolution']}", block)], dict(
            c_dim=c["c_dim"], img_resolution=c["img_resolution"], img_channels=c["img_channels"]))


# --- fixtures -----------------------------------------------------------------------------------------------------

def strided(key, t):
    """Every layout that a reader must honour: transposed, channels last, permuted, offset in a larger storage, cuda."""
    if key.endswith("resample_filter"):
        return plain(t, "cuda:0")
    if t.ndim == 2:                                         # column-major matrix
        s = t.t().contiguous()
        return Tensor(Storage(s.reshape(-1)), 0, t.shape, (1, t.shape[0]))
    if t.ndim == 4:                                         # NHWC, as fp16_channels_last leaves it
        s = t.permute(0, 2, 3, 1).contiguous()
        o, i, h, w = t.shape
        return Tensor(Storage(s.reshape(-1)), 0, t.shape, (i * h * w, 1, w * i, i))
    if t.ndim == 3:                                         # all axes reversed, an offset, elements left over
        s = t.permute(2, 1, 0).contiguous().reshape(-1)
        a, b, c = t.shape
        return Tensor(Storage(torch.cat([torch.full((5,), 7.0), s, torch.full((3,), -7.0)])), 5, t.shape, (1, a, a * b))
    if t.ndim == 1:                                         # every second element
        s = torch.full((2 * t.numel(),), 9.0)
        s[1::2] = t
        return Tensor(Storage(s), 1, t.shape, (2,))
    return plain(t)


def halves(key, t):
    if t.ndim == 4:
        return plain(t.half())
    if key.endswith("noise_const"):
        return plain(t.double())
    if key.endswith("affine.bias"):
        return plain(t.bfloat16())
    return plain(t)


class Shared:
    """Biases of one network lie in one storage object; equal tensors (the resample filters) are one tensor's views."""
    def __init__(self, weights):
        keys = [k for k in weights if k.endswith(".bias")]
        self.bias = Storage(torch.cat([weights[k] for k in keys]))
        self.at = dict(zip(keys, np.cumsum([0] + [weights[k].numel() for k in keys])))
        self.filter = None

    def __call__(self, key, t):
        if key in self.at:
            return Tensor(self.bias, int(self.at[key]), t.shape, (1,))
        if key.endswith("resample_filter"):
            self.filter = self.filter or Storage(t.reshape(-1))
            return Tensor(self.filter, 0, t.shape, t.stride())
        return plain(t)


# name: case, protocol, dialect of torch, layout, what G holds
FIXTURES = {
    "p2_16_orig":       ("sg2_16_orig", 2, True, None, "same"),
    "p3_16_rgba":       ("sg2_16_rgba", 3, False, None, "same"),
    "p4_32_gray":       ("sg2_32_gray", 4, True, None, "same"),
    "p5_16_resnet_c5":  ("sg2_16_resnet_c5", 5, True, None, "other"),
    "p4_16_strides":    ("sg2_16_clamp", 4, True, strided, "same"),
    "p4_16_half":       ("sg2_16_orig", 4, True, halves, "same"),
    "p4_16_shared":     ("sg2_16_clamp", 4, True, "shared", "same"),
}


def read_case(path):
    with safe_open(path, "pt") as f:
        meta = {k: json.loads(v) for k, v in f.metadata().items()}
        w = {k: f.get_tensor(k) for k in f.keys()}
    ref = {k: w.pop(k) for k in list(w) if k.startswith("ref.")}
    c = meta["gannet"]["config"]
    taps = torch.tensor([1.0, 3, 3, 1])
    fir = torch.outer(taps, taps) / 64
    for r in [2 ** i for i in range(2, int(np.log2(c["img_resolution"])) + 1)]:
        for part in ("", "conv0.", "conv1.", "skip."):
            if part == "" or f"synthesis.b{r}.{part}weight" in w:
                w[f"synthesis.b{r}.{part}resample_filter"] = fir
    return c, meta["reference"], w, ref


def state_of(writer):
    return {k: v.value() for k, v in writer.written.items()}


def verify(path, official, ref, case):
    """The official loader reads our file, given back its own source, and draws the parity image."""
    if "training" not in sys.modules:
        sys.path.insert(0, os.path.abspath(official))
        from torch_utils import persistence
        from training import augment, networks
        import inspect

        def give_back(meta):
            if meta.module_src == PLACEHOLDER:
                meta.module_src = inspect.getsource(augment if meta.class_name == "AugmentPipe" else networks)
            return meta
        persistence.import_hook(give_back)
    import legacy
    real, at_home = torch.load, lambda *x, **kw: real(*x, **{**kw, "map_location": "cpu"})     # for cuda:0 storages
    torch.load = at_home
    with open(path, "rb") as f:
        g = legacy.load_network_pkl(f)["G_ema"]
    torch.load = real
    raw = {k: v.clone() for k, v in g.state_dict().items()}
    g = g.float()
    with torch.no_grad():
        image = g(ref["ref.z"], ref.get("ref.c"), noise_mode="const", force_fp32=True)
    return (image - ref["ref.image.const"]).abs().max().item(), raw


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--cases", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--official")
    a = a.parse_args()
    index = {}
    for name, (case, protocol, modern, layout, keep) in FIXTURES.items():
        cfg, how, weights, ref = read_case(os.path.join(a.cases, case + ".safetensors"))
        r = rng(name)
        with Names() as names:
            tensor = Shared(weights) if layout == "shared" else layout
            w = Writer(names, cfg, how["channel_base"], how["channel_max"], modern, tensor)
            g_ema = w.generator(weights)
            g = None
            if keep == "other":       # a training copy whose values differ everywhere: taking it by mistake shows
                other = Writer(names, cfg, how["channel_base"], how["channel_max"], modern)
                g = other.generator({k: v if k.endswith("resample_filter") else v + 1 for k, v in weights.items()})
            elif keep == "same":      # the very same object, by reference
                g = g_ema
            data = dict(training_set_kwargs=dict(class_name="training.dataset.ImageFolderDataset", path="images.zip",
                                                 use_labels=cfg["c_dim"] > 0, max_size=500, xflip=False,
                                                 resolution=cfg["img_resolution"]),
                        G=g, D=w.discriminator(r), G_ema=g_ema,
                        augment_pipe=w.module("AugmentPipe", (), [("p", plain(torch.zeros([])))], (), dict(xflip=1.0))
                        if layout is None else None)
            blob = pickle.dumps(data, protocol=protocol)
            if protocol <= 3:         # as numpy 1 names it, which is what the released files hold
                assert b"numpy._core.multiarray" in blob
                blob = blob.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
        path = os.path.join(a.out, name + ".pkl")
        with open(path, "wb") as f:
            f.write(blob)
        assert len(blob) <= 150_000, (name, len(blob))
        print(f"{len(blob):>9}  {path}")
        state = state_of(w)
        assert set(state) == set(weights), set(state) ^ set(weights)
        write_any(path[:-4] + ".safetensors", state, {"gannet": {"format": 1, "family": "stylegan2", "config": cfg}})
        entry = dict(case=case, protocol=protocol, config=cfg, G=keep, tensors=len(state),
                     dtypes=sorted({str(v.dtype)[6:] for v in state.values()}))
        if a.official:
            off, got = verify(path, a.official, ref, case)
            same = set(got) == set(state) and all(got[k].dtype == state[k].dtype and torch.equal(got[k], state[k]) for k in state)
            print(f"           official loader: state equal {same}, image off by {off:.2e}")
            assert same and off < (0.05 if layout is halves else 1e-5)
        index[name + ".pkl"] = entry
    write_json(os.path.join(a.out, "index.json"), index)


if __name__ == "__main__":
    main()
