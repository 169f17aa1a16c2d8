//! `to`: a code in another space.

use super::shared;
use crate::builtin::{
    Builtin, Category, CheckedCall, CodeType, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::generator::spaces;
use crate::space::lattice;
use crate::value::Value;

/// `to(space, code)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "to",
        params: &[
            Param::required("space", &[Kind::Space], "W, W+, S, P, PN or PN+"),
            Param::required("code", &[Kind::Latent], "the code to convert"),
        ],
        returns: "Latent",
        infer,
    },
    category: Category::Edit,
    summary: "brings a code into another space: Z → W → W+ → S, W ↔ P ↔ PN → PN+ ↔ W+",
    details: "Exact, the picture stays the same: Z → W is the mapping network, W → W+ repeats the \
              code for every layer, \
              W+ → S computes the styles that each layer reads (StyleSpace, Wu et al. 2021). \
              P is w before the mapping's last leaky ReLU, PN is P whitened by the principal axes \
              of 10,000 fixed samples (variances below 1e-5 of the largest are raised to that), \
              PN+ has it for every layer (Zhu et al. 2020); these lead back exactly. Of a code of \
              PN or PN+, `:details` says its norm √(mean v²): about 1 for a sample. \
              The other ways have no reverse: a wider space holds codes that the narrower one \
              lacks; `invert` finds the nearest.",
    examples: &[
        Example { code: "to(W+, sample(seed: 3, space: Z))", note: "a layered code" },
        Example {
            code: "to(S, sample(seed: 3))",
            note: "the styles of all layers: the same picture",
        },
        Example { code: "to(W, to(PN, sample(seed: 3)))", note: "to PN and back" },
    ],
    cost: None,
    cache: None,
    definition: None,
    run: |args, ctx| {
        let code = args.latent("code")?;
        let space = args.space("space")?.unwrap_or(code.space);
        let model = ctx.model_of(&code)?;
        Ok(Value::Latent(
            spaces::lift(&**model.generator()?, &code, space).map_err(|e| e.at(args.span))?,
        ))
    },
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let from = shared::code(call, "code");
    let target = shared::space(call, "space");
    let model = shared::model_of(call, "code");
    if let (Some(a), Some(b)) = (from.space, target) {
        lattice::lift(a, b).map_err(|refusal| {
            let back = lattice::lift(b, a).is_ok();
            let way = if back { "cannot go back to" } else { "cannot be lifted to" };
            Error::check(format!("a {a} code {way} {b}: {}", refusal.why))
                .at(call.span)
                .hint(refusal.repair.words("code", ""))
        })?;
    }
    if let (Some(target), Some(m)) = (target, &model) {
        shared::check_space(target, m, call.arg("space").map_or(call.span, |a| a.span))?;
    }
    let layers = target.and_then(|s| model.as_ref()?.layers(s));
    Ok(Type::Latent(CodeType { space: target, layers, model, ..from }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::Output;
    use crate::control::Control;
    use crate::eval::{Options, State};
    use crate::lang::span::Source;
    use crate::render::Block;
    use crate::value::{Models, details};
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Shown(Vec<Value>);

    impl Output for Shown {
        fn display(&mut self, _: &[Block], value: &Value) -> Result<()> {
            self.0.push(value.clone());
            Ok(())
        }

        fn print(&mut self, _: &str) -> Result<()> {
            Ok(())
        }
    }

    /// The values that a program on the toy shows.
    fn shown(code: &str) -> Result<Vec<Value>> {
        let mut shown = Shown::default();
        let mut state = State::new(Models::cpu(), "toy", Options::default())?;
        let source = Source::new("test", code)?;
        state.run(&source, &BTreeMap::new(), &Control::default(), &mut shown)?;
        Ok(shown.0)
    }

    /// The number that a program on the toy shows last.
    fn number(code: &str) -> f64 {
        match shown(code).unwrap().last() {
            Some(Value::Number(n)) => *n,
            other => panic!("{code}: {:?}", other.map(Value::ty)),
        }
    }

    #[test]
    fn pictures_of_other_coordinates_are_the_same() {
        for there in ["to(P, w)", "to(PN, w)", "to(PN+, w)", "to(PN+, to(W+, w))"] {
            for back in ["", "W+", "S"] {
                let code =
                    if back.is_empty() { there.into() } else { format!("to({back}, {there})") };
                let off = number(&format!("w = sample(seed: 3)\nmae(render(w), render({code}))"));
                assert!(off < 1e-4, "{code}: {off}");
            }
        }
    }

    #[test]
    fn steps_between_codes_of_pn_move_codes_of_pn_and_pn_plus() {
        let program = |last: &str| {
            let codes = "a = to(PN, sample(seed: 1))\nb = to(PN, sample(seed: 2))\nd = b - a";
            number(&format!("{codes}\nc = to(PN+, a) + d @ 2..4\n{last}"))
        };
        assert!(program("norm((a + d) - b)") < 1e-4);
        assert!(program("norm((to(PN+, a) + d) - to(PN+, b))") < 1e-4);
        assert!(program("norm(c[2..4] - to(PN+, b)[2..4])") < 1e-4);
        assert!(program("norm(c[4..8] - to(PN+, a)[4..8])") < 1e-4);
        assert!(program("norm(c - to(PN+, a))") > 0.1);
    }

    #[test]
    fn directions_of_w_ask_for_a_code_of_w() {
        for (code, to) in [("to(PN, w)", "to(W, "), ("to(PN+, w)", "to(W+, ")] {
            let program = format!("w = sample(seed: 3)\n{code} + direction(\"smile\", space: W)");
            let e = shown(&program).unwrap_err();
            assert!(e.repair().is_some_and(|r| r.contains(to)), "{program}: {e:?}");
        }
        let e = shown("to(PN, to(W+, sample()))").unwrap_err();
        assert!(e.repair().is_some_and(|r| r.contains("space: PN")), "{e:?}");
        let e = shown("to(PN, sample()) - sample()").unwrap_err();
        assert!(e.repair().is_some_and(|r| r.contains("to(W, ")), "{e:?}");
    }

    #[test]
    fn details_tell_the_norm_of_codes_of_pn() {
        for (code, told) in
            [("to(PN, sample())", true), ("to(PN+, sample())", true), ("sample()", false)]
        {
            let value = shown(code).unwrap().pop().unwrap();
            let blocks = details::details(&value).unwrap();
            let lines: Vec<String> = blocks.iter().flat_map(Block::lines).collect();
            assert_eq!(lines.iter().any(|l| l.contains("PN norm")), told, "{lines:?}");
        }
    }

    #[test]
    fn codes_of_pn_are_saved_and_read() {
        let folder = tempfile::tempdir().unwrap();
        for (k, space) in ["P", "PN", "PN+"].into_iter().enumerate() {
            let path = folder.path().join(format!("{k}.safetensors"));
            let (code, path) = (format!("to({space}, sample(seed: 3))"), path.display());
            shown(&format!("save({code}, \"{path}\", outside: true)")).unwrap();
            let off = number(&format!("norm(latent(\"{path}\") - {code})"));
            assert!(off == 0.0, "{space} {off}");
        }
    }
}
