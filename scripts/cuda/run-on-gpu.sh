#!/usr/bin/env bash
# Starts a binary of build-cuda.sh where CUDA's libraries are those of PyTorch's wheels.
# Usage: scripts/cuda/run-on-gpu.sh BINARY ARGUMENT…
set -euo pipefail
folders=$(python3 - <<'P'
import glob, os, sysconfig
sites = {sysconfig.get_paths()[k] for k in ("purelib", "platlib")}
names = ("cublas", "cudnn", "curand", "nvrtc")
print(":".join(sorted({os.path.dirname(f) for s in sites for n in names for f in glob.glob(f"{s}/nvidia/*/lib/lib{n}.so.*")})))
P
)
[ -n "$folders" ] || echo "run-on-gpu: no wheels of NVIDIA's libraries here; using the system's" >&2
export LD_LIBRARY_PATH=$folders${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
exec "$@"
