//! Noise maps as unknowns: they must stay noise, and not carry the picture.

use super::{Forward, Term};
use crate::error::{Error, Result};
use candle_core::Tensor;

/// The coarsest side at which neighbours are compared.
const COARSEST: usize = 8;

/// Autocorrelation of a noise map with its neighbours, at all scales down to 8² (Karras et al.
/// 2020, appendix D): the sum of `mean(n · roll_x(n))² + mean(n · roll_y(n))²`.
///
/// # Shapes
/// `[N, 1, H, W]` → `[N]`, with gradients.
///
/// # Errors
/// When the map has another rank.
pub fn regulariser(map: &Tensor) -> Result<Tensor> {
    let mut map = map.clone();
    let mut sum = map.flatten_from(1)?.mean(1)?.zeros_like()?;
    loop {
        for axis in [3, 2] {
            let alike = (&map * map.roll(1, axis)?)?.flatten_from(1)?.mean(1)?.sqr()?; // [N]
            sum = (sum + alike)?;
        }
        let (_, _, h, w) = map.dims4()?;
        if h <= COARSEST || h % 2 + w % 2 != 0 {
            return Ok(sum);
        }
        map = map.avg_pool2d(2)?;
    }
}

/// The map at mean 0 and mean square 1, each of the batch on its own.
///
/// # Shapes
/// `[N, 1, H, W]` → the same
///
/// # Errors
/// When a tensor operation fails.
pub fn normalise(map: &Tensor) -> Result<Tensor> {
    let flat = map.flatten_from(1)?;
    let centred = flat.broadcast_sub(&flat.mean_keepdim(1)?)?;
    let scale = centred.sqr()?.mean_keepdim(1)?.sqrt()?.recip()?;
    Ok(centred.broadcast_mul(&scale)?.reshape(map.dims())?)
}

/// The sum of [`regulariser`] over all maps that are searched.
pub(super) struct Regulariser;

impl Term for Regulariser {
    fn name(&self) -> &'static str {
        "noise"
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let Some((first, rest)) = at.noise.split_first() else {
            return Err(Error::runtime("there are no noise maps to regularise"));
        };
        let mut sum = regulariser(first)?;
        for map in rest {
            sum = (sum + regulariser(map)?)?;
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var, safetensors};

    #[test]
    fn equals_torch_in_value_gradient_and_normalisation() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/optim");
        let stored = safetensors::load(folder.join("noise_reg.safetensors"), &Device::Cpu).unwrap();
        let text = std::fs::read_to_string(folder.join("noise_reg.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let mut maps = 0;
        for (name, case) in expected["maps"].as_object().unwrap() {
            let map = stored[&format!("{name}.noise")].unsqueeze(0).unwrap().unsqueeze(0).unwrap();
            let var = Var::from_tensor(&map).unwrap();
            let value = regulariser(&var).unwrap();
            let want = case["value"].as_f64().unwrap();
            assert!((value.to_vec1::<f64>().unwrap()[0] - want).abs() < 1e-12, "{name}");
            let grads = value.sum_all().unwrap().backward().unwrap();
            for (got, want) in
                flat(grads.get(&var).unwrap()).iter().zip(flat(&stored[&format!("{name}.grad")]))
            {
                assert!((got - want).abs() < 1e-12, "{name}");
            }
            let normal = flat(&normalise(&map).unwrap());
            for (got, want) in normal.iter().zip(flat(&stored[&format!("{name}.normalised")])) {
                assert!((got - want).abs() < 1e-12, "{name}");
            }
            maps += 1;
        }
        assert_eq!(maps, 8);
    }
}
