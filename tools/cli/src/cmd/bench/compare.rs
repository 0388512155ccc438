//! Two measurements side by side: of two images, or of one by two versions of Fixie.

use std::fs;
use std::path::Path;

use fixie_emulator::BenchReport;
use serde::{Deserialize, Serialize};

use crate::diagnostics::{Context, Failure};
use crate::table;

/// What is compared of a report; read from what `--json` printed, by this version or an older one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    target: String,
    compiler: String,
    instructions: u64,
    cycles_estimate: Option<u64>,
    macs: u64,
    arena_bytes: u64,
    stack_bytes: u64,
    code_bytes: u64,
    image_bytes: u64,
    layers: Vec<LayerFigures>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LayerFigures {
    name: String,
    instructions: u64,
}

impl Figures {
    /// Reads a report; `None` if the file is none, such as an image.
    pub fn load(path: &Path) -> Result<Option<Self>, Failure> {
        let bytes = fs::read(path).context(|| format!("cannot read {}", path.display()))?;
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Ok(None);
        }
        let what = || format!("{} is no report of `fixie bench --json`", path.display());
        serde_json::from_slice(&bytes).context(what).map(Some)
    }

    pub fn of(report: &BenchReport) -> Self {
        let layers = report.layers.iter();
        Self {
            target: report.target.to_owned(),
            compiler: report.compiler.clone(),
            instructions: report.instructions,
            cycles_estimate: report.cycles_estimate,
            macs: report.macs,
            arena_bytes: report.arena_bytes,
            stack_bytes: report.stack_bytes,
            code_bytes: report.code_bytes,
            image_bytes: report.image_bytes,
            layers: layers
                .map(|layer| LayerFigures {
                    name: layer.name.clone(),
                    instructions: layer.instructions,
                })
                .collect(),
        }
    }
}

/// Two reports and what is between them.
#[derive(Debug, Serialize)]
pub struct Comparison {
    before: Figures,
    after: Figures,
}

/// A figure before and after; absent where one side has none.
type Pair = (String, Option<u64>, Option<u64>);

impl Comparison {
    /// # Errors
    ///
    /// If they were measured on different cores.
    pub fn new(before: Figures, after: Figures) -> Result<Self, Failure> {
        if before.target == after.target {
            return Ok(Self { before, after });
        }
        let cause = format!("one is of {}, the other of {}", before.target, after.target);
        Err(Failure::new("cannot compare the reports", cause).help("measure both on one core"))
    }

    pub fn render(&self) -> String {
        let figures = self.figures().into_iter().map(row).collect();
        let layers = self.layers().into_iter().map(row).collect();
        let mut text = table::table(["figure", "#before", "#after", "#change", "#"], figures);
        text += "\n\n";
        text += &table::table(["instructions of", "#before", "#after", "#change", "#"], layers);
        text += "\n\n";
        text + &table::facts(self.origins())
    }

    fn origins(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("target", self.before.target.clone())];
        if self.before.compiler == self.after.compiler {
            facts.push(("firmware by", self.before.compiler.clone()));
        } else {
            facts.push(("before by", self.before.compiler.clone()));
            facts.push(("after by", self.after.compiler.clone()));
            facts.push(("note", "another compiler makes other code of the same source".to_owned()));
        }
        facts
    }

    fn figures(&self) -> Vec<Pair> {
        let (a, b) = (&self.before, &self.after);
        let sure = |name: &str, a: u64, b: u64| (name.to_owned(), Some(a), Some(b));
        vec![
            sure("instructions", a.instructions, b.instructions),
            ("cycles (estimate)".to_owned(), a.cycles_estimate, b.cycles_estimate),
            sure("MACs", a.macs, b.macs),
            sure("arena bytes", a.arena_bytes, b.arena_bytes),
            sure("stack bytes", a.stack_bytes, b.stack_bytes),
            sure("code bytes", a.code_bytes, b.code_bytes),
            sure("image bytes", a.image_bytes, b.image_bytes),
        ]
    }

    /// The layers by name, in the order of the first report, then those that only the second has. Of
    /// equal names the first goes with the first.
    fn layers(&self) -> Vec<Pair> {
        let mut rest: Vec<&LayerFigures> = self.after.layers.iter().collect();
        let mut pairs = Vec::new();
        for layer in &self.before.layers {
            let found = rest.iter().position(|other| other.name == layer.name);
            let after = found.map(|index| rest.remove(index).instructions);
            pairs.push((table::name(&layer.name), Some(layer.instructions), after));
        }
        let new = |layer: &LayerFigures| (table::name(&layer.name), None, Some(layer.instructions));
        pairs.extend(rest.into_iter().map(new));
        pairs
    }
}

fn row((name, before, after): Pair) -> [String; 5] {
    let count = |figure: Option<u64>| figure.map_or("–".to_owned(), table::count);
    let (change, percent) = match (before, after) {
        (Some(before), Some(after)) => (signed(before, after), percent(before, after)),
        _ => ("–".to_owned(), String::new()),
    };
    [name, count(before), count(after), change, percent]
}

fn signed(before: u64, after: u64) -> String {
    let sign = match after.cmp(&before) {
        std::cmp::Ordering::Less => "−",
        std::cmp::Ordering::Equal => "",
        std::cmp::Ordering::Greater => "+",
    };
    format!("{sign}{}", table::count(after.abs_diff(before)))
}

fn percent(before: u64, after: u64) -> String {
    if before == 0 || before == after {
        return String::new();
    }
    let change = (after as f64 / before as f64 - 1.0) * 100.0;
    format!("{change:+.1} %").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(target: &str, layers: &[(&str, u64)]) -> Figures {
        Figures {
            target: target.to_owned(),
            compiler: "rustc 1".to_owned(),
            instructions: layers.iter().map(|layer| layer.1).sum(),
            cycles_estimate: None,
            macs: 0,
            arena_bytes: 100,
            stack_bytes: 10,
            code_bytes: 0,
            image_bytes: 2000,
            layers: layers
                .iter()
                .map(|&(name, instructions)| LayerFigures { name: name.to_owned(), instructions })
                .collect(),
        }
    }

    #[test]
    fn layers_meet_by_name() {
        let before = figures("cortex-m4", &[("a", 1000), ("b", 20), ("b", 30)]);
        let after = figures("cortex-m4", &[("b", 25), ("c", 7), ("a", 1500)]);
        let comparison = Comparison::new(before, after).unwrap();
        let name = |name: &str| name.to_owned();
        assert_eq!(
            comparison.layers(),
            [
                (name("a"), Some(1000), Some(1500)),
                (name("b"), Some(20), Some(25)),
                (name("b"), Some(30), None),
                (name("c"), None, Some(7)),
            ]
        );
        let text = comparison.render();
        assert!(text.contains("+500") && text.contains("+50.0 %"), "{text}");
    }

    #[test]
    fn changes_have_a_sign() {
        assert_eq!([signed(1000, 1), signed(5, 5), signed(0, 1000)], ["−999", "0", "+1,000"]);
        assert_eq!([percent(200, 199), percent(5, 5), percent(0, 1)], ["−0.5 %", "", ""]);
    }

    #[test]
    fn different_cores_are_not_compared() {
        let [m4, m3] = ["cortex-m4", "cortex-m3"].map(|target| figures(target, &[]));
        assert!(Comparison::new(m4, m3).is_err());
    }
}
