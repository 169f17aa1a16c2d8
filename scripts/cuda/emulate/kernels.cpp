// Every kernel of src/tensor/cuda on the CPU, against plain loops in double precision. No GPU needed: scripts/cuda/emulate/run
#include "cuda_on_cpu.h"
#include <array>
#include <type_traits>
// Before the namespaces: all of them use it.
#include "../../../src/tensor/cuda/numbers.cuh"

namespace act_cu {
#include "../../../src/tensor/cuda/act.cu"
}
#undef KERNELS
namespace fir_cu {
#include "../../../src/tensor/cuda/fir.cu"
}
#undef KERNELS
namespace unfold_cu {
#include "../../../src/tensor/cuda/unfold.cu"
}

// The kernel of the numbers' type.
#define CALL(name, ...)                                                                                                \
    do {                                                                                                               \
        if constexpr (std::is_same_v<T, float>)                                                                        \
            name(__VA_ARGS__);                                                                                         \
        else                                                                                                           \
            name##_h(__VA_ARGS__);                                                                                     \
    } while (0)

template <typename T> using Numbers = std::vector<T>;
using Floats = Numbers<float>;
using Doubles = std::vector<double>;
static int failures = 0, checks = 0;
static uint32_t state = 1;

static float draw() {
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / (float)(1 << 23) - 1.f;
}
template <typename T = float> static Numbers<T> random_numbers(size_t n) {
    Numbers<T> v(n);
    for (auto &x : v) x = (T)draw();
    return v;
}
// What no kernel may leave behind.
template <typename T = float> static Numbers<T> poison(size_t n) { return Numbers<T>(n, (T)NAN); }

// Sums in another order; and one rounding to f16, where that is what is stored.
template <typename T> static void close(const char *what, const Numbers<T> &found, const Doubles &expected) {
    checks++;
    double peak = 1e-30;
    for (double v : expected) peak = std::fmax(peak, std::fabs(v));
    bool same = found.size() == expected.size();
    for (size_t i = 0; same && i < found.size(); i++) {
        const double d = std::fabs((double)found[i] - expected[i]), rounding = sizeof(T) == 2 ? 4.9e-4 : 0;
        if (!(d <= 2e-6 * peak + rounding * std::fabs(expected[i]))) {
            std::printf("%s: element %zu is %g, expected %g\n", what, i, (double)found[i], expected[i]);
            same = false;
        }
    }
    if (!same) failures++, std::printf("FAILED: %s, %zu bytes a number\n", what, sizeof(T));
}

static double activated(double v, const act_cu::Act &a) {
    v = (v > 0 ? v : v * a.slope) * a.gain;
    return std::fmin(std::fmax(v, -(double)a.clamp), a.clamp);
}

template <typename T> static void pointwise(unsigned n, unsigned c, unsigned plane, const act_cu::Act &a, bool shared) {
    using namespace act_cu;
    const unsigned all = n * c * plane, one = shared;
    const Numbers<T> x = random_numbers<T>(all), g = random_numbers<T>(all);
    const Floats bias = random_numbers(c), s = random_numbers(n * c), noise = random_numbers((shared ? 1 : n) * plane);
    Doubles biased(all), noisy(all), both(all), grads(all), scaled(all);
    Numbers<T> y = poison<T>(all);
    // Fewer threads than elements: the loop over the grid is tested too.
    const Dim grid{3}, block{16};
    launch(grid, block, [&] { CALL(bias_act, all, plane, c, a, x.data(), bias.data(), y.data()); });
    for (unsigned i = 0; i < all; i++) {
        const unsigned p = i / plane, sample = p / c;
        const double e = noise[(shared ? 0 : sample) * plane + i % plane];
        biased[i] = activated((double)x[i] + bias[p % c], a);
        noisy[i] = (double)x[i] + e;
        both[i] = activated((double)x[i] + e + bias[p % c], a);
        scaled[i] = (double)x[i] * s[p];
        grads[i] = std::fabs((double)y[i]) >= a.clamp ? 0 : (double)g[i] * a.gain * (y[i] > (T)0 ? 1 : a.slope);
    }
    close("bias_act", y, biased);
    const Act slopes{a.slope * a.gain, a.gain, a.clamp};
    Numbers<T> out = poison<T>(all);
    launch(grid, block, [&] { CALL(bias_act_grad, all, slopes, y.data(), g.data(), out.data()); });
    close("bias_act_grad", out, grads);
    launch(grid, block,
           [&] { CALL(noise_bias_act, all, plane, c, one, a, x.data(), noise.data(), bias.data(), y.data()); });
    close("noise_bias_act", y, both);
    if constexpr (std::is_same_v<T, float>) {
        launch(grid, block, [&] { add_noise(all, plane, c, one, x.data(), noise.data(), y.data()); });
        close("add_noise", y, noisy);
    }
    launch(grid, block, [&] { CALL(scale, all, plane, x.data(), s.data(), y.data()); });
    close("scale", y, scaled);
}

static void a_nan_stays() {
    const act_cu::Act a{0.2f, 1.f, 1.f};
    const float x = NAN, b = 0;
    float y = 0;
    launch({1}, {1}, [&] { act_cu::bias_act(1, 1, 1, a, &x, &b, &y); });
    checks++;
    if (!std::isnan(y)) failures++, std::printf("FAILED: a NaN must stay visible\n");
}

template <typename T> static void sums(unsigned n, unsigned c, unsigned plane, unsigned splits) {
    using namespace act_cu;
    const unsigned all = n * c * plane;
    const Numbers<T> a = random_numbers<T>(all), b = random_numbers<T>(all);
    Doubles dots(n * c), channels(c), maps(n * plane), map(plane);
    for (unsigned i = 0; i < all; i++) {
        const unsigned p = i / plane, at = i % plane;
        dots[p] += (double)a[i] * (double)b[i];
        channels[p % c] += (double)a[i];
        maps[p / c * plane + at] += (double)a[i];
        map[at] += (double)a[i];
    }
    Floats parts = poison(n * c * splits), out = poison(n * c);
    launch({n * c, splits}, {SUMMERS}, [&] { CALL(plane_dot, plane, a.data(), b.data(), parts.data()); });
    launch({1}, {7}, [&] { parts_sum(n * c, 1, splits, parts.data(), out.data()); });
    close("plane_dot", out, dots);
    parts = poison(n * c * splits), out = poison(c);
    launch({n * c, splits}, {SUMMERS}, [&] { CALL(plane_sum, plane, a.data(), parts.data()); });
    launch({1}, {7}, [&] { parts_sum(c, n, splits, parts.data(), out.data()); });
    close("channel_sum", out, channels);
    const unsigned across = (plane + PIXELS - 1) / PIXELS;
    out = poison(n * plane);
    launch({across, n}, {PIXELS, LANES}, [&] { CALL(map_sum, plane, c, a.data(), out.data()); });
    close("map_sum, a map a sample", out, maps);
    out = poison(plane);
    launch({across, 1}, {PIXELS, LANES}, [&] { CALL(map_sum, plane, n * c, a.data(), out.data()); });
    close("map_sum, one map", out, map);
}

template <typename T> using Kernel = void (*)(fir_cu::Fir, const T *, T *);

// Literally: insert zeros, pad or crop, correlate with the turned taps, keep every down-th.
template <typename T>
static void resample(const char *what, Kernel<T> kernel, fir_cu::Axis y, fir_cu::Axis x, int after) {
    using namespace fir_cu;
    const auto size = [&](Axis &a) { a.out = (a.in * a.up + a.before + after - a.taps) / a.down + 1; };
    size(y), size(x);
    Fir f{y, x, 3, 1.5f, {}};
    for (int t = 0; t < y.taps * x.taps; t++) f.taps[t] = draw();
    const Numbers<T> src = random_numbers<T>(f.planes * y.in * x.in);
    const size_t n = (size_t)f.planes * y.out * x.out;
    Doubles expected(n);
    for (size_t i = 0; i < n; i++) {
        const int p = i / (y.out * x.out), oy = i / x.out % y.out, ox = i % x.out;
        for (int t = 0; t < y.taps * x.taps; t++) {
            const int r = oy * y.down + t / x.taps - y.before, q = ox * x.down + t % x.taps - x.before;
            if (r < 0 || q < 0 || r % y.up || q % x.up || r / y.up >= y.in || q / x.up >= x.in) continue;
            expected[i] += f.gain * f.taps[t] * (double)src[(p * y.in + r / y.up) * x.in + q / x.up];
        }
    }
    Numbers<T> out = poison<T>(n);
    const unsigned high = TILE_H * ROWS;
    const Dim grid{(unsigned)(x.out + TILE_W - 1) / TILE_W, (y.out + high - 1) / high, 2};
    launch(grid, {TILE_W, TILE_H}, [&] { kernel(f, src.data(), out.data()); });
    close(what, out, expected);
}

template <typename T> static void columns(int h, int w, int k, int stride, int padding, int rows) {
    using namespace unfold_cu;
    const int c = 3, oh = (h + 2 * padding - k) / stride + 1, ow = (w + 2 * padding - k) / stride + 1;
    const unsigned n = c * h * w;
    const Numbers<T> x = random_numbers<T>(n);
    Numbers<T> folded(n, (T)0);
    Doubles expected_fold(n);
    for (int r0 = 0; r0 < oh; r0 += rows) {
        const Window z{h, w, k, stride, padding, ow, r0, r0 + rows < oh ? r0 + rows : oh};
        const unsigned width = (z.r1 - r0) * ow, all = c * k * k * width;
        Doubles expected(all);
        const Numbers<T> back = random_numbers<T>(all);
        for (unsigned i = 0; i < all; i++) {
            const int t = i / width % (k * k), channel = i / width / (k * k), at = i % width;
            const int y = (r0 + at / ow) * stride + t / k - padding, q = at % ow * stride + t % k - padding;
            if (y < 0 || q < 0 || y >= h || q >= w) continue;
            expected[i] = (double)x[(channel * h + y) * w + q];
            expected_fold[(channel * h + y) * w + q] += (double)back[i];
        }
        Numbers<T> cols = poison<T>(all);
        launch({2}, {32}, [&] { CALL(unfold, all, z, x.data(), cols.data()); });
        close("unfold", cols, expected);
        launch({2}, {32}, [&] { CALL(fold, n, z, back.data(), folded.data()); });
    }
    close("fold", folded, expected_fold);
}

// All kernels of one type.
template <typename T> static void all() {
    for (const float clamp : {INFINITY, 0.5f})
        for (const bool shared : {false, true}) {
            pointwise<T>(2, 3, 35, {0.2f, 1.4142135f, clamp}, shared);
            pointwise<T>(3, 5, 1, {1.f, 1.f, clamp}, shared);
        }
    sums<T>(2, 3, 35, 1);
    sums<T>(2, 9, 600, 3);
    sums<T>(1, 1, 1, 2);
    const auto both = [](const char *what, Kernel<T> kernel, int taps, int up, int down, int before, int after) {
        resample<T>(what, kernel, {5, 0, taps, up, down, before}, {39, 0, taps, up, down, before}, after);
    };
    const auto kernels = [] {
        using namespace fir_cu;
        if constexpr (std::is_same_v<T, float>)
            return std::array<Kernel<T>, 4>{fir, fir_4, fir_4_up2, fir_4_down2};
        else
            return std::array<Kernel<T>, 4>{fir_h, fir_4_h, fir_4_up2_h, fir_4_down2_h};
    }();
    both("fir_4", kernels[1], 4, 1, 1, 1, 1);
    both("fir_4", kernels[1], 4, 1, 1, -1, 3);
    both("fir_4_up2", kernels[2], 4, 2, 1, 2, 1);
    both("fir_4_up2", kernels[2], 4, 2, 1, 5, -1);
    both("fir_4_down2", kernels[3], 4, 1, 2, 1, 1);
    both("fir", kernels[0], 3, 3, 2, 4, 2);
    both("fir", kernels[0], 4, 2, 3, 3, 4);
    both("fir", kernels[0], 16, 2, 1, 9, 8);
    resample<T>("fir, rows alone", kernels[0], {37, 0, 1, 1, 1, 0}, {5, 0, 7, 2, 1, 3}, 0);
    columns<T>(5, 7, 3, 1, 1, 9);
    columns<T>(6, 5, 3, 2, 0, 9);
    columns<T>(4, 3, 1, 1, 0, 3);
    // In groups of rows an f16 is rounded once a group.
    if constexpr (std::is_same_v<T, float>) columns<T>(5, 7, 3, 1, 1, 2), columns<T>(5, 5, 3, 2, 1, 1);
}

int main() {
    all<float>();
    all<__half>();
    a_nan_stays();
    std::printf("%d of %d kernel checks failed\n", failures, checks);
    return failures > 0;
}
