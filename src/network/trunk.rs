//! A plain stack of 3×3 convolutions with leaky ReLU: what small networks that look at pictures are
//! made of.

use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::tensor::{Activation, Stack, bias_act, conv2d};
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::sync::Arc;

struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
}

/// Convolutions 3×3 with padding 1, each followed by a leaky ReLU.
pub struct Trunk {
    convs: Vec<Conv>,
    activation: Activation,
    /// The same on the engine, where that can run it.
    stack: Option<Arc<Stack>>,
}

impl Trunk {
    /// Takes `conv{i}.weight [O, I, 3, 3]` and `conv{i}.bias [O]`, one pair a stride.
    ///
    /// # Errors
    /// When there is no stride or one of 0, and when a tensor is missing or does not fit its
    /// neighbours.
    pub fn take(
        weights: &mut Weights,
        strides: &[usize],
        leaky: f64,
        device: &Device,
    ) -> Result<Self> {
        if strides.is_empty() || strides.contains(&0) || !(0.0..=1.0).contains(&leaky) {
            return Err(bad(
                weights.file(),
                "it needs at least one stride, none of them 0, and a slope `leaky` of 0 to 1",
            ));
        }
        let mut convs: Vec<Conv> = Vec::with_capacity(strides.len());
        for (i, &stride) in strides.iter().enumerate() {
            let weight = weights.take_any(&format!("conv{i}.weight"))?.to_device(device)?;
            let fits = |dims: &[usize]| match (dims, convs.last()) {
                ([_, inner, 3, 3], Some(before)) => before.bias.elem_count() == *inner,
                ([_, _, 3, 3], None) => true,
                _ => false,
            };
            if !fits(weight.dims()) {
                return Err(bad(
                    weights.file(),
                    &format!("`conv{i}.weight` {:?} does not fit its neighbours", weight.dims()),
                ));
            }
            let bias = weights.take(&format!("conv{i}.bias"), &weight.dims()[..1])?;
            let bias = bias.to_device(device)?;
            convs.push(Conv { weight, bias, stride });
        }
        let activation = Activation { slope: leaky, gain: 1.0, clamp: None };
        let parts: Vec<_> = convs.iter().map(|c| (&c.weight, &c.bias, c.stride)).collect();
        let stack = Stack::new(&parts, activation)?.map(Arc::new);
        Ok(Self { convs, activation, stack })
    }

    /// Channels of the pictures that it reads.
    pub fn inputs(&self) -> usize {
        self.convs.first().map_or(0, |c| c.weight.dims()[1])
    }

    /// Says what is wrong where it does not read as many channels of a picture as of its
    /// reconstruction.
    pub(super) fn check_pair(&self) -> std::result::Result<(), String> {
        if self.inputs().is_multiple_of(2) {
            return Ok(());
        }
        Err("it must read as many channels of the picture as of its reconstruction".to_owned())
    }

    /// Says what is wrong where its last map, for pictures of `side` pixels, does not divide into
    /// `grid` places a side.
    pub(super) fn check_grid(&self, side: usize, grid: usize) -> std::result::Result<(), String> {
        let side = self.side(side);
        if side.is_multiple_of(grid) {
            return Ok(());
        }
        Err(format!("a last map of {side}² does not divide into {grid}×{grid} places"))
    }

    /// Channels of its last map.
    pub fn outputs(&self) -> usize {
        self.convs.last().map_or(0, |c| c.bias.elem_count())
    }

    /// Channels of the map of a convolution; `None` where there is none of that index.
    pub fn channels_of(&self, layer: usize) -> Option<usize> {
        self.convs.get(layer).map(|c| c.bias.elem_count())
    }

    /// Side of its last map for pictures of `side` pixels.
    pub fn side(&self, side: usize) -> usize {
        // (n + 2·1 − 3) / s + 1 is n / s, rounded up.
        self.convs.iter().fold(side, |n, c| n.div_ceil(c.stride))
    }

    /// Channels and side of the map of a convolution for pictures of `side` pixels; `None` where
    /// there is none of that index.
    pub fn shape_of(&self, layer: usize, side: usize) -> Option<(usize, usize)> {
        let upto = self.convs.get(..=layer)?;
        let channels = upto.last()?.bias.elem_count();
        Some((channels, upto.iter().fold(side, |n, c| n.div_ceil(c.stride))))
    }

    /// Strides of all convolutions together: pixels from one place of the last map to the next.
    pub fn stride(&self) -> usize {
        self.convs.iter().map(|c| c.stride).product()
    }

    /// Pixels on each side of a pixel that the last map's place depends on.
    pub fn reach(&self) -> usize {
        let step = |(reach, stride): (usize, usize), c: &Conv| (reach + stride, stride * c.stride);
        self.convs.iter().fold((0, 1), step).0
    }

    /// The map of every convolution, after its activation, with gradients.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → one `[N, C_i, H_i, W_i]` a convolution.
    pub fn maps(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        if let Some(stack) = &self.stack {
            return Ok(stack.maps(pictures, true)?);
        }
        let mut all: Vec<Tensor> = Vec::with_capacity(self.convs.len());
        for c in &self.convs {
            all.push(self.layer(all.last().unwrap_or(pictures), c)?);
        }
        Ok(all)
    }

    /// The last map alone, with gradients; without gradients, every other map is released after
    /// use.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, C_last, H_last, W_last]`
    pub fn last(&self, pictures: &Tensor) -> Result<Tensor> {
        match &self.stack {
            Some(stack) => Ok(stack.maps(pictures, false)?.remove(0)),
            None => self.convs.iter().try_fold(pictures.clone(), |x, c| self.layer(&x, c)),
        }
    }

    /// [`Stack::unit_distance`] of the last maps to targets, if the engine can compute it; `None`
    /// on other devices, and when the targets have gradients as well.
    ///
    /// # Shapes
    /// `[N, C, H, W]`, targets `[N, C_i, H_i · W_i]` → `[N]`
    pub fn unit_distance(
        &self,
        pictures: &Tensor,
        targets: &[Tensor],
        eps: f64,
    ) -> Result<Option<Tensor>> {
        match &self.stack {
            Some(stack) if !targets.iter().any(Tensor::track_op) => {
                Ok(Some(stack.unit_distance(pictures, targets, eps)?))
            }
            _ => Ok(None),
        }
    }

    fn layer(&self, x: &Tensor, c: &Conv) -> Result<Tensor> {
        Ok(bias_act(&conv2d(x, &c.weight, c.stride, 1)?, &c.bias, self.activation)?)
    }
}

fn bad(file: &str, what: &str) -> Error {
    Error::new(Kind::Format, format!("{}: {what}", Safe(file)))
        .hint("use the unchanged file of the training script")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    type Parts = BTreeMap<String, Tensor>;

    /// One channel, identity kernels; biases −1 and 0.
    fn parts() -> Parts {
        let mut kernel = vec![0f32; 9];
        kernel[4] = 1.0;
        Parts::from([
            ("conv0.weight".to_string(), tensor(kernel.clone(), &[1, 1, 3, 3])),
            ("conv0.bias".to_string(), tensor(vec![-1.0], &[1])),
            ("conv1.weight".to_string(), tensor(kernel, &[1, 1, 3, 3])),
            ("conv1.bias".to_string(), tensor(vec![0.0], &[1])),
        ])
    }

    #[test]
    fn maps_computed_by_hand() {
        let mut weights = Weights::of_tensors("hand", parts());
        let trunk = Trunk::take(&mut weights, &[1, 2], 0.2, &Device::Cpu).unwrap();
        weights.finish().unwrap();
        let picture = tensor(vec![0.0, 1.5, 3.0, -1.0, 5.0, 5.0], &[1, 1, 2, 3]);
        let maps = trunk.maps(&picture).unwrap();
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        // leaky(x − 1), then every second place of it: leaky(−0.2) and leaky(2).
        for (got, want) in values(&maps[0]).iter().zip([-0.2, 0.5, 2.0, -0.4, 4.0, 4.0]) {
            assert!((got - want).abs() < 1e-6);
        }
        assert_eq!(maps[1].dims(), [1, 1, 1, 2]);
        assert!(
            values(&maps[1]).iter().zip([-0.04, 2.0]).all(|(got, want)| (got - want).abs() < 1e-6)
        );
        assert_eq!(values(&trunk.last(&picture).unwrap()), values(&maps[1]));
        assert_eq!(
            (trunk.inputs(), trunk.outputs(), trunk.side(3), trunk.side(128)),
            (1, 1, 2, 64)
        );
        assert_eq!(trunk.stride(), 2);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refused = |strides: &[usize], change: &dyn Fn(&mut Parts)| {
            let mut parts = parts();
            change(&mut parts);
            let mut weights = Weights::of_tensors("f", parts);
            let e = Trunk::take(&mut weights, strides, 0.2, &Device::Cpu).err().unwrap();
            assert!(e.repair().is_some());
            e.to_string()
        };
        assert!(refused(&[], &|_| ()).contains("stride"));
        assert!(refused(&[1, 0], &|_| ()).contains("stride"));
        assert!(refused(&[1, 1, 1], &|_| ()).contains("`conv2.weight`"));
        assert!(refused(&[1, 1], &|p| drop(p.remove("conv1.bias"))).contains("conv1.bias"));
        let wide = |p: &mut Parts| {
            drop(p.insert("conv1.weight".into(), tensor(vec![0.0; 18], &[1, 2, 3, 3])))
        };
        assert!(refused(&[1, 1], &wide).contains("`conv1.weight` [1, 2, 3, 3]"));
        let long = |p: &mut Parts| drop(p.insert("conv0.bias".into(), tensor(vec![0.0; 2], &[2])));
        assert!(refused(&[1, 1], &long).contains("`conv0.bias` is [2], [1] is needed"));
        let mut rest = Weights::of_tensors("f", parts());
        Trunk::take(&mut rest, &[1], 0.2, &Device::Cpu).unwrap();
        assert!(rest.finish().unwrap_err().message().contains("conv1.bias"));
    }

    /// A trunk whose weights are trained gives each of them the gradient of the operators that it
    /// is made of, and the maps that it gives when they are frozen.
    #[test]
    fn trained_weights_have_gradients() {
        use crate::rng::Rng;
        use candle_core::Var;

        let shapes: [&[usize]; 5] = [&[2, 3, 7, 6], &[5, 3, 3, 3], &[5], &[4, 5, 3, 3], &[4]];
        let numbers = shapes
            .map(|s| tensor(Rng::derive(7, &format!("{s:?}")).normals(s.iter().product()), s));
        let names = ["conv0.weight", "conv0.bias", "conv1.weight", "conv1.bias"];
        let trunk = |a: &[Tensor]| {
            let parts = names.map(String::from).into_iter().zip(a[1..].iter().cloned()).collect();
            let mut weights = Weights::of_tensors("test", parts);
            Trunk::take(&mut weights, &[1, 2], 0.2, &Device::Cpu).unwrap()
        };
        let act = Activation { slope: 0.2, gain: 1.0, clamp: None };
        let plain = |a: &[Tensor]| {
            let x = bias_act(&conv2d(&a[0], &a[1], 1, 1).unwrap(), &a[2], act).unwrap();
            bias_act(&conv2d(&x, &a[3], 2, 1).unwrap(), &a[4], act).unwrap()
        };
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let close = |a: &Tensor, b: &Tensor| {
            let (a, b) = (values(a), values(b));
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4)
        };
        let frozen = trunk(&numbers).last(&numbers[0]).unwrap();
        type Run<'a> = &'a dyn Fn(&[Tensor]) -> Tensor;
        let run = |network: Run<'_>| {
            let vars = numbers.each_ref().map(|t| Var::from_tensor(t).unwrap());
            let maps = network(&vars.each_ref().map(|v| v.as_tensor().clone()));
            let gradients = maps.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            (maps, vars.map(|v| gradients.get(&v).unwrap().clone()))
        };
        let (expected, slopes) = run(&plain);
        assert!(close(&frozen, &expected));
        let last: Run<'_> = &|a| trunk(a).last(&a[0]).unwrap();
        let maps: Run<'_> = &|a| trunk(a).maps(&a[0]).unwrap().remove(1);
        for network in [last, maps] {
            let (found, gradients) = run(network);
            assert!(close(&found, &expected));
            assert!(gradients.iter().zip(&slopes).all(|(a, b)| close(a, b)));
        }
    }
}
