//! Networks that are no generators, told by the names of their tensors.

use super::keras::{self, Sort};
use super::listing::Listing;

/// A kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its short name, for programs: `diffusion`, `encoder`, `classifier`.
    pub name: &'static str,
    /// In words: `a diffusion model (UNet)`.
    pub what: &'static str,
    /// Sets of marks; a file with all marks of one set is of the kind. A mark is a part of a name
    /// from the beginning of a word between dots on; where it ends with a dot more follows, else a
    /// word ends there.
    marks: &'static [&'static [&'static str]],
}

const fn of(
    name: &'static str,
    what: &'static str,
    marks: &'static [&'static [&'static str]],
) -> Kind {
    Kind { name, what, marks }
}

/// The name of the networks that recognise faces.
pub const RECOGNISER: &str = "face-recognition";

/// Names of the kinds of Keras models, which are told by what they take and give.
const READER: &str = "keras-classifier";
const TRANSLATOR: &str = "keras-translation";
const MODEL: &str = "keras-model";

/// All of them, the more particular first.
const KINDS: &[Kind] = &[
    of(
        "lora",
        "the changes of a LoRA, without the model that they change",
        &[&["lora_down.weight"], &["lora_A.weight"], &["lora_A.default.weight"]],
    ),
    of(
        "diffusion",
        "a diffusion model (UNet), which has no latent code to edit",
        &[
            &["model.diffusion_model."],
            &["down_blocks.0.resnets.", "mid_block."],
            &["input_blocks.0.0.weight", "middle_block."],
            &["down_blocks.0.attentions."],
        ],
    ),
    of(
        "diffusion",
        "a diffusion model (transformer), which has no latent code to edit",
        &[
            &["double_blocks.0."],
            &["joint_blocks.0."],
            &["transformer_blocks.0.attn1.", "patch_embed."],
            &["blocks.0.adaLN_modulation."],
        ],
    ),
    of(
        "autoencoder",
        "the autoencoder of a diffusion model or a VQGAN",
        &[
            &["first_stage_model."],
            &["encoder.down_blocks.0.resnets.", "decoder.up_blocks."],
            &["decoder.up.0.block.", "encoder.down.0.block."],
            &["quantize.embedding.weight"],
        ],
    ),
    of(
        "clip",
        "CLIP, which compares pictures and texts",
        &[
            &["visual.conv1.weight", "token_embedding.weight"],
            &["visual.layer1.0.", "token_embedding.weight"],
            &["vision_model.encoder.layers.", "text_model.encoder.layers."],
            &["visual.transformer.resblocks.0."],
            &["vision_model.encoder.layers."],
        ],
    ),
    of(
        "language-model",
        "a language model",
        &[
            &["layers.0.self_attn.q_proj.weight"],
            &["h.0.attn.c_attn.weight"],
            &["embed_tokens.weight"],
            &["encoder.layer.0.attention.self.query.weight"],
            &["block.0.layer.0.SelfAttention.q.weight"],
            &["gpt_neox.layers.0."],
        ],
    ),
    of(
        "restoration",
        "a network that restores or enlarges pictures, without a latent code",
        &[
            &["RRDB_trunk.0."],
            &["body.0.rdb1.conv1.weight"],
            &["stylegan_decoder.", "conv_body_first."],
            &["conv_first.weight", "conv_after_body.weight"],
            &["toRGB.0.weight", "final_linear.1.weight", "conv_body_down."],
        ],
    ),
    of(
        "hypernetwork",
        "a network that changes a generator's weights (HyperStyle, HyperInverter)",
        &[
            &["hypernet.weight_regressors."],
            &["hypernet.", "refinement_blocks."],
            &["hypernet.input_layer.0.weight"],
            &["refinement_blocks.0."],
        ],
    ),
    of(
        "encoder",
        "an encoder of pictures into W+ and feature maps (StyleFeatureEditor)",
        &[&["fs_backbone.conv.0.weight"]],
    ),
    of(
        "encoder",
        "an encoder of pictures into S of StyleGAN (GH-Feat)",
        &[&["HighLevel/batch_norm/gamma"]],
    ),
    of(
        "encoder",
        "an encoder of pictures into W+ (pSp, e4e, ReStyle)",
        &[
            &["input_layer.0.weight", "styles.0.convs.0.weight"],
            &["input_layer.0.weight", "latlayer1.weight"],
        ],
    ),
    of(
        RECOGNISER,
        "a network that recognises faces (IR-SE50, ArcFace)",
        &[
            &["input_layer.0.weight", "body.0.res_layer.0.weight"],
            &["output_layer.3.weight", "body.0.shortcut_layer.0.weight"],
        ],
    ),
    of(
        "face-parsing",
        "a network that finds the parts of faces (BiSeNet)",
        &[&["cp.resnet.conv1.weight"], &["ffm.convblk.conv.weight"]],
    ),
    of("perceptual", "the layers of LPIPS, a perceptual distance", &[&["lin0.model.1.weight"]]),
    of(
        "translation",
        "a network that turns pictures into pictures (CycleGAN, pix2pix)",
        &[&["model.10.conv_block.1.weight"], &["model.model.1.model.3.model."]],
    ),
    of(
        "inception",
        "Inception, a classifier that FID is measured with",
        &[&["Mixed_5b.branch1x1.conv.weight"], &["Conv2d_1a_3x3.conv.weight"]],
    ),
    of(
        "transformer",
        "a vision transformer, a classifier or encoder of pictures",
        &[
            &["blocks.0.attn.qkv.weight"],
            &["encoder.layer.0.attention.attention.query.weight"],
            &["encoder_layer_0.self_attention."],
        ],
    ),
    of(
        "classifier",
        "a ResNet, a classifier or encoder of pictures",
        &[&["layer1.0.conv1.weight"], &["layer1.0.0.conv1.weight"]],
    ),
    of(
        "classifier",
        "a VGG, a classifier of pictures",
        &[
            &["features.0.weight", "features.2.weight"],
            &["features.0.weight", "classifier.0.weight"],
            &["slice1.0.weight"],
        ],
    ),
    of(
        "classifier",
        "a MobileNet or EfficientNet, a classifier of pictures",
        &[
            &["features.0.0.weight", "features.1.conv.0.0.weight"],
            &["blocks.0.0.conv_dw.weight"],
            &["_blocks.0._depthwise_conv.weight"],
        ],
    ),
    of("detector", "a network that finds objects (YOLO)", &[&["model.0.conv.weight", "model.9."]]),
    of(
        "speech",
        "a network for speech",
        &[
            &["feature_extractor.conv_layers.0.conv.weight"],
            &["encoder.blocks.0.attn.query.weight", "decoder.token_embedding.weight"],
        ],
    ),
    of(
        "discriminator",
        "a discriminator, which makes no pictures",
        &[
            &["final_conv.0.weight", "final_linear.0.weight"],
            &["b4.fc.weight", "b4.out.weight"],
            &["b4.mbstd."],
            &["feature_network.pretrained."],
            &["fromrgb.weight", "b4.conv.weight"],
            &["MainLayers.0.Layers.0.LinearLayer1.Layer.weight", "ExtractionLayer.Layer.weight"],
        ],
    ),
    of(READER, "a Keras model that reads pictures: a classifier or a discriminator", &[]),
    of(TRANSLATOR, "a Keras model that turns pictures into pictures", &[]),
    of(MODEL, "a Keras model that makes no pictures of a vector", &[]),
    of("optimizer", "the state of an optimizer, without a network", &[&["state.0.exp_avg"]]),
];

/// Whether a name holds a mark: from the beginning of a word on, to the end of one.
fn holds(name: &str, mark: &str) -> bool {
    name.match_indices(mark).any(|(at, _)| {
        let (before, after) = (&name[..at], &name[at + mark.len()..]);
        let begins = before.is_empty() || before.ends_with('.');
        let ends = mark.ends_with('.') || after.is_empty() || after.starts_with('.');
        begins && ends
    })
}

/// The kind of network that tensors of these names are of; `None` for none that is known.
pub fn kind_of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<&'static Kind> {
    let has = |mark: &&str| names.clone().any(|name| holds(name, mark));
    KINDS.iter().find(|k| k.marks.iter().any(|set| set.iter().all(&has)))
}

/// As [`kind_of`], for all tensors of a file. A module's class decides where it says more.
pub fn kind(listing: &Listing) -> Option<&'static Kind> {
    let discriminator = || {
        let class = listing.classes.first().is_some_and(|c| c.contains("Discriminator"));
        KINDS.iter().find(|k| class && k.name == "discriminator")
    };
    let keras = || {
        let name = match keras::sort(listing)? {
            Sort::Reader => READER,
            Sort::Translator => TRANSLATOR,
            Sort::Generator | Sort::Other => MODEL,
        };
        KINDS.iter().find(|k| k.name == name)
    };
    kind_of(listing.tensors.keys().map(String::as_str)).or_else(discriminator).or_else(keras)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(names: &[&str]) -> &'static str {
        kind_of(names.iter().copied()).map_or("", |k| k.name)
    }

    /// Every set of marks names its own kind, also inside other names.
    #[test]
    fn every_set_of_marks_finds_its_kind() {
        for kind in KINDS {
            for set in kind.marks {
                let whole = |m: &&str| if m.ends_with('.') { format!("{m}x") } else { (*m).into() };
                let names: Vec<String> = set.iter().map(whole).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                assert_eq!(name(&names), kind.name, "{set:?}");
                let inside: Vec<String> =
                    names.iter().map(|n| format!("state_dict.net.{n}")).collect();
                let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
                assert_eq!(name(&inside), kind.name, "{inside:?}");
                let other: Vec<String> = names.iter().map(|n| format!("x{n}")).collect();
                let other: Vec<&str> = other.iter().map(String::as_str).collect();
                assert_eq!(name(&other), "", "{other:?}");
            }
        }
    }

    #[test]
    fn generators_are_none_of_them() {
        for names in [
            &["mapping.fc0.weight", "synthesis.b4.const", "synthesis.b4.torgb.weight"][..],
            &["style.1.weight", "conv1.conv.weight", "convs.0.conv.weight", "to_rgb1.bias"],
            &["synthesis.input.freqs", "synthesis.L0_36_512.weight"],
            &["init.init.0.weight_orig", "feat_8.1.weight_orig", "to_big.weight_orig"],
            &["main.0.weight", "main.1.running_mean", "main.3.weight"],
            &["scaleLayers.0.0.module.weight", "formatLayer.module.weight"],
            &["linear0.weight", "blocks.0.0.conv2d1.weight", "conv2d5.weight"],
            &["generator.layers.0.conv_0.weight_orig", "embeddings.weight"],
            &["backbone.synthesis.b4.const", "decoder.net.0.weight", "superresolution.block0.x"],
            &["Model.MainLayers.0.Layers.0.Basis", "Model.EmbeddingLayer.weight"],
        ] {
            assert_eq!(name(names), "", "{names:?}");
        }
    }
}
