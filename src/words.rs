//! Words that several parts of the program say alike.

/// A size in words: `256²`, or `256×512` (width × height) where the sides differ.
pub fn size(width: usize, height: usize) -> String {
    if width == height { format!("{width}²") } else { format!("{width}×{height}") }
}

/// A number of things: `1 cell`, `2 cells`.
pub fn count(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// Bytes in words: `512 B`, `3 kB`, `34 MB`, `2.1 GB`.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{} kB", n / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", n / 1_000_000),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_thing_is_no_plural() {
        let said = [0, 1, 2].map(|n| super::count(n, "cell"));
        assert_eq!(said, ["0 cells", "1 cell", "2 cells"]);
    }

    #[test]
    fn bytes_are_said_shortly() {
        let said = [0, 999, 1000, 34_000_000, 2_150_000_000].map(super::bytes);
        assert_eq!(said, ["0 B", "999 B", "1 kB", "34 MB", "2.1 GB"]);
    }
}
