//! Tables of measured figures in the documentation, which tests compare with what they measure.

use std::env;
use std::fs;
use std::path::Path;

/// Compares the table that stands between `<!-- NAME -->` and `<!-- end of NAME -->` with what `fresh`
/// makes of it; writes it with `FIXIE_BLESS=1`.
///
/// Numbers may differ as far as `is_same` allows, of the fresh and the written one. Tables say which
/// compiler the figures are of: those of another one are not compared.
///
/// # Panics
///
/// If the table is not what it should be, or not there.
pub fn check(
    page: &Path,
    name: &str,
    compiler: &str,
    fresh: impl FnOnce(&str) -> String,
    is_same: impl Fn(u64, u64) -> bool,
) {
    let (opening, closing) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let text = fs::read_to_string(page).unwrap();
    let (before, rest) = text.split_once(&opening).unwrap();
    let (table, after) = rest.split_once(&closing).unwrap();
    let fresh = fresh(table);
    if env::var_os("FIXIE_BLESS").is_some() {
        fs::write(page, [before, &opening, &fresh, &closing, after].concat()).unwrap();
    } else if table.contains(compiler) {
        let same = |(fresh, written): (&str, &str)| match (fresh.parse(), written.parse()) {
            (Ok(fresh), Ok(written)) => is_same(fresh, written),
            _ => fresh == written,
        };
        let words = fresh.split_whitespace().zip(table.split_whitespace());
        assert!(
            fresh.split_whitespace().count() == table.split_whitespace().count()
                && words.clone().all(same),
            "if that is meant, run this test with FIXIE_BLESS=1; it is now\n{fresh}"
        );
    } else {
        println!("NOT COMPARED: the {name}, which are of another compiler");
    }
}
