//! The example pictures, inside the binary: scripts and help find them from any folder.

/// A picture by the path that the scripts and the examples of the help name it by.
macro_rules! example {
    ($name:literal) => {
        (
            concat!("models/faces/examples/", $name),
            include_bytes!(concat!("../../models/faces/examples/", $name)) as &[u8],
        )
    };
}

const ALL: [(&str, &[u8]); 12] = [
    example!("900000.jpg"),
    example!("900001.jpg"),
    example!("900004.jpg"),
    example!("900007.jpg"),
    example!("900008.jpg"),
    example!("900009.jpg"),
    example!("900012.jpg"),
    example!("900019.jpg"),
    example!("900021.jpg"),
    example!("900028.jpg"),
    example!("900030.jpg"),
    example!("900052.jpg"),
];

/// The paths of all examples.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// The bytes of the example of that path.
pub(super) fn find(path: &str) -> Option<&'static [u8]> {
    ALL.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtins;

    #[test]
    fn every_picture_that_scripts_and_help_name_is_inside() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let scripts = std::fs::read_dir(root.join("scripts")).unwrap().map(|e| e.unwrap().path());
        let scripts = scripts.filter(|p| p.extension().is_some_and(|e| e == "gnt"));
        let mut texts: Vec<String> = scripts.map(|p| std::fs::read_to_string(p).unwrap()).collect();
        for b in builtins::ALL {
            texts.extend(b.examples.iter().map(|e| e.code.to_owned()));
        }
        let text = texts.join("\n");
        // A pattern names no single file.
        let is_path = |t: &&str| t.starts_with("models/") && !t.contains('*');
        let named: Vec<&str> = text.split('"').filter(is_path).collect();
        assert!(named.len() > 4, "{named:?}");
        for path in named {
            let file = std::fs::read(root.join(path)).unwrap();
            assert_eq!(find(path), Some(file.as_slice()), "{path}");
        }
    }
}
