// cuda_on_cpu.h has what the kernels use of it.
