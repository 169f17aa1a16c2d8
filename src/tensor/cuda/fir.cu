// Zero insertion, filter and decimation of planes in one pass: y[o] = sum_t f[T-1-t] xu[o down + t - before] an axis.
// Planes are f32 or, in the kernels whose names end in _h, f16.
#include "numbers.cuh"

// As in fir.rs.
constexpr int MAX_TAPS = 256;
// A block of threads works on a tile of outputs, each thread on ROWS of them below one another.
constexpr int TILE_W = 32, TILE_H = 8, ROWS = 4;

struct Axis {
    int in, out, taps, up, down, before;
};

struct Fir {
    Axis y, x;
    int planes;
    float gain;
    // Row-major, turned by 180 degrees: in the order in which they meet the input.
    float taps[MAX_TAPS];
};

// The first tap that meets no inserted zero at output `o`, and the input that it meets; the next ones are `up` taps and
// one input apart.
template <int UP> __device__ static void first(const Axis &a, const int o, const int down, int &tap, int &at) {
    const int up = UP ? UP : a.up, shift = o * down - a.before;
    tap = ((-shift) % up + up) % up;
    at = (shift + tap) / up;
}

// TAPS, UP and DOWN of both axes, when known beforehand: the compiler unrolls the loops. 0: read them.
template <int TAPS, int UP, int DOWN, typename T>
__device__ static void filter(const Fir &f, const T *__restrict__ src, T *__restrict__ dst) {
    const int ow = f.x.out, oh = f.y.out, w = f.x.in, h = f.y.in;
    const int taps_y = TAPS ? TAPS : f.y.taps, taps_x = TAPS ? TAPS : f.x.taps;
    const int up_y = UP ? UP : f.y.up, up_x = UP ? UP : f.x.up;
    const int down_y = DOWN ? DOWN : f.y.down, down_x = DOWN ? DOWN : f.x.down;
    const int ox = blockIdx.x * TILE_W + threadIdx.x;
    if (ox >= ow) return;
    int tx0, ix0;
    first<UP>(f.x, ox, down_x, tx0, ix0);
    for (int p = blockIdx.z; p < f.planes; p += gridDim.z) {
        const T *plane = src + (size_t)p * h * w;
        for (int r = 0; r < ROWS; r++) {
            const int oy = (blockIdx.y * ROWS + r) * TILE_H + threadIdx.y;
            if (oy >= oh) break;
            int ty0, iy0;
            first<UP>(f.y, oy, down_y, ty0, iy0);
            float sum = 0.f;
#pragma unroll
            for (int ty = ty0, iy = iy0; ty < taps_y; ty += up_y, iy++) {
                if ((unsigned)iy >= (unsigned)h) continue;
#pragma unroll
                for (int tx = tx0, ix = ix0; tx < taps_x; tx += up_x, ix++)
                    if ((unsigned)ix < (unsigned)w) sum += f.taps[ty * taps_x + tx] * get(plane[iy * w + ix]);
            }
            put(dst[((size_t)p * oh + oy) * ow + ox], sum * f.gain);
        }
    }
}

// Any sizes, and StyleGAN2's: [1, 3, 3, 1] after an up convolution, and the doubling and halving of pictures.
#define KERNELS(T, suffix)                                                                                             \
    extern "C" __global__ void fir##suffix(const __grid_constant__ Fir f, const T *__restrict__ x,                     \
                                           T *__restrict__ y) {                                                        \
        filter<0, 0, 0>(f, x, y);                                                                                      \
    }                                                                                                                  \
    extern "C" __global__ void fir_4##suffix(const __grid_constant__ Fir f, const T *__restrict__ x,                   \
                                             T *__restrict__ y) {                                                      \
        filter<4, 1, 1>(f, x, y);                                                                                      \
    }                                                                                                                  \
    extern "C" __global__ void fir_4_up2##suffix(const __grid_constant__ Fir f, const T *__restrict__ x,               \
                                                 T *__restrict__ y) {                                                  \
        filter<4, 2, 1>(f, x, y);                                                                                      \
    }                                                                                                                  \
    extern "C" __global__ void fir_4_down2##suffix(const __grid_constant__ Fir f, const T *__restrict__ x,             \
                                                   T *__restrict__ y) {                                                \
        filter<4, 1, 2>(f, x, y);                                                                                      \
    }

KERNELS(float, )
KERNELS(__half, _h)
