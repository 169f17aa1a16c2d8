//! Computing in parts, and again for the gradients: no part's tensors are kept in between (Chen et
//! al. 2016, "Training Deep Nets with Sublinear Memory Cost").

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, Var};
use std::sync::Arc;

/// Result of one part, from the arguments and the part's number.
type Part = dyn Fn(&[Tensor; 3], usize) -> Result<Tensor> + Send + Sync;

struct InParts {
    part: Arc<Part>,
    parts: usize,
    /// The result, computed beforehand.
    result: Tensor,
}

impl CustomOp3 for InParts {
    fn name(&self) -> &'static str {
        "in_parts"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let numbers = self.result.flatten_all()?.to_vec1::<f32>()?;
        Ok((CpuStorage::F32(numbers), self.result.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let given = [a, b, c];
        let variables = given.map(|t| t.track_op().then(|| Var::from_tensor(&t.detach())));
        let mut arguments = given.map(Tensor::detach);
        let mut sums: [Option<Tensor>; 3] = [None, None, None];
        let mut kept = Vec::new();
        for (i, v) in variables.into_iter().enumerate() {
            if let Some(v) = v.transpose()? {
                arguments[i] = v.as_tensor().clone();
                kept.push((i, v));
            }
        }
        let mut from = 0;
        for part in 0..self.parts {
            let y = (self.part)(&arguments, part)?;
            let rows = y.dim(0)?;
            let g = g.narrow(0, from, rows)?;
            from += rows;
            let gradients = (y * g)?.sum_all()?.backward()?;
            for (i, v) in &kept {
                let Some(found) = gradients.get(v) else { continue };
                sums[*i] = Some(match sums[*i].take() {
                    Some(sum) => (sum + found)?,
                    None => found.clone(),
                });
            }
        }
        for (i, _) in &kept {
            if sums[*i].is_none() {
                sums[*i] = Some(given[*i].zeros_like()?);
            }
        }
        let [a, b, c] = sums;
        Ok((a, b, c))
    }
}

/// The rows that `part` makes of the arguments, part after part, with gradients to the arguments,
/// for which every part is computed once more. `part` must give the same each time. On a GPU all
/// parts are kept.
///
/// # Shapes
/// Each part `[M, …]`, in single precision → `[ΣM, …]`.
///
/// # Errors
/// As `part`, and without parts.
pub fn in_parts(
    arguments: [&Tensor; 3],
    parts: usize,
    part: impl Fn(&[Tensor; 3], usize) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let tracked = arguments.iter().any(|t| t.track_op());
    if !tracked || !arguments[0].device().is_cpu() {
        let arguments = arguments.map(Clone::clone);
        let all = (0..parts).map(|i| part(&arguments, i)).collect::<Result<Vec<_>>>()?;
        return Tensor::cat(&all, 0);
    }
    let frozen = arguments.map(Tensor::detach);
    let all = (0..parts).map(|i| part(&frozen, i)).collect::<Result<Vec<_>>>()?;
    let result = Tensor::cat(&all, 0)?;
    let [a, b, c] = arguments;
    a.apply_op3(b, c, InParts { part: Arc::new(part), parts, result })
}

#[cfg(test)]
mod tests {
    use super::super::reference::{D, check};
    use super::*;

    /// `(a·b)² + c` in blocks of two rows.
    #[test]
    fn values_and_gradients_are_those_of_the_whole() {
        let arguments = [D::random("a", &[6, 4]), D::random("b", &[6, 4]), D::random("c", &[6, 4])];
        let naive = |a: &[D]| {
            let value = |i: usize| (a[0].v[i] * a[1].v[i]).powi(2) + a[2].v[i];
            D { shape: vec![6, 4], v: (0..24).map(value).collect() }
        };
        check(
            "in parts",
            &arguments,
            &|a| {
                in_parts([&a[0], &a[1], &a[2]], 3, |a, part| {
                    let row = |t: &Tensor| t.narrow(0, 2 * part, 2);
                    (row(&a[0])? * row(&a[1])?)?.sqr()? + row(&a[2])?
                })
            },
            &naive,
        );
    }

    #[test]
    fn an_argument_that_no_part_reads_has_a_gradient_of_zero() {
        let [a, b] = ["a", "b"].map(|n| Var::from_tensor(&D::random(n, &[2]).tensor()).unwrap());
        let y = in_parts([&a, &b, &a], 1, |t, _| t[0].sqr()).unwrap();
        let gradients = y.sum_all().unwrap().backward().unwrap();
        let found = gradients.get(&b).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(found, [0.0; 2]);
        assert!(in_parts([&a, &b, &a], 0, |t, _| Ok(t[0].clone())).is_err());
    }
}
