#!/usr/bin/env bash
# Builds gannet with CUDA and cuDNN on a machine without CUDA toolkit, driver or GPU. The binary runs everywhere: on the
# CPU where there is no GPU, and `--device cuda` says there why it cannot. Usage: scripts/cuda/build-cuda.sh
#
# Needs x86-64 Linux, cargo, cc, ar and python3 with pip; fetches 105 MB of NVIDIA's wheels, once.
# CUDA_WORK: the toolkit's folder (.cuda). CUDA_COMPUTE_CAP: the oldest GPU to serve (80). PROFILE (gpu), JOBS,
# CARGO_TARGET_DIR: cargo's.
#
# With an installed CUDA and cuDNN none of this is needed: cargo build --release --features cudnn
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=scripts/cuda
work=$(realpath -m "${CUDA_WORK:-.cuda}")
profile=${PROFILE:-gpu}
say() { echo "[$SECONDS s] $*"; }

# 1. Compiler and headers. Stay on 13.0: kernels travel as PTX, and a driver refuses PTX of a toolkit newer than itself.
export CUDA_HOME=$work/toolkit/nvidia/cu13
if [ ! -e "$work/toolkit/.done" ]; then
    rm -rf "$work/toolkit"
    python3 -m pip install -q --disable-pip-version-check --no-deps --only-binary=:all: --target "$work/toolkit" \
        nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 \
        nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
    touch "$work/toolkit/.done"
fi
export PATH=$CUDA_HOME/bin:$PATH
say "$(nvcc --version | grep release)"

# 2. Stand-ins for the libraries that only a CUDA install has. candle-kernels asks for cudart as well: the static one opens
#    the driver by itself, lazily.
cudarc=$(cargo metadata --locked --format-version 1 --features cudnn --filter-platform x86_64-unknown-linux-gnu |
    python3 -c 'import json, os, sys
print(*[os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "cudarc"])')
rm -f "$CUDA_HOME"/lib/lib{cuda,cublas,cublasLt,curand,nvrtc,cudnn,cudart}.{a,so}
python3 "$here/lazy_stubs.py" "$cudarc" "$CUDA_HOME/lib"
ln -sf libcudart_static.a "$CUDA_HOME/lib/libcudart.a"

# 3. The build. cudarc would parse `nvcc --version` for its API level, candle ask nvidia-smi for the GPU; 90 would silently
#    become sm_90a, which is the H100 alone, while PTX for 80 runs on all later ones.
export CUDARC_CUDA_VERSION=13000 CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-80}
export NVCC_APPEND_FLAGS=${NVCC_APPEND_FLAGS:---compress-mode=size}
export CUDAFORGE_THREADS=${CUDAFORGE_THREADS:-${JOBS:-$(nproc)}}
cargo build --locked -j"${JOBS:-$(nproc)}" --profile "$profile" --features cudnn

# 4. What came out must start here, and load no CUDA library before it is asked to.
binary=${CARGO_TARGET_DIR:-target}/$profile/gannet
if readelf -d "$binary" | grep -E 'NEEDED.*lib(cu|nvrtc)'; then
    echo "build-cuda: the binary needs CUDA to start" >&2
    exit 1
fi
"$binary" --version
say "$binary: $(wc -c <"$binary") bytes"
