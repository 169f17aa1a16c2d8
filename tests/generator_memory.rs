//! Peak memory of a generator that is ready to draw. The only test in its process, because the peak
//! belongs to the process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use gannet::value::Models;
use std::io::Write;

/// Features of every layer, and dimensions of z and w.
const WIDE: usize = 512;
const CODE: usize = 16;
/// Memory beside tensors: threads, the allocator, the file's header.
const BESIDE: u64 = 12 << 20;

/// Peak memory of this process in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Names and shapes of a StyleGAN2 of 64 pixels, as in NVIDIA's state dict.
fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut all = Vec::new();
    let mut put = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
    put("mapping.w_avg".into(), &[CODE]);
    for i in 0..2 {
        put(format!("mapping.fc{i}.weight"), &[CODE, CODE]);
        put(format!("mapping.fc{i}.bias"), &[CODE]);
    }
    for side in [4, 8, 16, 32, 64] {
        let block = format!("synthesis.b{side}");
        let convs: &[&str] = if side == 4 { &["conv1"] } else { &["conv0", "conv1"] };
        if side == 4 {
            put(format!("{block}.const"), &[WIDE, 4, 4]);
        }
        for conv in convs {
            put(format!("{block}.{conv}.weight"), &[WIDE, WIDE, 3, 3]);
            put(format!("{block}.{conv}.bias"), &[WIDE]);
            put(format!("{block}.{conv}.noise_const"), &[side, side]);
            put(format!("{block}.{conv}.noise_strength"), &[]);
            put(format!("{block}.{conv}.affine.weight"), &[WIDE, CODE]);
            put(format!("{block}.{conv}.affine.bias"), &[WIDE]);
        }
        put(format!("{block}.torgb.weight"), &[3, WIDE, 1, 1]);
        put(format!("{block}.torgb.bias"), &[3]);
        put(format!("{block}.torgb.affine.weight"), &[WIDE, CODE]);
        put(format!("{block}.torgb.affine.bias"), &[WIDE]);
    }
    all
}

/// Writes these tensors as zeros, which take no space on the disk; returns their bytes.
fn write(path: &std::path::Path, shapes: &[(String, Vec<usize>)]) -> u64 {
    let mut at = 0;
    let entries: Vec<String> = shapes
        .iter()
        .map(|(name, shape)| {
            let start = at;
            at += 4 * shape.iter().product::<usize>();
            format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{at}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + at) as u64).unwrap();
    at as u64
}

#[test]
fn a_generator_that_draws_takes_little_more_than_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.safetensors");
    let tensors = write(&path, &shapes());
    let before = peak();
    let models = Models::cpu();
    let loaded = models.load(path.to_str().unwrap()).unwrap();
    loaded.ready().unwrap();
    let took = peak() - before;
    // The weights of convolutions are kept once, in the order in which the engine reads them, with
    // the sums of their squares: a ninth more.
    let most = tensors + tensors / 5 + BESIDE;
    assert!(took < most, "{} MiB of tensors took {} MiB", tensors >> 20, took >> 20);
    assert!(took > tensors, "they are in memory");
}
