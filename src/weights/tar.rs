//! A tar archive around one model file, as `.pth.tar` files may be.

use super::source::{Source, quoted};
use crate::error::Result;
use crate::limits::Limits;

/// Bytes of a header and of the steps between entries.
const BLOCK: u64 = 512;

/// The one entry of a tar archive that begins like a model file, by `begins`; `None` when the file
/// is not a tar.
///
/// # Errors
/// When the archive is cut or too long, and when it does not have exactly one model file.
pub(super) fn only_model(
    source: &Source,
    limits: &Limits,
    begins: fn(&[u8]) -> bool,
) -> Result<Option<Source>> {
    if source.len() < BLOCK || source.read(257, 5)? != b"ustar" {
        return Ok(None);
    }
    let (mut at, mut found) = (0, Vec::new());
    for entries in 0.. {
        if at + BLOCK > source.len() {
            break;
        }
        let header = source.read(at, BLOCK)?;
        if header.iter().all(|&b| b == 0) {
            break;
        }
        if entries >= limits.tar_entries {
            return Err(source.fail(at, format_args!("at most {} entries", limits.tar_entries)));
        }
        let size = octal(&header[124..136])
            .ok_or_else(|| source.fail(at + 124, "tar: a size is an octal number"))?;
        let entry = source.window(at + BLOCK, size)?;
        // Regular files alone: `0`, and NUL in old archives.
        if matches!(header[156], b'0' | 0) && begins(&entry.read(0, size.min(16))?) {
            let name = header[..100].split(|&b| b == 0).next().unwrap_or_default();
            found.push((String::from_utf8_lossy(name).into_owned(), entry));
        }
        at += BLOCK + size.div_ceil(BLOCK) * BLOCK;
    }
    match found.len() {
        1 => Ok(found.pop().map(|(name, entry)| {
            let name = format!("{}:{name}", source.name());
            entry.renamed(&name)
        })),
        0 => Err(source.fail(0, "tar: none of its entries is a model file")),
        n => {
            let names: Vec<String> = found.iter().take(3).map(|(name, _)| quoted(name)).collect();
            let rule = format_args!("tar: {n} entries are model files: {}", names.join(", "));
            Err(source.fail(0, rule).hint("unpack it and give one of them"))
        }
    }
}

/// An octal number with blanks or zeros around it.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(if text.is_empty() { "0" } else { text }, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LIMITS;
    use crate::weights::containers::begins;
    use crate::weights::{Array, numpy::npy};

    /// An archive of these entries.
    fn archive(entries: &[(&str, u8, Vec<u8>)]) -> Source {
        let mut out = Vec::new();
        for (name, kind, bytes) in entries {
            let mut header = vec![0; BLOCK as usize];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
            header[156] = *kind;
            header[257..262].copy_from_slice(b"ustar");
            out.extend(header);
            out.extend(bytes);
            out.resize(out.len().next_multiple_of(BLOCK as usize), 0);
        }
        out.resize(out.len() + 2 * BLOCK as usize, 0);
        Source::bytes("a.tar", out)
    }

    fn array() -> Vec<u8> {
        npy::write(&Array::f32(&[1], vec![2.0]).unwrap()).unwrap()
    }

    #[test]
    fn one_model_among_other_files_is_found() {
        let tar = archive(&[
            ("readme", b'0', b"text".to_vec()),
            ("net/", b'5', vec![]),
            ("net/w.npy", b'0', array()),
        ]);
        let inner = only_model(&tar, &LIMITS, begins).unwrap().unwrap();
        assert_eq!(inner.name(), "a.tar:net/w.npy");
        assert_eq!(inner.read(0, inner.len()).unwrap(), array());
        assert!(only_model(&Source::bytes("f", vec![0; 600]), &LIMITS, begins).unwrap().is_none());
    }

    #[test]
    fn none_several_and_cut_archives_are_refused() {
        let refused = |tar: &Source| only_model(tar, &LIMITS, begins).err().unwrap().to_string();
        assert!(
            refused(&archive(&[("a", b'0', b"text".to_vec())])).contains("none of its entries")
        );
        let two = archive(&[("a", b'0', array()), ("b", b'0', array())]);
        assert!(refused(&two).contains("2 entries are model files: `a`, `b`"));
        let whole = archive(&[("a", b'0', vec![0; 2000])]);
        assert!(refused(&whole.window(0, 1024).unwrap()).contains("needed here"));
        let limits = Limits { tar_entries: 1, ..LIMITS };
        assert!(
            only_model(&two, &limits, begins)
                .err()
                .unwrap()
                .message()
                .contains("at most 1 entries")
        );
    }
}
