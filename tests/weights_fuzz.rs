//! Mutated model files, read in process: the result is an error or a checkpoint, never a panic. The
//! seed is fixed, so that a failure repeats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]

#[path = "weights_support/mod.rs"]
mod support;

use gannet::limits::LIMITS;
use gannet::rng::Rng;
use gannet::weights;
use support::mutants::{self, mutate};
use support::{files, pickles, reference};

/// Reads `rounds` mutants of each seed file; returns the number that was still readable.
fn fuzz(name: &str, seeds: &[Vec<u8>], rounds: usize) -> usize {
    let mut readable = 0;
    for (s, seed) in seeds.iter().enumerate() {
        assert!(
            weights::open_bytes("seed", seed.clone(), &LIMITS).is_ok(),
            "{name}: seed {s} itself is read"
        );
        for i in 0..rounds {
            let mut rng = Rng::derive(i as u64, &format!("{name}{s}"));
            let mutant = mutate(&mut rng, seed);
            let result = std::panic::catch_unwind(|| {
                weights::open_bytes("mutant", mutant, &LIMITS).and_then(|c| c.weights.arrays())
            });
            match result {
                Ok(Ok(_)) => readable += 1,
                Ok(Err(e)) => {
                    let line = e.to_string();
                    assert!(
                        line.contains("at byte ") && !line.contains('\n'),
                        "{name}: seed {s}, round {i}: {line}"
                    );
                }
                Err(_) => panic!("{name}: seed {s}, round {i} panics"),
            }
        }
    }
    readable
}

/// Most mutants must be refused, but some must pass the first checks to test the later ones.
fn assert_deep(readable: usize, tried: usize) {
    assert!(readable > tried / 200, "{readable} of {tried} were readable");
    assert!(readable < tried * 9 / 10, "{readable} of {tried} were readable");
}

#[test]
fn pickles_mutated() {
    let seeds: Vec<Vec<u8>> =
        pickles::good().into_iter().filter(|(_, b)| b.len() < 2000).map(|(_, b)| b).collect();
    assert_deep(fuzz("pickle", &seeds, 2000), seeds.len() * 2000);
}

#[test]
fn torch_files_mutated() {
    let names = ["checkpoint_zip.pt", "pca_zip.pt", "checkpoint_legacy.pt", "pca_legacy.pt"];
    let seeds = names.map(|n| reference(&format!("torch/{n}")));
    assert_deep(fuzz("torch", &seeds, 2000), seeds.len() * 2000);
}

#[test]
fn numpy_files_mutated() {
    let names =
        ["half_f2_2x24.npy", "boundary_f8_1x64.npy", "projected_w.npz", "ganspace_deflated.npz"];
    let seeds = names.map(|n| reference(&format!("torch/{n}")));
    assert_deep(fuzz("numpy", &seeds, 2000), seeds.len() * 2000);
}

#[test]
fn safetensors_mutated() {
    let header = r#"{"__metadata__":{"gannet":"{\"format\":1,\"family\":\"x\"}"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}"#;
    let seeds = [files::safetensors(header, &[0; 10])];
    assert_deep(fuzz("safetensors", &seeds, 8000), 8000);
}

#[test]
fn arrays_of_objects_and_archives_mutated() {
    assert_deep(fuzz("objects", &[mutants::objects()], 4000), 4000);
    let tar = mutants::tar(&reference("torch/pca_zip.pt"));
    assert_deep(fuzz("tar", &[tar], 1000), 1000);
}

#[test]
fn hdf5_mutated() {
    let names = ["layouts_v0.h5", "layouts_v3.h5", "classifier.h5"];
    let seeds = names.map(|n| reference(&format!("keras/{n}")));
    assert_deep(fuzz("hdf5", &seeds, 2000), seeds.len() * 2000);
    // Where structure is dense, so that mutants get past the superblock.
    let whole = reference("keras/layouts_v0.h5");
    for round in 0..20_000 {
        let mut rng = Rng::derive(round, "structure");
        let mut mutant = whole.clone();
        for _ in 0..1 + rng.below(3) {
            let at = 96 + rng.below(2048.min(whole.len() - 104));
            let value = [0, 1, u64::MAX, 1 << 31, 96, at as u64, rng.below(1 << 16) as u64];
            let size = [1, 2, 4, 8][rng.below(4)];
            let bytes = value[rng.below(value.len())].to_le_bytes();
            mutant[at..at + size].copy_from_slice(&bytes[..size]);
        }
        let result = std::panic::catch_unwind(|| {
            weights::open_bytes("mutant", mutant, &LIMITS).and_then(|c| c.weights.arrays()).is_ok()
        });
        assert!(result.is_ok(), "round {round} panics");
    }
}

#[test]
fn nvidia_pickle_mutated() {
    let seeds = [reference("pkl/p4_16_half.pkl")];
    assert_deep(fuzz("nvidia", &seeds, 400), 400);
}

/// Random programs of valid opcodes, so that calls get arguments of every kind.
#[test]
fn random_pickle_programs() {
    let names = [
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch", "FloatStorage"),
        ("torch.storage", "_load_from_bytes"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("_codecs", "encode"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("builtins", "set"),
        ("torch_utils.persistence", "_reconstruct_persistent_obj"),
        ("argparse", "Namespace"),
        ("torch", "Size"),
    ];
    let plain: &[u8] = b"NNNN)]}(\x85\x86\x87tlud2aesRRR\x81bbQ\x94\x8f\x90\x88\x8901";
    for round in 0..20_000 {
        let mut rng = Rng::derive(round, "program");
        let mut body = Vec::new();
        for _ in 0..4 + rng.below(40) {
            match rng.below(8) {
                0 => body.extend(pickles::int(rng.below(5) as i128 - 1)),
                1 => {
                    body.extend(pickles::text(["f4", "<", "x", "storage", "latin1"][rng.below(5)]))
                }
                2 => {
                    let (module, name) = names[rng.below(names.len())];
                    body.extend(pickles::global(module, name));
                }
                3 => body.extend(pickles::bytes(&[0; 4])),
                4 => body.extend([b'h', rng.below(6) as u8]),
                _ => body.push(plain[rng.below(plain.len())]),
            }
        }
        let result = std::panic::catch_unwind(|| {
            weights::open_bytes("program", pickles::pickle(&body), &LIMITS)
                .and_then(|c| c.weights.arrays())
                .is_ok()
        });
        assert!(result.is_ok(), "round {round} panics");
    }
}
