#![no_main]
//! A network of OpenVINO in a zip: its description and its numbers.

use gannet_fuzz::{behind, halves, joined, zip};
use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] = b"<net ";

/// A description behind [`HEAD`]: three constants, one without a name.
const DESCRIPTION: &str = r#"name="A" version="10"><layers>
<layer id="0" name="in" type="Parameter"/>
<layer id="1" name="m.a.weight" type="Const"><data element_type="f32" shape="2, 1" offset="0" size="8"/></layer>
<layer id="2" name="173" type="Const"><data element_type="i64" shape="" offset="8" size="8"/></layer>
<layer id="3" name="m.b" type="Const"><data element_type="f16" shape="1,2" offset="16" size="4"/></layer>
<layer id="5" name="Conv_1" type="Convolution"/></layers><edges>
<edge from-layer="1" to-layer="5"/><edge from-layer="2" to-layer="5"/><edge from-layer="3" to-layer="5"/>
</edges><meta_data><MO_version value="2021.4"/></meta_data></net>"#;

/// One as short as can be.
const SHORT: &str = r#"version="11"><layers/><edges/></net>"#;

fuzz_target!(
    init: gannet_fuzz::seeds([
        joined(DESCRIPTION.as_bytes(), &[0; 20]),
        joined(SHORT.as_bytes(), &[]),
    ]),
    |data: &[u8]| {
        let (description, numbers) = halves(data);
        let description = behind(HEAD, description);
        gannet_fuzz::read(&zip(&[("A.xml", &description), ("A.bin", numbers)]));
    }
);
