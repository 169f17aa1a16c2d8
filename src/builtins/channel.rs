//! `channel`: a direction that moves one channel of S.

use super::shared;
use crate::builtin::{Args, as_check};
use crate::builtin::{
    Builtin, Category, CheckedCall, CodeType, Const, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::latent::{About, Direction};
use crate::safe::Safe;
use crate::space::Space;
use crate::value::{Loaded, Value};
use std::sync::Arc;

/// `channel("b8.conv0", 12)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "channel",
        params: &[
            Param::required(
                "layer",
                &[Kind::Text],
                "a layer that reads styles, as `explore` names it",
            ),
            Param::required("index", &[Kind::Number], "the channel of that layer, from 0")
                .whole(0, 1 << 20),
        ],
        returns: "Direction",
        infer,
    },
    category: Category::Edit,
    summary: "a direction that moves one channel of S",
    details: "StyleSpace, Wu et al. 2021: one step is one standard deviation of the channel over \
              1,000 samples. It moves codes of S: `to(S, w) + 3*channel(\"b8.conv0\", 12)`. The \
              layer inspector of `explore` (key f) shows the channels and writes these calls.",
    examples: &[Example {
        code: "show to(S, sample(seed: 3)) + 4*channel(\"b16.conv0\", 2)",
        note: "one channel, four standard deviations up",
    }],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let of = CodeType { space: Some(Space::S), model: call.model.clone(), ..CodeType::default() };
    let ty = Type::Direction(CodeType { count: Some(1), ..of });
    let (Some(model), Some(Const::Text(name))) = (&call.model, call.value("layer")) else {
        return Ok(ty);
    };
    let span = |p: &str| call.arg(p).map_or(call.span, |a| a.span);
    let layer = shared::layer(model, name, |l| l.styles);
    let layer = layer.map_err(|e| as_check(e).at(span("layer")))?;
    match shared::count(call, "index") {
        Some(k) if k >= layer.styles => {
            Err(as_check(beyond(k, layer.styles, name)).at(span("index")))
        }
        _ => Ok(ty),
    }
}

fn beyond(index: usize, count: usize, layer: &str) -> Error {
    Error::runtime(format!("{} has {count} channels, there is no {index}", Safe(layer)))
        .hint(format!("channels count from 0 to {}", count.saturating_sub(1)))
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let model = ctx.model()?.clone();
    let (name, index) = (args.text("layer")?, args.need_count("index")?);
    let found = shared::layer(&model.facts, name, |l| l.styles);
    let count = found.map_err(|e| e.at(args.span("layer")))?.styles;
    if index >= count {
        return Err(beyond(index, count, name).at(args.span("index")));
    }
    Ok(Value::from(direction(&model, name, index)?))
}

/// One standard deviation of a channel as a direction of S.
fn direction(model: &Loaded, layer: &str, index: usize) -> Result<Direction> {
    let before = model.spec().styles.iter().take_while(|s| s.name != layer);
    let at = before.map(|s| s.size).sum::<usize>() + index;
    let stats = model.style_stats()?;
    let mut data = vec![0.0; stats.sigma.len()];
    match (data.get_mut(at), stats.sigma.get(at)) {
        (Some(to), Some(sigma)) if *sigma > 0.0 => *to = *sigma,
        _ => {
            let message = format!("channel {index} of {} never changes", Safe(layer));
            return Err(Error::runtime(message).hint("choose another channel"));
        }
    }
    Ok(Direction {
        space: Space::S,
        rows: 1,
        dim: data.len(),
        data,
        layers: None,
        model: Some(model.id()),
        name: format!("channel {index} of {layer}"),
        origin: format!("channel {index} of {layer}, one standard deviation"),
        about: Some(Arc::new(About {
            unit: "standard deviation of the channel".into(),
            per_step: 1.0,
            ..About::default()
        })),
    })
}

#[cfg(test)]
mod tests {
    use crate::builtin::Output;
    use crate::control::Control;
    use crate::eval::{Options, State};
    use crate::lang::span::Source;
    use crate::render::Block;
    use crate::value::{Models, Value};
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Lines(Vec<String>);

    impl Output for Lines {
        fn display(&mut self, _: &[Block], _: &Value) -> crate::error::Result<()> {
            Ok(())
        }

        fn print(&mut self, line: &str) -> crate::error::Result<()> {
            self.0.push(line.to_owned());
            Ok(())
        }
    }

    fn run(text: &str) -> crate::error::Result<Vec<String>> {
        let mut state = State::new(Models::cpu(), "toy", Options::default()).unwrap();
        let (source, mut out) = (Source::new("test", text).unwrap(), Lines::default());
        state.run(&source, &BTreeMap::new(), &Control::default(), &mut out)?;
        Ok(out.0)
    }

    #[test]
    fn a_channel_moves_its_own_number_by_its_own_spread() {
        let toy = Models::cpu().load("toy").unwrap();
        let (layer, before) = (&toy.spec().styles[2], &toy.spec().styles[..2]);
        let at = before.iter().map(|s| s.size).sum::<usize>() + 1;
        let sigma = toy.style_stats().unwrap().sigma[at];
        let text = format!(
            "s = to(S, sample(seed: 1))\nd = channel(\"{0}\", 1)\nprint(norm(d))\n\
             print(norm((s + 2*d) - s))\nprint(cosine(d, channel(\"{0}\", 0)))",
            layer.name
        );
        let said: Vec<f64> = run(&text).unwrap().iter().map(|l| l.parse().unwrap()).collect();
        assert!((said[0] / sigma - 1.0).abs() < 1e-3, "{said:?} {sigma}");
        assert!((said[1] / sigma - 2.0).abs() < 1e-3, "{said:?} {sigma}");
        assert_eq!(said[2], 0.0);
    }

    #[test]
    fn layers_and_channels_that_are_not_there_are_refused_before_anything_runs() {
        for (call, words, hint) in [
            ("channel(\"b8.cnv0\", 1)", "no layer", "b8.conv0"),
            ("channel(\"b8.conv0\", 999)", "there is no 999", "from 0 to"),
            ("channel(\"b4.const\", 0)", "", "b4.conv1"),
            ("sample() + channel(\"b8.conv0\", 1)", "S", "to(S"),
        ] {
            let e = run(&format!("print(1)\n{call}")).unwrap_err();
            assert!(e.message().contains(words), "{call}: {e}");
            assert!(e.repair().is_some_and(|r| r.contains(hint)), "{call}: {e}");
        }
    }
}
