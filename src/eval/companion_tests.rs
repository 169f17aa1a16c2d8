//! The built-in generator's feature-residual network, in programs.

use super::tests::Kept;
use super::*;
use crate::latent::{Code, Part};
use crate::value::Models;

fn run(program: &str) -> Result<Kept> {
    let mut state = State::new(Models::cpu(), "faces", Options::default())?;
    let mut kept = Kept::default();
    let source = Source::new("test", program).unwrap();
    state.run(&source, &BTreeMap::new(), &Control::default(), &mut kept)?;
    Ok(kept)
}

fn residual(code: &Code) -> Vec<f32> {
    let all: Vec<_> = code.parts.iter().filter(|(p, _)| matches!(p, Part::Residual(_))).collect();
    assert_eq!(all.len(), 1);
    all[0].1.flatten_all().unwrap().to_vec1().unwrap()
}

/// On a held-out face, and in the space of single rows too. An edit moves the code and keeps the
/// map's residual; so does a file.
#[test]
fn the_built_in_network_comes_nearer_than_the_encoder_and_edits_keep_what_it_adds() {
    let program = "x = image(\"models/faces/examples/900004.jpg\", align: center)\n\
                   plain = invert(x, method: encoder, passes: 2)\n\
                   r = invert(x, method: residual, passes: 2)\n\
                   print(psnr(x, r) - psnr(x, plain))\n\
                   r\nr + 2*smile";
    let kept = run(program).unwrap();
    let gained: f64 = kept.printed[0].parse().unwrap();
    assert!(gained > 2.0, "{gained} dB");
    let (found, edited) = match &kept.values()[..] {
        [Value::Inversion(found), Value::Latent(edited)] => (found, edited),
        other => panic!("{:?}", other.iter().map(|v| v.ty()).collect::<Vec<_>>()),
    };
    assert!(found.how.contains("encoder ") && found.how.contains(" · residual "), "{}", found.how);
    assert_eq!((found.steps, found.best_step[0]), (3, 3));
    assert_eq!(residual(&found.code), residual(edited));
    assert!(residual(edited).iter().any(|v| v.abs() > 0.01));
    assert_ne!(
        found.code.point().to_vec3::<f32>().unwrap(),
        edited.point().to_vec3::<f32>().unwrap()
    );
}
