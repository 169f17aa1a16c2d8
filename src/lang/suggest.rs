//! Did you mean: the known names nearest to a misspelt one.

/// Up to three names that are near: first by Damerau–Levenshtein distance (at most 3, and less than
/// half of the word is wrong), then those that contain the word or lie in it.
pub fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let lower = word.to_lowercase();
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|name| {
            let other = name.to_lowercase();
            let distance = strsim::damerau_levenshtein(&lower, &other);
            let longest = lower.chars().count().max(other.chars().count());
            let contains = lower.len() >= 3
                && other.len() >= 3
                && (other.contains(&lower) || lower.contains(&other));
            if distance <= 3 && distance * 2 < longest {
                Some((distance, name))
            } else {
                contains.then_some((4, name))
            }
        })
        .collect();
    found.sort();
    found.dedup();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The hint for a misspelt name, if anything is near: `` did you mean `smile`? ``
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<String> = near(word, known).iter().map(|n| format!("`{n}`")).collect();
    let (last, most) = names.split_last()?;
    Some(if most.is_empty() {
        format!("did you mean {last}?")
    } else {
        format!("did you mean {} or {last}?", most.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first_and_far_ones_never() {
        let known = ["smile", "age", "glasses", "age_svm", "strip", "w"];
        assert_eq!(near("smiel", known), ["smile"]);
        assert_eq!(near("agee", known), ["age", "age_svm"][..1]);
        assert_eq!(near("svm", known), ["age_svm"]);
        assert_eq!(near("zebra", known), [""; 0]);
        assert_eq!(near("x", known), [""; 0]);
        assert_eq!(did_you_mean("stripe", known).unwrap(), "did you mean `strip`?");
    }
}
