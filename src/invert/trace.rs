//! The loss of one image over the steps.

/// Rows that a trace keeps at most, about: longer runs keep every k-th step.
const ROWS: usize = 1000;

/// The loss of one image over the steps, term by term.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Steps planned.
    pub total: usize,
    /// Names of the terms.
    pub names: Vec<String>,
    /// Indices of the recorded steps: all of a short run, every k-th of a long one, and the last.
    pub steps: Vec<usize>,
    /// The weighted terms of every kept step, in the order of `names`.
    pub terms: Vec<Vec<f64>>,
}

impl Trace {
    /// An empty trace of a run of `total` steps.
    pub fn new(total: usize) -> Self {
        Self { total, names: Vec::new(), steps: Vec::new(), terms: Vec::new() }
    }

    /// Keeps a step, or drops it when it is not one of every k-th. A term that other phases lack is
    /// 0 there.
    pub(super) fn push(&mut self, step: usize, terms: &[(&'static str, f64)]) {
        if !step.is_multiple_of(self.total / ROWS + 1) && step != self.total {
            return;
        }
        for (name, _) in terms {
            if !self.names.iter().any(|n| n == name) {
                self.names.push((*name).to_owned());
                self.terms.iter_mut().for_each(|row| row.push(0.0));
            }
        }
        let value = |name: &String| terms.iter().find(|(n, _)| n == name).map_or(0.0, |(_, v)| *v);
        self.steps.push(step);
        self.terms.push(self.names.iter().map(value).collect());
    }

    /// The whole loss of every kept step.
    pub fn losses(&self) -> Vec<f64> {
        self.terms.iter().map(|row| row.iter().sum()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_trace_stays_bounded_and_keeps_its_ends() {
        let mut trace = Trace::new(25_000);
        for step in 0..=25_000 {
            trace.push(step, &[("l2", step as f64), ("l1", 1.0)]);
        }
        assert!(trace.steps.len() <= 1001, "{}", trace.steps.len());
        assert_eq!((trace.steps[0], *trace.steps.last().unwrap()), (0, 25_000));
        assert_eq!(*trace.losses().last().unwrap(), 25_001.0);
    }
}
