//! One pass of a synthesis network, as an operator with gradients.

use super::network::{Codes, Network, Tape};
use crate::conv::tracked;
use crate::raw::{f32s, inside};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex};

impl Network {
    /// Pictures, with gradients to styles and noise.
    ///
    /// # Shapes
    /// styles `[N, S]`: those of every layer in the order in which they run; noise `[1 or N, T]`:
    /// the maps of all noisy layers, flattened, already scaled; → `[N, K, H, W]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn forward(self: &Arc<Self>, styles: &Tensor, noise: Option<&Tensor>) -> Result<Tensor> {
        let keep = styles.track_op() || noise.is_some_and(Tensor::track_op);
        let op =
            Run { network: self.clone(), keep, noisy: noise.is_some(), kept: Mutex::new(None) };
        let nothing = || Tensor::zeros((1, 1), styles.dtype(), styles.device());
        let noise = noise.map_or_else(nothing, Tensor::contiguous)?;
        styles.contiguous()?.apply_op2(&noise, op)
    }

    /// As [`Network::forward`], with gradients to the weights that the network was made from as
    /// well: `[W]`, flattened one after the other. The constant comes first, then of every stage the
    /// weight and the bias of each convolution, and those of toRGB.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn trained(
        self: &Arc<Self>,
        styles: &Tensor,
        noise: Option<&Tensor>,
        weights: &Tensor,
    ) -> Result<Tensor> {
        if weights.elem_count() != self.weights() {
            bail!("stylegan2: {} weights, not {}", self.weights(), weights.elem_count());
        }
        let noisy = noise.is_some();
        let run = Run { network: self.clone(), keep: true, noisy, kept: Mutex::new(None) };
        let nothing = || Tensor::zeros((1, 1), styles.dtype(), styles.device());
        let noise = noise.map_or_else(nothing, Tensor::contiguous)?;
        styles.contiguous()?.apply_op3(&noise, &weights.contiguous()?, Trained(run))
    }
}

/// One pass of a network.
struct Run {
    network: Arc<Network>,
    /// Whether gradients are needed later.
    keep: bool,
    noisy: bool,
    kept: Mutex<Option<Tape>>,
}

impl Run {
    fn codes<'a>(&self, s: (&'a [f32], &Shape), noise: (&'a [f32], &Shape)) -> Result<Codes<'a>> {
        let (n, styles) = s.1.dims2()?;
        let (maps, total) = noise.1.dims2()?;
        let fits = !self.noisy || ((maps == 1 || maps == n) && total == self.network.noise);
        if styles != self.network.styles || !fits {
            bail!(
                "stylegan2: styles {:?} and noise {:?} do not fit a network of {} styles and {} \
                 pixels of noise",
                s.1,
                noise.1,
                self.network.styles,
                self.network.noise
            );
        }
        let apart = if maps == n && n > 1 { total } else { 0 };
        Ok(Codes { n, styles: s.0, noise: self.noisy.then_some((noise.0, apart)) })
    }
}

impl Run {
    /// The pictures, and their shape.
    fn pictures(
        &self,
        (s1, l1): (&CpuStorage, &Layout),
        (s2, l2): (&CpuStorage, &Layout),
    ) -> Result<(CpuStorage, Shape)> {
        let (styles, noise) = (f32s("stylegan2", s1, l1)?, f32s("stylegan2", s2, l2)?);
        let codes = self.codes((styles, l1.shape()), (noise, l2.shape()))?;
        let (picture, tape) = inside(|| self.network.run_forward(&codes, self.keep))?;
        let Some(x) = tape.last() else { bail!("stylegan2: a network without layers") };
        let (n, h, w) = (x.n, x.h, x.w);
        let channels = picture.len() / (n * h * w).max(1);
        if self.keep
            && let Ok(mut kept) = self.kept.lock()
        {
            *kept = Some(tape);
        }
        Ok((CpuStorage::F32(picture), (n, channels, h, w).into()))
    }

    /// The gradients of styles, noise and weights.
    fn gradients(
        &self,
        s: &Tensor,
        noise: &Tensor,
        weights: Option<&Tensor>,
        g: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let kept = self.kept.lock().ok().and_then(|mut kept| kept.take());
        let numbers = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let (styles, maps, g) = (numbers(s)?, numbers(noise)?, numbers(g)?);
        let trained = weights.map(numbers).transpose()?;
        let codes = self.codes((&styles, s.shape()), (&maps, noise.shape()))?;
        // Gradients use up what was kept, layer by layer; who asks again has the forward pass made
        // again.
        let tape = kept.map_or_else(
            || Ok(self.network.run_forward(&codes, true)?.1),
            Ok::<_, candle_core::Error>,
        )?;
        let found = inside(|| {
            self.network.backward(&codes, tape, (&g, trained.as_deref(), noise.track_op()))
        })?;
        let n = codes.n;
        let ds = tracked(s, || Tensor::from_vec(found.styles, s.shape(), s.device()))?;
        let dn = tracked(noise, || {
            let each = Tensor::from_vec(found.noise, (n, self.network.noise), noise.device())?;
            if noise.dim(0)? == n { Ok(each) } else { each.sum_keepdim(0) }
        })?;
        let tensor = |w: &Tensor| Tensor::from_vec(found.weights, w.shape(), w.device());
        Ok([ds, dn, weights.map(tensor).transpose()?])
    }
}

impl CustomOp2 for Run {
    fn name(&self) -> &'static str {
        "stylegan2"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.pictures((s1, l1), (s2, l2))
    }

    fn bwd(
        &self,
        s: &Tensor,
        noise: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [ds, dn, _] = self.gradients(s, noise, None, g)?;
        Ok((ds, dn))
    }
}

/// A pass whose weights are trained: the third argument.
struct Trained(Run);

impl CustomOp3 for Trained {
    fn name(&self) -> &'static str {
        "stylegan2_trained"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.0.pictures((s1, l1), (s2, l2))
    }

    fn bwd(
        &self,
        s: &Tensor,
        noise: &Tensor,
        weights: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [ds, dn, dw] = self.0.gradients(s, noise, Some(weights), g)?;
        Ok((ds, dn, dw))
    }
}
