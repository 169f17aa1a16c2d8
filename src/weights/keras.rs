//! What a Keras file says of its model, and what kind of model it is.
//!
//! A whole model (`model.save`) holds its configuration; of one saved in two files
//! (`model.to_json()` and `save_weights`), the JSON file beside the weights has it. Weights alone
//! show only the names and shapes of tensors.

use super::listing::Listing;
use serde_json::Value as Json;

/// Channels of a picture at most.
const CHANNELS: usize = 4;

/// Kind of a Keras model, by what it takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A vector becomes a picture.
    Generator,
    /// A picture becomes a vector.
    Reader,
    /// A picture becomes a picture.
    Translator,
    /// Anything else.
    Other,
}

/// What Keras wrote beside the tensors: `keras_version`, `backend`, `layers`, `model`; `None` for a
/// file that it did not write.
pub fn said(listing: &Listing) -> Option<&Json> {
    listing.config.get(super::hdf5::KEY)
}

/// The configuration of a Keras file's model, from the file or from the JSON file beside it.
pub fn model(listing: &Listing) -> Option<&Json> {
    let said = said(listing)?;
    let is_model = |json: &&Json| json.get("class_name").is_some() && layers(json).is_some();
    said.get("model").filter(is_model).or_else(|| Some(&listing.beside).filter(is_model))
}

/// The layers of a model's configuration; `None` for a layer that is no model.
pub fn layers(model: &Json) -> Option<&Vec<Json>> {
    let config = model.get("config")?;
    // Keras 1 and the first versions of 2 wrote a list.
    config.get("layers").unwrap_or(config).as_array()
}

/// The class of a layer or model: `Dense`.
pub fn class(layer: &Json) -> &str {
    layer.get("class_name").and_then(Json::as_str).unwrap_or_default()
}

/// The shape that a layer is declared to take, without the batch.
pub fn input(layer: &Json) -> Option<Vec<Option<u64>>> {
    let config = layer.get("config")?;
    let shape = config.get("batch_shape").or_else(|| config.get("batch_input_shape"))?;
    Some(shape.as_array()?.get(1..)?.iter().map(Json::as_u64).collect())
}

/// The models on the way from a whole model to the generator in it, the whole one first; `None`
/// when there is not exactly one. A generator may be a part of what was saved: of a GAN with its
/// discriminator, of an autoencoder.
pub fn generator(model: &Json) -> Option<Vec<&Json>> {
    if sort_of(model) == Sort::Generator {
        return Some(vec![model]);
    }
    let inner = layers(model)?.iter().filter(|l| layers(l).is_some());
    let mut found: Vec<Vec<&Json>> = inner.filter_map(generator).collect();
    let mut only = found.pop().filter(|_| found.is_empty())?;
    only.insert(0, model);
    Some(only)
}

/// The kind of model in a Keras file; `None` for other files.
pub fn sort(listing: &Listing) -> Option<Sort> {
    said(listing)?;
    Some(match model(listing) {
        Some(model) if generator(model).is_some() => Sort::Generator,
        Some(model) => sort_of(model),
        None => by_shapes(listing),
    })
}

fn sort_of(model: &Json) -> Sort {
    let (first, last) = ranks(model, None);
    match (first, last) {
        (Some(1), 2 | 3) => Sort::Generator,
        (Some(3), 0 | 1) => Sort::Reader,
        (Some(3), 3) => Sort::Translator,
        _ => Sort::Other,
    }
}

/// Dimensions without the batch that a model takes, and that it gives.
fn ranks(model: &Json, given: Option<usize>) -> (Option<usize>, usize) {
    let (mut first, mut now) = (given, given.unwrap_or(0));
    for layer in layers(model).into_iter().flatten() {
        if first.is_none() {
            first = declared(layer);
            now = first.unwrap_or(now);
        }
        if layers(layer).is_some() {
            let (takes, gives) = ranks(layer, first.map(|_| now));
            first = first.or(takes);
            now = gives;
            continue;
        }
        now = match class(layer) {
            "Flatten" | "GlobalAveragePooling2D" | "GlobalMaxPooling2D" => 1,
            "Conv2D" | "Conv2DTranspose" | "UpSampling2D" => 3,
            "Reshape" => layer["config"]["target_shape"].as_array().map_or(now, Vec::len),
            _ => now,
        };
    }
    (first, now)
}

/// Dimensions that a model's first layer takes. A map of one pixel is a vector.
fn declared(layer: &Json) -> Option<usize> {
    match (input(layer), class(layer)) {
        (Some(shape), _) => Some(match shape[..] {
            [Some(1), Some(1), _] => 1,
            _ => shape.len(),
        }),
        (None, "Dense") => Some(1),
        (None, "Conv2D") => Some(3),
        _ => None,
    }
}

/// The kind of model by its kernels: `[in, out]` of fully connected layers, `[h, w, in, out]` of
/// convolutions, `[h, w, out, in]` of transposed ones.
fn by_shapes(listing: &Listing) -> Sort {
    let (mut connected, mut reads, mut gives) = (false, false, false);
    for (name, shape) in &listing.tensors {
        if name.starts_with("optimizer") {
            continue;
        }
        match shape.shape[..] {
            [_, _] => connected = true,
            [_, _, a, b] => {
                let [from, to] = if name.contains("transpose") { [b, a] } else { [a, b] };
                reads |= from <= CHANNELS && to > from;
                gives |= to <= CHANNELS && from > to;
            }
            _ => {}
        }
    }
    match (reads, gives) {
        (false, true) if connected => Sort::Generator,
        (true, false) => Sort::Reader,
        (true, true) => Sort::Translator,
        _ => Sort::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(layers: Json) -> Json {
        json!({"class_name": "Sequential", "config": {"name": "m", "layers": layers}})
    }

    fn layer(class: &str, config: Json) -> Json {
        json!({"class_name": class, "config": config})
    }

    #[test]
    fn models_are_told_by_what_they_take_and_give() {
        let z = || layer("InputLayer", json!({"batch_shape": [null, 100]}));
        let picture = || layer("InputLayer", json!({"batch_input_shape": [null, 28, 28, 1]}));
        let reshape = || layer("Reshape", json!({"target_shape": [7, 7, 64]}));
        let flat = || layer("Flatten", json!({}));
        let dense = || layer("Dense", json!({}));
        let generator_of = || of(json!([z(), dense(), reshape()]));
        let reader = || of(json!([picture(), flat(), dense()]));
        assert_eq!(sort_of(&generator_of()), Sort::Generator);
        assert_eq!(sort_of(&of(json!([dense(), reshape()]))), Sort::Generator);
        assert_eq!(sort_of(&reader()), Sort::Reader);
        assert_eq!(sort_of(&of(json!([picture(), dense()]))), Sort::Translator);
        assert_eq!(sort_of(&of(json!([z(), dense()]))), Sort::Other);
        let pixel = layer("InputLayer", json!({"batch_shape": [null, 1, 1, 100]}));
        let transposed = layer("Conv2DTranspose", json!({}));
        assert_eq!(sort_of(&of(json!([pixel, transposed]))), Sort::Generator);
        let old = json!({"class_name": "Sequential", "config": [z(), dense(), reshape()]});
        assert_eq!(sort_of(&old), Sort::Generator);
        // A GAN as a whole gives a vector; its generator is inside.
        let gan = of(json!([z(), generator_of(), reader()]));
        assert_eq!(sort_of(&gan), Sort::Other);
        assert_eq!(generator(&gan).map(|p| p.len()), Some(2));
        let two = of(json!([z(), generator_of(), reader(), generator_of()]));
        assert!(generator(&of(json!([picture(), two]))).is_some_and(|p| p.len() == 3));
        let several = of(json!([picture(), generator_of(), reader(), generator_of(), flat()]));
        assert!(generator(&several).is_none());
    }
}
