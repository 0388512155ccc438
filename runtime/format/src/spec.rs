//! Keeps the tables of `README.md`, the format's specification, equal to the code.

use std::string::String;
use std::vec::Vec;
use std::{env, fs};

use crate::field::Specified;
use crate::image::{Header, SectionRange};
use crate::op::coded::Coding;
use crate::op::packed::Packing;
use crate::op::{
    ArgMax, AvgPool, Binary, Conv, ConvWide, Copy, Feed, Fill, Lut, MaxPool, Mean, Opcode, PRelu,
    Rescale, Resize, Softmax, Window,
};
use crate::table::{OpEntry, Port, State, Step, Tensor};

const BEGIN: &str = "<!-- generated: begin -->\n";
const END: &str = "<!-- generated: end -->\n";

/// All tables, in the order of the document.
fn tables() -> String {
    let mut text = String::from("\n## Records\n\n");
    for record in [
        Header::specification(),
        SectionRange::specification(),
        Tensor::specification(),
        OpEntry::specification(),
        Step::specification(),
        Port::specification(),
        State::specification(),
    ] {
        text.push_str(&record);
    }
    text.push_str("## Operators\n\n| code | operator |\n|--:|---|\n");
    for &opcode in Opcode::ALL {
        text.extend(["| ", &std::format!("{}", opcode as u8), " | ", opcode.name(), " |\n"]);
    }
    text.push_str("\n## Parameter records\n\n");
    for record in [
        Window::specification(),
        Conv::specification(),
        MaxPool::specification(),
        AvgPool::specification(),
        Mean::specification(),
        Binary::specification(),
        Lut::specification(),
        PRelu::specification(),
        Softmax::specification(),
        Copy::specification(),
        Fill::specification(),
        Resize::specification(),
        ArgMax::specification(),
        Feed::specification(),
        ConvWide::specification(),
        Rescale::specification(),
        Coding::specification(),
        Packing::specification(),
    ] {
        text.push_str(&record);
    }
    text
}

/// With `FIXIE_BLESS` set, rewrites the tables instead of comparing them.
#[test]
fn the_specification_has_the_tables_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let expected = tables();
    if env::var_os("FIXIE_BLESS").is_some() {
        fs::write(path, [before, BEGIN, &expected, END, after].concat()).unwrap();
        return;
    }
    let differing: Vec<_> =
        expected.lines().zip(found.lines()).filter(|(e, f)| e != f).take(1).collect();
    assert!(
        found == expected,
        "run `FIXIE_BLESS=1 cargo test -p fixie-format`; first difference: {differing:?}"
    );
}
