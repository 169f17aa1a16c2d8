"""Real NVIDIA-format pickles, written by the official code. They embed its source: keep them OUT of any repository.

    python official_pkl.py --official CHECKOUT --out DIR [--big]

Beside each NAME.pkl lies NAME.safetensors, the state dict of its G_ema (resample filters included).
"""
import argparse
import copy
import os
import pickle

import torch

from common import official, rng, write_any


def make(networks, name, protocol, res, z, w, c, layers, base, cmax, arch="skip", ch=3, fp16=0, clamp=None, aug=True):
    import dnnlib
    torch.manual_seed(int(rng(name).randint(1 << 30)))
    g_kwargs = dnnlib.EasyDict(
        class_name="training.networks.Generator", z_dim=z, w_dim=w,
        mapping_kwargs=dnnlib.EasyDict(num_layers=layers),
        synthesis_kwargs=dnnlib.EasyDict(channel_base=base, channel_max=cmax, num_fp16_res=fp16, conv_clamp=clamp,
                                         architecture=arch))
    d_kwargs = dnnlib.EasyDict(
        class_name="training.networks.Discriminator",
        block_kwargs=dnnlib.EasyDict(), mapping_kwargs=dnnlib.EasyDict(),
        epilogue_kwargs=dnnlib.EasyDict(mbstd_group_size=4),
        channel_base=base, channel_max=cmax, num_fp16_res=fp16, conv_clamp=clamp)
    common = dict(c_dim=c, img_resolution=res, img_channels=ch)
    g = dnnlib.util.construct_class_by_name(**g_kwargs, **common).train().requires_grad_(False)
    d = dnnlib.util.construct_class_by_name(**d_kwargs, **common).train().requires_grad_(False)
    augment = dnnlib.util.construct_class_by_name(
        class_name="training.augment.AugmentPipe", xflip=1, rotate90=1, xint=1, scale=1, rotate=1, aniso=1, xfrac=1,
        brightness=1, contrast=1, lumaflip=1, hue=1, saturation=1).train().requires_grad_(False) if aug else None
    g_ema = copy.deepcopy(g).eval()
    with torch.no_grad():
        for t in g_ema.parameters():
            t.add_(torch.randn(t.shape) * 0.05)
        for key, t in g_ema.named_buffers():
            if key == "mapping.w_avg":
                t.copy_(torch.randn(t.shape) * 0.2)
    data = dict(training_set_kwargs=dict(class_name="training.dataset.ImageFolderDataset", path="images.zip",
                                         use_labels=c > 0, max_size=70000, xflip=True, resolution=res))
    for key, module in [("G", g), ("D", d), ("G_ema", g_ema), ("augment_pipe", augment)]:
        data[key] = copy.deepcopy(module).eval().requires_grad_(False).cpu() if module is not None else None
    return data, protocol


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--official", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--big", action="store_true", help="also the 1024 px network of full width (about 350 MB)")
    a = a.parse_args()
    networks = official(a.official)
    os.makedirs(a.out, exist_ok=True)
    cases = {}
    for p in (2, 3, 4, 5):
        cases[f"real_32_p{p}"] = (p, 32, 40, 32, 0, 8, 512, 24)
    cases["real_32_c5_p4"] = (4, 32, 40, 32, 5, 2, 512, 24)
    cases["real_64_resnet_p4"] = (4, 64, 64, 64, 0, 8, 2048, 48, "resnet", 3, 4, 256, False)
    cases["real_64_gray_c5_p3"] = (3, 64, 512, 512, 5, 2, 16384, 512, "skip", 1, 4, 256)
    if a.big:
        cases["real_1024_p4"] = (4, 1024, 512, 512, 0, 8, 32768, 512, "skip", 3, 4, 256)
    for name, (p, *rest) in cases.items():
        data, p = make(networks, name, p, *rest)
        path = os.path.join(a.out, name + ".pkl")
        with open(path, "wb") as f:
            pickle.dump(data, f, protocol=p)
        print(f"{os.path.getsize(path):>9}  {path}")
        state = {k: v.contiguous().clone() for k, v in data["G_ema"].state_dict().items()}
        write_any(path[:-4] + ".safetensors", state, {})


if __name__ == "__main__":
    main()
