// The columns of a convolution (im2col) and back: for builds without cuDNN. Output rows r0..r1 of one sample, in f32 or, in
// the kernels whose names end in _h, f16.
#include "numbers.cuh"

struct Window {
    int h, w, k, stride, padding, ow, r0, r1;
};

// x [channels, h, w] to cols [channels * k * k, (r1 - r0) * ow]; n elements of cols.
template <typename T>
__device__ static void columns(const unsigned n, const Window z, const T *__restrict__ x, T *__restrict__ cols) {
    const unsigned width = (z.r1 - z.r0) * z.ow, taps = z.k * z.k;
    EACH(i, n) {
        const unsigned at = i % width, line = i / width;
        const int t = line % taps, c = line / taps;
        const int y = (z.r0 + (int)(at / z.ow)) * z.stride + t / z.k - z.padding;
        const int q = (int)(at % z.ow) * z.stride + t % z.k - z.padding;
        const bool inside = (unsigned)y < (unsigned)z.h && (unsigned)q < (unsigned)z.w;
        put(cols[i], inside ? get(x[((size_t)c * z.h + y) * z.w + q]) : 0.f);
    }
}

// The transpose: adds to x what the columns hold for it; n elements of x. One thread a pixel, so nothing is added twice
// at a time and the order is fixed.
template <typename T>
__device__ static void image(const unsigned n, const Window z, const T *__restrict__ cols, T *__restrict__ x) {
    const unsigned width = (z.r1 - z.r0) * z.ow, taps = z.k * z.k;
    EACH(i, n) {
        const int q = i % z.w, y = i / z.w % z.h, c = i / z.w / z.h;
        float sum = 0.f;
        for (int t = 0; t < (int)taps; t++) {
            const int sy = y + z.padding - t / z.k, sx = q + z.padding - t % z.k;
            if (sy < 0 || sx < 0 || sy % z.stride || sx % z.stride) continue;
            const int oy = sy / z.stride, ox = sx / z.stride;
            if (oy < z.r0 || oy >= z.r1 || ox >= z.ow) continue;
            sum += get(cols[((size_t)c * taps + t) * width + (oy - z.r0) * z.ow + ox]);
        }
        put(x[i], get(x[i]) + sum);
    }
}

#define KERNELS(T, suffix)                                                                                             \
    extern "C" __global__ void unfold##suffix(const unsigned n, const Window z, const T *__restrict__ x,               \
                                              T *__restrict__ cols) {                                                  \
        columns(n, z, x, cols);                                                                                        \
    }                                                                                                                  \
    extern "C" __global__ void fold##suffix(const unsigned n, const Window z, const T *__restrict__ cols,              \
                                            T *__restrict__ x) {                                                       \
        image(n, z, cols, x);                                                                                          \
    }

KERNELS(float, )
KERNELS(__half, _h)
