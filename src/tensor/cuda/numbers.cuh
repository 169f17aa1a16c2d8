// Numbers as they are stored, f32 or f16, and as they are computed with: f32.
#pragma once
#include <cuda_fp16.h>

// Every element below n, whatever the size of the grid. Sizes stay below 2^31 (the caller checks).
#define EACH(i, n) for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += gridDim.x * blockDim.x)

__device__ static inline float get(const float v) { return v; }
__device__ static inline float get(const __half v) { return __half2float(v); }
__device__ static inline void put(float &to, const float v) { to = v; }
// To the nearest, infinite above 65504.
__device__ static inline void put(__half &to, const float v) { to = __float2half_rn(v); }
