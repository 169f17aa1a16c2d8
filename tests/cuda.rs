//! Every operator on the GPU against the CPU: values and gradients within 1e-3 of the peak, the
//! bound of TF32, and within 2e-5 in single precision. In f16 the CPU rounds at the same places as
//! a GPU: within 4e-3.
//!
//! Without a GPU, or in a build without the feature `cuda`, each test prints that it is skipped and
//! passes, unless GANNET_NEED_GPU is set (scripts/cuda/measure sets it).
#![cfg(test)]

use candle_core::{DType, Device, Result, Tensor, Var};
use gannet::device::device;
use gannet::generator::{Generator, Input, spaces, toy};
use gannet::rng::Rng;
use gannet::space::Space;
use gannet::tensor::{
    Activation, Filter, HalfWeight, Resample, Weight, add_noise, bias_act, conv_transpose2d,
    conv2d, down2, fir, half_conv, half_rgb, linear, modulated_conv, modulated_conv_up2,
    noise_bias_act, scale, up2,
};
use std::io::Write;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// TF32 rounds an input by at most 5e-4; sums average the error.
const TF32: f64 = 1e-3;
/// Sums are computed in another order.
const F32: f64 = 2e-5;
/// In each of a few operators a result may round to the neighbouring value, which is 1e-3 apart.
const F16: f64 = 4e-3;

/// The GPU, shared by all tests of the process; `None` after printing the reason.
fn gpu(test: &str) -> Option<Device> {
    static GPU: OnceLock<std::result::Result<Device, String>> = OnceLock::new();
    match GPU.get_or_init(|| device("cuda").map_err(|e| e.message().to_owned())) {
        Ok(found) => Some(found.clone()),
        Err(why) => {
            assert!(std::env::var_os("GANNET_NEED_GPU").is_none(), "{why}");
            // Writes directly, because a passing test hides `eprintln!`.
            writeln!(std::io::stderr(), "skipped {test}: {why}").unwrap();
            None
        }
    }
}

/// Runs `f` with TF32 allowed or in single precision. One test at a time, because the setting
/// belongs to the process.
fn with_tf32<R>(allowed: bool, f: impl FnOnce() -> R) -> R {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    #[cfg(feature = "cuda")]
    gannet::tensor::allow_tf32(allowed);
    let result = f();
    #[cfg(feature = "cuda")]
    gannet::tensor::allow_tf32(true);
    let _ = allowed;
    result
}

fn numbers(name: &str, shape: &[usize]) -> Tensor {
    let values = Rng::derive(11, name).normals(shape.iter().product());
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

fn close(what: &str, found: &Tensor, expected: &Tensor, bound: f64) {
    assert_eq!(found.dims(), expected.dims(), "{what}: shape");
    let (found, expected) = (flat(found), flat(expected));
    let peak = f64::from(expected.iter().fold(1e-30f32, |m, v| m.max(v.abs())));
    for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
        let difference = (f64::from(*a) - f64::from(*b)).abs();
        assert!(
            difference <= bound * peak,
            "{what}: element {i} is {a}, on the CPU {b} (peak {peak}, bound {bound})"
        );
    }
}

type Operator<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// The value and the gradients of all arguments, for a loss that weights every element differently.
fn run(arguments: &[Tensor], f: Operator<'_>, device: &Device) -> Vec<Tensor> {
    let variables: Vec<Var> = arguments
        .iter()
        .map(|a| Var::from_tensor(&a.to_device(device).unwrap()).unwrap())
        .collect();
    let inputs: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let y = f(&inputs).unwrap();
    let probe = numbers("probe", y.dims()).to_device(device).unwrap();
    let grads = y.mul(&probe).unwrap().sum_all().unwrap().backward().unwrap();
    let mut all = vec![y.detach()];
    all.extend(variables.iter().map(|v| grads.get(v).expect("a gradient").clone()));
    all
}

/// Compares an operator on arguments of these shapes with the CPU, and with a second run, which
/// must give the same bits.
fn compare(what: &str, gpu: &Device, shapes: &[&[usize]], f: Operator<'_>) {
    compare_within(&[(false, F32), (true, TF32)], what, gpu, shapes, f);
}

/// Like [`compare`] for an operator in f16, with arguments and result converted.
fn compare_halves(what: &str, gpu: &Device, shapes: &[&[usize]], f: Operator<'_>) {
    let what = format!("{what} in f16");
    compare_within(&[(true, F16)], &what, gpu, shapes, &|a| f(a)?.to_dtype(DType::F32));
}

/// Compares with or without TF32 within the given bound.
fn compare_within(
    bounds: &[(bool, f64)],
    what: &str,
    gpu: &Device,
    shapes: &[&[usize]],
    f: Operator<'_>,
) {
    let arguments: Vec<Tensor> =
        shapes.iter().enumerate().map(|(i, s)| numbers(&format!("{what} {i}"), s)).collect();
    let expected = run(&arguments, f, &Device::Cpu);
    for &(allowed, bound) in bounds {
        with_tf32(allowed, || {
            let found = run(&arguments, f, gpu);
            for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
                let part =
                    if i == 0 { "value".into() } else { format!("gradient of argument {}", i - 1) };
                assert!(a.device().is_cuda(), "{what}: {part} left the GPU");
                close(&format!("{what}, {part}"), a, b, bound);
            }
            let again = run(&arguments, f, gpu);
            for (a, b) in found.iter().zip(&again) {
                let bits = |t: &Tensor| flat(t).into_iter().map(f32::to_bits).collect::<Vec<u32>>();
                assert!(bits(a) == bits(b), "{what}: other bits at the second run");
            }
        });
    }
}

fn filter() -> Filter {
    Filter::new(&[1.0, 3.0, 3.0, 1.0]).unwrap()
}

#[test]
fn convolutions() {
    let Some(gpu) = gpu("convolutions") else { return };
    for (n, i, h, w, o, k, s, p) in [
        (1, 1, 1, 1, 1, 1, 1, 0),
        (2, 3, 5, 7, 5, 3, 1, 1),
        (1, 5, 7, 4, 3, 3, 2, 1),
        (2, 2, 6, 5, 3, 3, 2, 0),
        (3, 17, 3, 3, 19, 1, 1, 0),
        (1, 64, 32, 32, 64, 3, 1, 1),
        (2, 48, 33, 31, 32, 3, 2, 0),
    ] {
        let what = format!("conv2d {n} {i} {h} {w} {o} {k} {s} {p}");
        compare(&what, &gpu, &[&[n, i, h, w], &[o, i, k, k]], &|a| conv2d(&a[0], &a[1], s, p));
    }
    for (n, i, h, w, o, k, s, p) in [
        (1, 1, 1, 1, 1, 3, 2, 0),
        (2, 3, 5, 4, 5, 3, 2, 0),
        (1, 5, 3, 3, 2, 3, 2, 1),
        (1, 64, 16, 16, 32, 3, 2, 0),
    ] {
        let what = format!("conv_transpose2d {n} {i} {h} {w} {o} {k} {s} {p}");
        compare(&what, &gpu, &[&[n, i, h, w], &[i, o, k, k]], &|a| {
            conv_transpose2d(&a[0], &a[1], s, p)
        });
    }
}

#[test]
fn filters() {
    let Some(gpu) = gpu("filters") else { return };
    let skew = Filter::from_matrix(3, 3, &flat(&numbers("taps", &[3, 3]))).unwrap();
    let long = Filter::new(&[0.1, 0.2, 0.4, 0.5, 0.8, 1.0, 1.0, 0.7, 0.5, 0.3, 0.2, 0.1]).unwrap();
    for (t, filter) in [filter(), skew, long].into_iter().enumerate() {
        for (up, down, before, after, gain) in [
            (1, 1, 1, 1, 4.0),
            (2, 1, 2, 1, 4.0),
            (1, 2, 1, 1, 1.0),
            (3, 2, 4, 2, 0.5),
            (1, 1, -1, 3, 1.0),
            (2, 3, 3, 4, 1.0),
        ] {
            let how = Resample { up, down, before, after, gain };
            compare(&format!("filter {t} {how:?}"), &gpu, &[&[2, 3, 37, 15]], &|a| {
                fir(&a[0], &filter, how)
            });
        }
    }
    compare("up2", &gpu, &[&[1, 3, 40, 40]], &|a| up2(&a[0], &filter()));
    compare("down2", &gpu, &[&[1, 3, 40, 40]], &|a| down2(&a[0], &filter()));
}

#[test]
fn pointwise_operators() {
    let Some(gpu) = gpu("pointwise operators") else { return };
    for activation in [
        Activation::LINEAR,
        Activation::LRELU,
        Activation { slope: 0.2, gain: 1.0, clamp: Some(0.5) },
        Activation { slope: 0.0, gain: 2.0, clamp: None },
    ] {
        let what = format!("bias_act {activation:?}");
        compare(&what, &gpu, &[&[2, 3, 33, 5], &[3]], &|a| bias_act(&a[0], &a[1], activation));
        compare(&what, &gpu, &[&[3, 7], &[7]], &|a| bias_act(&a[0], &a[1], activation));
        for maps in [1, 2] {
            let shapes: [&[usize]; 3] = [&[2, 40, 9, 5], &[maps, 1, 9, 5], &[40]];
            compare(&format!("noise_{what}"), &gpu, &shapes, &|a| {
                noise_bias_act(&a[0], &a[1], &a[2], activation)
            });
        }
    }
    // Large planes are summed in several parts.
    compare("scale", &gpu, &[&[2, 3, 200, 170], &[2, 3]], &|a| scale(&a[0], &a[1]));
    for maps in [1, 2] {
        compare("add_noise", &gpu, &[&[2, 40, 9, 5], &[maps, 1, 9, 5]], &|a| {
            add_noise(&a[0], &a[1])
        });
    }
    for (m, k, n) in [(1, 1, 1), (3, 5, 2), (2, 300, 133)] {
        compare("linear", &gpu, &[&[m, k], &[n, k]], &|a| linear(&a[0], &a[1]));
    }
}

#[test]
fn modulated_convolutions() {
    let Some(gpu) = gpu("modulated convolutions") else { return };
    for (k, demodulate) in [(3, true), (1, false)] {
        let shapes: [&[usize]; 3] = [&[2, 24, 16, 16], &[40, 24, k, k], &[2, 24]];
        compare("modulated_conv", &gpu, &shapes, &|a| {
            modulated_conv(&a[0], &Weight::new(a[1].clone()), &a[2], demodulate)
        });
    }
    let shapes: [&[usize]; 3] = [&[2, 24, 16, 16], &[40, 24, 3, 3], &[2, 24]];
    compare("modulated_conv_up2", &gpu, &shapes, &|a| {
        modulated_conv_up2(&a[0], &Weight::new(a[1].clone()), &a[2], &filter())
    });
}

fn half(t: &Tensor) -> Result<Tensor> {
    t.to_dtype(DType::F16)
}

#[test]
fn operators_in_f16() {
    let Some(gpu) = gpu("operators in f16") else { return };
    for (n, i, h, w, o, k, s, p) in
        [(2, 3, 5, 7, 5, 3, 1, 1), (1, 64, 32, 32, 64, 3, 1, 1), (2, 16, 9, 9, 3, 1, 1, 0)]
    {
        let kernel = numbers("kernel", &[o, i, k, k]);
        compare_halves(&format!("conv2d {n} {i} {h} {w} {o} {k}"), &gpu, &[&[n, i, h, w]], &|a| {
            conv2d(&half(&a[0])?, &half(&kernel.to_device(a[0].device())?)?, s, p)
        });
    }
    let kernel = numbers("kernel", &[24, 16, 3, 3]);
    compare_halves("conv_transpose2d", &gpu, &[&[2, 24, 9, 8]], &|a| {
        conv_transpose2d(&half(&a[0])?, &half(&kernel.to_device(a[0].device())?)?, 2, 0)
    });
    let blur = Resample { up: 1, down: 1, before: 1, after: 1, gain: 4.0 };
    compare_halves("fir", &gpu, &[&[2, 3, 37, 15]], &|a| fir(&half(&a[0])?, &filter(), blur));
    compare_halves("up2", &gpu, &[&[1, 3, 20, 20]], &|a| up2(&half(&a[0])?, &filter()));
    compare_halves("down2", &gpu, &[&[1, 3, 20, 20]], &|a| down2(&half(&a[0])?, &filter()));
    let clamped = Activation { clamp: Some(0.5), ..Activation::LRELU };
    compare_halves("bias_act", &gpu, &[&[2, 3, 33, 5], &[3]], &|a| {
        bias_act(&half(&a[0])?, &a[1], clamped)
    });
    for maps in [1, 2] {
        let shapes: [&[usize]; 3] = [&[2, 40, 9, 5], &[maps, 1, 9, 5], &[40]];
        compare_halves("noise_bias_act", &gpu, &shapes, &|a| {
            noise_bias_act(&half(&a[0])?, &a[1], &a[2], clamped)
        });
    }
    compare_halves("scale", &gpu, &[&[2, 3, 200, 170], &[2, 3]], &|a| scale(&half(&a[0])?, &a[1]));
    let kernel = numbers("kernel", &[40, 24, 3, 3]);
    for up in [None, Some(filter())] {
        compare_halves("half_conv", &gpu, &[&[2, 24, 16, 16], &[2, 24]], &|a| {
            let weight = HalfWeight::new(&kernel.to_device(a[0].device())?, up.is_some())?;
            half_conv(&half(&a[0])?, &weight, &a[1], up.as_ref())
        });
    }
    let kernel = numbers("kernel", &[3, 24, 1, 1]);
    compare_halves("half_rgb", &gpu, &[&[2, 24, 16, 16], &[2, 24]], &|a| {
        half_rgb(&half(&a[0])?, &HalfWeight::new(&kernel.to_device(a[0].device())?, false)?, &a[1])
    });
}

#[test]
fn a_whole_generator() {
    let Some(gpu) = gpu("a whole generator") else { return };
    let load = |kernels: &str| {
        gannet::device::kernels(kernels, &gpu).unwrap();
        toy(0, &gpu).unwrap()
    };
    let (in_halves, in_singles) = with_tf32(true, || (load("f16"), load("f32")));
    let networks = [toy(0, &Device::Cpu).unwrap(), in_singles];
    let spec = networks[0].spec().clone();
    let ws = numbers("ws", &[2, spec.num_ws, spec.w_dim]);
    let picture = |g: &dyn Generator, ws: &Tensor| {
        spaces::picture(g, ws, Space::WPlus, &Input::default()).map_err(candle_core::Error::wrap)
    };
    let expected = run(std::slice::from_ref(&ws), &|a| picture(&*networks[0], &a[0]), &Device::Cpu);
    // Rounding errors add up over the layers; the kink of the leaky ReLU changes some gradients by
    // more.
    for (allowed, value, gradient) in [(false, 1e-4, 1e-3), (true, 5e-3, 5e-2)] {
        with_tf32(allowed, || {
            let found = run(std::slice::from_ref(&ws), &|a| picture(&*networks[1], &a[0]), &gpu);
            close("picture", &found[0], &expected[0], value);
            close("gradient of ws", &found[1], &expected[1], gradient);
        });
    }
    let found =
        with_tf32(true, || run(std::slice::from_ref(&ws), &|a| picture(&*in_halves, &a[0]), &gpu));
    close("picture in f16", &found[0], &expected[0], 1e-2);
    close("gradient of ws in f16", &found[1], &expected[1], 5e-2);
    assert!(
        flat(&found[0]) != flat(&expected[0]) && found[0].dtype() == DType::F32,
        "rounded, and f32 at its end"
    );
}

#[test]
fn what_does_not_fit_is_an_error_there_too() {
    let Some(gpu) = gpu("what does not fit") else { return };
    let t = |shape: &[usize]| numbers("t", shape).to_device(&gpu).unwrap();
    assert!(conv2d(&t(&[1, 3, 4, 4]), &t(&[2, 4, 3, 3]), 1, 1).is_err(), "channels");
    assert!(scale(&t(&[2, 3, 4, 4]), &t(&[1, 3])).is_err(), "factors");
    assert!(bias_act(&t(&[2, 3]), &t(&[2]), Activation::LRELU).is_err(), "bias");
    assert!(add_noise(&t(&[2, 3, 4, 4]), &t(&[3, 1, 4, 4])).is_err(), "maps");
    assert!(linear(&t(&[2, 3]), &t(&[3, 2])).is_err(), "columns");
    assert!(bias_act(&t(&[2, 3]), &numbers("b", &[3]), Activation::LRELU).is_err(), "two devices");
}

/// The program: from the test build, or GANNET_BINARY when the tests run on another machine.
fn gannet() -> Command {
    Command::new(
        std::env::var_os("GANNET_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_gannet").into()),
    )
}

/// Runs everything that a session does with tensors on one device: a tensor on the other device
/// would be an error.
/// an error.
#[test]
fn a_program_runs_on_the_gpu() {
    if gpu("a program").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = "x = sample(seed: 3)\nsave(x, \"x.png\")\ny = image(\"x.png\")\n\
        r = invert(y, space: W+, steps: 5)\np = invert(y, method: projector, steps: 5)\n\
        e = r + 2*direction(\"smile\")\nsave(e, \"e.safetensors\")\nprint(psnr(y, r), ssim(y, p))\n\
        path(r, e, frames: 3) |> save(\"m.gif\")\n";
    std::fs::write(folder.path().join("p.gnt"), program).unwrap();
    for kernels in ["auto", "f32", "f16"] {
        let found = gannet()
            .args(["--model", "toy", "--device", "cuda", "--kernels", kernels, "run", "p.gnt"])
            .current_dir(folder.path())
            .env("GANNET_STATE", folder.path().join(kernels))
            .env("GANNET_CACHE", "off")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&found.stderr);
        assert!(
            found.status.success() && said.contains("in f16") == (kernels == "f16"),
            "{kernels}: {said}"
        );
        let png = std::fs::read(folder.path().join("x.png")).unwrap();
        let marked = png.windows(18).any(|w| w == b"gannet:kernels\0f16".as_slice());
        assert_eq!(marked, kernels == "f16", "what a picture was computed in stands in it");
    }
    let found =
        gannet().args(["--device", "cuda", "--kernels", "avx2", "eval", "1"]).output().unwrap();
    let said = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.code() == Some(2) && said.contains("`f16`"), "{said}");
}

#[test]
fn without_a_gpu_the_program_says_why() {
    if device("cuda").is_ok() {
        return;
    }
    let found =
        gannet().args(["--model", "toy", "--device", "cuda", "eval", "1"]).output().unwrap();
    let said = String::from_utf8_lossy(&found.stderr);
    let why = if cfg!(feature = "cuda") {
        "cannot use GPU 0: "
    } else {
        "this build has no CUDA support"
    };
    assert!(
        !found.status.success() && said.contains(why) && said.contains("--device cpu"),
        "{said}"
    );
    // GPU kernels are refused on the CPU.
    let found =
        gannet().args(["--model", "toy", "--kernels", "f16", "eval", "1"]).output().unwrap();
    let said = String::from_utf8_lossy(&found.stderr);
    assert!(
        found.status.code() == Some(2) && said.contains("--device cuda") && said.contains("bf16"),
        "{said}"
    );
}
