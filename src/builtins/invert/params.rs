//! The parameters of `invert`: its own, the weights of the terms, the degradations, and those of
//! the methods, put together from the constants in their files.

use crate::builtin::{Kind, Param};
use crate::builtins::shared::{CLASS, LABELS, SEED};
use crate::invert::{DEGRADATIONS, METHODS, TERMS};

/// Maximum passes of an encoder; more than a few hardly change the result.
pub(super) const MOST_PASSES: u64 = 1000;

/// All parameters, in the order in which they are explained.
pub(super) const ALL: [Param; COUNT] = all();

const COUNT: usize = FIRST.len() + TERMS.len() + DEGRADATIONS.len() + LAST.len() + methods_own();

/// Most parameters of all methods together.
const MOST_OWN: usize = {
    let (mut n, mut i) = (0, 0);
    while i < METHODS.len() {
        n += METHODS[i].params.len();
        i += 1;
    }
    n
};

/// Those before the weights of the terms.
const FIRST: [Param; 9] = [
    Param::required(
        "picture",
        &[Kind::Image, Kind::Latent, Kind::List],
        "pictures of the generator's size, or a list of them; a code is rendered",
    ),
    Param::optional(
        "space",
        &[Kind::Space],
        "-",
        "Z, W, W+, S (styles), PN and PN+ (w, whitened), F (a feature map and the codes) or N \
         (noise maps only); by default W+ if the generator has it and the method searches it",
    ),
    Param::optional("method", &[Kind::Choice], "auto", METHOD_HELP).choices(&CHOICES),
    Param::optional(
        "steps",
        &[Kind::Number],
        "-",
        "gradient steps, by default the method's number; for `method: encoder` and `residual` the \
         encoder's passes",
    )
    .whole(0, 1_000_000),
    Param::optional(
        "passes",
        &[Kind::Number],
        "-",
        "encoder passes before the gradient steps; by default as many as it was trained for",
    )
    .whole(0, MOST_PASSES)
    .named(),
    Param::optional(
        "init",
        &[Kind::Choice, Kind::Latent],
        "-",
        "`mean` of w, `random`, `best_of: k` samples, or a code (`latent` with `start`)",
    )
    .choices(&["mean", "random", "best_of:", "latent"])
    .whole(1, 100_000)
    .named(),
    Param::optional("start", &[Kind::Latent], "-", "the code that `init: latent` starts from")
        .named(),
    Param::optional("best_of", &[Kind::Number], "-", "the same as `init: best_of: k`")
        .whole(1, 100_000)
        .named(),
    Param::optional("lr", &[Kind::Number], "-", "peak learning rate").within(0.0, 1e12).named(),
];

/// Those after them.
const LAST: [Param; 18] = [
    Param::optional(
        "mask",
        &[Kind::Mask],
        "-",
        "the part of the picture that counts: pixels outside it have zero gradient",
    )
    .named(),
    Param::optional(
        "lpips_net",
        &[Kind::Text],
        "-",
        "the network of `lpips`: a state dict of torchvision's vgg16, alexnet or squeezenet1_1",
    )
    .reads_it()
    .named(),
    Param::optional(
        "lpips_heads",
        &[Kind::Text],
        "-",
        "the heads of `lpips`, such as vgg.pth of the package lpips, if not in the same file",
    )
    .reads_it()
    .named(),
    Param::optional(
        "identity_net",
        &[Kind::Text],
        "-",
        "the network of `identity`: ArcFace's model_ir_se50.pth or CurricularFace_Backbone.pth",
    )
    .reads_it()
    .named(),
    Param::optional(
        "discriminator_file",
        &[Kind::Text],
        "-",
        "the file of the discriminator that terms ask, if not in the model's own: a training \
         checkpoint of StyleGAN2 (NVIDIA's pickle, rosinality's), DCGAN or BigGAN",
    )
    .reads_it()
    .named(),
    Param::optional(
        "encoder",
        &[Kind::Text],
        "-",
        "a file with an encoder for the generator, of pSp, e4e, ReStyle, HyperStyle, HFGI, \
         HyperInverter, StyleFeatureEditor, GH-Feat or `fit`, in the place of the one that it \
         brings",
    )
    .reads_it()
    .named(),
    Param::optional(
        "w_encoder",
        &[Kind::Text],
        "-",
        "the file of the encoder with whose code that of `encoder` begins: \
         faces_w_encoder.pt for HyperStyle's",
    )
    .reads_it()
    .named(),
    Param::optional(
        "levels",
        &[Kind::Number],
        "-",
        "feature maps of the discriminator that count, from its score's side; by default all",
    )
    .whole(1, 100)
    .named(),
    Param::optional("noise", &[Kind::Bool], "-", "search the noise maps as well").named(),
    Param::optional(
        "pose",
        &[Kind::Bool],
        "false",
        "search the camera (EG3D) or the turn and shift of the picture (StyleGAN3) as well",
    )
    .named(),
    Param::optional(
        "layer",
        &[Kind::Text],
        "-",
        "in F: the layer whose feature map is searched, by default one of a sixteenth of the \
         picture's side",
    )
    .named(),
    Param::optional(
        "restarts",
        &[Kind::Number],
        "1",
        "complete searches, of which the best counts: the first as `init` says, the others from \
         random samples",
    )
    .whole(1, 10_000)
    .named(),
    Param::optional(
        "coarse",
        &[Kind::Number],
        "-",
        "the first half of the steps that search a code compares pictures of this height, which \
         the generator has on the way to the whole one (StyleGAN2 with skips): each takes less \
         time",
    )
    .whole(4, 4096)
    .named(),
    Param::optional("until", &[Kind::Number], "-", "stops once the loss is at or below this value")
        .within(0.0, 1e12)
        .named(),
    Param::optional(
        "plateau",
        &[Kind::Number],
        "-",
        "ends each phase once 50 steps have lowered the loss by less than this share of it",
    )
    .within(0.0, 1.0)
    .named(),
    SEED,
    CLASS,
    LABELS,
];

/// Meaning of `auto`, then every method's summary.
const METHOD_HELP: &str = text(&HELP);
const HELP: [u8; length(&HELP_PARTS)] = joined(&HELP_PARTS);
const HELP_PARTS: [&str; 1 + 4 * METHODS.len()] = {
    let mut parts = ["`auto`: hybrid with an encoder, in the space of its codes (W+ \
         or W, else Z) and without a start; otherwise optimize";
        1 + 4 * METHODS.len()];
    let mut i = 0;
    while i < METHODS.len() {
        let own = ["; `", METHODS[i].name, "`: ", METHODS[i].summary];
        (parts[4 * i + 1], parts[4 * i + 2]) = (own[0], own[1]);
        (parts[4 * i + 3], parts[4 * i + 4]) = (own[2], own[3]);
        i += 1;
    }
    parts
};

/// Details for help, and the publications that the methods follow.
pub(super) const DETAILS: &str = text(&DETAIL_BYTES);
const DETAIL_BYTES: [u8; length(&DETAIL_PARTS)] = joined(&DETAIL_PARTS);
const DETAIL_PARTS: [&str; 1 + 4 * METHODS.len()] = {
    let mut parts = ["An Inversion can be used wherever a code is expected. Ctrl-C stops it and \
                      keeps the \
         best so far. Several pictures at once, as `invert([image(\"a.png\"), image(\"b.png\")])`, \
         take less time than one after the other and give exactly the same results (but for \
         `consecutive`, which searches them together): `[one for one in r]` lists them. Every term \
         of the loss is traced separately. An encoder begins at the mean of w (or the start it is \
         given) and corrects the code by looking at target and reconstruction, pass after pass; \
         the pass with the lowest loss is kept, and hybrid continues from it. In W the layers' \
         corrections are averaged. HyperStyle's first pass finds a code and the others change the \
         weights, as HyperInverter's second does; HFGI's second and StyleFeatureEditor's only pass \
         change a feature map. All are kept with the code and its edits. GH-Feat's codes are of S. \
         IcGAN's pair of encoders finds a z, and the class where none is given. \
         With a mask the terms compare `target + mask·(picture - target)`, so nothing outside it \
         counts, and losses are means over it. \
         `grey`, `blur`, `down` and `jpeg` say what is wrong with the picture: the reconstruction \
         is degraded likewise, in this order, before it is compared, and the one shown is clean. \
         With `down: k` the picture is given small, or at full size and then averaged; blur and \
         JPEG it has already. Rounding of JPEG has slope 1. The numbers compare degraded pictures. \
         `discriminator`, `saliency` and `adversarial` ask the discriminator in the model's own \
         file, where there is one, or in `discriminator_file`. Papers";
        1 + 4 * METHODS.len()];
    let mut i = 0;
    while i < METHODS.len() {
        parts[4 * i + 1] = if i == 0 { ": " } else { "; " };
        (parts[4 * i + 2], parts[4 * i + 3]) = (METHODS[i].name, ": ");
        parts[4 * i + 4] = METHODS[i].paper;
        i += 1;
    }
    parts
};

/// `auto` and the methods' names.
const CHOICES: [&str; 1 + METHODS.len()] = {
    let mut all = ["auto"; 1 + METHODS.len()];
    let mut i = 0;
    while i < METHODS.len() {
        all[i + 1] = METHODS[i].name;
        i += 1;
    }
    all
};

/// The methods' own parameters, one that several methods read only once, and how many they are.
const fn own() -> ([Param; MOST_OWN], usize) {
    let mut all = [FIRST[0]; MOST_OWN];
    let (mut n, mut i) = (0, 0);
    while i < METHODS.len() {
        let mut k = 0;
        while k < METHODS[i].params.len() {
            let param = METHODS[i].params[k];
            if !known(&all, n, param.name) {
                all[n] = param;
                n += 1;
            }
            k += 1;
        }
        i += 1;
    }
    (all, n)
}

/// Whether one of the first `n` parameters has that name.
const fn known(all: &[Param], n: usize, name: &str) -> bool {
    let mut i = 0;
    while i < n {
        if same(all[i].name.as_bytes(), name.as_bytes()) {
            return true;
        }
        i += 1;
    }
    false
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

const fn methods_own() -> usize {
    own().1
}

const fn all() -> [Param; COUNT] {
    let mut all = [FIRST[0]; COUNT];
    let mut n = put(&mut all, &FIRST, 0);
    let mut i = 0;
    while i < TERMS.len() {
        n = put(&mut all, &[TERMS[i].param], n);
        i += 1;
    }
    i = 0;
    while i < DEGRADATIONS.len() {
        n = put(&mut all, &[DEGRADATIONS[i].param], n);
        i += 1;
    }
    n = put(&mut all, &LAST, n);
    let (own, count) = own();
    i = 0;
    while i < count {
        all[n + i] = own[i];
        i += 1;
    }
    all
}

/// Writes `own` from `at` on; gives where it ends.
const fn put(all: &mut [Param; COUNT], own: &[Param], at: usize) -> usize {
    let mut i = 0;
    while i < own.len() {
        all[at + i] = own[i];
        i += 1;
    }
    at + own.len()
}

/// Bytes of all parts together.
const fn length(parts: &[&str]) -> usize {
    let (mut n, mut i) = (0, 0);
    while i < parts.len() {
        n += parts[i].len();
        i += 1;
    }
    n
}

/// The parts one after the other.
const fn joined<const N: usize>(parts: &[&str]) -> [u8; N] {
    let (mut out, mut n, mut i) = ([0; N], 0, 0);
    while i < parts.len() {
        let bytes = parts[i].as_bytes();
        let mut k = 0;
        while k < bytes.len() {
            out[n] = bytes[k];
            (n, k) = (n + 1, k + 1);
        }
        i += 1;
    }
    out
}

const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_term_is_in_the_parameters_once() {
        for method in METHODS {
            assert!(CHOICES.contains(&method.name) && DETAILS.contains(method.paper));
            assert!(METHOD_HELP.contains(&format!("`{}`: {}", method.name, method.summary)));
        }
        let names: Vec<&str> = ALL.iter().map(|p| p.name).collect();
        let own = METHODS.iter().flat_map(|m| m.params).chain(TERMS.iter().map(|t| &t.param));
        let own = own.chain(DEGRADATIONS.iter().map(|d| &d.param));
        for p in own.chain(&FIRST).chain(&LAST) {
            assert_eq!(names.iter().filter(|n| **n == p.name).count(), 1, "{}", p.name);
        }
        // Methods that share a name share the parameter.
        for p in METHODS.iter().flat_map(|m| m.params) {
            assert!(ALL.iter().any(|known| (known.name, known.doc) == (p.name, p.doc)), "{p:?}");
        }
        assert!(TERMS.iter().all(|t| t.name == t.param.name));
        assert!(DEGRADATIONS.iter().all(|d| d.name == d.param.name));
    }
}
