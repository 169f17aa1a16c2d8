//! Pictures of values: rendered codes, error pictures and masks.

use super::{Image, Loaded};
use crate::control::{self, Control};
use crate::error::{Error, Kind, Result};
use crate::generator::{self, spaces};
use crate::invert::Mask;
use crate::latent::Code;
use crate::limits::LIMITS;
use candle_core::Tensor;

/// Amplification of an error picture.
pub const ERROR_GAIN: f64 = 4.0;
/// The caption of an error picture.
pub const ERROR: &str = "error ×4";
/// Values of a band; an error picture is computed band by band.
const BAND: usize = 1 << 20;

/// Renders codes with the noise maps that were found with them, or else with the generator's stored
/// noise; a bounded number at a time.
///
/// # Errors
/// When the code does not fit the generator; `Limit` when the pictures would need more than
/// [`LIMITS`]`.tensor_bytes`; `Interrupted` when it is stopped before all pictures are made.
pub fn render(code: &Code, model: &Loaded, control: &Control) -> Result<Image> {
    let each = 4 * (model.facts.channels * model.facts.pixels()) as u64;
    if each.saturating_mul(code.count() as u64) > LIMITS.tensor_bytes {
        let (n, size) = (code.count(), model.facts.size());
        return Err(Error::new(
            Kind::Limit,
            format!("{n} pictures of {size} are too many at a time"),
        )
        .hint("choose some of the codes"));
    }
    let input = spaces::input_of(code);
    let data = generator::pictures(&**model.generator()?, code, &input, (control, "render"))?;
    Ok(Image { model: Some(model.id()), ..Image::new(data, code.origin.clone()) })
}

/// Renders several codes, one image for each; neighbouring codes that fit together are rendered in
/// one batch.
///
/// # Errors
/// When a code cannot be rendered.
pub fn together(codes: &[Code], picture: &dyn Fn(&Code) -> Result<Image>) -> Result<Vec<Image>> {
    let mut all = Vec::with_capacity(codes.len());
    let mut rest = codes;
    while !rest.is_empty() {
        control::check()?;
        let run = 1 + rest.windows(2).take_while(|pair| pair[0].fits_beside(&pair[1])).count();
        let (now, later) = rest.split_at(run);
        rest = later;
        let image = match now {
            [one] => picture(one)?,
            several => picture(&Code::join(several)?)?,
        };
        let mut from = 0;
        for code in now {
            let data = image.data.narrow(0, from, code.count())?;
            from += code.count();
            all.push(Image { data, origin: code.origin.clone(), ..image.clone() });
        }
    }
    Ok(all)
}

/// The amplified difference `|a - b|` as a picture; black means equal. Holds one copy of the
/// pictures beside the result.
///
/// # Shapes
/// Twice `[N, C, H, W]` → `[N, C, H, W]`.
pub fn error_picture(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let rows = BAND.div_ceil(a.dim(1)?.max(1) * a.dim(3)?.max(1));
    let band = |y: usize, n: usize| -> Result<Tensor> {
        control::check()?;
        let [a, b] = [a, b].map(|t| t.narrow(2, y, n).and_then(|t| t.clamp(-1f32, 1f32)));
        Ok((a? - b?)?.abs()?.affine(ERROR_GAIN, -1.0)?.clamp(-1f32, 1f32)?)
    };
    let h = a.dim(2)?;
    let bands = (0..h).step_by(rows).map(|y| band(y, rows.min(h - y)));
    match &bands.collect::<Result<Vec<_>>>()?[..] {
        [one] => Ok(one.clone()),
        several => Ok(Tensor::cat(several, 2)?),
    }
}

/// A mask as a grey picture: white pixels count fully, black ones do not count.
///
/// # Errors
/// When its weights cannot be read.
pub fn mask_picture(mask: &Mask) -> Result<Image> {
    Ok(Image::new(mask.at(mask.size())?.affine(2.0, -1.0)?, mask.origin.clone()))
}

/// Refuses pictures of more bytes than one result may hold.
///
/// # Errors
/// `Limit` beyond [`LIMITS`]`.shown_bytes`.
pub fn room(bytes: u64) -> Result<()> {
    if bytes <= LIMITS.shown_bytes {
        return Ok(());
    }
    let mb = |b: u64| b / 1_000_000;
    let text = format!(
        "these pictures have {} MB together, one result holds at most {} MB",
        mb(bytes),
        mb(LIMITS.shown_bytes)
    );
    Err(Error::new(Kind::Limit, text)
        .hint("choose some of them, or save each: save(x, \"{i}.png\")"))
}
