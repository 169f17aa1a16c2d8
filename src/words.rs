//! Words that several parts of the program say alike.

/// A size in words: `256²`, or `256×512` (width × height) where the sides differ.
pub fn size(width: usize, height: usize) -> String {
    if width == height { format!("{width}²") } else { format!("{width}×{height}") }
}
