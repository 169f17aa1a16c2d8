//! A family for tests alone: the picture is linear in a code with rows.
//!
//! `w = z / 2`, and the picture is the sum of a table's pictures, each weighted with one number of
//! the W+ code.

use super::family::{Config, Family};
use super::{Generator, Input, Inputs, Named, Prior, Spec, Start, Tap, Tapped};
use crate::error::{Error, Kind, Result};
use crate::space::Space;
use crate::weights::Listing;
use crate::weights::layout::{self, Layout};
use candle_core::{Device, Tensor};
use std::sync::Arc;

const NAME: &str = "dummy_family";

/// Its only tensor, `[num_ws, w_dim, C, H, W]`.
pub(crate) const TABLE: &str = "dummy_family.table";

/// Generators that are linear.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "pictures that are linear in their code, for tests",
    layouts: LAYOUTS,
    detect: |listing| layout::first(LAYOUTS, listing),
    anywhere: false,
    prepare: None,
    describe,
    read: |weights, config, device| {
        let spec = describe(weights.list(), config)?;
        let table = weights.take_any(TABLE)?.to_device(device)?;
        Ok(Arc::new(Linear::new(spec, table)?))
    },
};

const LAYOUTS: &[&Layout] = &[&Layout {
    name: "gannet",
    detect: |listing| listing.has(TABLE),
    rules: &[],
    settings: |listing| Ok(listing.config.clone()),
}];

fn describe(listing: &Listing, config: &Config) -> Result<Spec> {
    let Some(&[num_ws, w_dim, channels, height, width]) = listing.shape(TABLE) else {
        return Err(Error::new(Kind::Format, format!("{TABLE} has five dimensions"))
            .hint("`gannet info` shows what the file holds"));
    };
    Ok(Spec {
        name: config.name.clone(),
        family: NAME.into(),
        width,
        height,
        channels,
        z_dim: w_dim,
        w_dim,
        c_dim: 0,
        num_ws,
        spaces: vec![Space::Z, Space::W, Space::WPlus],
        styles: Vec::new(),
        layers: Vec::new(),
        prior: Prior::Normal,
        inputs: Inputs::default(),
        parameters: num_ws * w_dim * channels * height * width,
        noise_sizes: Vec::new(),
        fingerprint: config.fingerprint.clone(),
    })
}

struct Linear {
    spec: Spec,
    table: Tensor,
    /// The table as a matrix, `[C·H·W, num_ws·w_dim]`.
    matrix: Tensor,
    mean: Tensor,
}

impl Linear {
    fn new(spec: Spec, table: Tensor) -> Result<Self> {
        let matrix = table.flatten_from(2)?.flatten_to(1)?.t()?.contiguous()?;
        let mean = Tensor::zeros(spec.w_dim, table.dtype(), table.device())?;
        Ok(Self { spec, table, matrix, mean })
    }
}

impl Generator for Linear {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &Device {
        self.table.device()
    }

    fn enter(&self, to: Space, parent: &Tensor, _: &Input) -> Result<Tensor> {
        if to != Space::W {
            return Err(super::no_codes(&self.spec, to));
        }
        super::reads(parent, &[self.spec.z_dim])?;
        Ok((parent * 0.5)?)
    }

    fn run(&self, start: &Start<'_>, _: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, _, data) = start.parts();
        let s = &self.spec;
        let n = super::reads(data, &[s.num_ws, s.w_dim])?;
        super::check_points(s, n, from, taps)?;
        let flat = crate::tensor::linear(&data.flatten_from(1)?, &self.matrix)?;
        let picture = flat.reshape((n, s.channels, s.height, s.width))?;
        Ok(Tapped { picture: Some(picture), ..Tapped::default() })
    }

    fn mean(&self, space: Space) -> Option<&Tensor> {
        (space == Space::W).then_some(&self.mean)
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        Vec::new()
    }

    fn weights(&self) -> Result<Named> {
        Ok(Named::from([(TABLE.to_owned(), self.table.clone())]))
    }

    fn with_weights(&self, weights: &Named) -> Result<Arc<dyn Generator>> {
        let table = weights.get(TABLE).unwrap_or(&self.table);
        Ok(Arc::new(Self::new(self.spec.clone(), table.clone())?))
    }
}
