#![no_main]
//! A tar archive around a model: its size field and its content.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (size, bytes) = gannet_fuzz::halves(data);
    let mut field = *b"00000000000";
    field.iter_mut().zip(size).for_each(|(f, s)| *f = *s);
    gannet_fuzz::read(&gannet_fuzz::tar(&field, bytes));
});
