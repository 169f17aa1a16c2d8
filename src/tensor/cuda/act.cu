// Pointwise operators on [N, C, plane], and the sums that are their gradients.
//
// Sums run over fixed parts in a fixed order: the same bits at every run.

// Every element below n, whatever the size of the grid. Sizes stay below 2^31 (the caller checks).
#define EACH(i, n) for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += gridDim.x * blockDim.x)

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

extern "C" __global__ void bias_act(const unsigned n, const unsigned plane, const unsigned c, const Act act,
                                    const float *__restrict__ x, const float *__restrict__ bias,
                                    float *__restrict__ y) {
    EACH(i, n) y[i] = activate(x[i] + bias[i / plane % c], act);
}

// With `shared`, all samples have one noise map.
extern "C" __global__ void noise_bias_act(const unsigned n, const unsigned plane, const unsigned c,
                                          const unsigned shared, const Act act, const float *__restrict__ x,
                                          const float *__restrict__ noise, const float *__restrict__ bias,
                                          float *__restrict__ y) {
    EACH(i, n) {
        const unsigned p = i / plane, at = i % plane + (shared ? 0 : p / c * plane);
        y[i] = activate(x[i] + noise[at] + bias[p % c], act);
    }
}

// From the result y: its sign is that of the input. `gain` is the slope above zero, `slope` the one below.
extern "C" __global__ void bias_act_grad(const unsigned n, const Act act, const float *__restrict__ y,
                                         const float *__restrict__ g, float *__restrict__ dx) {
    EACH(i, n) dx[i] = fabsf(y[i]) >= act.clamp ? 0.f : g[i] * (y[i] > 0.f ? act.gain : act.slope);
}

extern "C" __global__ void scale(const unsigned n, const unsigned plane, const float *__restrict__ x,
                                 const float *__restrict__ s, float *__restrict__ y) {
    EACH(i, n) y[i] = x[i] * s[i / plane];
}

extern "C" __global__ void add_noise(const unsigned n, const unsigned plane, const unsigned c, const unsigned shared,
                                     const float *__restrict__ x, const float *__restrict__ noise,
                                     float *__restrict__ y) {
    EACH(i, n) y[i] = x[i] + noise[i % plane + (shared ? 0 : i / plane / c * plane)];
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

// Block (p, s) sums part s of plane p into out[p * splits + s].
extern "C" __global__ void plane_dot(const unsigned plane, const float *__restrict__ a, const float *__restrict__ b,
                                     float *__restrict__ out) {
    const unsigned splits = gridDim.y, part = (plane + splits - 1) / splits;
    const unsigned from = blockIdx.y * part, to = min(plane, from + part), start = blockIdx.x * plane;
    float sum = 0.f;
    for (unsigned i = from + threadIdx.x; i < to; i += SUMMERS) sum += a[start + i] * b[start + i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[blockIdx.x * splits + blockIdx.y] = sum;
}

extern "C" __global__ void plane_sum(const unsigned plane, const float *__restrict__ x, float *__restrict__ out) {
    const unsigned splits = gridDim.y, part = (plane + splits - 1) / splits;
    const unsigned from = blockIdx.y * part, to = min(plane, from + part), start = blockIdx.x * plane;
    float sum = 0.f;
    for (unsigned i = from + threadIdx.x; i < to; i += SUMMERS) sum += x[start + i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[blockIdx.x * splits + blockIdx.y] = sum;
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

// Map blockIdx.y is the sum of `each` planes; a block adds PIXELS pixels, its LANES take every sixteenth plane.
extern "C" __global__ void map_sum(const unsigned plane, const unsigned each, const float *__restrict__ x,
                                   float *__restrict__ out) {
    __shared__ float parts[LANES][PIXELS];
    const unsigned pixel = blockIdx.x * PIXELS + threadIdx.x, lane = threadIdx.y;
    float sum = 0.f;
    if (pixel < plane)
        for (unsigned p = lane; p < each; p += LANES) sum += x[(blockIdx.y * each + p) * plane + pixel];
    parts[lane][threadIdx.x] = sum;
    __syncthreads();
    if (lane > 0 || pixel >= plane) return;
    for (unsigned l = 1; l < LANES; l++) sum += parts[l][threadIdx.x];
    out[blockIdx.y * plane + pixel] = sum;
}
