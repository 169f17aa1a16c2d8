"""Pictures of the generator in the package random-face, as OpenVINO computes them from the package's own graphs.

    pip download --no-deps random-face==2021.7.21.1 -d FOLDER
    python mobilestylegan_wheel.py FOLDER/random_face-2021.7.21.1-py3-none-any.whl

Writes `random_face.safetensors` beside the wheel (200 MB: 16 codes and their pictures), which the test
`random_face_as_openvino_computes_it` reads when GANNET_RANDOM_FACE is the path of the wheel. Needs the package
`openvino`. The same networks are timed by ../bench/mobilestylegan.py.
"""
import argparse
import os
import tempfile
import zipfile

import numpy as np
import openvino as ov

CODES = 16


def networks(wheel, folder, threads=2):
    """The two networks, in single precision."""
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            if name.startswith("random_face/data/"):
                z.extract(name, folder)
    core = ov.Core()
    core.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads})
    data = os.path.join(folder, "random_face", "data")
    return [core.compile_model(os.path.join(data, n + "Network.xml"), "CPU") for n in ("Mapping", "Synthesis")]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("wheel")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mapping, synthesis = networks(a.wheel, folder)
        import torch
        from common import rng, write_any
        z = rng("random-face").standard_normal((CODES, 512)).astype(np.float32)
        w = np.concatenate([mapping([z[i:i + 1]])[0] for i in range(CODES)])
        image = np.concatenate([synthesis([w[i:i + 1]])[0].copy() for i in range(CODES)])
        tensors = {k: torch.from_numpy(v) for k, v in {"z": z, "w": w, "image": image}.items()}
        write_any(os.path.join(os.path.dirname(a.wheel), "random_face.safetensors"), tensors,
                  {"openvino": ov.__version__})


if __name__ == "__main__":
    main()
