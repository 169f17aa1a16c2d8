//! The photograph that a picture was cut from: the file, and the place in it.

use super::raster::Raster;
use super::similarity::{Point, Similarity};
use crate::error::{Error, Result};
use crate::safe::Safe;
use crate::words::hex;
use sha2::{Digest, Sha256};

/// Where a picture was cut out.
///
/// The pixels of the photograph are not kept: they are read again when they are needed, and the
/// hash shows whether the file is still the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Photograph {
    /// Path of the file, as it was given.
    pub path: String,
    /// Sha256 of the file's content, hexadecimal.
    pub sha256: String,
    /// Width and height of the photograph, upright.
    pub size: [usize; 2],
    /// Width and height of the frame that was cut out, in pixels of `place`.
    pub frame: [usize; 2],
    /// Maps the frame into the photograph, in pixels.
    pub place: Similarity,
    /// Eyes, nose and corners of the mouth in pixels of the photograph, image-left first; `None`
    /// where no face was looked for.
    pub landmarks: Option<[Point; 5]>,
}

/// Sha256 of a file's content, hexadecimal.
pub fn hash(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

impl Photograph {
    /// The whole of a photograph, whose file has this content.
    pub fn whole(path: &str, content: &[u8], picture: &Raster) -> Self {
        let size = [picture.width, picture.height];
        Self {
            path: path.to_owned(),
            sha256: hash(content),
            size,
            frame: size,
            place: Similarity::new(1.0, 0.0, [0.0; 2]),
            landmarks: None,
        }
    }

    /// The same photograph with another frame, which `place` maps into this one's, in pixels.
    #[must_use]
    pub fn cut(self, place: &Similarity, frame: [usize; 2]) -> Self {
        Self { frame, place: place.then(&self.place), ..self }
    }

    /// The same photograph with the rectangle `[x, y, width, height]` of this frame as its frame.
    #[must_use]
    pub fn part(self, [x, y, width, height]: [usize; 4]) -> Self {
        self.cut(&Similarity::new(1.0, 0.0, [x as f64, y as f64]), [width, height])
    }

    /// Refuses the content of another file.
    ///
    /// # Errors
    /// When the content is not that of the photograph.
    pub fn check(&self, content: &[u8]) -> Result<()> {
        if hash(content) == self.sha256 {
            return Ok(());
        }
        let text = format!("{} has changed since the picture was cut from it", Safe(&self.path));
        Err(Error::runtime(text).hint(format!("read it again: image(\"{}\")", Safe(&self.path))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_frames_lie_where_both_say() {
        let picture = Raster::filled(40, 30, &[0]).unwrap();
        let whole = Photograph::whole("a.png", b"content", &picture);
        assert_eq!((whole.size, whole.frame), ([40, 30], [40, 30]));
        let part = whole.clone().part([10, 5, 20, 20]);
        assert_eq!((part.frame, part.place.apply([1.0, 2.0])), ([20, 20], [11.0, 7.0]));
        let turned = part.cut(&Similarity::new(0.5, 90.0, [8.0, 0.0]), [16, 16]);
        let [x, y] = turned.place.apply([4.0, 2.0]);
        assert!((x - 17.0).abs() < 1e-12 && (y - 7.0).abs() < 1e-12, "{x} {y}");
        assert_eq!(turned.size, [40, 30]);
    }

    #[test]
    fn another_content_is_another_photograph() {
        let picture = Raster::filled(1, 1, &[0]).unwrap();
        let whole = Photograph::whole("me.jpg", b"abc", &picture);
        // The hash of NIST's example.
        assert!(whole.sha256.starts_with("ba7816bf8f01cfea"));
        assert!(whole.check(b"abc").is_ok());
        let e = whole.check(b"abd").unwrap_err();
        assert!(e.message().contains("me.jpg has changed"), "{e}");
        assert_eq!(e.repair(), Some("read it again: image(\"me.jpg\")"));
    }
}
