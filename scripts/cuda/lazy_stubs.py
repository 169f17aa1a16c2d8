#!/usr/bin/env python3
"""Archives that stand for the CUDA libraries, so that a build with CUDA links, and starts, without them.

    lazy_stubs.py CUDARC OUT

CUDARC is the unpacked crate: its `sys` modules list every function that it may call. Each archive OUT/libX.a has them all;
a function opens the real library at its first call, and returns that library's code for "not there" when there is none.
x86-64 Linux alone: the trampolines are assembly. LAZY_CUDA_DEBUG=1 says what was loaded.
"""
import os
import re
import subprocess
import sys
import tempfile

# Link name: cudarc's module, names tried at run time, the code for "not there".
LIBS = {
    "cuda":     ("driver",   ["libcuda.so.1", "libcuda.so"], 100),                 # CUDA_ERROR_NO_DEVICE
    "cublas":   ("cublas",   ["libcublas.so.13", "libcublas.so.12", "libcublas.so"], 1),       # NOT_INITIALIZED
    "cublasLt": ("cublaslt", ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"], 1),
    "curand":   ("curand",   ["libcurand.so.10", "libcurand.so"], 203),            # INITIALIZATION_FAILED
    "nvrtc":    ("nvrtc",    ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"], 11),         # INTERNAL_ERROR
    "cudnn":    ("cudnn",    ["libcudnn.so.9", "libcudnn.so"], 1001),              # NOT_INITIALIZED
}
FN = re.compile(r'^\s+fn\s+([A-Za-z0-9_]+)\s*\(', re.M)
SIG = re.compile(r'^\s+fn\s+([A-Za-z0-9_]+)\s*\([^;]*?->\s*\*const\s+::core::ffi::c_char;', re.M)

C = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define HID __attribute__((visibility("hidden")))
static const char *const sonames[] = { @SONAMES@, 0 };
static const char *const fn_names[] = { @NAMES@ };
static const unsigned char is_str[] = { @ISSTR@ };
HID void *lazy_@LIB@_ptrs[@N@];
static void *handle;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *try_dir(const char *dir, size_t n, const char *sub) {
    char p[4096];
    for (int i = 0; sonames[i]; i++) {
        if (snprintf(p, sizeof p, "%.*s%s/%s", (int)n, dir, sub, sonames[i]) >= (int)sizeof p) continue;
        void *h = dlopen(p, RTLD_NOW | RTLD_GLOBAL);
        if (h) return h;
    }
    return 0;
}
static void open_lib(void) {
    /* 1. the loader's own search (LD_LIBRARY_PATH, RUNPATH, ld.so.cache) */
    for (int i = 0; sonames[i] && !handle; i++) handle = dlopen(sonames[i], RTLD_NOW | RTLD_GLOBAL);
    /* 2. CUDA_LIB_DIRS=dir:dir...   3. CUDA_HOME, CUDA_PATH, /usr/local/cuda */
    const char *d = getenv("CUDA_LIB_DIRS");
    while (d && *d && !handle) {
        size_t n = strcspn(d, ":");
        if (n) handle = try_dir(d, n, "");
        d += n; if (*d) d++;
    }
    const char *roots[] = { getenv("CUDA_HOME"), getenv("CUDA_PATH"), "/usr/local/cuda" };
    for (int i = 0; i < 3 && !handle; i++)
        if (roots[i] && *roots[i]) {
            handle = try_dir(roots[i], strlen(roots[i]), "/lib64");
            if (!handle) handle = try_dir(roots[i], strlen(roots[i]), "/lib");
        }
    if (getenv("LAZY_CUDA_DEBUG")) fprintf(stderr, "lazy-cuda: @LIB@: %s\n", handle ? "loaded" : "not found");
}
static intptr_t missing(void) { return @CODE@; }
static const char *missing_str(void) { return "lib@LIB@ or this function of it is not available"; }
HID void *lazy_@LIB@_resolve(unsigned i) {
    pthread_once(&once, open_lib);
    void *p = handle ? dlsym(handle, fn_names[i]) : 0;
    if (!p) {
        if (handle || getenv("LAZY_CUDA_DEBUG")) fprintf(stderr, "lazy-cuda: no %s\n", fn_names[i]);
        p = is_str[i] ? (void *)missing_str : (void *)missing;
    }
    __atomic_store_n(&lazy_@LIB@_ptrs[i], p, __ATOMIC_RELEASE);
    return p;
}
"""
SLOW = """
    .text
    .hidden lazy_@LIB@_slow
    .globl lazy_@LIB@_slow
    .type lazy_@LIB@_slow,@function
lazy_@LIB@_slow:
    pushq %rdi; pushq %rsi; pushq %rdx; pushq %rcx; pushq %r8; pushq %r9; pushq %rax
    subq $128, %rsp
    movups %xmm0, (%rsp);   movups %xmm1, 16(%rsp); movups %xmm2, 32(%rsp);  movups %xmm3, 48(%rsp)
    movups %xmm4, 64(%rsp); movups %xmm5, 80(%rsp); movups %xmm6, 96(%rsp);  movups %xmm7, 112(%rsp)
    movl %r11d, %edi
    call lazy_@LIB@_resolve
    movq %rax, %r11
    movups (%rsp), %xmm0;   movups 16(%rsp), %xmm1; movups 32(%rsp), %xmm2;  movups 48(%rsp), %xmm3
    movups 64(%rsp), %xmm4; movups 80(%rsp), %xmm5; movups 96(%rsp), %xmm6;  movups 112(%rsp), %xmm7
    addq $128, %rsp
    popq %rax; popq %r9; popq %r8; popq %rcx; popq %rdx; popq %rsi; popq %rdi
    jmp *%r11
    .size lazy_@LIB@_slow, .-lazy_@LIB@_slow
"""
TRAMP = """
    .section .text.{f},"ax",@progbits
    .hidden {f}
    .globl {f}
    .type {f},@function
{f}:
    movq lazy_{lib}_ptrs+{off}(%rip), %r11
    testq %r11, %r11
    jz 1f
    jmp *%r11
1:  movl ${i}, %r11d
    jmp lazy_{lib}_slow
    .size {f}, .-{f}
"""

def run(*a):
    subprocess.run(a, check=True)

def main():
    src, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    cc = os.environ.get("CC", "cc")
    for lib, (mod, sonames, code) in LIBS.items():
        text = open(f"{src}/src/{mod}/sys/mod.rs").read()
        fns = sorted(set(FN.findall(text)))
        strs = set(SIG.findall(text))
        assert fns, mod
        with tempfile.TemporaryDirectory() as t:
            c = C
            for k, v in {"LIB": lib, "N": str(len(fns)), "CODE": str(code),
                         "SONAMES": ", ".join(f'"{s}"' for s in sonames),
                         "NAMES": ",\n".join(f'"{f}"' for f in fns),
                         "ISSTR": ",".join("1" if f in strs else "0" for f in fns)}.items():
                c = c.replace(f"@{k}@", v)
            s = SLOW.replace("@LIB@", lib)
            s += "".join(TRAMP.format(f=f, lib=lib, i=i, off=8 * i) for i, f in enumerate(fns))
            s += '    .section .note.GNU-stack,"",@progbits\n'
            open(f"{t}/lazy_{lib}.c", "w").write(c)
            open(f"{t}/lazy_{lib}_t.s", "w").write(s)
            for f in (f"lazy_{lib}.c", f"lazy_{lib}_t.s"):
                run(cc, "-c", "-O2", "-fPIC", "-Wall", "-o", f"{t}/{f[:-2]}.o", f"{t}/{f}")
            a = f"{out}/lib{lib}.a"
            if os.path.exists(a):
                os.remove(a)
            run("ar", "rcs", a, f"{t}/lazy_{lib}.o", f"{t}/lazy_{lib}_t.o")
        print(f"lib{lib}: {len(fns)} functions")

if __name__ == "__main__":
    main()
