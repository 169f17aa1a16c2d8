// Enough of CUDA C to run kernels on a CPU, block after block, each thread of a block a thread: for tests of small sizes.
#pragma once
#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

// f16 as the compiler has it: the same rounding to the nearest.
using __half = _Float16;
static float __half2float(__half v) { return (float)v; }
static __half __float2half_rn(float v) { return (__half)v; }

#define __global__
#define __device__
#define __grid_constant__
#define __shared__ static
#define __restrict__

struct Dim {
    unsigned x = 1, y = 1, z = 1;
};
static thread_local Dim threadIdx, blockIdx;
static Dim blockDim, gridDim;
static std::unique_ptr<std::barrier<>> meeting;

static void __syncthreads() { meeting->arrive_and_wait(); }
static unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }

// Runs `kernel` on a grid. A thread may return early, but not before a __syncthreads that others reach.
static void launch(Dim grid, Dim block, const std::function<void()> &kernel) {
    gridDim = grid, blockDim = block;
    const unsigned threads = block.x * block.y;
    meeting = std::make_unique<std::barrier<>>(threads);
    std::barrier<> next(threads);
    std::vector<std::thread> all;
    for (unsigned t = 0; t < threads; t++)
        all.emplace_back([&, t] {
            threadIdx = {t % block.x, t / block.x, 0};
            for (unsigned b = 0; b < grid.x * grid.y * grid.z; b++) {
                blockIdx = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
                kernel();
                next.arrive_and_wait();
            }
        });
    for (auto &thread : all) thread.join();
}
