//! Batches of codes with any mix of parts.

use super::*;
use candle_core::Device;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn codes(n: usize, at: f32) -> Code {
    Mix { rows: None, maps: BTreeMap::new(), labels: Some(2) }.codes(n, at)
}

/// With two noise maps each, of different sizes.
fn noisy(n: usize, at: f32) -> Code {
    Mix { rows: None, maps: BTreeMap::from([(0, 2), (1, 4)]), labels: Some(2) }.codes(n, at)
}

/// The parts of a code: rows of a layered point, sides of the noise maps by layer, width of the
/// labels.
#[derive(Clone, Debug)]
struct Mix {
    rows: Option<usize>,
    maps: BTreeMap<usize, usize>,
    labels: Option<usize>,
}

impl Mix {
    /// The shapes of the parts without the number of codes.
    fn shapes(&self) -> BTreeMap<Part, Vec<usize>> {
        let point = self.rows.map_or_else(|| vec![3], |rows| vec![rows, 3]);
        let maps = self.maps.iter().map(|(layer, side)| (Part::Noise(*layer), vec![1, *side, 2]));
        let labels = self.labels.map(|width| (Part::Labels, vec![width]));
        [(Part::Point, point)].into_iter().chain(maps).chain(labels).collect()
    }

    /// `n` codes with different numbers from `at` on; those of `shared` have one tensor for all.
    fn sharing(&self, n: usize, at: f32, shared: &dyn Fn(Part) -> bool) -> Code {
        let tensor = |(part, shape): (Part, Vec<usize>)| {
            let shape = [vec![if shared(part) { 1 } else { n }], shape].concat();
            let numbers: Vec<f32> = (0..shape.iter().product()).map(|i| at + i as f32).collect();
            (part, Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap())
        };
        let mut all = self.shapes().into_iter().map(tensor);
        let (_, point) = all.next().unwrap();
        let mut parts = Parts::of(point);
        parts.extend(all);
        Code { space: Space::W, parts, model: None, origin: format!("from {at}") }
    }

    fn codes(&self, n: usize, at: f32) -> Code {
        self.sharing(n, at, &|_| false)
    }
}

fn mixes() -> impl Strategy<Value = Mix> {
    let rows = proptest::option::of(1usize..4);
    let maps = proptest::collection::btree_map(0usize..20, 1usize..4, 0..4);
    let labels = proptest::option::of(1usize..4);
    (rows, maps, labels).prop_map(|(rows, maps, labels)| Mix { rows, maps, labels })
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// Shape and numbers of every part.
fn numbers(code: &Code) -> Vec<(Part, Vec<usize>, Vec<f32>)> {
    code.parts.iter().map(|(part, t)| (part, t.dims().to_vec(), values(t))).collect()
}

proptest! {
    #[test]
    fn what_was_joined_comes_apart_again(
        mix in mixes(),
        sizes in proptest::collection::vec(1usize..4, 1..5),
    ) {
        let all: Vec<Code> =
            sizes.iter().enumerate().map(|(i, n)| mix.codes(*n, 1000.0 * i as f32)).collect();
        let joined = Code::join(&all).unwrap();
        prop_assert_eq!((joined.count(), joined.origin.as_str()), (sizes.iter().sum(), "from 0"));
        let mut from = 0;
        for code in &all {
            let part = joined.slice(from, code.count()).unwrap();
            prop_assert_eq!(numbers(&part), numbers(code));
            from += code.count();
        }
        let single: Vec<Code> = (0..from).map(|i| joined.slice(i, 1).unwrap()).collect();
        prop_assert_eq!(numbers(&Code::join(&single).unwrap()), numbers(&joined));
        prop_assert!(joined.slice(from - 1, 2).is_err() && joined.slice(from, 1).is_err());
    }

    #[test]
    fn a_part_that_all_codes_share_stays(
        mix in mixes(),
        n in 2usize..6,
        (at, len) in (0usize..5, 1usize..5),
        which in proptest::collection::vec(any::<bool>(), 5),
    ) {
        let order: Vec<Part> = mix.shapes().into_keys().collect();
        let place = |part: Part| order.iter().position(|p| *p == part).unwrap();
        let shared = |part: Part| part != Part::Point && which[place(part)];
        let all = mix.sharing(n, 0.0, &shared);
        let from = at % n;
        let len = 1 + (len - 1) % (n - from);
        let part = all.slice(from, len).unwrap();
        prop_assert_eq!(part.count(), len);
        for (which, tensor) in all.parts.iter() {
            let own = if shared(which) { tensor.clone() } else {
                tensor.narrow(0, from, len).unwrap()
            };
            prop_assert_eq!(values(part.parts.get(which).unwrap()), values(&own));
        }
        // One tensor for all cannot be put one after the other. Alone, the batch stays what it is.
        let one_each = !all.parts.iter().any(|(part, _)| shared(part));
        prop_assert_eq!(all.fits_beside(&all), one_each);
        prop_assert_eq!(Code::join(&[all.clone(), all.clone()]).is_ok(), one_each);
        prop_assert_eq!(numbers(&Code::join(std::slice::from_ref(&all)).unwrap()), numbers(&all));
    }

    #[test]
    fn only_codes_with_the_same_parts_fit(a in mixes(), b in mixes()) {
        let (one, other) = (a.codes(2, 0.0), b.codes(3, 9.0));
        prop_assert!(one.fits_beside(&a.codes(1, 5.0)));
        prop_assert_eq!(one.fits_beside(&other), a.shapes() == b.shapes());
        prop_assert_eq!(other.fits_beside(&one), one.fits_beside(&other));
        prop_assert_eq!(Code::join(&[one, other]).is_ok(), a.shapes() == b.shapes());
    }
}

#[test]
fn there_is_no_batch_of_no_codes() {
    assert!(Code::join(&[]).is_err());
}

#[test]
fn only_codes_of_one_kind_fit_into_a_batch() {
    let a = codes(2, 0.0);
    let one_label = a.labels().unwrap().narrow(0, 0, 1).unwrap();
    let unlabelled = Parts::of(a.point().clone());
    let other = ModelId { name: "other".into(), fingerprint: "f".into() };
    assert!(a.fits_beside(&codes(1, 9.0)));
    for b in [
        Code { space: Space::Z, ..a.clone() },
        a.with(Part::Point, a.point().narrow(1, 0, 2).unwrap()),
        Code { model: Some(other), ..a.clone() },
        Code { parts: unlabelled, ..a.clone() },
        a.with(Part::Labels, one_label),
    ] {
        assert!(!a.fits_beside(&b) && !b.fits_beside(&a), "{b:?}");
        assert!(Code::join(&[a.clone(), b]).is_err());
    }
    let n = noisy(2, 0.0);
    assert!(n.fits_beside(&noisy(1, 9.0)) && !n.fits_beside(&a) && !a.fits_beside(&n));
    // Fewer maps, others, or one for both codes.
    let [first, second] = n.noise()[..] else { panic!() };
    let one = second.narrow(0, 0, 1).unwrap();
    let fewer = Code { parts: n.parts.clone().without_found(), ..n.clone() };
    for b in [
        fewer.with(Part::Noise(0), first.clone()),
        n.with(Part::Noise(0), second.clone()),
        n.with(Part::Noise(1), one),
    ] {
        assert!(!n.fits_beside(&b));
    }
}

#[test]
fn a_derived_code_has_no_noise_maps_and_a_moved_one_keeps_them() {
    let code = noisy(2, 0.0);
    let moved = code.derived((code.point() + 1.0).unwrap(), "moved".into());
    assert_eq!((moved.space, moved.origin.as_str(), moved.count()), (Space::W, "moved", 2));
    assert!(moved.noise().is_empty());
    assert_eq!(code.moved(moved.point().clone(), String::new()).noise().len(), 2);
    assert_eq!(values(moved.labels().unwrap()), values(code.labels().unwrap()));
    assert_eq!(values(moved.point())[0], values(code.point())[0] + 1.0);
}
