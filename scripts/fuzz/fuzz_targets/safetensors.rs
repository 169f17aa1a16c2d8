#![no_main]
//! A safetensors header and its data: the header's length is made to fit.

use gannet_fuzz::{halves, joined};
use libfuzzer_sys::fuzz_target;

/// A header behind its first brace.
const HEADER: &str = concat!(
    r#""__metadata__":{"gannet":"{\"format\":1,\"family\":\"x\"}"},"#,
    r#""a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"#,
    r#""b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}"#,
);

fuzz_target!(
    init: gannet_fuzz::seeds([joined(HEADER.as_bytes(), &[0; 10]), joined(b"}", &[])]),
    |data: &[u8]| {
        let (header, rest) = halves(data);
        let mut bytes = (header.len() as u64 + 1).to_le_bytes().to_vec();
        bytes.push(b'{');
        bytes.extend([header, rest].concat());
        gannet_fuzz::read(&bytes);
    }
);
