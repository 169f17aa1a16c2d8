//! The CPU engine's operators one by one: `cargo bench --bench engine`, and `… -- conv/256` for
//! some of them.
//!
//! Layers have the published widths at their side and all that belongs to them: modulation,
//! demodulation, noise, bias, leaky ReLU. `step` is forward and backward, to styles and noise.
//! Elements a second are the products' FLOP/s. Threads: `RAYON_NUM_THREADS`. How a whole generator
//! does, beside its peers: `gannet bench` and `scripts/bench`.

use candle_core::{Device, Tensor, Var};
use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use gannet::bench::speed::{forward, official};
use gannet::error::{Error, Result};
use gannet::generator::{Generator, Input, spaces};
use gannet::rng::Rng;
use gannet::space::Space;
use gannet::tensor::{
    Activation, Filter, Network, RgbConv, Stage, StyledConv, Weight, modulated_conv,
    own_threads_only,
};
use std::sync::Arc;
use std::time::Duration;

/// Channels of the picture.
const PICTURE: usize = 3;

/// A layer: channels in and out, the side of its result, and whether it doubles the size.
#[derive(Clone, Copy)]
struct Layer {
    channels: (usize, usize),
    side: usize,
    up: bool,
}

impl Layer {
    const fn new(channels: (usize, usize), side: usize, up: bool) -> Self {
        Self { channels, side, up }
    }

    /// The side of what it reads.
    fn input(self) -> usize {
        if self.up { self.side / 2 } else { self.side }
    }

    /// Multiply-adds × 2 of the direct 3×3 convolution; a doubling one is a transposed one on its
    /// input.
    fn flop(self) -> u64 {
        (2 * 9 * self.channels.0 * self.channels.1 * self.input() * self.input()) as u64
    }
}

fn main() -> Result<()> {
    own_threads_only();
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    layers(&mut criterion)?;
    pictures(&mut criterion)?;
    network(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// One layer, and the picture that is made of its result: a 1×1 convolution to three channels, a
/// hundredth of the work.
fn layers(criterion: &mut Criterion) -> Result<()> {
    let kinds = [
        ("conv", [Layer::new((512, 512), 64, false), Layer::new((64, 64), 256, false)]),
        ("up", [Layer::new((512, 512), 64, true), Layer::new((128, 64), 256, true)]),
    ];
    for (name, all) in kinds {
        let mut group = criterion.benchmark_group(name);
        for layer in all {
            Stand::new(layer)?.measure(&mut group, layer)?;
        }
    }
    Ok(())
}

/// The picture alone, by the operator on planar maps that trained weights are run with: the engine
/// paints between its layers.
fn pictures(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("to_rgb");
    for (channels, side) in [(512, 64), (64, 256)] {
        let weight = Weight::new(draw("colour", &[PICTURE, channels, 1, 1])?);
        let x = Var::from_tensor(&draw("features", &[1, channels, side, side])?)?;
        let style = Var::from_tensor(&draw("styles", &[1, channels])?)?;
        let forward = || modulated_conv(&x.detach(), &weight, &style.detach(), false);
        let step = || modulated_conv(&x, &weight, &style, false)?.sqr()?.sum_all()?.backward();
        forward()?;
        step()?;
        let flop = (2 * channels * PICTURE * side * side) as u64;
        group.throughput(Throughput::Elements(flop));
        group.bench_function(format!("{side}/forward"), |b| b.iter(forward));
        group.throughput(Throughput::Elements(2 * flop));
        group.bench_function(format!("{side}/step"), |b| b.iter(step));
    }
    Ok(())
}

/// A network that is a single layer.
struct Stand {
    network: Arc<Network>,
    styles: Var,
    noise: Var,
}

impl Stand {
    fn new(layer: Layer) -> Result<Self> {
        let ((inputs, outputs), side) = (layer.channels, layer.input());
        let filter = Filter::new(&[1.0, 3.0, 3.0, 1.0])?;
        let constant = draw("constant", &[inputs, side, side])?;
        let (weight, bias) = (draw("weight", &[outputs, inputs, 3, 3])?, draw("bias", &[outputs])?);
        let (colour, shift) =
            (draw("colour", &[PICTURE, outputs, 1, 1])?, draw("shift", &[PICTURE])?);
        let conv = StyledConv {
            weight: Weight::new(weight).styled(layer.up)?,
            bias: bias.clone(),
            up: layer.up.then_some(&filter),
            activation: Activation::LRELU,
            noise: true,
        };
        let rgb = RgbConv {
            weight: colour.clone(),
            bias: shift.clone(),
            gain: 1.0 / (outputs as f64).sqrt(),
            clamp: None,
        };
        let network =
            Network::new(&constant, &[Stage { convs: vec![conv], rgb: Some(rgb) }], &filter)?;
        Ok(Self {
            network: Arc::new(
                network.ok_or_else(|| Error::runtime("the engine does not run this layer"))?,
            ),
            styles: Var::from_tensor(&draw("styles", &[1, inputs + outputs])?)?,
            noise: Var::from_tensor(&draw("noise", &[1, layer.side * layer.side])?)?,
        })
    }

    fn forward(&self) -> Result<Tensor> {
        Ok(self.network.forward(&self.styles.detach(), Some(&self.noise.detach()))?)
    }

    fn step(&self) -> Result<()> {
        let gradients =
            self.network.forward(&self.styles, Some(&self.noise))?.sqr()?.sum_all()?.backward()?;
        match gradients.get(&self.styles) {
            Some(_) => Ok(()),
            None => Err(Error::runtime("a step gave no gradient")),
        }
    }

    fn measure(&self, group: &mut BenchmarkGroup<'_, WallTime>, layer: Layer) -> Result<()> {
        let (side, flop) = (layer.side, layer.flop());
        // What is wrong is said once; the timed calls are the same.
        self.forward()?;
        self.step()?;
        group.throughput(Throughput::Elements(flop));
        group.bench_function(format!("{side}/forward"), |b| b.iter(|| self.forward()));
        group.throughput(Throughput::Elements(2 * flop));
        group.bench_function(format!("{side}/step"), |b| b.iter(|| self.step()));
        Ok(())
    }
}

/// A whole StyleGAN2 of 64².
fn network(criterion: &mut Criterion) -> Result<()> {
    let generator = official::build(64, 0, &Device::Cpu)?;
    let spec = generator.spec();
    let ws = Var::from_tensor(&draw("codes", &[1, spec.num_ws, spec.w_dim])?)?;
    let picture = |ws: &Tensor| spaces::picture(&generator, ws, Space::WPlus, &Input::default());
    let step = || -> Result<()> { Ok(picture(&ws)?.sqr()?.sum_all()?.backward().map(drop)?) };
    picture(&ws.detach())?;
    step()?;
    let mut group = criterion.benchmark_group("network");
    let flop = forward(spec, 1).map_or(0.0, |work| 1e9 * work.gflop) as u64;
    group.throughput(Throughput::Elements(flop));
    group.bench_function("64/forward", |b| b.iter(|| picture(&ws.detach())));
    group.throughput(Throughput::Elements(2 * flop));
    group.bench_function("64/step", |b| b.iter(step));
    Ok(())
}

/// Numbers of a normal distribution, the same at every run.
fn draw(name: &str, shape: &[usize]) -> Result<Tensor> {
    let numbers = Rng::derive(0, name).normals(shape.iter().product());
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
}
