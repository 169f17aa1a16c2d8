//! `ensemble`: attributes read from several views that the generator makes of a picture.

use super::{attributes, shared};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::generator::spaces::{self, Draw};
use crate::latent::{Code, Part};
use crate::metric::Features;
use crate::rng::Rng;
use crate::safe::Safe;
use crate::space::Space;
use crate::value::{Loaded, Value};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// Principal components along which codes are jittered.
const COMPONENTS: usize = 10;

/// `ensemble(r, n: 16, alpha: 0.5)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "ensemble",
        params: &[
            Param::required(
                "x",
                &[Kind::Latent],
                "an inversion, whose target is the picture, or a code, whose own picture it is",
            ),
            Param::optional("n", &[Kind::Number], "16", "views").whole(1, 10_000).named(),
            Param::optional(
                "alpha",
                &[Kind::Number],
                "0.5",
                "weight of the views: 0 reads the picture alone, 1 the views alone",
            )
            .within(0.0, 1.0)
            .named(),
            Param::optional(
                "views",
                &[Kind::Choice],
                "mix",
                "`mix`: the second half of the layers from samples; `pca`: jitter along the first \
                 ten principal components; `jitter`: along all dimensions alike",
            )
            .choices(&["mix", "pca", "jitter"])
            .named(),
            Param::optional(
                "strength",
                &[Kind::Number],
                "0.3",
                "of pca and jitter: spread, in standard deviations",
            )
            .within(0.0, 100.0)
            .named(),
            shared::SEED,
        ],
        returns: "Table",
        infer,
    },
    category: Category::Measure,
    summary: "attributes of a picture, averaged over views that the generator makes of it",
    details: "Chai et al. 2021 (ensembling with deep generative views). The network's numbers \
              before sigmoid and softmax are averaged: `(1 - alpha)` of the picture's and `alpha` \
              of the mean over the views. `alpha: 0` is `attributes` of the picture.",
    examples: &[
        Example {
            code: "ensemble(sample(seed: 1), n: 4)[\"glasses\"]",
            note: "with four other sets of fine layers",
        },
        Example {
            code: "r = invert(sample(seed: 3), space: W, steps: 5); ensemble(r, n: 2, views: pca)",
            note: "of the picture that was inverted",
        },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    match shared::model_of(call, "x") {
        Some(m) if !m.perceptual => Err(attributes::none(&m.name).at(call.span)),
        _ => Ok(Type::Table),
    }
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let code = args.latent("x")?;
    if code.count() != 1 {
        let message = format!("these are {} codes, it takes one", code.count());
        return Err(Error::runtime(message).at(args.span("x")).hint("choose one of them: x[0]"));
    }
    let model = ctx.model_of(&code)?;
    let network =
        model.features()?.ok_or_else(|| attributes::none(&model.facts.name).at(args.span))?;
    let picture = match args.need("x")? {
        Value::Inversion(i) => i.target.clone(),
        _ => ctx.picture(&code)?.data,
    };
    let (kind, seed) = (args.word("views")?, args.seed(ctx)?);
    let (n, strength) = (args.need_count("n")?, args.need_number("strength")?);
    let alpha = args.need_number("alpha")?;
    let raw = match alpha {
        0.0 => network.raw_scores(&picture)?,
        _ => {
            let views = Views { model: &model, code: &code, n, seed };
            let views = views.of(kind, strength).map_err(|e| e.at(args.span))?;
            joined(network, (&picture, &ctx.picture(&views)?.data), alpha)?
        }
    };
    let (height, width) = (picture.dim(2)?, picture.dim(3)?);
    let about = format!(
        "read by {} of {}: {} of the picture and {alpha} of {n} views by {kind}, averaged before \
         sigmoid and softmax",
        network.name(),
        model.facts.name,
        1.0 - alpha,
    );
    let found = network.read_raw(&raw, [width, height])?;
    Ok(Value::Table(Arc::new(attributes::table(&found, about))))
}

/// The network's numbers of a picture and of views, averaged, `[1, outputs]`.
fn joined(network: &Features, (picture, views): (&Tensor, &Tensor), alpha: f64) -> Result<Tensor> {
    let own = (network.raw_scores(picture)? * (1.0 - alpha))?;
    let others = (network.raw_scores(views)?.mean_keepdim(0)? * alpha)?;
    Ok((own + others)?)
}

/// Views of a code.
struct Views<'a> {
    model: &'a Loaded,
    code: &'a Code,
    n: usize,
    seed: u64,
}

impl Views<'_> {
    /// The codes of the views, with all that was found for the code.
    fn of(&self, kind: &str, strength: f64) -> Result<Code> {
        match kind {
            "mix" => self.mixed(),
            "pca" => self.along_components(strength),
            _ => self.jittered(strength),
        }
    }

    /// The code in W+.
    fn lifted(&self) -> Result<Code> {
        let g = &**self.model.generator()?;
        if !g.spec().dims().has(Space::WPlus) {
            let message = format!("{} has no layers of codes to vary", Safe(&g.spec().name));
            return Err(Error::runtime(message).hint("views: jitter"));
        }
        spaces::lift(g, self.code, Space::WPlus)
    }

    fn numbers(&self, count: usize) -> Vec<f32> {
        Rng::derive(self.seed, "views").normals(count)
    }

    /// n codes at these points, `[n, …]`.
    fn at(&self, code: &Code, points: Tensor) -> Result<Code> {
        let parts = code.parts.map(|part, t| match part {
            Part::Point => Ok(points.clone()),
            // A part that all codes share stays one.
            _ => Ok(t.clone()),
        })?;
        Ok(Code { parts, origin: format!("views of {}", code.origin), ..code.clone() })
    }

    /// The second half of the layers, which hold colours and texture, from samples.
    fn mixed(&self) -> Result<Code> {
        let (g, code) = (&**self.model.generator()?, self.lifted()?);
        let labels = code.labels().cloned();
        let draw = Draw { seed: self.seed, space: Space::WPlus, labels: labels.as_ref(), psi: 1.0 };
        let samples = spaces::sample(g, self.n, draw)?;
        let (own, rows) = (code.point(), code.point().dim(1)?);
        let coarse = own.narrow(1, 0, rows / 2)?.repeat((self.n, 1, 1))?;
        let fine = samples.point().narrow(1, rows / 2, rows - rows / 2)?;
        self.at(&code, Tensor::cat(&[&coarse, &fine], 1)?)
    }

    fn along_components(&self, strength: f64) -> Result<Code> {
        let code = self.lifted()?;
        let components = self.model.components()?;
        let axes: Vec<&[f64]> =
            components.iter().take(COMPONENTS).map(|c| &c.first().data[..]).collect();
        let amounts = self.numbers(self.n * axes.len());
        let rows = amounts.chunks(axes.len().max(1)).map(|amounts| {
            let dim = axes.first().map_or(0, |axis| axis.len());
            let value = |d: usize| {
                let each = amounts.iter().zip(&axes).map(|(a, axis)| f64::from(*a) * axis[d]);
                (strength * each.sum::<f64>()) as f32
            };
            (0..dim).map(value).collect::<Vec<_>>()
        });
        let steps: Vec<f32> = rows.flatten().collect();
        let steps = Tensor::from_vec(steps, (self.n, 1, ()), &Device::Cpu)?;
        let steps = steps.to_device(code.point().device())?;
        self.at(&code, code.point().broadcast_add(&steps)?)
    }

    /// Steps of the same spread in all dimensions: of W by its spread, of Z, P and PN by 1.
    fn jittered(&self, strength: f64) -> Result<Code> {
        let code = match self.code.space {
            Space::W | Space::WPlus => self.lifted()?,
            _ => self.code.clone(),
        };
        let point = code.point();
        let spread = match code.space {
            Space::Z | Space::P | Space::PN | Space::PNPlus => 1.0,
            Space::WPlus => {
                let stats = self.model.stats()?.ok_or_else(|| {
                    Error::runtime("the spread of w depends on the class").hint("views: mix")
                })?;
                stats.sigma / (point.dim(2)? as f64).sqrt()
            }
            other => {
                return Err(Error::runtime(format!(
                    "codes of {other} have no spread to jitter by"
                ))
                .hint("views: mix"));
            }
        };
        let shape = [&[self.n], &point.dims()[1..]].concat();
        let drawn = self.numbers(shape.iter().product());
        let steps = Tensor::from_vec(drawn, shape, &Device::Cpu)?.to_device(point.device())?;
        self.at(&code, point.broadcast_add(&(steps * (strength * spread))?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Models;

    fn rows(found: &[Vec<crate::metric::Finding>]) -> String {
        format!("{found:?}")
    }

    #[test]
    fn views_keep_what_they_do_not_vary_and_alpha_weighs_them() {
        let model = Models::cpu().load("faces").unwrap();
        let g = &**model.generator().unwrap();
        let code = spaces::sample(g, 1, Draw::default()).unwrap();
        let views = Views { model: &model, code: &code, n: 3, seed: 1 };
        let lifted = views.lifted().unwrap();
        let half = lifted.point().dim(1).unwrap() / 2;
        let own = lifted.point().narrow(1, 0, half).unwrap().flatten_all().unwrap();
        let own = own.to_vec1::<f32>().unwrap();
        for kind in ["mix", "pca", "jitter"] {
            let all = views.of(kind, 0.3).unwrap();
            assert_eq!(all.count(), 3);
            let points: Vec<Vec<f32>> =
                all.point().flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
            assert!(points[0] != points[1], "{kind}");
            assert_eq!(points.iter().all(|p| p[..own.len()] == own[..]), kind == "mix", "{kind}");
        }
        // Without strength there is nothing to vary.
        let same = views.of("pca", 0.0).unwrap();
        let network = model.features().unwrap().unwrap();
        let draw = |code: &Code| {
            let input = spaces::input_of(code);
            crate::generator::codes::synthesize(g, code, &input).unwrap()
        };
        let picture = draw(&code);
        let alone = network.read(&picture).unwrap();
        let read = |views: &Code, alpha: f64| {
            let raw = joined(network, (&picture, &draw(views)), alpha).unwrap();
            network.read_raw(&raw, [picture.dims()[3], picture.dims()[2]]).unwrap()
        };
        let mixed = views.of("mix", 0.0).unwrap();
        assert_eq!(rows(&read(&mixed, 0.0)), rows(&alone), "alpha 0 is the picture alone");
        assert_ne!(rows(&read(&mixed, 0.5)), rows(&alone));
        let whole = joined(network, (&picture, &draw(&same)), 0.5).unwrap();
        let plain = network.raw_scores(&picture).unwrap();
        let far = (whole - plain).unwrap().abs().unwrap().max_all().unwrap();
        assert!(far.to_vec0::<f32>().unwrap() < 1e-3, "{far}");
    }
}
