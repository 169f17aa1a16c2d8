//! An encoder of other people's code that runs: the pictures as it was trained on them, the mean of
//! w that its file holds.

use super::options::Options;
use super::{CHANNELS, Net};
use crate::error::{Error, Result};
use crate::latent::Part;
use crate::network::encoder::{Encoder, Move, Seen, fits};
use crate::space::{Dims, Space};
use candle_core::{DType, Tensor};

/// Rows of a picture of 256² that show something where cars are encoded: the others are black.
const CARS: [usize; 2] = [32, 192];

/// An encoder of other people's code that runs.
pub struct Foreign {
    name: String,
    pub(super) net: Box<dyn Net>,
    /// The mean of w that codes are relative to, `[L, D]`; `None` where they are not.
    pub(super) start: Option<Tensor>,
    rows: usize,
    options: Options,
}

impl Foreign {
    /// A network with what its file says.
    pub(super) fn new(
        name: String,
        net: Box<dyn Net>,
        (start, rows): (Option<Tensor>, usize),
        options: Options,
    ) -> Self {
        Self { name, net, start, rows, options }
    }

    /// Pictures and reconstructions as the encoder was trained on them.
    fn fit(&self, seen: &Seen<'_>) -> Result<[Tensor; 2]> {
        let pictures = self.net.fitted(&read(seen.pictures)?)?;
        Ok([self.cut(pictures)?, self.cut(self.net.shrunk(&read(seen.current)?)?)?])
    }

    /// What of a picture shows something.
    fn cut(&self, picture: Tensor) -> Result<Tensor> {
        let [top, height] = CARS;
        let cars = self.options.cars;
        Ok(if cars { picture.narrow(2, top, height)?.contiguous()? } else { picture })
    }

    /// Codes of one row as one a layer.
    pub(super) fn spread(&self, codes: Tensor) -> Result<Tensor> {
        let (n, rows, dim) = codes.dims3()?;
        if rows == self.rows {
            return Ok(codes);
        }
        Ok(codes.broadcast_as((n, self.rows, dim))?.contiguous()?)
    }
}

/// Pictures in full precision, of the channels that these encoders read.
fn read(pictures: &Tensor) -> Result<Tensor> {
    let channels = pictures.dims4()?.1;
    if channels == CHANNELS {
        return Ok(pictures.to_dtype(DType::F32)?);
    }
    Err(Error::runtime(format!(
        "the encoder reads pictures of {CHANNELS} channels, these have {channels}"
    ))
    .hint("use method: optimize"))
}

impl Encoder for Foreign {
    fn name(&self) -> &str {
        &self.name
    }

    fn passes(&self) -> usize {
        self.net.passes(self.options.passes)
    }

    fn start(&self) -> Option<&Tensor> {
        self.start.as_ref()
    }

    fn space(&self) -> Space {
        self.net.space()
    }

    fn check(&self, model: &str, channels: usize, dims: &Dims) -> Result<()> {
        let mine = [CHANNELS, self.rows, self.net.size()[1]];
        let wanted = match self.space() {
            Space::S => [channels, 1, dims.s_dim()],
            _ => [channels, dims.num_ws, dims.w_dim],
        };
        fits(&self.name, mine, (model, wanted))
    }

    fn pass(&self, seen: &Seen<'_>) -> Result<Move> {
        let [pictures, current] = self.fit(seen)?;
        let fitted = Seen { pictures: &pictures, current: &current, ..*seen };
        Ok(match self.net.forward(&fitted)? {
            Move::To(code) => Move::To(match &self.start {
                Some(start) => self.spread(code)?.broadcast_add(start)?,
                None => self.spread(code)?,
            }),
            Move::By(step) => Move::By(self.spread(step)?),
            Move::Stay => Move::Stay,
        })
    }

    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        let [pictures, current] = self.fit(seen)?;
        self.net.beside(&Seen { pictures: &pictures, current: &current, ..*seen })
    }
}
