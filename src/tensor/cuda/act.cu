// Pointwise operators on [N, C, plane], and the sums that are their gradients. What has pixels is f32 or, in the kernels
// whose names end in _h, f16; biases, factors, noise and sums are f32.
//
// Sums run over fixed parts in a fixed order: the same bits at every run.
#include "numbers.cuh"

// The threads of a block that sums.
constexpr unsigned SUMMERS = 256;
// The pixels and the channel lanes of a block of map_sum.
constexpr unsigned PIXELS = 32, LANES = 16;

struct Act {
    float slope, gain, clamp;
};

// As on the CPU: a NaN stays one.
__device__ static float activate(float v, const Act act) {
    v = (v > 0.f ? v : v * act.slope) * act.gain;
    return v > act.clamp ? act.clamp : v < -act.clamp ? -act.clamp : v;
}

template <typename T>
__device__ static void biased(const unsigned n, const unsigned plane, const unsigned c, const Act act,
                              const T *__restrict__ x, const float *__restrict__ bias, T *__restrict__ y) {
    EACH(i, n) put(y[i], activate(get(x[i]) + bias[i / plane % c], act));
}

// With `shared`, all samples have one noise map.
template <typename T>
__device__ static void noisy(const unsigned n, const unsigned plane, const unsigned c, const unsigned shared,
                             const Act act, const T *__restrict__ x, const float *__restrict__ noise,
                             const float *__restrict__ bias, T *__restrict__ y) {
    EACH(i, n) {
        const unsigned p = i / plane, at = i % plane + (shared ? 0 : p / c * plane);
        put(y[i], activate(get(x[i]) + noise[at] + bias[p % c], act));
    }
}

// From the result y: its sign is that of the input. `gain` is the slope above zero, `slope` the one below.
template <typename T>
__device__ static void slopes(const unsigned n, const Act act, const T *__restrict__ y, const T *__restrict__ g,
                              T *__restrict__ dx) {
    EACH(i, n) {
        const float v = get(y[i]);
        put(dx[i], fabsf(v) >= act.clamp ? 0.f : get(g[i]) * (v > 0.f ? act.gain : act.slope));
    }
}

template <typename T>
__device__ static void scaled(const unsigned n, const unsigned plane, const T *__restrict__ x,
                              const float *__restrict__ s, T *__restrict__ y) {
    EACH(i, n) put(y[i], get(x[i]) * s[i / plane]);
}

// Adds the threads' values; the first thread has the sum.
__device__ static float block_sum(const float v) {
    __shared__ float parts[SUMMERS];
    const unsigned t = threadIdx.x;
    parts[t] = v;
    __syncthreads();
    for (unsigned half = SUMMERS / 2; half > 0; half /= 2) {
        if (t < half) parts[t] += parts[t + half];
        __syncthreads();
    }
    return parts[0];
}

// Block (p, s) sums part s of plane p into out[p * splits + s]: of a · b, or of a alone without b.
template <typename T>
__device__ static void plane_parts(const unsigned plane, const T *__restrict__ a, const T *__restrict__ b,
                                   float *__restrict__ out) {
    const unsigned splits = gridDim.y, part = (plane + splits - 1) / splits;
    const unsigned from = blockIdx.y * part, to = min(plane, from + part), start = blockIdx.x * plane;
    float sum = 0.f;
    for (unsigned i = from + threadIdx.x; i < to; i += SUMMERS)
        sum += get(a[start + i]) * (b ? get(b[start + i]) : 1.f);
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[blockIdx.x * splits + blockIdx.y] = sum;
}

// Map blockIdx.y is the sum of `each` planes; a block adds PIXELS pixels, its LANES take every sixteenth plane.
template <typename T>
__device__ static void maps(const unsigned plane, const unsigned each, const T *__restrict__ x,
                            float *__restrict__ out) {
    __shared__ float parts[LANES][PIXELS];
    const unsigned pixel = blockIdx.x * PIXELS + threadIdx.x, lane = threadIdx.y;
    float sum = 0.f;
    if (pixel < plane)
        for (unsigned p = lane; p < each; p += LANES) sum += get(x[(blockIdx.y * each + p) * plane + pixel]);
    parts[lane][threadIdx.x] = sum;
    __syncthreads();
    if (lane > 0 || pixel >= plane) return;
    for (unsigned l = 1; l < LANES; l++) sum += parts[l][threadIdx.x];
    out[blockIdx.y * plane + pixel] = sum;
}

// The kernels that exist for both types; NAME_h is that of f16.
#define KERNELS(T, suffix)                                                                                             \
    extern "C" __global__ void bias_act##suffix(const unsigned n, const unsigned plane, const unsigned c,              \
                                                const Act act, const T *__restrict__ x,                                \
                                                const float *__restrict__ bias, T *__restrict__ y) {                   \
        biased(n, plane, c, act, x, bias, y);                                                                          \
    }                                                                                                                  \
    extern "C" __global__ void noise_bias_act##suffix(                                                                 \
        const unsigned n, const unsigned plane, const unsigned c, const unsigned shared, const Act act,                \
        const T *__restrict__ x, const float *__restrict__ noise, const float *__restrict__ bias,                      \
        T *__restrict__ y) {                                                                                           \
        noisy(n, plane, c, shared, act, x, noise, bias, y);                                                            \
    }                                                                                                                  \
    extern "C" __global__ void bias_act_grad##suffix(const unsigned n, const Act act, const T *__restrict__ y,         \
                                                     const T *__restrict__ g, T *__restrict__ dx) {                    \
        slopes(n, act, y, g, dx);                                                                                      \
    }                                                                                                                  \
    extern "C" __global__ void scale##suffix(const unsigned n, const unsigned plane, const T *__restrict__ x,          \
                                             const float *__restrict__ s, T *__restrict__ y) {                         \
        scaled(n, plane, x, s, y);                                                                                     \
    }                                                                                                                  \
    extern "C" __global__ void plane_dot##suffix(const unsigned plane, const T *__restrict__ a,                        \
                                                 const T *__restrict__ b, float *__restrict__ out) {                   \
        plane_parts(plane, a, b, out);                                                                                 \
    }                                                                                                                  \
    extern "C" __global__ void plane_sum##suffix(const unsigned plane, const T *__restrict__ x,                        \
                                                 float *__restrict__ out) {                                            \
        plane_parts(plane, x, (const T *)nullptr, out);                                                                \
    }                                                                                                                  \
    extern "C" __global__ void map_sum##suffix(const unsigned plane, const unsigned each, const T *__restrict__ x,     \
                                               float *__restrict__ out) {                                              \
        maps(plane, each, x, out);                                                                                     \
    }

KERNELS(float, )
KERNELS(__half, _h)

extern "C" __global__ void add_noise(const unsigned n, const unsigned plane, const unsigned c, const unsigned shared,
                                     const float *__restrict__ x, const float *__restrict__ noise,
                                     float *__restrict__ y) {
    EACH(i, n) y[i] = x[i] + noise[i % plane + (shared ? 0 : i / plane / c * plane)];
}

// Adds what plane_dot and plane_sum left: parts [samples, outs, splits] to out [outs].
extern "C" __global__ void parts_sum(const unsigned outs, const unsigned samples, const unsigned splits,
                                     const float *__restrict__ parts, float *__restrict__ out) {
    EACH(j, outs) {
        double sum = 0.0;
        for (unsigned n = 0; n < samples; n++)
            for (unsigned s = 0; s < splits; s++) sum += parts[(n * outs + j) * splits + s];
        out[j] = (float)sum;
    }
}
