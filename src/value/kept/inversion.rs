//! Stored form of results of `invert`. In a journal the reconstruction, which is the picture of the
//! code, is made again from it.

use super::Budget;
use super::code::{Code, space};
use super::numbers::{Bits, Doubles, Floats, broken};
use super::photograph::{Photograph, photographs};
use super::picture::{Mask, Pixels};
use crate::error::Result;
use crate::invert::{
    self, Config, DEGRADATIONS, Diagnosis, Init, Numbers, TERMS, Trace, Warning, Words, methods,
};
use crate::lang::types::Param;
use crate::latent;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Stored form of a result of `invert`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inversion {
    code: Code,
    target: Pixels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reconstruction: Option<Floats>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    photographs: Vec<Option<Photograph>>,
    trace: Vec<Curve>,
    loss: Doubles,
    best_step: Vec<usize>,
    numbers: Vec<Measure>,
    offsets: Option<Doubles>,
    mean_distance: Doubles,
    /// NSCD of each code, then that of a typical sample; results of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nscd: Option<(Doubles, Bits)>,
    sigma: Bits,
    warnings: Vec<(Option<usize>, String)>,
    asked: Asked,
    how: String,
    seconds: Bits,
    steps: usize,
    seed: u64,
    stopped: Vec<Option<usize>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Curve {
    total: usize,
    names: Vec<String>,
    steps: Vec<usize>,
    /// Row after row, one a step.
    terms: Doubles,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Measure {
    name: String,
    value: Bits,
    each: Doubles,
    unit: String,
    definition: String,
}

/// The configuration without its checkpoint, which a finished result does not need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    space: String,
    method: String,
    steps: usize,
    passes: Option<usize>,
    lr: Bits,
    init: Start,
    weights: Named,
    settings: Named,
    #[serde(default)]
    words: Vec<(String, String)>,
    #[serde(default = "one")]
    restarts: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    degrade: Named,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coarse: Option<usize>,
    mask: Option<Mask>,
    noise: bool,
    #[serde(default)]
    pose: bool,
    noise_regularise: Bits,
    until: Option<Bits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plateau: Option<Bits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer: Option<usize>,
    seed: u64,
}

/// Searches of an inversion that was stored before there could be more.
fn one() -> usize {
    1
}

/// The words again, of the parameters of a method.
fn words(all: &[(String, String)], known: &[Param]) -> Result<Words> {
    let mut found = Words::default();
    for (name, word) in all {
        let param = known
            .iter()
            .find(|p| p.name == name)
            .ok_or_else(|| broken(format!("a word called {}", crate::safe::Safe(name))))?;
        found.choose(param, word)?;
    }
    Ok(found)
}

/// Numbers by name.
type Named = Vec<(String, Bits)>;

fn named(all: &Numbers) -> Named {
    all.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// The numbers again, whose names must be among `known`.
fn numbers(all: &Named, known: impl Iterator<Item = &'static str> + Clone) -> Result<Numbers> {
    let mut found = Numbers::default();
    for (name, value) in all {
        let name = known
            .clone()
            .find(|k| k == name)
            .ok_or_else(|| broken(format!("a number called {}", crate::safe::Safe(name))))?;
        found.set(name, (*value).into());
    }
    Ok(found)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Start {
    Mean,
    Random,
    BestOf(usize),
    Code(Box<Code>),
}

impl Inversion {
    pub(super) fn of(i: &invert::Inversion, budget: &mut Budget) -> Option<Self> {
        let d = &i.diagnosis;
        Some(Self {
            code: Code::of(&i.code, budget)?,
            target: Pixels::target(&i.target, budget)?,
            reconstruction: match budget.whole {
                true => Some(Floats::of(&i.reconstruction, budget)?),
                false => None,
            },
            photographs: Photograph::all(&i.photographs, budget)?,
            trace: i.trace.iter().map(|t| Curve::of(t, budget)).collect::<Option<_>>()?,
            loss: Doubles::of(&i.loss),
            best_step: i.best_step.clone(),
            numbers: i.numbers.iter().map(Measure::of).collect(),
            offsets: d.offsets.as_deref().map(Doubles::of),
            mean_distance: Doubles::of(&d.mean_distance),
            nscd: d.nscd.as_ref().map(|(each, typical)| (Doubles::of(each), (*typical).into())),
            sigma: d.sigma.into(),
            warnings: d.warnings.iter().map(|w| (w.image, w.text.clone())).collect(),
            asked: Asked::of(&i.config, budget)?,
            how: i.how.clone(),
            seconds: i.seconds.into(),
            steps: i.steps,
            seed: i.seed,
            stopped: i.stopped.clone(),
        })
    }

    /// Forgets how long it took.
    pub(super) fn timeless(&mut self) {
        self.seconds = 0.0.into();
    }

    pub(super) fn each_bytes(&mut self, take: &mut dyn FnMut(&mut Vec<u8>)) {
        self.code.each_bytes(take);
        self.target.each_bytes(take);
        self.reconstruction.iter_mut().for_each(|r| take(&mut r.bytes));
        self.asked.each_bytes(take);
    }

    /// The result, on the device where generators compute; `picture` gives the pictures of codes,
    /// `[N, C, H, W]`, for a reconstruction that is not kept.
    pub(super) fn value(
        &self,
        device: &Device,
        picture: &dyn Fn(&latent::Code) -> Result<Tensor>,
    ) -> Result<invert::Inversion> {
        let code = self.code.value(device)?;
        let target = self.target.tensor(device)?;
        let reconstruction = match &self.reconstruction {
            Some(kept) => kept.tensor(4, device)?,
            None => picture(&code)?,
        };
        let count = code.count();
        if self.warnings.iter().any(|(image, _)| image.is_some_and(|i| i >= count)) {
            return Err(broken(format!("a warning about one of {count} pictures")));
        }
        if target.dims() != reconstruction.dims() {
            return Err(broken(format!(
                "an inversion of {:?} to {:?}",
                target.dims(),
                reconstruction.dims()
            )));
        }
        let warning =
            |(image, text): &(Option<usize>, String)| Warning { image: *image, text: text.clone() };
        Ok(invert::Inversion {
            code,
            reconstruction,
            target,
            photographs: photographs(&self.photographs),
            trace: self.trace.iter().map(Curve::value).collect(),
            loss: self.loss.values(),
            best_step: self.best_step.clone(),
            numbers: self.numbers.iter().map(Measure::value).collect(),
            diagnosis: Diagnosis {
                offsets: self.offsets.as_ref().map(Doubles::values),
                mean_distance: self.mean_distance.values(),
                nscd: self.nscd.as_ref().map(|(each, typical)| (each.values(), (*typical).into())),
                sigma: self.sigma.into(),
                warnings: self.warnings.iter().map(warning).collect(),
            },
            config: self.asked.value(device)?,
            how: self.how.clone(),
            seconds: self.seconds.into(),
            steps: self.steps,
            seed: self.seed,
            stopped: self.stopped.clone(),
            unsaved: false,
            cached: false,
        })
    }
}

impl Curve {
    fn of(t: &Trace, budget: &mut Budget) -> Option<Self> {
        let terms: Vec<f64> = t.terms.iter().flatten().copied().collect();
        budget.spend((terms.len() + t.steps.len()) * 8)?;
        // Every row has one term a name.
        (terms.len() == t.names.len() * t.steps.len()).then(|| Self {
            total: t.total,
            names: t.names.clone(),
            steps: t.steps.clone(),
            terms: Doubles::of(&terms),
        })
    }

    fn value(&self) -> Trace {
        let terms = self.terms.values();
        Trace {
            total: self.total,
            names: self.names.clone(),
            steps: self.steps.clone(),
            terms: terms.chunks(self.names.len().max(1)).map(<[f64]>::to_vec).collect(),
        }
    }
}

impl Measure {
    fn of(n: &invert::Number) -> Self {
        Self {
            name: n.name.clone(),
            value: n.value.into(),
            each: Doubles::of(&n.each),
            unit: n.unit.clone(),
            definition: n.definition.clone(),
        }
    }

    fn value(&self) -> invert::Number {
        invert::Number {
            name: self.name.clone(),
            value: self.value.into(),
            each: self.each.values(),
            unit: self.unit.clone(),
            definition: self.definition.clone(),
        }
    }
}

impl Asked {
    fn of(c: &Config, budget: &mut Budget) -> Option<Self> {
        Some(Self {
            space: c.space.name().to_owned(),
            method: c.method.name.to_owned(),
            steps: c.steps,
            passes: c.passes,
            lr: c.lr.into(),
            init: match &c.init {
                Init::Mean => Start::Mean,
                Init::Random => Start::Random,
                Init::BestOf(k) => Start::BestOf(*k),
                Init::Latent(l) => Start::Code(Box::new(Code::of(l, budget)?)),
            },
            weights: named(&c.weights),
            settings: named(&c.settings),
            words: c.words.iter().map(|(n, w)| (n.to_owned(), w.to_owned())).collect(),
            restarts: c.restarts,
            degrade: named(&c.degrade),
            coarse: c.coarse,
            mask: match &c.mask {
                Some(mask) => Some(Mask::of(mask, budget)?),
                None => None,
            },
            noise: c.noise,
            pose: c.pose,
            noise_regularise: c.noise_regularise.into(),
            until: c.until.map(Bits::from),
            plateau: c.plateau.map(Bits::from),
            layer: c.layer,
            seed: c.seed,
        })
    }

    fn each_bytes(&mut self, take: &mut dyn FnMut(&mut Vec<u8>)) {
        if let Start::Code(code) = &mut self.init {
            code.each_bytes(take);
        }
        self.mask.iter_mut().for_each(|m| m.each_bytes(take));
    }

    fn value(&self, device: &Device) -> Result<Config> {
        let method = methods::find(&self.method)
            .ok_or_else(|| broken(format!("the method {}", crate::safe::Safe(&self.method))))?;
        let init = match &self.init {
            Start::Mean => Init::Mean,
            Start::Random => Init::Random,
            Start::BestOf(k) => Init::BestOf(*k),
            Start::Code(code) => Init::Latent(code.value(device)?),
        };
        let terms = TERMS.iter().map(|t| t.name);
        let own = method.params.iter().map(|p| p.name);
        Ok(Config {
            space: space(&self.space)?,
            method,
            steps: self.steps,
            passes: self.passes,
            lr: self.lr.into(),
            init,
            weights: numbers(&self.weights, terms)?,
            settings: numbers(&self.settings, own)?,
            words: words(&self.words, method.params)?,
            restarts: self.restarts,
            degrade: numbers(&self.degrade, DEGRADATIONS.iter().map(|d| d.name))?,
            coarse: self.coarse,
            mask: self.mask.as_ref().map(Mask::value).transpose()?,
            noise: self.noise,
            pose: self.pose,
            noise_regularise: self.noise_regularise.into(),
            until: self.until.map(f64::from),
            plateau: self.plateau.map(f64::from),
            layer: self.layer,
            seed: self.seed,
            // The files may have changed since.
            lpips: None,
            recogniser: None,
            encoder: None,
            w_encoder: None,
            discriminator: None,
            levels: None,
            checkpoint: None,
        })
    }
}
