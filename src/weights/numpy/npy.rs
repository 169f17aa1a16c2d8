//! NumPy arrays (`.npy`, versions 1.0 to 3.0), read and written.

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::weights::array::{Array, DType, Layout, elements};
use crate::weights::lazy::Lazy;
use crate::weights::source::{Source, one_line, quoted};

pub(in crate::weights) const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header that is read; NumPy's own limit is 10,000 characters.
const HEADER: u64 = 1 << 16;

/// The element type of a NumPy code (`<f4`), and whether its high byte comes first.
pub(in crate::weights) fn dtype(code: &str) -> Option<(DType, bool)> {
    let (order, kind) = match code.as_bytes().first()? {
        b'<' | b'>' | b'|' | b'=' => code.split_at(1),
        _ => ("=", code),
    };
    let dtype = match kind {
        "f2" => DType::F16,
        "f4" => DType::F32,
        "f8" => DType::F64,
        "i1" => DType::I8,
        "i2" => DType::I16,
        "i4" => DType::I32,
        "i8" => DType::I64,
        "u1" => DType::U8,
        "b1" | "?" => DType::Bool,
        _ => return None,
    };
    Some((dtype, order == ">"))
}

/// Reads the header, and where the numbers begin.
fn head(source: &Source) -> Result<(Header, u64)> {
    let mut cursor = source.cursor();
    let [.., major, _minor] = cursor.array::<8>()?;
    let len = match major {
        1 => u64::from(u16::from_le_bytes(cursor.array()?)),
        2 | 3 => u64::from(u32::from_le_bytes(cursor.array()?)),
        v => return Err(source.fail(6, format_args!("npy versions 1 to 3 are read, this is {v}"))),
    };
    if len > HEADER {
        return Err(
            source.fail(8, format_args!("the header has at most {HEADER} bytes, not {len}"))
        );
    }
    let at = cursor.at();
    let text = String::from_utf8_lossy(&source.read(at, len)?).into_owned();
    let header = Literal { text: &text, at: 0 }
        .header()
        .map_err(|(i, rule)| source.fail(at + i as u64, rule))?;
    Ok((header, at + len))
}

/// The pickle of an array of Python objects; `None` for an array of numbers.
///
/// Programs save dictionaries so: `np.save("latents.npy", {"a.jpg": w})`.
pub(in crate::weights) fn objects(source: &Source) -> Result<Option<Source>> {
    let (header, data) = head(source)?;
    let objects = header.code.contains('O');
    objects.then(|| source.window(data, source.len() - data)).transpose()
}

/// Reads the header; the numbers stay in the source.
pub(in crate::weights) fn read(source: &Source, limits: &Limits) -> Result<Lazy> {
    let (header, at) = head(source)?;
    if header.code.contains('O') {
        let rule = "an array of Python objects is a pickle in disguise and is not read here";
        return Err(source.fail(at, rule));
    }
    let Some((dtype, big)) = dtype(&header.code) else {
        let e = source.fail(8, format_args!("element type {} is not read", quoted(&header.code)));
        return Err(e.hint("save it as float32"));
    };
    let layout =
        if header.fortran { Layout::columns(&header.shape) } else { Layout::rows(&header.shape) };
    let data = source.window(at, source.len() - at)?;
    let want = elements(&header.shape).and_then(|n| n.checked_mul(dtype.size() as u64));
    if want != Some(data.len()) {
        let (shape, have) = (&header.shape, data.len());
        return Err(data.fail(
            0,
            format_args!("shape {shape:?} of {} does not fill {have} bytes", dtype.name()),
        ));
    }
    Ok(Lazy::new(data, dtype, layout, 0, limits)?.big_endian(big))
}

/// The bytes of a version 1.0 file: row-major, little endian. `None` for an element type that NumPy
/// lacks (bf16).
pub fn write(array: &Array) -> Option<Vec<u8>> {
    let code = match array.dtype() {
        DType::F16 => "<f2",
        DType::BF16 => return None,
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
    };
    let shape: String = array.shape.iter().map(|n| format!("{n}, ")).collect();
    let shape =
        if array.shape.len() == 1 { shape.trim_end() } else { shape.trim_end_matches(", ") };
    let dict = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({shape}), }}");
    // The whole header is a multiple of 64 bytes, so that the numbers are aligned; it ends with a
    // newline.
    let pad = (64 - (10 + dict.len() + 1) % 64) % 64;
    let len = u16::try_from(dict.len() + pad + 1).ok()?;
    let mut out = [MAGIC, &[1, 0], &len.to_le_bytes(), dict.as_bytes()].concat();
    out.resize(out.len() + pad, b' ');
    out.push(b'\n');
    out.extend(array.le_bytes());
    Some(out)
}

struct Header {
    code: String,
    fortran: bool,
    shape: Vec<u64>,
}

/// A reader of the one Python literal that a header is.
struct Literal<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = std::result::Result<T, (usize, String)>;

impl Literal<'_> {
    fn header(mut self) -> Parsed<Header> {
        let (mut code, mut fortran, mut shape) = (None, None, None);
        self.expect("{")?;
        while !self.eat("}") {
            let start = self.at;
            let key = self.string()?;
            self.expect(":")?;
            let fresh = match key.as_str() {
                "descr" => code.replace(self.string()?).is_none(),
                "fortran_order" => fortran.replace(self.boolean()?).is_none(),
                "shape" => shape.replace(self.tuple()?).is_none(),
                _ => return Err((start, format!("unknown key {}", quoted(&key)))),
            };
            if !fresh {
                return Err((start, format!("the key `{key}` appears twice")));
            }
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        if !self.rest().is_empty() {
            return self.fail("nothing follows the header");
        }
        match (code, fortran, shape) {
            (Some(code), Some(fortran), Some(shape)) => Ok(Header { code, fortran, shape }),
            _ => self.fail("the header needs descr, fortran_order and shape"),
        }
    }

    fn fail<T>(&self, rule: &str) -> Parsed<T> {
        let near: String = self.text[self.at..].chars().take(12).collect();
        Err((self.at, format!("{rule} (found {})", one_line(&format!("{near:?}")))))
    }

    fn rest(&mut self) -> &str {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        &self.text[self.at..]
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { self.fail(&format!("`{token}` is expected")) }
    }

    fn string(&mut self) -> Parsed<String> {
        let mark = match self.rest().chars().next() {
            Some(q @ ('\'' | '"')) => q,
            Some('[') => return self.fail("structured element types are not read"),
            _ => return self.fail("a string is expected"),
        };
        let body = &self.text[self.at + 1..];
        let Some(end) = body.find(mark) else { return self.fail("the string does not end") };
        self.at += end + 2;
        Ok(body[..end].to_string())
    }

    fn boolean(&mut self) -> Parsed<bool> {
        if self.eat("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    fn tuple(&mut self) -> Parsed<Vec<u64>> {
        let mut out = Vec::new();
        self.expect("(")?;
        while !self.eat(")") {
            let digits: String = self.rest().chars().take_while(char::is_ascii_digit).collect();
            let Ok(n) = digits.parse() else { return self.fail("a size is expected") };
            self.at += digits.len();
            // Python 2 wrote long integers as 3L.
            self.eat("L");
            out.push(n);
            if !self.eat(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(out)
    }
}

/// Writes an array, or says why it cannot be written.
///
/// # Errors
/// When the element type has no NumPy code.
pub fn to_bytes(array: &Array) -> Result<Vec<u8>> {
    write(array)
        .ok_or_else(|| Error::runtime(format!("npy files cannot hold {}", array.dtype().name())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LIMITS;

    fn file(dict: &str, data: &[u8]) -> Vec<u8> {
        [MAGIC, &[1, 0], &(dict.len() as u16).to_le_bytes(), dict.as_bytes(), data].concat()
    }

    fn load(bytes: Vec<u8>) -> Result<Array> {
        read(&Source::bytes("f", bytes), &LIMITS)?.load("")
    }

    #[test]
    fn what_is_written_is_read() {
        for shape in [&[][..], &[1], &[2, 3], &[0, 4]] {
            let n = shape.iter().product();
            let a = Array::f32(shape, (0..n).map(|i| i as f32).collect()).unwrap();
            let bytes = write(&a).unwrap();
            assert_eq!((bytes.len() - 4 * n) % 64, 0);
            assert_eq!(load(bytes).unwrap(), a);
        }
    }

    #[test]
    fn orders_and_ends() {
        let dict = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2L), }";
        let a = load(file(dict, &[0, 1, 0, 2, 0, 3, 0, 4])).unwrap();
        assert_eq!(a.to_f64(), [1.0, 3.0, 2.0, 4.0]);
    }

    #[test]
    fn broken_headers_name_the_rule() {
        let rule = |dict: &str| load(file(dict, &[0; 4])).unwrap_err().to_string();
        assert!(
            rule("{'descr': '|O', 'fortran_order': False, 'shape': ()}")
                .contains("pickle in disguise")
        );
        assert!(
            rule("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}")
                .contains("does not fill")
        );
        assert!(
            rule("{'descr': '<c8', 'fortran_order': False, 'shape': ()}")
                .contains("`<c8` is not read")
        );
        assert!(rule("{'descr': [('a', '<f4')], 'fortran_order': False}").contains("structured"));
        assert!(rule("{'descr': '<f4', 'descr': '<f4'}").contains("twice"));
        assert!(rule("{'shape': (18446744073709551616,)}").contains("a size"));
        assert!(
            rule("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}").contains("a size")
        );
        assert!(rule("__import__('os')").contains("`{` is expected"));
        assert!(rule("{'descr': '<f4").contains("does not end"));
    }
}
