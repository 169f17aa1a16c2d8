//! `compose`: one picture of masked parts of several.

use super::{invert as inverting, shared};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, CodeType, Context, Depends, Example, Kind, Param,
    Signature, Type,
};
use crate::error::{Error, Result};
use crate::invert::{self, Config, Mask};
use crate::value::Value;
use candle_core::Tensor;
use std::sync::Arc;

/// `compose([a, b], masks: [m1, m2])`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "compose",
        params: &[
            Param::required(
                "pictures",
                &[Kind::Image, Kind::Latent, Kind::List],
                "pictures of the generator's size, or a list of them; codes are rendered",
            ),
            Param::required(
                "masks",
                &[Kind::List, Kind::Mask],
                "the part of each picture that counts, one each; later ones lie above earlier ones",
            ),
            Param::optional("steps", &[Kind::Number], "100", "gradient steps after the encoder's")
                .whole(0, 1_000_000)
                .named(),
            shared::SEED,
            shared::CLASS,
            shared::LABELS,
        ],
        returns: "Inversion",
        infer,
    },
    category: Category::Invert,
    summary: "one picture of masked parts of several: the generator makes them fit together",
    details: "Latent composition, Chai et al. 2021. The parts are laid together; what no mask \
              covers is left to the generator: before every pass of the encoder it is filled with \
              the picture of the code so far, which begins at the mean. Then gradient steps count \
              the masked pixels alone. Without an encoder only these.",
    examples: &[Example {
        code: "upper = mask(box: [0, 0, 1, 0.4]); lower = mask(box: [0, 0.6, 1, 1]); \
               compose([sample(seed: 1), sample(seed: 2)], masks: [upper, lower], steps: 4)",
        note: "the upper part of one, the lower part of another",
    }],
    cost: Some(inverting::cost),
    cache: Some(Depends::Networks),
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    inverting::check::check_picture(call, "pictures")?;
    let Some(model) = call.model.clone() else { return Ok(Type::Inversion(CodeType::default())) };
    let space = inverting::usual(&model, 0, 0).space;
    let (space, layers) = (Some(space), model.layers(space));
    let origin = Some("composed".into());
    let known = CodeType { space, layers, origin, ..CodeType::default() };
    Ok(Type::Inversion(CodeType { model: Some(model), ..known }))
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let model = ctx.model()?.clone();
    let (pictures, _) = inverting::job::pictures(args, "pictures", ctx)?;
    let masks = masks(args, pictures.dim(0)?)?;
    let (collage, mask) = laid(&pictures, &masks).map_err(|e| e.at(args.span("masks")))?;
    let usual = inverting::usual(&model.facts, args.need_count("steps")?, args.seed(ctx)?);
    let config = Config { mask: Some(mask), ..usual };
    let labels = inverting::job::labels(args, &model, (&config, &collage))?;
    let found =
        inverting::job::with_job(&model, (&config, labels.as_ref()), &ctx.control, |job| {
            invert::invert(job, &collage, &config).map_err(|e| e.at(args.span))
        })?;
    Ok(Value::Inversion(Arc::new(found)))
}

/// The masks, as many as there are pictures.
fn masks(args: &Args, count: usize) -> Result<Vec<Arc<Mask>>> {
    let one = |(value, span)| match value {
        Value::Mask(mask) => Ok(mask),
        other => Err(Error::runtime(format!("this is {}, no mask", other.ty())).at(span)),
    };
    let masks = args.many("masks").into_iter().map(one).collect::<Result<Vec<_>>>()?;
    if masks.len() == count {
        return Ok(masks);
    }
    Err(Error::runtime(format!("{} masks for {count} pictures", masks.len()))
        .at(args.span("masks"))
        .hint("one mask for each picture"))
}

/// The parts of the pictures laid above each other, `[1, C, H, W]`, and the mask of all of them.
fn laid(pictures: &Tensor, masks: &[Arc<Mask>]) -> Result<(Tensor, Mask)> {
    let (_, _, h, w) = pictures.dims4()?;
    let mut collage = pictures.narrow(0, 0, 1)?.zeros_like()?;
    let mut whole: Option<Mask> = None;
    for (i, mask) in masks.iter().enumerate() {
        mask.check((h, w))?;
        let weights = mask.at((h, w))?;
        let own = Mask::new(weights.flatten_all()?.to_vec1::<f32>()?, (h, w), "a part")?;
        let weights = weights.to_device(pictures.device())?;
        let above = (pictures.narrow(0, i, 1)? - &collage)?.broadcast_mul(&weights)?;
        collage = (collage + above)?;
        whole = Some(match whole {
            Some(all) => all.joined(&own, false)?,
            None => own,
        });
    }
    let whole = whole.ok_or_else(|| Error::runtime("there is no picture to compose"))?;
    Ok((collage, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::Shape;
    use candle_core::Device;

    #[test]
    fn later_parts_lie_above_and_the_rest_is_left_open() {
        let pictures: Vec<f32> = (0..2 * 16).map(|i| if i < 16 { 0.5 } else { -0.5 }).collect();
        let pictures = Tensor::from_vec(pictures, (2, 1, 4, 4), &Device::Cpu).unwrap();
        let shape =
            |s: [f64; 4]| Arc::new(Mask::of_shape(Shape::Rectangle(s), (4, 4), "part").unwrap());
        let masks = [shape([0.0, 0.0, 1.0, 0.75]), shape([0.0, 0.5, 0.5, 0.75])];
        let (collage, mask) = laid(&pictures, &masks).unwrap();
        let (a, b) = (0.5, -0.5);
        let wanted = [a, a, a, a, a, a, a, a, b, b, a, a, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(collage.flatten_all().unwrap().to_vec1::<f32>().unwrap(), wanted);
        assert_eq!(mask.share((4, 4)).unwrap(), 0.75);
    }
}
