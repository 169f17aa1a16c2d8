"""EG3D: small generators with the official code's numbers, picture, depth and gradients.

    python eg3d.py --official CHECKOUT/eg3d --out tests/reference/eg3d [--pickles SOMEWHERE_ELSE]

The official constructors fix some sizes (planes of 256 pixels, 512 numbers of w in the super-resolution), so the parts
are put together here: every module, and the forward pass of every part, is the official one. What is random in the
official code is set to the middle of its range from outside: samples lie in the middle of their steps. Pictures are
made one by one, because the official limits of rays and depths are those of a whole batch.
"""
import argparse
import copy
import importlib
import os
import pickle

import numpy as np
import torch

from common import official, rng, write_case

COMMIT = "NVlabs/eg3d@7cf1fd1e99e1061e8b6ba850f91c94fe56e7afe4"
N, Z, W, C = 2, 12, 16, 25

NUMERIC = dict(depth_resolution=8, depth_resolution_importance=8, ray_start=2.25, ray_end=3.3, box_warp=1,
               disparity_space_sampling=False, clamp_mode="softplus", c_gen_conditioning_zero=False, c_scale=1,
               superresolution_noise_mode="none", density_reg=0.25, density_reg_p_dist=0.004, reg_type="l1",
               decoder_lr_mul=1, sr_antialias=True, avg_camera_radius=2.7, avg_camera_pivot=[0, 0, 0.2])
AUTO = dict(NUMERIC, ray_start="auto", ray_end="auto", box_warp=1.1, white_back=True, c_scale=0.5,
            superresolution_noise_mode="const", decoder_lr_mul=0.5, avg_camera_radius=1.7, avg_camera_pivot=[0, 0, 0])
DISPARITY = dict(NUMERIC, disparity_space_sampling=True, depth_resolution=10, depth_resolution_importance=0,
                 c_gen_conditioning_zero=True)

# name: side of the planes and of the marched picture, class and sides of the super-resolution, its clamp, the renderer.
CASES = {
    "numeric_64": (16, 12, "SuperresolutionHybrid8XDC", 16, (32, 64), 1.5, NUMERIC),
    "auto_32": (32, 20, "SuperresolutionHybrid2X", 16, (16, 32), None, AUTO),
    "disparity_16": (8, 6, "SuperresolutionHybridDeepfp32", 8, (8, 16), None, DISPARITY),
}


def quiet():
    """Samples in the middle of their steps; none of the official code's randomness is left."""
    torch.rand_like = lambda x, **_: torch.full_like(x, 0.5)

    def rand(rows, n, **_):
        return ((torch.arange(n, dtype=torch.float32) + 0.5) / n).expand(rows, n).clone()

    torch.rand = rand


def build(name, modules):
    triplane, sr, sg2 = modules
    planes, rays, kind, first, sides, clamp, rendering = CASES[name]
    g = torch.nn.Module.__new__(triplane.TriPlaneGenerator)
    torch.nn.Module.__init__(g)
    g.z_dim, g.c_dim, g.w_dim, g.img_resolution, g.img_channels = Z, C, W, sides[-1], 3
    g.renderer, g.ray_sampler = triplane.ImportanceRenderer(), triplane.RaySampler()
    g.backbone = sg2.Generator(Z, C, W, img_resolution=planes, img_channels=96, mapping_kwargs=dict(num_layers=2),
                               channel_base=planes * 6, channel_max=8, conv_clamp=None, num_fp16_res=0)
    up = torch.nn.Module.__new__(getattr(sr, kind))
    torch.nn.Module.__init__(up)
    up.input_resolution = first
    if kind != "SuperresolutionHybridDeepfp32":
        up.sr_antialias = True
    if name == "auto_32":
        # Other axes of the last plane, as repaired copies of the code have them, and a plane that is turned.
        g.renderer.plane_axes[2] = torch.tensor([[0., 0, 1], [0, 1, 0], [1, 0, 0]])
        g.renderer.plane_axes[1] = torch.tensor([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])
    block = lambda side, before: sg2.SynthesisBlock if side == 2 * before else sr.SynthesisBlockNoUp
    up.block0 = block(sides[0], first)(32, 8, w_dim=W, resolution=sides[0], img_channels=3, is_last=False, conv_clamp=clamp)
    up.block1 = block(sides[1], sides[0])(8, 6, w_dim=W, resolution=sides[1], img_channels=3, is_last=True, conv_clamp=clamp)
    g.superresolution = up
    g.decoder = triplane.OSGDecoder(32, {"decoder_lr_mul": rendering["decoder_lr_mul"], "decoder_output_dim": 32})
    g.neural_rendering_resolution, g.rendering_kwargs, g._last_planes = rays, copy.deepcopy(rendering), None
    r = rng("eg3d " + name)
    for key, t in sorted(g.state_dict().items()):
        v = torch.from_numpy(r.standard_normal(tuple(t.shape)).astype(np.float32).reshape(tuple(t.shape)))
        if key.endswith("resample_filter"):
            continue
        if key.endswith("affine.bias"):
            v = 1 + 0.2 * v
        elif key.endswith("noise_strength"):
            v = 0.3 * v
        elif key.endswith(".bias") or key.endswith("w_avg"):
            v = 0.3 * v
        elif ".fc" in key:
            v = v * 100
        # Densities strong enough that some rays are blocked.
        if key == "decoder.net.2.weight":
            v[0] *= 12 if name == "disparity_16" else 40
        if key == "decoder.net.2.bias":
            v[0] = 0 if name == "disparity_16" else 3
        t.copy_(v)
    return g.eval().requires_grad_(True)


def cameras(utils, rendering, angles):
    """Cameras around the pivot, turned by the angles, with a skew and an off-centre principal point."""
    pivot, radius = torch.tensor(rendering["avg_camera_pivot"]), rendering["avg_camera_radius"]
    k = utils.FOV_to_intrinsics(18.837 if radius > 2 else 80.0).reshape(1, 9)
    rows = []
    for yaw, pitch in angles:
        m = utils.LookAtPoseSampler.sample(np.pi / 2 + yaw, np.pi / 2 + pitch, pivot, radius=radius)
        rows.append(torch.cat([m.reshape(1, 16), k], 1))
    c = torch.cat(rows)
    c[1, 17], c[1, 18], c[1, 21] = 0.02, 0.47, 0.54
    return c


def run(g, ws, camera):
    parts = [g.synthesis(ws[i:i + 1], camera[i:i + 1], noise_mode="const") for i in range(len(ws))]
    return torch.cat([p["image"] for p in parts]), torch.cat([p["image_depth"] for p in parts])


def loss_of(image):
    i = torch.arange(image.numel(), dtype=torch.float64).reshape(image.shape)
    return (image.double() - torch.sin(0.37 * i)).square().mean()


WATCHED = {"synthesis.b4.const": "backbone.synthesis.b4.const", "decoder.net.0.weight": "decoder.net.0.weight",
           "decoder.net.2.bias": "decoder.net.2.bias", "superresolution.block0.conv0.affine.weight":
           "superresolution.block0.conv0.affine.weight", "superresolution.block1.torgb.weight":
           "superresolution.block1.torgb.weight", "mapping.fc1.bias": "backbone.mapping.fc1.bias"}


def case(name, modules, utils, out):
    planes, rays, kind, first, sides, clamp, rendering = CASES[name]
    g = build(name, modules)
    r = rng("eg3d inputs " + name)
    z = torch.from_numpy(r.standard_normal((N, Z)).astype(np.float32)).requires_grad_()
    camera = cameras(utils, rendering, [(0.3, -0.2), (-0.45, 0.15)]).requires_grad_()
    labels = cameras(utils, rendering, [(0, 0), (0.2, 0.1)]).requires_grad_()
    ws = g.mapping(z, labels)
    image, depth = run(g, ws, camera)
    loss = loss_of(image)
    named = dict(g.named_parameters())
    leaves = [z, labels, camera] + [named[n] for n in WATCHED.values()]
    # Labels that the mapping network reads as zeros have no gradient.
    grads = torch.autograd.grad(loss, leaves, allow_unused=True)
    numbers = dict(z=z, labels=labels, camera=camera, image=image, depth=depth, w=ws[:, 0], ws=ws, loss=loss)
    numbers.update(zip(["grad.z", "grad.labels", "grad.camera"], grads))
    numbers.update({f"grad.weight.{ours}": grad for ours, grad in zip(WATCHED, grads[3:])})
    numbers = {n: v for n, v in numbers.items() if v is not None}
    leaf = ws.detach().requires_grad_()
    again, far = run(g, leaf, camera.detach())
    numbers["grad.ws"] = torch.autograd.grad(loss_of(again), leaf, retain_graph=True)[0]
    # Of the depth, the gradient of its mean square.
    numbers["depth.grad.ws"] = torch.autograd.grad(far.square().mean(), leaf)[0]
    backbone = dict(mapping_lr_multiplier=0.01)
    axes = [round(v, 6) for v in g.renderer.plane_axes.flatten().tolist()]
    config = dict(neural_rendering_resolution=rays, **(dict(plane_axes=axes) if name == "auto_32" else {}), rendering_kwargs=rendering, backbone=backbone,
                  superresolution=dict(input_resolution=first, resolutions=sides, conv_clamp=clamp,
                                       **({} if "Deep" in kind else dict(antialias=True))))
    spec = dict(width=sides[-1], height=sides[-1], channels=3, z_dim=Z, w_dim=W, c_dim=C, num_ws=g.backbone.num_ws)
    reference = dict(code=COMMIT, family="eg3d", noise="const", tolerance=1e-3, spec=spec)
    write_case(out, name, g.state_dict(), numbers, reference, config)
    opaque = (depth - depth.mean()).std()
    print(f"  {name}: picture {image.min():.2f}..{image.max():.2f} std {image.std():.3f}, depth {depth.min():.3f}.."
          f"{depth.max():.3f} std {opaque:.4f}")


def pickles(modules, out):
    """A real pickle of full size with random weights, for a check by hand."""
    triplane = modules[0]
    torch.manual_seed(1)
    kwargs = dict(NUMERIC, superresolution_module="training.superresolution.SuperresolutionHybrid8XDC",
                  image_resolution=512, gpc_reg_prob=0.5, depth_resolution=48, depth_resolution_importance=48)
    g = triplane.TriPlaneGenerator(512, 25, 512, 512, 3, sr_num_fp16_res=4, mapping_kwargs=dict(num_layers=2),
                                   rendering_kwargs=kwargs, sr_kwargs=dict(channel_base=32768, channel_max=512,
                                   fused_modconv_default="inference_only"), channel_base=32768, channel_max=512,
                                   fused_modconv_default="inference_only", num_fp16_res=0, conv_clamp=None)
    g.neural_rendering_resolution = 128
    with torch.no_grad():
        g.decoder.net[2].weight[0] *= 40
        g.decoder.net[2].bias[0] = 3
    g = g.eval().requires_grad_(False)
    os.makedirs(out, exist_ok=True)
    with open(f"{out}/random512.pkl", "wb") as f:
        pickle.dump(dict(G=None, D=None, G_ema=g, training_set_kwargs={}, augment_pipe=None), f)
    return g


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--official", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--pickles")
    a = p.parse_args()
    modules = [official(a.official, m) for m in ("triplane", "superresolution", "networks_stylegan2")]
    utils = importlib.import_module("camera_utils")
    if a.pickles:
        pickles(modules, a.pickles)
    quiet()
    for name in CASES:
        case(name, modules, utils, a.out)


if __name__ == "__main__":
    main()
