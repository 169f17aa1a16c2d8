//! Convolution, its transpose and its weight gradient: three operators whose gradients are one
//! another.
//!
//! Inputs are unfolded into columns (im2col) a group of rows at a time and multiplied by the
//! weights. Inputs and weights may both be f16: sums are in single precision, and the gradient of
//! such weights is not taken.
#![allow(unsafe_code)]

#[cfg(feature = "cuda")]
use super::cuda;
use super::raw::{Into, Mat, Shared, blocks, f32s, gemm, planes, scratch, singles, stored};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Columns of one matrix product.
const COLUMNS: usize = 256;
/// Rows of the weight matrix in one product.
const ROWS: usize = 64;
/// Elements of the unfolded input that are alive at a time.
const UNFOLDED: usize = 1 << 22;

/// Stride, padding and size of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ConvParams {
    pub stride: usize,
    pub padding: usize,
}

impl ConvParams {
    /// Number of kernel positions that fit into `n` pixels.
    fn out(self, n: usize, k: usize) -> Option<usize> {
        n.checked_add(self.padding.checked_mul(2)?)?
            .checked_sub(k)?
            .checked_div(self.stride)
            .map(|v| v + 1)
    }

    fn plain(self, k: usize) -> bool {
        k == 1 && self.stride == 1 && self.padding == 0
    }
}

/// All sizes of one convolution: `[n, i, h, w]` with `[o, i, k, k]` to `[n, o, oh, ow]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sizes {
    pub n: usize,
    pub i: usize,
    pub h: usize,
    pub w: usize,
    pub o: usize,
    pub k: usize,
    pub oh: usize,
    pub ow: usize,
    pub slide: ConvParams,
}

impl Sizes {
    pub(super) fn new(
        op: &str,
        x: (usize, usize, usize, usize),
        w: (usize, usize, usize, usize),
        slide: ConvParams,
    ) -> Result<Self> {
        let ((n, i, h, width), (o, wi, k, kw)) = (x, w);
        if wi != i || k != kw {
            bail!("{op}: input {x:?} does not fit weight {w:?}");
        }
        match (slide.out(h, k), slide.out(width, k)) {
            (Some(oh), Some(ow)) => Ok(Self { n, i, h, w: width, o, k, oh, ow, slide }),
            _ => bail!(
                "{op}: a {k}x{k} kernel does not fit an input of {h}x{width} with padding {} and \
                 stride {}",
                slide.padding,
                slide.stride
            ),
        }
    }

    fn taps(&self) -> usize {
        self.k * self.k
    }

    /// Output columns at which tap `t` reads inside the input row: (first ox, one past the last
    /// ox).
    fn valid(&self, kx: usize) -> (usize, usize) {
        let (s, p) = (self.slide.stride, self.slide.padding);
        let lo = p.saturating_sub(kx).div_ceil(s).min(self.ow);
        // ix = ox * s + kx - p must stay below w.
        let hi = if self.w + p > kx { (self.w + p - kx - 1) / s + 1 } else { 0 };
        (lo, hi.min(self.ow).max(lo))
    }

    /// The input row under output row `oy` for kernel row `ky`.
    fn row(&self, oy: usize, ky: usize) -> Option<usize> {
        (oy * self.slide.stride + ky).checked_sub(self.slide.padding).filter(|&y| y < self.h)
    }

    /// Unfolds one channel's rows `r0..r1`: `cols[k * k, (r1 - r0) * ow]` from the plane `[h, w]`.
    fn unfold(&self, cols: &mut [f32], plane: &[f32], r0: usize, r1: usize) {
        let (s, p, ow) = (self.slide.stride, self.slide.padding, self.ow);
        let width = (r1 - r0) * ow;
        for (t, line) in cols.chunks_exact_mut(width).enumerate() {
            let (ky, kx) = (t / self.k, t % self.k);
            let (lo, hi) = self.valid(kx);
            for (oy, dst) in (r0..r1).zip(line.chunks_exact_mut(ow)) {
                let Some(y) = self.row(oy, ky).filter(|_| lo < hi) else {
                    dst.fill(0.0);
                    continue;
                };
                let src = &plane[y * self.w + lo * s + kx - p..(y + 1) * self.w];
                dst[..lo].fill(0.0);
                dst[hi..].fill(0.0);
                if s == 1 {
                    dst[lo..hi].copy_from_slice(&src[..hi - lo]);
                } else {
                    for (d, v) in dst[lo..hi].iter_mut().zip(src.iter().step_by(s)) {
                        *d = *v;
                    }
                }
            }
        }
    }

    /// The transpose of [`Self::unfold`]: adds the columns of rows `r0..r1` to the plane.
    fn fold(&self, cols: &[f32], plane: &mut [f32], r0: usize, r1: usize) {
        let (s, p, ow) = (self.slide.stride, self.slide.padding, self.ow);
        let width = (r1 - r0) * ow;
        for (t, line) in cols.chunks_exact(width).enumerate() {
            let (ky, kx) = (t / self.k, t % self.k);
            let (lo, hi) = self.valid(kx);
            for (oy, src) in (r0..r1).zip(line.chunks_exact(ow)) {
                let Some(y) = self.row(oy, ky).filter(|_| lo < hi) else { continue };
                let dst = &mut plane[y * self.w + lo * s + kx - p..(y + 1) * self.w];
                if s == 1 {
                    for (d, v) in dst.iter_mut().zip(&src[lo..hi]) {
                        *d += *v;
                    }
                } else {
                    for (d, v) in dst.iter_mut().step_by(s).zip(&src[lo..hi]) {
                        *d += *v;
                    }
                }
            }
        }
    }

    /// Output rows that are unfolded together when `channels` channels are.
    fn rows_at_a_time(&self, channels: usize) -> usize {
        (UNFOLDED / (channels * self.taps() * self.ow).max(1)).clamp(1, self.oh.max(1))
    }

    /// `[n, o, oh, ow]` from x `[n, i, h, w]` and w `[o, i, k, k]`.
    pub(super) fn forward(&self, x: &[f32], w: &[f32]) -> Vec<f32> {
        let mut out = vec![0f32; self.n * self.o * self.oh * self.ow];
        let plain = self.slide.plain(self.k);
        let rows = if plain { self.oh } else { self.rows_at_a_time(self.i) };
        for sample in 0..self.n {
            let x = &x[sample * self.i * self.h * self.w..][..self.i * self.h * self.w];
            let (shared, plane) = (Shared::new(&mut out), self.oh * self.ow);
            for r0 in (0..self.oh).step_by(rows) {
                let at = sample * self.o * plane + r0 * self.ow;
                if plain {
                    self.multiply(&shared, at, w, x, plane);
                    continue;
                }
                let width = (self.oh.min(r0 + rows) - r0) * self.ow;
                scratch(self.i * self.taps() * width, |cols| {
                    planes(cols, self.taps() * width, |c, cols| {
                        self.unfold(
                            cols,
                            &x[c * self.h * self.w..][..self.h * self.w],
                            r0,
                            r0 + width / self.ow,
                        );
                    });
                    self.multiply(&shared, at, w, cols, width);
                });
            }
        }
        out
    }

    /// `out[o, width] = w · cols`, in blocks.
    fn multiply(&self, out: &Shared<'_>, at: usize, w: &[f32], cols: &[f32], width: usize) {
        let inner = self.i * self.taps();
        let into = Into { out, at, stride: self.oh * self.ow, add: false };
        in_blocks(into, [self.o, width, inner], Mat::new(w, inner), cols);
    }

    /// Channels of the input that one block of a backward operator owns.
    fn channel_block(&self) -> usize {
        self.i.div_ceil(4).clamp(1, 16)
    }

    /// The transpose of [`Self::forward`] in x: `[n, i, h, w]` from g `[n, o, oh, ow]`.
    pub(super) fn transpose(&self, g: &[f32], w: &[f32]) -> Vec<f32> {
        let mut out = vec![0f32; self.n * self.i * self.h * self.w];
        let (plane, grid, inner) = (self.h * self.w, self.oh * self.ow, self.i * self.taps());
        let (block, shared) = (self.channel_block(), Shared::new(&mut out));
        let per_sample = self.i.div_ceil(block);
        let rows = if self.slide.plain(self.k) {
            self.oh
        } else {
            (4 * COLUMNS / self.ow.max(1)).clamp(1, self.oh)
        };
        blocks(self.n * per_sample, self.n * self.o * grid * inner, |b| {
            let (sample, c0) = (b / per_sample, b % per_sample * block);
            let channels = block.min(self.i - c0);
            let m = channels * self.taps();
            // The columns of w that belong to these input channels, transposed.
            let w = Mat::new(&w[c0 * self.taps()..], inner).t();
            // SAFETY: every block owns its channels of one sample.
            let mine = unsafe { shared.slice((sample * self.i + c0) * plane, channels * plane) };
            for r0 in (0..self.oh).step_by(rows) {
                let width = (self.oh.min(r0 + rows) - r0) * self.ow;
                let g =
                    Mat { data: &g[sample * self.o * grid + r0 * self.ow..], rows: grid, cols: 1 };
                if self.slide.plain(self.k) {
                    own_product(mine, [m, width, self.o], w, g, false);
                    continue;
                }
                scratch(m * width, |cols| {
                    own_product(cols, [m, width, self.o], w, g, false);
                    for (cols, plane) in
                        cols.chunks_exact(self.taps() * width).zip(mine.chunks_exact_mut(plane))
                    {
                        self.fold(cols, plane, r0, r0 + width / self.ow);
                    }
                });
            }
        });
        out
    }

    /// The gradient in w: `[o, i, k, k]` from x `[n, i, h, w]` and g `[n, o, oh, ow]`.
    pub(super) fn weight(&self, x: &[f32], g: &[f32]) -> Vec<f32> {
        let inner = self.i * self.taps();
        let mut out = vec![0f32; self.o * inner];
        let (plane, grid, block) = (self.h * self.w, self.oh * self.ow, self.channel_block());
        let rows = (8 * COLUMNS / self.ow.max(1)).clamp(1, self.oh);
        let shared = Shared::new(&mut out);
        blocks(self.i.div_ceil(block), self.n * self.o * grid * inner, |b| {
            let c0 = b * block;
            let m = block.min(self.i - c0) * self.taps();
            for (sample, r0) in
                (0..self.n).flat_map(|s| (0..self.oh).step_by(rows).map(move |r| (s, r)))
            {
                let width = (self.oh.min(r0 + rows) - r0) * self.ow;
                let g =
                    Mat { data: &g[sample * self.o * grid + r0 * self.ow..], rows: grid, cols: 1 };
                scratch(m * width, |cols| {
                    for (c, cols) in cols.chunks_exact_mut(self.taps() * width).enumerate() {
                        let x = &x[(sample * self.i + c0 + c) * plane..][..plane];
                        self.unfold(cols, x, r0, r0 + width / self.ow);
                    }
                    let into =
                        Into { out: &shared, at: c0 * self.taps(), stride: inner, add: true };
                    // SAFETY: every block owns the columns of its channels.
                    unsafe { gemm(into, [self.o, m, width], g, Mat::new(cols, width).t()) };
                });
            }
        });
        out
    }
}

/// `dst = a · b` with a `[m, k]` and b `[k, n]` row-major, cut into blocks that run in parallel.
pub(super) fn in_blocks(dst: Into<'_, '_>, [m, n, k]: [usize; 3], a: Mat<'_>, b: &[f32]) {
    let (across, down) = (n.div_ceil(COLUMNS), m.div_ceil(ROWS));
    blocks(across * down, m * n * k, |block| {
        let (c0, r0) = (block % across * COLUMNS, block / across * ROWS);
        let size = [ROWS.min(m - r0), COLUMNS.min(n - c0), k];
        let into = Into { at: dst.at + r0 * dst.stride + c0, ..dst };
        let a = Mat { data: &a.data[r0 * a.rows..], ..a };
        // SAFETY: blocks cover disjoint rows and columns of the output.
        unsafe { gemm(into, size, a, Mat { data: &b[c0..], rows: n, cols: 1 }) };
    });
}

/// A product into a buffer of one's own.
fn own_product(out: &mut [f32], [m, n, k]: [usize; 3], a: Mat<'_>, b: Mat<'_>, add: bool) {
    let shared = Shared::new(out);
    // SAFETY: the buffer is borrowed for this call alone.
    unsafe { gemm(Into { out: &shared, at: 0, stride: n, add }, [m, n, k], a, b) };
}

/// x `[n, i, h, w]`, w `[o, i, k, k]` → `[n, o, oh, ow]`.
struct Conv(ConvParams);
/// g `[n, o, oh, ow]`, w `[o, i, k, k]` → `[n, i, h, w]`; holds (h, w).
struct ConvT(ConvParams, (usize, usize));
/// x `[n, i, h, w]`, g `[n, o, oh, ow]` → `[o, i, k, k]`; holds k.
struct ConvW(ConvParams, usize);

type Both = (Option<Tensor>, Option<Tensor>);

impl Conv {
    fn sizes(&self, x: &Layout, w: &Layout) -> Result<Sizes> {
        Sizes::new(self.name(), x.shape().dims4()?, w.shape().dims4()?, self.0)
    }
}

impl ConvT {
    fn sizes(&self, g: &Layout, w: &Layout) -> Result<Sizes> {
        let ((n, _, gh, gw), w) = (g.shape().dims4()?, w.shape().dims4()?);
        let z = Sizes::new(self.name(), (n, w.1, self.1.0, self.1.1), w, self.0)?;
        if (n, z.o, z.oh, z.ow) != g.shape().dims4()? {
            bail!(
                "conv_transpose2d: input {gh}x{gw} of {:?} and weight {w:?} do not give {:?}",
                g.shape(),
                self.1
            );
        }
        Ok(z)
    }
}

impl ConvW {
    fn sizes(&self, x: &Layout, g: &Layout) -> Result<Sizes> {
        let (x, g) = (x.shape().dims4()?, g.shape().dims4()?);
        let z = Sizes::new(self.name(), x, (g.1, x.1, self.1, self.1), self.0)?;
        if (z.n, z.o, z.oh, z.ow) != g {
            bail!("conv2d_weight: gradient {g:?} does not fit input {x:?}");
        }
        Ok(z)
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let z = self.sizes(l1, l2)?;
        let out = z.forward(&singles(self.name(), s1, l1)?, &singles(self.name(), s2, l2)?);
        Ok((stored(out, s1), (z.n, z.o, z.oh, z.ow).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::conv::forward(&self.sizes(l1, l2)?, (s1, l1), (s2, l2))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, g: &Tensor) -> Result<Both> {
        let (_, _, h, width) = x.dims4()?;
        let dx = tracked(x, || apply(g, w, ConvT(self.0, (h, width))))?;
        let dw = tracked(w, || apply(x, g, ConvW(self.0, w.dim(2)?)))?;
        Ok((dx, dw))
    }
}

impl CustomOp2 for ConvT {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let z = self.sizes(l1, l2)?;
        let out = z.transpose(&singles(self.name(), s1, l1)?, &singles(self.name(), s2, l2)?);
        Ok((stored(out, s1), (z.n, z.i, z.h, z.w).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::conv::transpose(&self.sizes(l1, l2)?, (s1, l1), (s2, l2))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, g: &Tensor) -> Result<Both> {
        let dx = tracked(x, || apply(g, w, Conv(self.0)))?;
        let dw = tracked(w, || apply(g, x, ConvW(self.0, w.dim(2)?)))?;
        Ok((dx, dw))
    }
}

impl CustomOp2 for ConvW {
    fn name(&self) -> &'static str {
        "conv2d_weight"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let z = self.sizes(l1, l2)?;
        let out = z.weight(f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        Ok((CpuStorage::F32(out), (z.o, z.i, z.k, z.k).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::conv::weight(&self.sizes(l1, l2)?, (s1, l1), (s2, l2))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, _: &Tensor, g: &Tensor) -> Result<Both> {
        let (_, _, h, w) = x.dims4()?;
        let dx = tracked(x, || apply(y, g, ConvT(self.0, (h, w))))?;
        let dy = tracked(y, || apply(x, g, Conv(self.0)))?;
        Ok((dx, dy))
    }
}

fn apply(a: &Tensor, b: &Tensor, op: impl CustomOp2 + Send + Sync + 'static) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, op)
}

/// The gradient of an argument, computed only on request: frozen weights cost nothing.
pub(super) fn tracked(
    arg: &Tensor,
    grad: impl FnOnce() -> Result<Tensor>,
) -> Result<Option<Tensor>> {
    if arg.track_op() { grad().map(Some) } else { Ok(None) }
}

/// Cross-correlation with zero padding, as deep learning calls convolution.
///
/// # Shapes
/// x `[N, I, H, W]`, w `[O, I, k, k]` → `[N, O, (H + 2·padding − k)/stride + 1, …]`.
pub fn conv2d(x: &Tensor, w: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    apply(x, w, Conv(ConvParams { stride, padding }))
}

/// The transpose of [`conv2d`] in its input: stride `s` gives an image about `s` times as large.
///
/// # Shapes
/// x `[N, A, H, W]`, w `[A, B, k, k]` → `[N, B, (H − 1)·stride − 2·padding + k, …]`.
pub fn conv_transpose2d(x: &Tensor, w: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    conv_transpose2d_to(x, w, stride, padding, 0)
}

/// As [`conv_transpose2d`], with `extra` more rows and columns below and to the right (PyTorch's
/// output padding): the size that a [`conv2d`] of the same stride has rounded away, as in the 5×5
/// layers that double a picture.
///
/// # Shapes
/// x `[N, A, H, W]`, w `[A, B, k, k]` → `[N, B, (H − 1)·stride − 2·padding + k + extra, …]`.
///
/// # Errors
/// When channels do not fit, nothing is left within the padding, or `extra` is not below the
/// stride.
pub fn conv_transpose2d_to(
    x: &Tensor,
    w: &Tensor,
    stride: usize,
    padding: usize,
    extra: usize,
) -> Result<Tensor> {
    let ((_, _, h, width), (_, _, k, _)) = (x.dims4()?, w.dims4()?);
    if extra > 0 && extra >= stride {
        bail!("conv_transpose2d: {extra} more rows need a stride above that, found {stride}");
    }
    let size = |n: usize| {
        let full = n.checked_sub(1)?.checked_mul(stride)?.checked_add(k)?.checked_add(extra)?;
        full.checked_sub(padding.checked_mul(2)?).filter(|v| *v > 0)
    };
    match (size(h), size(width)) {
        (Some(h), Some(width)) => apply(x, w, ConvT(ConvParams { stride, padding }, (h, width))),
        _ => bail!(
            "conv_transpose2d: nothing left of {h}x{width} with kernel {k}, stride {stride}, \
             padding {padding}"
        ),
    }
}
