//! The built-in generator's networks that run after its encoder, in programs.

use super::tests::Kept;
use super::*;
use crate::lang::types::Companion;
use crate::latent::{Code, Part};
use crate::value::Models;

fn run(program: &str) -> Result<Kept> {
    let mut state = State::new(Models::cpu(), "faces", Options::default())?;
    let mut kept = Kept::default();
    let source = Source::new("test", program).unwrap();
    state.run(&source, &BTreeMap::new(), &Control::default(), &mut kept)?;
    Ok(kept)
}

/// What was added to feature maps or weights.
fn added(code: &Code) -> Vec<Vec<f32>> {
    let own = code.parts.iter().filter(|(p, _)| matches!(p, Part::Residual(_) | Part::Gain(_)));
    own.map(|(_, t)| t.flatten_all().unwrap().to_vec1().unwrap()).collect()
}

/// On a held-out face: as many dB, in so many parts. An edit moves the code and keeps what was
/// added.
#[test]
fn built_in_networks_come_nearer_than_the_encoder_and_edits_keep_what_they_add() {
    for (kind, least, parts) in [(Companion::Residual, 2.0, 1), (Companion::Hyper, 0.5, 8)] {
        let name = kind.name();
        let program = format!(
            "x = image(\"models/faces/examples/900004.jpg\", align: center)\n\
             plain = invert(x, method: encoder, passes: 2)\n\
             r = invert(x, method: {name}, passes: 2)\n\
             print(psnr(x, r) - psnr(x, plain))\n\
             r\nr + 2*smile"
        );
        let kept = run(&program).unwrap();
        let gained: f64 = kept.printed[0].parse().unwrap();
        assert!(gained > least, "{name}: {gained} dB");
        let (found, edited) = match &kept.values()[..] {
            [Value::Inversion(found), Value::Latent(edited)] => (found, edited),
            other => panic!("{:?}", other.iter().map(|v| v.ty()).collect::<Vec<_>>()),
        };
        let how = &found.how;
        assert!(how.contains("encoder ") && how.contains(&format!(" · {name} ")), "{how}");
        assert_eq!((found.steps, found.best_step[0]), (3, 3));
        let own = added(&found.code);
        assert_eq!((own.len(), &own), (parts, &added(edited)));
        assert!(own.iter().all(|part| part.iter().any(|v| v.abs() > 0.01)));
        let point = |code: &Code| code.point().to_vec3::<f32>().unwrap();
        assert_ne!(point(&found.code), point(edited));
    }
}
