use super::*;
use crate::lang::types::{CheckedCall, CodeType, Companion, Generators, Kind, Param, Signature};
use crate::space::Space;

fn facts(name: &str, fingerprint: &str) -> Arc<ModelFacts> {
    Arc::new(ModelFacts {
        name: name.into(),
        fingerprint: fingerprint.into(),
        family: "stylegan2".into(),
        spaces: vec![Space::Z, Space::W, Space::WPlus, Space::S],
        num_ws: 10,
        z_dim: 64,
        w_dim: 64,
        style_sizes: vec![32; 10],
        network: Vec::new(),
        c_dim: 0,
        can: Default::default(),
        width: 64,
        height: 64,
        channels: 3,
        directions: [("smile", vec![Space::W, Space::S]), ("age", vec![Space::W])]
            .map(|(n, s)| (n.to_owned(), s))
            .into(),
        encoder: true,
        pair: false,
        companions: Companion::ALL.into(),
        perceptual: true,
        identity: false,
        landmarks: false,
        ffhq: false,
    })
}

fn space_of(c: &CheckedCall<'_>, otherwise: Space) -> Option<Space> {
    match c.value("space") {
        Some(Const::Space(s)) => Some(*s),
        Some(_) => None,
        None => Some(otherwise),
    }
}

fn code_type(c: &CheckedCall<'_>, space: Option<Space>) -> CodeType {
    let layers = space.and_then(|s| c.model.as_ref()?.layers(s));
    CodeType { space, layers, model: c.model.clone(), ..CodeType::default() }
}

fn infer_load(c: &CheckedCall<'_>) -> Result<Type> {
    match c.value("path") {
        Some(Const::Text(t)) if t == "ffhq.pkl" => {
            Ok(Type::Model(Some(facts("stylegan2-ffhq", "ab12aa"))))
        }
        Some(Const::Text(t)) if t == "faces" => Ok(Type::Model(Some(facts("faces", "77f0bb")))),
        _ => Err(Error::check("there is no file of that name")
            .at(c.args[0][0].span)
            .hint("load \"faces\"")),
    }
}

fn infer_direction(c: &CheckedCall<'_>) -> Result<Type> {
    let origin = Some("found by svm".into());
    Ok(Type::Direction(CodeType { origin, ..code_type(c, space_of(c, Space::W)) }))
}

fn infer_mix(c: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Latent(code_type(c, Some(Space::WPlus))))
}

const ANY: &[Kind] = &[Kind::Any];
const CODE: &[Kind] = &[Kind::Latent];
const NUMBER: &[Kind] = &[Kind::Number];
const SPACE: Param = Param::optional("space", &[Kind::Space], "W", "a space").named();
const INITS: Param = Param::optional("init", &[Kind::Choice], "mean", "the start")
    .choices(&["mean", "random", "best_of:"])
    .named();
const METHOD: Param = Param::optional("method", &[Kind::Choice, Kind::Text], "hybrid", "how")
    .choices(&["hybrid", "encoder"])
    .named();

static SIGNATURES: [Signature; 13] = [
    Signature {
        name: "load",
        params: &[Param::required("path", &[Kind::Text], "a file")],
        returns: "Model",
        infer: infer_load,
    },
    Signature {
        name: "direction",
        params: &[Param::required("name", &[Kind::Text], "its name"), SPACE],
        returns: "Direction",
        infer: infer_direction,
    },
    Signature {
        name: "image",
        params: &[Param::required("path", &[Kind::Text], "a file")],
        returns: "Image",
        infer: |_| Ok(Type::Image(None)),
    },
    Signature {
        name: "invert",
        params: &[Param::required("target", &[Kind::Image], "a picture"), SPACE, METHOD, INITS],
        returns: "Inversion",
        infer: |c| Ok(Type::Inversion(code_type(c, space_of(c, Space::WPlus)))),
    },
    Signature {
        name: "sample",
        params: &[
            Param::optional("n", NUMBER, "1", "how many"),
            SPACE,
            Param::optional("seed", NUMBER, "0", "").named(),
        ],
        returns: "Latent",
        infer: |c| {
            let code = code_type(c, space_of(c, Space::W));
            Ok(Type::Latent(CodeType { count: Some(1), ..code }))
        },
    },
    Signature {
        name: "to",
        params: &[
            Param::required("space", &[Kind::Space], "a space"),
            Param::required("code", CODE, "a code"),
        ],
        returns: "Latent",
        infer: |c| Ok(Type::Latent(code_type(c, space_of(c, Space::W)))),
    },
    Signature {
        name: "show",
        params: &[Param::required("items", ANY, "what to show").variadic()],
        returns: "nothing",
        infer: |_| Ok(Type::Nothing),
    },
    Signature {
        name: "save",
        params: &[
            Param::required("what", ANY, "what"),
            Param::required("path", &[Kind::Text], "where"),
        ],
        returns: "nothing",
        infer: |_| Ok(Type::Nothing),
    },
    Signature {
        name: "strip",
        params: &[
            Param::required("w", CODE, "a code"),
            Param::required("along", &[Kind::Direction], "a direction").named(),
            Param::optional("from", NUMBER, "-3", "first step").named(),
            Param::optional("to", NUMBER, "3", "last step").named(),
            Param::optional("n", NUMBER, "7", "steps").named(),
        ],
        returns: "List[Image]",
        infer: |_| Ok(Type::List(Box::new(Type::Image(None)))),
    },
    Signature {
        name: "mix",
        params: &[
            Param::required("a", CODE, "a code"),
            Param::required("b", CODE, "a code"),
            Param::optional("layers", &[Kind::Range], "4..8", "from b").named(),
        ],
        returns: "Latent",
        infer: infer_mix,
    },
    Signature {
        name: "lerp",
        params: &[
            Param::required("a", CODE, ""),
            Param::required("b", CODE, ""),
            Param::required("t", NUMBER, ""),
        ],
        returns: "Latent",
        infer: infer_mix,
    },
    Signature {
        name: "compare",
        params: &[
            Param::required("a", &[Kind::Image], ""),
            Param::required("b", &[Kind::Image], ""),
        ],
        returns: "Table",
        infer: |_| Ok(Type::Table),
    },
    Signature {
        name: "psnr",
        params: &[
            Param::required("a", &[Kind::Image], ""),
            Param::required("b", &[Kind::Image, Kind::Inversion], ""),
        ],
        returns: "Number",
        infer: |_| Ok(Type::Number),
    },
];

/// The signatures of these tests name their generators themselves.
#[derive(Debug)]
struct NoGenerators;

impl Generators for NoGenerators {
    fn load_facts(&self, source: &str) -> Result<Arc<ModelFacts>> {
        Err(Error::check(format!("there is no {source}")))
    }
    fn known_facts(&self, _: &str) -> Option<Arc<ModelFacts>> {
        None
    }
    fn own_direction(&self, _: &str, _: &str, _: Option<Space>) -> Result<Option<CodeType>> {
        Ok(None)
    }
}

#[derive(Default)]
struct Session {
    bound: BTreeMap<String, Type>,
    functions: BTreeMap<String, Arc<Def>>,
}

impl World for Session {
    fn signature(&self, name: &str) -> Option<&Signature> {
        SIGNATURES.iter().find(|s| s.name == name)
    }
    fn names(&self) -> Vec<&'static str> {
        SIGNATURES.iter().map(|s| s.name).collect()
    }
    fn model(&self) -> Option<Arc<ModelFacts>> {
        Some(facts("faces", "77f0bb"))
    }
    fn generators(&self) -> &dyn Generators {
        &NoGenerators
    }
    fn binding(&self, name: &str) -> Option<Type> {
        self.bound.get(name).cloned()
    }
    fn bindings(&self) -> Vec<String> {
        self.bound.keys().cloned().collect()
    }
    fn function(&self, name: &str) -> Option<Arc<Def>> {
        self.functions.get(name).cloned()
    }
}

fn run_in(session: &Session, text: &str, sets: &[(&str, &str)]) -> (Source, Result<Checked>) {
    let source = Source::new("t.gnt", text).unwrap();
    let (program, errors) = parse(&source);
    assert_eq!(errors, [], "{text}");
    let sets = sets.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let checked = check(&program, session, &sets);
    (source, checked)
}

fn run(text: &str) -> (Source, Result<Checked>) {
    run_in(&Session::default(), text, &[])
}

const SETUP: &str = "x = image(\"me.jpg\")
r = invert(x, space: W+)
w = sample()
z = sample(space: Z)
smile = direction(\"smile\")
age = direction(\"age\")
zdir = direction(\"age\", space: Z)
wide = direction(\"age\", space: W+)
";

/// The type of an expression after the setup.
fn ty(expr: &str) -> String {
    let (_, checked) = run(&format!("{SETUP}it = {expr}"));
    checked.unwrap_or_else(|e| panic!("{expr}: {e}")).bindings["it"].to_string()
}

/// Refused with one error: the underlined text, part of the message, part of the repair.
fn wrong(program: &str, underlined: &str, message: &str, repair: &str) {
    let (source, checked) = run(&format!("{SETUP}{program}"));
    let error = checked.err().unwrap_or_else(|| panic!("accepted: {program}"));
    assert_eq!(error.iter().count(), 1, "{program}: {error}");
    assert_eq!(source.slice(error.span().unwrap()), underlined, "{program}: {error}");
    assert!(error.message().contains(message), "{program}: {}", error.message());
    assert!(error.repair().unwrap().contains(repair), "{program}: {:?}", error.repair());
    assert_eq!(error.kind(), crate::error::Kind::Check);
    let text = source.text();
    match error.applied() {
        Some(fix) => {
            let (before, after) = (&text[..fix.span.start], &text[fix.span.end..]);
            let mended = format!("{before}{}{after}", fix.text);
            if let Err(e) = run(&mended).1 {
                panic!("the repair of `{program}` leads to\n{mended}\n{e}");
            }
        }
        None => {
            let hint = error.repair().unwrap_or_default();
            assert!(
                PROSE.iter().any(|words| hint.contains(words)),
                "`{program}`: a repair that cannot be applied and is not listed: {hint}"
            );
        }
    }
}

/// The repairs that are advice in words: what to write depends on what is meant.
const PROSE: [&str; 44] = [
    "combine numbers with numbers",
    "which is added: `w + 2*age`",
    "at the prompt explains `invert`",
    "use a direction that moves W+ codes",
    "like `0..4` or `3`",
    "like `w[3]` or `w[4..8]`",
    "directions of W, W+ and S can be restricted",
    "use the whole code, and restrict the direction instead",
    "choose the layers of the whole code",
    "codes of W+, PN+ and S have layers",
    "after `load` of faces, take its own",
    "give it a value first",
    "load \"faces\"",
    "`along: …`, Direction: a direction",
    "leave it out, or name it",
    "keep one of them",
    "a direction",
    "a space",
    "only a parameter that lists such words takes them",
    "one of hybrid, encoder",
    "or scale a difference of codes",
    "scale a direction: w + 2*direction",
    "iterate over the list",
    "only numbers and directions can be negated",
    "divide by another number",
    "takes age and glasses out of smile",
    "write a condition",
    "compare numbers",
    "iterate over a range",
    "like `0..4`",
    "lists, pictures and layered codes are indexed",
    "write `*` to multiply",
    "iterate over a list or a range instead",
    "f(a, b)",
    "leave out the name and the colon",
    "`:help` at the prompt",
    "`:quit` at the prompt",
    "declare it in the script",
    "its parameters are",
    "a number, a text, true, false, a space or a range",
    "use directions that exist in one space",
    "use two directions of",
    "bind the result of an inner call to a name first",
    "`smile @ 0..4` restricts a direction",
];

#[test]
fn words_of_the_prompt_are_told_apart_from_names() {
    wrong("help", "help", "`help` is not defined", "`:help`");
    wrong("quit", "quit", "`quit` is not defined", "`:quit`");
    wrong("exit", "exit", "`exit` is not defined", "`:quit`");
    right("help = 3\nhelp");
    wrong("to(w, z)", "w", "`space` of `to` is Space", "W");
    wrong("sample(space: s)", "s", "`s` is not defined", "S");
    right("to(W, z)\nsample(space: S)");
}

fn right(program: &str) {
    let (source, checked) = run(&format!("{SETUP}{program}"));
    if let Err(e) = checked {
        panic!("{}", crate::lang::span::render(&source, &e, false));
    }
}

#[test]
fn arithmetic_has_the_types_of_the_design() {
    for (expr, expected) in [
        ("1 + 2*3 - 4/5", "Number"),
        ("w + 2*smile - 0.5*age", "Latent[W]"),
        ("r + smile", "Latent[W+]"),
        ("w + wide", "Latent[W+]"),
        ("w + smile @ 0..4", "Latent[W+]"),
        ("smile + w", "Latent[W]"),
        ("w - w", "Direction[W]"),
        ("r - r", "Direction[W+]"),
        ("-smile/2 + smile*3", "Direction[W]"),
        ("smile | [age]", "Direction[W]"),
        ("smile | age | age", "Direction[W]"),
        ("smile @ 0..4", "Direction[W+]"),
        ("smile @ 3", "Direction[W+]"),
        ("r[4..8]", "Latent[W+]"),
        ("[w, w + smile]", "List[Latent[W]]"),
        ("[w, r]", "List[Latent]"),
        ("[w, 1]", "List"),
        ("[w + a*smile for a in -3..3 by 1.5 if a > 0]", "List[Latent[W]]"),
        ("[w, w][0]", "Latent[W]"),
        ("[w, w][0..1]", "List[Latent[W]]"),
        ("[x, x][1]", "Image"),
        ("x[0]", "Image"),
        ("x[0..2]", "Image"),
        ("[one for one in x]", "List[Image]"),
        ("1 < 2", "Bool"),
        ("w |> strip(along: smile)", "List[Image]"),
        ("0..4 by 2", "Range"),
        ("strip", "Function"),
    ] {
        assert_eq!(ty(expr), expected, "{expr}");
    }
}

#[test]
fn a_w_direction_on_a_z_code_names_the_way_there() {
    wrong("z + smile", "smile", "cannot add a W direction to a Z code", "to(W, z)");
    wrong("z - 2*smile", "smile", "cannot subtract a W direction from a Z code", "to(W, z)");
    right("to(W, z) + smile");
}

#[test]
fn a_z_direction_on_a_layered_code_names_a_direction_there() {
    wrong("show r + 2*zdir", "zdir", "cannot add a Z direction to a W+ code", "direction(\"age\")");
    right("show r + 2*direction(\"age\")");
}

#[test]
fn layers_lie_within_the_generator() {
    wrong("r[20]", "20", "no layer 20: this W+ code of faces (77f0…) has layers 0..10", "9");
    wrong("r[4..20]", "4..20", "has layers 0..10", "4..10");
    wrong("smile @ 20", "20", "has layers 0..10", "9");
    wrong("n = 20\nsmile @ 0..n", "0..n", "no layers 0..20", "0..10");
    wrong("r[8..4]", "8..4", "does not contain layers", "8..9");
    wrong("r[0..4 by 2]", "0..4 by 2", "not take a step", "by");
    wrong("r[0.5]", "0.5", "whole numbers", "0..4");
    wrong("w[4..8]", "4..8", "a W code has no layers", "to(W+, w)[4..8]");
    wrong("zdir @ 3", "3", "a Z direction has no layers", "W");
    wrong("w @ 3", "w", "`@` restricts a direction, not Latent[W]", "to(W+, w)[3]");
    wrong("smile[3]", "3", "restricted with `@`", "smile @ 3");
    wrong("r[0..4] + wide", "wide", "the code has 4 layers, the direction 10", "@ 4..8");
    right("r[9]\nr[4..10]\nsmile @ 9\nsmile @ 0..10\nr[8..9]\nto(W+, w)[4..8]\nr[3]");
}

#[test]
fn lists_and_pictures_are_indexed_as_far_as_that_is_known() {
    for (of, part) in [("x", "picture"), ("[w, z]", "element")] {
        let refused = |index: &str, at: &str, what: &str, repair: &str| {
            wrong(&format!("{of}[{index}]"), at, &what.replace("part", part), repair);
        };
        refused("-1", "-1", "parts are whole numbers from 0", "`3`");
        refused("0.5", "0.5", "parts are whole numbers", "0..4");
        refused("2..1", "2..1", "this range does not contain parts", "2..3");
        refused("0..4 by 2", "0..4 by 2", "parts do not take a step", "`by`");
        refused("w", "w", "an index is a number or a range, not Latent[W]", "w[3]");
        // The count is known only at run time.
        right(&format!(
            "{of}[7]\n{of}[0..7]\n{of}[0..2 by 1]\nn = 1\n{of}[n..n + 1]\nshow [{of}[i] for i in \
             0..1]"
        ));
    }
    // The size of one picture is also known of its batch.
    let types = BTreeMap::from([("batch".to_owned(), Type::Image(Some([3, 64, 32])))]);
    let (_, checked) = run_in(
        &Session { bound: types, ..Session::default() },
        "one = batch[0]\ntwo = batch[0..2]",
        &[],
    );
    let bindings = checked.unwrap().bindings;
    assert!(
        ["one", "two"].iter().all(|name| bindings[*name] == Type::Image(Some([3, 64, 32]))),
        "{bindings:?}"
    );
}

#[test]
fn only_whole_layered_codes_have_layers() {
    right("s = sample(space: S)\ns[2..5]\ns[0..10]\nr[2..6][0..4]\nr[0..2 by 1]\nsmile @ 0..2");
    wrong(
        "s = sample(space: S)\ns[2..5][0..3]",
        "s[2..5]",
        "a part of an S code has no layers",
        "whole code",
    );
    wrong("r[2..6][4]", "4", "no layer 4", "3");
    wrong("n = sample(space: N)\nn[0]", "0", "a N code has no layers", "W+");
}

#[test]
fn a_direction_of_another_generator_is_shown_with_both_labels() {
    let program = "load \"ffhq.pkl\"\nold = direction(\"age\")\nw + 2*old";
    wrong(
        program,
        "old",
        "a direction of stylegan2-ffhq and a code of faces",
        "direction(\"age\")",
    );
    right(
        "load \"ffhq.pkl\"\nold = direction(\"age\")\nload \"faces\"\nw + 2*direction(\"smile\")",
    );
    let (source, checked) = run(&format!(
        "{SETUP}load \"ffhq.pkl\"\nold = direction(\"age\", space: Z)\nshow r + 2*old"
    ));
    let shown = crate::lang::span::render(&source, &checked.unwrap_err(), false);
    let expected = "\
error: cannot add a Z direction to a W+ code
   ┌─ t.gnt:11:12
11 │ show r + 2*old
   │      -     ^^^ direction in Z of stylegan2-ffhq (ab12…), found by svm
   │      │
   │      W+ code of faces (77f0…)
   = these belong to different generators as well: faces and stylegan2-ffhq
   try: use a direction that moves W+ codes, such as direction(\"age\")
";
    assert_eq!(shown, expected);
}

#[test]
fn misspelt_names_get_the_nearest_ones() {
    wrong("w + smlie", "smlie", "`smlie` is not defined", "`smile`");
    wrong("strp(w, along: smile)", "strp", "no function `strp`", "`strip`");
    wrong("strip(w, alog: smile)", "alog", "`strip` has no argument `alog`", "`along`");
    wrong("invert(x, method: hybird)", "hybird", "not a choice for `method`", "method: hybrid");
    wrong("qqq", "qqq", "is not defined", "qqq = …");
    right("w + smile\nstrip(w, along: smile)\ninvert(x, method: hybrid)");
}

#[test]
fn a_missing_file_is_found_by_the_function_that_would_read_it() {
    wrong("load \"nothing.pkl\"", "\"nothing.pkl\"", "no file", "load \"faces\"");
    right("load \"faces\"");
}

#[test]
fn arguments_are_counted_named_and_typed() {
    wrong("strip(w)", "strip(w)", "lacks its argument `along`", "`along: …`");
    wrong("strip(w, smile)", "smile", "at most 1 arguments without a name", "`along:`");
    wrong("strip(w, along: smile, along: age)", "along", "given twice", "one");
    wrong("x |> invert(x)", "x", "at most 1", "space:");
    wrong("strip(w, along: 3)", "3", "`along` of `strip` is Direction, not Number", "a direction");
    wrong(
        "invert(x, method: \"other\", space: 3)",
        "3",
        "`space` of `invert` is Space, not Number",
        "a space",
    );
    wrong("invert(x, init: best_of)", "best_of", "not a choice", "best_of: 8");
    wrong("invert(x, init: worst_of: 8)", "worst_of", "not a choice", "init: best_of");
    wrong("strip(w, along: a: 3)", "a: 3", "`a:` is not a value", "lists such words");
    wrong("invert(x, init: \"mean\")", "\"mean\"", "is word, not Text", "without quotes");
    wrong("invert(x, init: \"maen\")", "\"maen\"", "is word, not Text", "quotes: `init: mean`");
    // A choice is nearer than a name that is defined.
    wrong("beann = 1\ninvert(x, init: meann)", "meann", "not a choice", "init: mean");
    right(
        "invert(x, init: best_of: 8, method: encoder)\nshow w, r, x\nx |> invert\nstrip(r, along: \
         smile)",
    );
}

#[test]
fn slips_of_newcomers_lead_to_what_they_mean() {
    wrong("invert(\"me.jpg\")", "\"me.jpg\"", "is Image, not Text", "image(\"me.jpg\")");
    wrong("strip(w, along: \"smile\")", "\"smile\"", "not Text", "direction(\"smile\")");
    wrong("w + \"smile\"", "+", "cannot add", "without quotes: `smile`");
    wrong("2*\"smile\"", "*", "cannot multiply", "without quotes: `smile`");
    wrong("\"a\" + \"b\"", "+", "cannot add Text and Text", "combine numbers");
    wrong("age(w, 2)", "age", "is Direction[W] and cannot be called", "`w + 2*age`");
    wrong("help(invert)", "help", "no function `help`", "`?invert`");
    wrong("help()", "help", "no function `help`", "`:help`");
    wrong("exit()", "exit", "no function `exit`", "`:quit`");
}

#[test]
fn a_variable_named_like_a_word_is_the_variable() {
    right("hybrid = \"encoder\"\ninvert(x, method: hybrid)");
    wrong(
        "hybrid = 3\ninvert(x, method: hybrid)",
        "hybrid",
        "is word or Text, not Number",
        "one of hybrid, encoder",
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_a_better_way() {
    wrong("2*w", "*", "cannot multiply Number and Latent[W]", "lerp(w, other, 0.5)");
    wrong("w + w", "+", "cannot add Latent[W] and Latent[W]", "lerp(w, w, 0.5)");
    wrong("w + 2", "+", "cannot add Latent[W] and Number", "w + 2*direction");
    wrong("smile - w", "-", "cannot subtract Latent[W] from Direction[W]", "w - smile");
    wrong("smile*age", "*", "cannot multiply", "smile | age");
    wrong("x - x", "-", "cannot subtract Image from Image", "compare(x, x)");
    wrong("[w] + smile", "+", "cannot add List[Latent[W]]", "for w in");
    wrong("-w", "w", "cannot negate Latent[W]", "directions");
    wrong("1/0", "0", "division by zero", "another");
    wrong("w - z", "z", "cannot subtract a W code and a Z code", "to(W, z)");
    wrong("smile + wide", "wide", "a W direction and a W+ direction", "smile @ 0..10");
    wrong("smile | wide", "wide", "cannot project out", "smile @ 0..10");
    wrong("smile | w", "w", "goes between directions", "smile | [age, glasses]");
    wrong("assert 3", "3", "wants a comparison, not Number", "3 > 0");
    wrong("w < 3", "<", "cannot compare Latent[W] and Number", "psnr");
    wrong("[a for a in w]", "w", "cannot go through Latent[W]", "-3..3");
    wrong("[a for a in 3..0 by 1]", "1", "never reaches", "by -1");
    wrong("0..w", "w", "between numbers", "0..4");
    wrong("(0..4)[3]", "(0..4)", "Range cannot be indexed", "lists, pictures");
    wrong("\"text\"[0]", "\"text\"", "Text cannot be indexed", "lists, pictures");
    wrong("w(3)", "w", "cannot be called", "`*`");
    right(
        "smile @ 0..10 + wide\nw - to(W, z)\nw - smile\nsmile | age\nw + 2*smile\nlerp(w, w, \
         0.5)\nlerp(w, r, 0.5)",
    );
}

#[test]
fn functions_are_checked_at_their_definition_and_at_each_call() {
    right(
        "def younger(w, a) = w - a*(age | smile)\nx |> invert() |> younger(2) |> save(\"out.png\")",
    );
    wrong("def f(a) = a + nme", "nme", "is not defined", "nme");
    wrong("def f(a) = f(a)", "f", "calls itself", "list");
    wrong("def f(a, b) = a + b\nf(w)", "f(w)", "takes 2 arguments, not 1", "f(a, b)");
    wrong("def f(a) = a\nf(a: w)", "a", "by place", "leave out");
    wrong("def f(a) = a + smile\nf(z)", "smile", "W direction to a Z code", "to(W, a)");
    let (source, checked) = run(&format!("{SETUP}def f(a) = a + smile\nf(z)"));
    let error = checked.unwrap_err();
    assert!(
        error
            .labels()
            .iter()
            .any(|l| source.slice(l.span) == "f" && l.text.contains("call of `f`"))
    );
    assert_eq!(
        run(&format!("{SETUP}def f(a) = a + smile\nit = f(w)")).1.unwrap().bindings["it"]
            .to_string(),
        "Latent[W]"
    );
}

#[test]
fn functions_and_names_of_the_session_are_known() {
    let (_, first) = run(&format!("{SETUP}def f(a) = a + smile"));
    let first = first.unwrap();
    let session = Session { bound: first.bindings, functions: first.functions };
    assert_eq!(
        run_in(&session, "it = f(w)", &[]).1.unwrap().bindings["it"].to_string(),
        "Latent[W]"
    );
    let (source, checked) = run_in(&session, "show f(z)", &[]);
    let error = checked.unwrap_err();
    assert_eq!(source.slice(error.span().unwrap()), "f(z)");
    assert!(error.notes().iter().any(|n| n.contains("body of `f`")) && error.labels().is_empty());
}

#[test]
fn calls_that_double_at_every_level_end() {
    let mut text = String::from("def f0(a) = a + 1\n");
    for i in 1..40 {
        text += &format!("def f{i}(a) = f{}(a) + f{}(a)\n", i - 1, i - 1);
    }
    right(&text);
}

#[test]
fn one_slip_costs_one_error() {
    let (_, checked) =
        run("a = qqq\nb = a + 1\nc = b[3]\ndef f(p) = rrr\nf(3)\nload \"no\"\nd = nothing");
    let messages: Vec<String> =
        checked.unwrap_err().iter().map(|e| e.message().to_string()).collect();
    assert_eq!(messages.len(), 4, "{messages:?}");
}

#[test]
fn parameters_take_their_values_from_outside() {
    let session = Session::default();
    let text = "param strength = 2.0\nparam out = \"a.png\"\nparam r = -3..3\nparam on = true\nit \
                = strength";
    let set = |sets: &[(&str, &str)]| run_in(&session, text, sets).1;
    let printed = |sets: &[(&str, &str)]| -> Vec<String> {
        set(sets).unwrap().program.statements.iter().take(4).map(ToString::to_string).collect()
    };
    assert_eq!(printed(&[])[0], "param strength = 2");
    assert_eq!(
        printed(&[("strength", "-3"), ("out", "b c.png"), ("r", "0..4 by 2"), ("on", "false")]),
        [
            "param strength = -3",
            "param out = \"b c.png\"",
            "param r = 0..4 by 2",
            "param on = false"
        ]
    );
    assert_eq!(printed(&[("out", "\"q\"")])[1], "param out = \"q\"");
    let bad = set(&[("strength", "high")]).unwrap_err();
    assert!(
        bad.message().contains("`strength` is Number")
            && bad.repair().unwrap().contains("strength=2")
    );
    assert_eq!(
        set(&[("strenght", "3")]).unwrap_err().repair().unwrap(),
        "did you mean `strength`?"
    );
    let computed = run_in(&session, "param a = sample()", &[]).1.unwrap_err();
    assert!(computed.message().contains("not a constant"));
}

#[test]
fn a_name_may_be_bound_again() {
    right("w = 3\nw = w + 1\nw = \"text\"");
}

#[test]
fn ranges_as_values_include_their_end() {
    assert_eq!(numbers(-3.0, 3.0, Some(1.5)).unwrap(), [-3.0, -1.5, 0.0, 1.5, 3.0]);
    assert_eq!(numbers(0.0, 3.5, None).unwrap(), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(numbers(0.0, 1.0, Some(0.1)).unwrap().len(), 11);
    assert_eq!(numbers(3.0, 0.0, Some(-1.0)).unwrap(), [3.0, 2.0, 1.0, 0.0]);
    assert_eq!(numbers(2.0, 2.0, None).unwrap(), [2.0]);
    for (a, b, s) in
        [(0.0, 3.0, Some(0.0)), (3.0, 0.0, None), (0.0, 1e9, None), (0.0, f64::NAN, None)]
    {
        assert!(numbers(a, b, s).is_err(), "{a}..{b} by {s:?}");
    }
}

#[test]
fn the_sketch_of_the_language_checks_but_for_what_the_session_lacks() {
    let session = Session::default();
    let (_, checked) = run_in(
        &session,
        "load \"faces\"\nx = image(\"me.jpg\")\nr = invert(x, space: W+)\nassert psnr(x, r) > \
         25\nparam strength = 2.0\nr",
        &[],
    );
    let checked = checked.unwrap();
    assert_eq!(checked.model.unwrap().name, "faces");
    assert_eq!(checked.bindings["r"].to_string(), "Inversion[W+]");
}

#[test]
fn deep_programs_are_refused_and_never_overflow() {
    let nest =
        |open: &str, inner: &str, n: usize| format!("{}{inner}{}", open.repeat(n), ")".repeat(n));
    let mut text = format!("def f0(a) = {}\n", nest("-(", "a", 30));
    for i in 1..60 {
        text += &format!("def f{i}(a) = {}\n", nest("-(", &format!("f{}(a)", i - 1), 30));
    }
    let error = run(&text).1.unwrap_err();
    assert!(error.iter().all(|e| e.message().contains("too deeply")), "{error}");
    // Looking for the place of an error must not double the work at every level.
    right(&nest("2*(", "smile", 60));
    right(&nest("smile + 2*(", "smile", 30));
}
