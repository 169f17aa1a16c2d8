"""Direction and component files as the ecosystem writes them, and what a reader must find in each.

    python directions.py --out tests/reference/torch
"""
import argparse
import os
import zipfile

import numpy as np
import torch

from common import rng, write_any, write_json


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", required=True)
    a = a.parse_args()
    r, found, tensors = rng("directions"), {}, {}
    at = lambda n: os.path.join(a.out, n)

    def note(name, entries, **extra):
        rows = {}
        for k, v in entries.items():
            strides = list(v.stride()) if isinstance(v, torch.Tensor) else None
            t = v if isinstance(v, torch.Tensor) else torch.from_numpy(
                np.ascontiguousarray(v).astype(v.dtype.newbyteorder("=")).reshape(v.shape))
            rows[k] = dict(dtype=str(t.dtype)[6:], shape=list(t.shape), strides=strides, tensor=f"{name}::{k}")
            tensors[f"{name}::{k}"] = t.contiguous().clone()
        found[name] = dict(entries=rows, bytes=os.path.getsize(at(name)), **extra)
        assert os.path.getsize(at(name)) <= 40_500, (name, os.path.getsize(at(name)))

    def unit(*shape):
        v = r.standard_normal(shape)
        return v / np.linalg.norm(v, axis=-1, keepdims=True)

    # bare tensors
    one = torch.from_numpy(unit(1, 512).astype(np.float32))
    rows = torch.from_numpy(unit(18, 512).astype(np.float32))
    for tag, new in (("zip", True), ("legacy", False)):
        save = lambda v, n: torch.save(v, at(n), _use_new_zipfile_serialization=new)
        for n, v in ((f"direction_1x512_{tag}.pt", one), (f"direction_18x512_{tag}.pt", rows),
                     (f"direction_18x512_expanded_{tag}.pt", one.expand(18, 512))):
            save(v, n)
            note(n, {"": v}, container=tag)
        # as written from a GPU: only the location tag differs
        real = torch.serialization.location_tag
        torch.serialization.location_tag = lambda storage: "cuda:0"
        try:
            save(one, f"direction_1x512_cuda_{tag}.pt")
        finally:
            torch.serialization.location_tag = real
        note(f"direction_1x512_cuda_{tag}.pt", {"": one}, container=tag, location="cuda:0")
        # principal components: orthonormal rows in column-major strides
        q = np.linalg.qr(r.standard_normal((64, 10)))[0].T.astype(np.float32)
        comp = torch.from_numpy(q).t().contiguous().t().reshape(10, 64).unsqueeze(1)
        comp = torch.as_strided(comp, (10, 1, 64), (1, 10, 10))
        assert torch.equal(comp[:, 0], torch.from_numpy(q))
        pca = dict(mean=torch.from_numpy(r.standard_normal((1, 64)).astype(np.float32)), comp=comp,
                   std=torch.from_numpy((np.sort(r.uniform(0.5, 3, 10))[::-1]).astype(np.float32).copy()))
        pca["std"][[3, 4]] = pca["std"][[4, 3]]          # only nearly sorted, as in the published files
        save(pca, f"pca_{tag}.pt")
        note(f"pca_{tag}.pt", pca, container=tag, note="comp rows are orthonormal only when its strides are honoured")
        # a training checkpoint's shape: nested dicts, ordered dicts, a parameter, several dtypes
        nested = dict(state_dict=__import__("collections").OrderedDict(
            [("fc.weight", torch.nn.Parameter(torch.from_numpy(r.standard_normal((6, 8)).astype(np.float32)))),
             ("fc.bias", torch.from_numpy(r.standard_normal(6)).half()),
             ("steps", torch.tensor(1234567890123)), ("mask", torch.tensor([True, False, True])),
             ("bytes", torch.tensor([0, 127, 255], dtype=torch.uint8)), ("empty", torch.zeros(0, 4))]),
            latent_avg=torch.from_numpy(r.standard_normal(32)), opts=dict(name="toy", n=3, lr=0.5, on=True, none=None))
        n = f"checkpoint_{tag}.pt"
        save(nested, n)
        note(n, {**{f"state_dict.{k}": v.detach() for k, v in nested["state_dict"].items()},
                 "latent_avg": nested["latent_avg"]}, container=tag)

    # numpy
    b = unit(1, 64)
    np.save(at("boundary_f8_1x64.npy"), b)
    note("boundary_f8_1x64.npy", {"": b})
    f = np.asfortranarray(r.standard_normal((48, 40)).astype(np.float32))
    np.save(at("fortran_f4_48x40.npy"), f)
    note("fortran_f4_48x40.npy", {"": f}, fortran_order=True)
    e = unit(3, 16).astype(">f4")
    np.save(at("bigendian_f4_3x16.npy"), e)
    note("bigendian_f4_3x16.npy", {"": e}, byteorder=">")
    h = unit(2, 24).astype(np.float16)
    np.save(at("half_f2_2x24.npy"), h)
    note("half_f2_2x24.npy", {"": h})
    gs = dict(act_comp=unit(6, 1, 20), act_mean=r.standard_normal((1, 20)), act_stdev=np.sort(r.uniform(.1, 2, 6))[::-1],
              lat_comp=unit(6, 1, 24), lat_mean=r.standard_normal((1, 24)), lat_stdev=np.sort(r.uniform(.1, 2, 6))[::-1],
              var_ratio=np.sort(r.uniform(0, .16, 6))[::-1], random_stdevs=r.uniform(.1, .4, 6))
    gs = {k: np.ascontiguousarray(v, np.float32) for k, v in gs.items()}
    np.savez_compressed(at("ganspace_deflated.npz"), **gs)
    note("ganspace_deflated.npz", gs)
    np.savez(at("ganspace_stored.npz"), **gs)
    note("ganspace_stored.npz", gs)
    w = r.standard_normal((1, 10, 32)).astype(np.float32)
    np.savez(at("projected_w.npz"), w=w)
    note("projected_w.npz", {"w": w})
    # numpy stamps its zip entries with a fixed time, so a rerun is the same bytes
    assert zipfile.ZipFile(at("projected_w.npz")).infolist()[0].date_time[0] == 1980

    write_any(at("expected.safetensors"), tensors, {})
    write_json(at("expected.json"), found)


if __name__ == "__main__":
    main()
