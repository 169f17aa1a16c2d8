use super::*;

/// A smooth picture: red falls to the right, green downwards, blue is a wave.
fn slopes(width: usize, height: usize) -> Raster {
    let pixel = |i: usize| {
        let (x, y) = ((i % width) as f64, (i / width) as f64);
        let wave = 127.0 + 60.0 * libm::sin(x / 9.0) * libm::cos(y / 7.0);
        [(x * 200.0 / width as f64) as u8, (y * 200.0 / height as f64) as u8, wave as u8]
    };
    Raster::new(width, height, 3, (0..width * height).flat_map(pixel).collect()).unwrap()
}

/// A frame of 64² turned in the middle of a canvas, and its pixels.
fn cut(canvas: &Raster, scale: f64, degrees: f64) -> (Photograph, Raster) {
    let turn = Similarity::new(scale, degrees, [0.0; 2]);
    let [x, y] = turn.apply([32.0, 32.0]);
    let middle = [canvas.width as f64 / 2.0, canvas.height as f64 / 2.0];
    let place = Similarity { shift: [middle[0] - x, middle[1] - y], ..turn };
    let photograph = Photograph::whole("a.png", b"", canvas).cut(&place, [64, 64]);
    let frame = Pyramid::new(canvas).unwrap().picture(&photograph.place, 64).unwrap();
    (photograph, frame)
}

fn plain(region: Region) -> Paste<'static> {
    Paste { region, feather: 0.1, matched: false, before: None }
}

fn worst(a: &Raster, b: &Raster) -> u8 {
    a.data.iter().zip(&b.data).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// The unchanged picture comes back within the error of resampling it twice, and every pixel
/// outside of the frame keeps its bytes.
#[test]
fn an_unchanged_picture_changes_nothing() {
    let canvas = slopes(240, 200);
    for (scale, degrees) in [(1.0, 0.0), (1.7, 23.0), (0.6, -31.0), (2.5, 90.0)] {
        let (photograph, frame) = cut(&canvas, scale, degrees);
        let inverse = photograph.place.inverse();
        for region in [
            Region::Ellipse,
            Region::Weights { data: vec![1.0; 16], size: [4, 4] },
            Region::Oval(Oval { middle: [32.0; 2], down: [0.0, 1.0], radii: [20.0, 24.0] }),
        ] {
            let out = paste(&canvas, &photograph, &frame, &plain(region)).unwrap();
            assert!(worst(&out.picture, &canvas) <= 4, "{scale} {degrees}");
            assert!(out.colours.is_none() && out.covered > 100);
            let black = Raster::filled(64, 64, &[0, 0, 0]).unwrap();
            let out = paste(&canvas, &photograph, &black, &plain(Region::Ellipse)).unwrap();
            for i in 0..240 * 200 {
                let [x, y] = inverse.apply([(i % 240) as f64 + 0.5, (i / 240) as f64 + 0.5]);
                let inside = libm::hypot(x - 32.0, y - 32.0) < 32.0;
                let same = out.picture.pixel(i % 240, i / 240) == canvas.pixel(i % 240, i / 240);
                assert!(inside || same, "{x} {y}");
            }
            assert_eq!(out.picture.pixel(120, 100), [0, 0, 0], "the middle is all pasted");
        }
    }
}

/// At whole pixels and full weight the pasted bytes are the picture's own.
#[test]
fn a_frame_of_whole_pixels_is_exact() {
    let canvas = slopes(100, 90);
    let photograph = Photograph::whole("a.png", b"", &canvas).part([20, 10, 40, 30]);
    let noise = Raster::new(40, 30, 3, (0..3600).map(|i| (i * 37 % 251) as u8).collect()).unwrap();
    let whole = Region::Weights { data: vec![1.0; 12], size: [4, 3] };
    let how = Paste { feather: 0.0, ..plain(whole) };
    let out = paste(&canvas, &photograph, &noise, &how).unwrap();
    assert_eq!(out.picture.crop(20, 10, 40, 30).unwrap(), noise);
    assert_eq!(out.covered, 1200);
    let mut rest = out.picture.clone();
    for y in 10..40 {
        let row = (y * 100 + 20) * 3;
        rest.data[row..row + 120].copy_from_slice(&canvas.data[row..row + 120]);
    }
    assert_eq!(rest, canvas);
    // A smaller picture of the frame is enlarged to it.
    let small = Raster::filled(4, 3, &[9, 8, 7]).unwrap();
    let out = paste(&canvas, &photograph, &small, &how).unwrap();
    assert_eq!(out.picture.pixel(39, 25), [9, 8, 7]);
    let none = Region::Weights { data: vec![0.0; 12], size: [4, 3] };
    assert!(paste(&canvas, &photograph, &noise, &plain(none)).is_err());
    let square = Region::Weights { data: vec![1.0; 16], size: [4, 4] };
    let e = paste(&canvas, &photograph, &noise, &plain(square)).unwrap_err();
    assert!(e.message().contains("4×4"), "{e}");
}

/// A change of brightness and contrast of the whole frame is taken back, an edit's stays.
#[test]
fn colours_are_matched_at_the_border() {
    let canvas = slopes(240, 200);
    let (photograph, frame) = cut(&canvas, 1.5, 10.0);
    let change = |v: &u8| (f64::from(*v) * 0.9 + 20.0).round() as u8;
    let shifted = Raster { data: frame.data.iter().map(change).collect(), ..frame.clone() };
    let how = Paste { matched: true, ..plain(Region::Ellipse) };
    let out = paste(&canvas, &photograph, &shifted, &how).unwrap();
    assert!(worst(&out.picture, &canvas) <= 5);
    for [gain, offset] in out.colours.unwrap() {
        assert!((gain - 1.0 / 0.9).abs() < 0.03 && (offset + 20.0 / 0.9).abs() < 4.0);
    }
    let how = Paste { before: Some(&frame), ..how };
    let out = paste(&canvas, &photograph, &shifted, &how).unwrap();
    let middle = [out.picture.pixel(120, 100)[0], canvas.pixel(120, 100)[0]].map(f64::from);
    assert!((middle[0] - (middle[1] * 0.9 + 20.0)).abs() < 2.0, "{middle:?}");
    let other = Raster::filled(9, 9, &[0; 3]).unwrap();
    assert!(paste(&canvas, &photograph, &shifted, &Paste { before: Some(&other), ..how }).is_err());
}

/// A border that shows something else says nothing about light.
#[test]
fn colours_of_another_picture_are_not_matched() {
    let canvas = slopes(240, 200);
    let (photograph, frame) = cut(&canvas, 1.5, 10.0);
    let noise = |i: usize| (i * 7919 % 256) as u8;
    let other = Raster { data: (0..frame.data.len()).map(noise).collect(), ..frame.clone() };
    let how = Paste { matched: true, ..plain(Region::Ellipse) };
    assert!(paste(&canvas, &photograph, &other, &how).unwrap().colours.is_none());
    // A third of the border covered by something black does not darken the rest.
    let mut covered = frame;
    covered.data[..64 * 3 * 16].fill(0);
    let out = paste(&canvas, &photograph, &covered, &how).unwrap();
    for [gain, offset] in out.colours.unwrap() {
        assert!((gain - 1.0).abs() < 0.03 && offset.abs() < 4.0, "{gain} {offset}");
    }
}

#[test]
fn grey_and_transparent_photographs_keep_their_kind() {
    let canvas = slopes(240, 200);
    let (photograph, _) = cut(&canvas, 1.5, 10.0);
    let red = Raster::filled(64, 64, &[255, 0, 0]).unwrap();
    let grey = canvas.convert(1).unwrap().0;
    let out = paste(&grey, &photograph, &red, &plain(Region::Ellipse)).unwrap().picture;
    assert_eq!((out.channels, out.pixel(120, 100)), (1, &[76][..]));
    let mut clear = canvas.convert(4).unwrap().0;
    clear.data[(100 * 240 + 120) * 4 + 3] = 0;
    clear.data[(100 * 240 + 121) * 4 + 3] = 128;
    let out = paste(&clear, &photograph, &red, &plain(Region::Ellipse)).unwrap().picture;
    assert_eq!(out.pixel(120, 100), clear.pixel(120, 100));
    assert_eq!(out.pixel(122, 100), [255, 0, 0, 255]);
    let half = f64::from(clear.pixel(121, 100)[0]);
    assert!(
        (f64::from(out.pixel(121, 100)[0]) - half - (255.0 - half) * 128.0 / 255.0).abs() < 1.0
    );
    assert_eq!(out.pixel(121, 100)[3], 128);
}

/// A frame that leaves the photograph is pasted as far as it lies in it.
#[test]
fn a_frame_may_leave_the_photograph() {
    let canvas = slopes(50, 40);
    let place = Similarity::new(1.0, 0.0, [-20.0, 10.0]);
    let photograph = Photograph::whole("a.png", b"", &canvas).cut(&place, [64, 64]);
    let red = Raster::filled(64, 64, &[255, 0, 0]).unwrap();
    let out = paste(&canvas, &photograph, &red, &plain(Region::Ellipse)).unwrap();
    assert_eq!(out.picture.pixel(12, 39), [255, 0, 0]);
    assert_eq!(out.picture.pixel(45, 20), canvas.pixel(45, 20));
    assert_eq!(out.picture.crop(0, 0, 50, 10).unwrap(), canvas.crop(0, 0, 50, 10).unwrap());
}

#[test]
fn only_what_changed_is_pasted() {
    let before = slopes(128, 128);
    let mut edited = before.clone();
    for y in 50..70 {
        for x in 30..60 {
            edited.data[(y * 128 + x) * 3] = 255;
        }
    }
    let Region::Weights { data, size } = changed(&edited, &before).unwrap() else { panic!() };
    assert_eq!(size, [128, 128]);
    let at = |x: usize, y: usize| data[y * 128 + x];
    assert_eq!((at(45, 60), at(100, 60), at(45, 30), at(45, 100)), (1.0, 0.0, 0.0, 0.0));
    // A noise of one step is no change.
    let noise = |(i, v): (usize, &u8)| v.wrapping_add((i % 2) as u8);
    let noisy = Raster { data: before.data.iter().enumerate().map(noise).collect(), ..before };
    let Region::Weights { data, .. } = changed(&noisy, &slopes(128, 128)).unwrap() else {
        panic!()
    };
    assert!(data.iter().all(|w| *w == 0.0));
    assert!(changed(&noisy, &slopes(64, 64)).is_err());
}

#[test]
fn softening_keeps_the_sum_and_reaches_as_far_as_it_says() {
    let mut data = vec![0f32; 41 * 31];
    data[15 * 41 + 20] = 900.0;
    soften(&mut data, [41, 31], 9.0);
    assert!((data.iter().sum::<f32>() - 900.0).abs() < 0.01);
    let reached = |x: usize, y: usize| data[y * 41 + x] > 1e-4;
    assert!(reached(20 + 9, 15) && reached(20, 15 - 9));
    assert!(!reached(20 + 10, 15) && !reached(20, 15 + 10) && !reached(30, 25));
    assert!((data[15 * 41 + 18] - data[15 * 41 + 22]).abs() < 1e-4);
    let mut flat = vec![0.5f32; 12];
    soften(&mut flat, [4, 3], 30.0);
    assert!(flat.iter().all(|v| (v - 0.5).abs() < 1e-6));
}

/// The oval holds the landmarks of an upright and of a lying face, and turns with it.
#[test]
fn the_oval_lies_around_the_face() {
    let face = [[40.0, 40.0], [60.0, 40.0], [50.0, 52.0], [42.0, 62.0], [58.0, 62.0]];
    let oval = Oval::of_face(&face).unwrap();
    assert!(face.iter().all(|p| oval.distance(*p) == 0.0));
    assert!(oval.distance([50.0, 73.0]) == 0.0 && oval.distance([50.0, 90.0]) > 5.0);
    assert!(oval.distance([50.0, 10.0]) > 5.0 && oval.distance([80.0, 50.0]) > 5.0);
    let turn = Similarity::new(2.0, 90.0, [300.0, 10.0]);
    let turned = Oval::of_face(&face.map(|p| turn.apply(p))).unwrap();
    for p in [[50.0, 90.0], [80.0, 50.0], [35.0, 20.0]] {
        let (a, b) = (oval.distance(p), turned.distance(turn.apply(p)));
        assert!((2.0 * a - b).abs() < 1e-9, "{a} {b}");
    }
    assert!(Oval::of_face(&[[1.0; 2]; 5]).is_none());
}
