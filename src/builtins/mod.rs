//! The built-in functions, one file each: a constant, its implementation, its tests.

mod attributes;
mod blank;
mod channel;
mod compare;
mod compose;
mod cosine;
mod degrade;
mod diagnose;
mod direction;
#[cfg(test)]
mod dummy_builtin;
mod ensemble;
mod examples;
pub mod explore;
mod faces;
mod files;
mod fit;
mod grid;
mod hist;
mod identity;
mod image;
pub mod images;
mod info;
mod invert;
mod ladder;
mod latent;
mod len;
mod lerp;
mod load;
mod mae;
mod mask;
mod max;
mod mean;
mod mean_w;
mod measure;
mod min;
mod mix;
mod ms_ssim;
mod mse;
mod norm;
mod paint;
mod paste;
mod path;
mod pc;
mod perceptual;
mod photograph;
mod plot;
mod print;
mod psnr;
mod render;
mod rmse;
mod sample;
mod save;
mod scatter;
mod show;
mod slerp;
mod ssim;
mod strip;
mod sum;
mod table;
mod text;
mod to;

mod shared;

use crate::builtin::Builtin;

/// All built-in functions, by name.
pub const ALL: &[&Builtin] = &[
    &attributes::BUILTIN,
    &blank::BUILTIN,
    &channel::BUILTIN,
    &compare::BUILTIN,
    &compose::BUILTIN,
    &cosine::BUILTIN,
    &degrade::BUILTIN,
    &diagnose::BUILTIN,
    &direction::BUILTIN,
    #[cfg(test)]
    &dummy_builtin::BUILTIN,
    &ensemble::BUILTIN,
    &explore::BUILTIN,
    &faces::BUILTIN,
    &files::BUILTIN,
    &fit::BUILTIN,
    &grid::BUILTIN,
    &hist::BUILTIN,
    &identity::BUILTIN,
    &image::BUILTIN,
    &images::BUILTIN,
    &info::BUILTIN,
    &invert::BUILTIN,
    &ladder::BUILTIN,
    &latent::BUILTIN,
    &len::BUILTIN,
    &lerp::BUILTIN,
    &load::BUILTIN,
    &mae::BUILTIN,
    &mask::BUILTIN,
    &max::BUILTIN,
    &mean::BUILTIN,
    &mean_w::BUILTIN,
    &measure::BUILTIN,
    &min::BUILTIN,
    &mix::BUILTIN,
    &ms_ssim::BUILTIN,
    &mse::BUILTIN,
    &norm::BUILTIN,
    &paint::BUILTIN,
    &paste::BUILTIN,
    &path::BUILTIN,
    &pc::BUILTIN,
    &perceptual::BUILTIN,
    &plot::BUILTIN,
    &print::BUILTIN,
    &psnr::BUILTIN,
    &render::BUILTIN,
    &rmse::BUILTIN,
    &sample::BUILTIN,
    &save::BUILTIN,
    &scatter::BUILTIN,
    &show::BUILTIN,
    &slerp::BUILTIN,
    &ssim::BUILTIN,
    &strip::BUILTIN,
    &sum::BUILTIN,
    &table::BUILTIN,
    &text::BUILTIN,
    &to::BUILTIN,
];

/// The built-in function of that name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    ALL.iter().copied().find(|b| b.signature.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::Kind;

    #[test]
    fn texts_of_functions_whose_results_are_kept_are_files() {
        let kept: Vec<&&Builtin> = ALL.iter().filter(|b| b.cache.is_some()).collect();
        assert!(kept.iter().any(|b| b.signature.name == "invert"));
        for builtin in kept {
            for param in builtin.signature.params {
                let text =
                    param.accepts.contains(&Kind::Text) || param.accepts.contains(&Kind::Any);
                // The name of a layer is part of the call itself.
                assert!(
                    !text || param.reads.is_some() || param.name == "layer",
                    "{} {}",
                    builtin.signature.name,
                    param.name
                );
                assert!(!param.writes, "{} {}", builtin.signature.name, param.name);
            }
        }
    }
}
