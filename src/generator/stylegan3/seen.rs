//! What names and shapes of the tensors say of a StyleGAN3.

use super::names;
use super::refuse::refuse;
use crate::error::Result;
use crate::weights::Listing;

/// A layer as its tensors show it.
pub(super) struct SeenLayer {
    pub(super) name: String,
    /// The side in its name: the width of its map.
    pub(super) size: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) kernel: usize,
}

/// Settings read from the tensors.
pub(super) struct Seen {
    pub(super) z_dim: usize,
    pub(super) c_dim: usize,
    pub(super) by_class: bool,
    pub(super) w_dim: usize,
    pub(super) mapping_layers: usize,
    pub(super) input: usize,
    pub(super) layers: Vec<SeenLayer>,
}

impl Seen {
    /// Reads them; `superres` as [`names::layers`] has it.
    ///
    /// # Errors
    /// When a tensor is missing or of another rank, and for kernels that are not run.
    pub(super) fn look(t: &Listing, superres: bool) -> Result<Self> {
        let has = |name: &str| t.shape(name).is_some();
        let shape = |name: &str, rank: usize| match t.shape(name) {
            Some(s) if s.len() == rank && s.iter().all(|&n| n > 0) => Ok(s.to_vec()),
            Some(s) => {
                Err(refuse(format!("tensor `{name}` has shape {s:?}, expected {rank} dimensions"))
                    .hint("the file is not whole, or of a changed architecture"))
            }
            None => Err(refuse(format!("tensor `{name}` is missing"))
                .hint("`gannet info` shows what the file holds")),
        };
        let mapping_layers = (0..).take_while(|i| has(&format!("mapping.fc{i}.weight"))).count();
        let w_dim = shape("synthesis.input.affine.weight", 2)?[1];
        let (mut c_dim, mut embedded) = (0, 0);
        let by_class = has("mapping.embed_proj.weight");
        if by_class {
            // The table may have more rows than there are classes.
            embedded = shape("mapping.embed_proj.weight", 2)?[0];
            c_dim = shape("mapping.w_avg", 2)?[0];
        } else if has("mapping.embed.weight") {
            let embed = shape("mapping.embed.weight", 2)?;
            (embedded, c_dim) = (embed[0], embed[1]);
        }
        let read = if mapping_layers == 0 { w_dim } else { shape("mapping.fc0.weight", 2)?[1] };
        let z_dim = read.checked_sub(embedded).filter(|&z| z > 0);
        let layer = |(name, size): (String, usize)| {
            let weight = shape(&format!("synthesis.{name}.weight"), 4)?;
            let [outputs, inputs, kernel, across] = weight[..] else {
                return Err(refuse(format!("`{name}` has no kernels")));
            };
            if kernel != across || !matches!(kernel, 1 | 3) {
                return Err(refuse(format!("`{name}` has kernels of {kernel}×{across}"))
                    .hint("3×3 (configuration T) and 1×1 (R) are supported"));
            }
            Ok(SeenLayer { name, size, inputs, outputs, kernel })
        };
        Ok(Self {
            z_dim: z_dim.ok_or_else(|| {
                refuse(format!("{read} mapping inputs leave no room for z"))
                    .hint("the embedding of its labels belongs to another mapping network")
            })?,
            c_dim,
            by_class,
            w_dim,
            mapping_layers,
            input: shape("synthesis.input.freqs", 2)?[0],
            layers: names::layers(t, superres)?.into_iter().map(layer).collect::<Result<_>>()?,
        })
    }
}
