//! What a float model scores on a data set, from the outputs that the set holds: the plain
//! definitions, apart from those of `fixie eval`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use fixie_compiler::data::Dataset;
use ndarray::{ArrayD, Axis};

/// Points of accuracy (or of AUC) that quantisation may cost.
pub const TOLERANCE: f64 = 0.005;

/// The score of the original: its accuracy, or the area under the ROC curve for a model whose
/// outputs reproduce its inputs. `None` without labels.
pub fn original_score(data: &Dataset) -> Option<f64> {
    let labels = data.labels()?;
    let outputs = data.references().first()?;
    let outputs: Vec<ArrayD<f32>> = outputs.axis_iter(Axis(0)).map(|o| o.to_owned()).collect();
    if outputs[0].len() == data.sample(0)[0].len() {
        return Some(area_under_curve(data, labels, &outputs));
    }
    let right = outputs.iter().zip(labels).filter(|(output, label)| class(output) == **label);
    Some(right.count() as f64 / labels.len() as f64)
}

/// The most probable class, the first of equals; of a single probability, whether it is above one
/// half.
fn class(output: &ArrayD<f32>) -> i64 {
    if output.len() == 1 {
        return output.iter().map(|&p| i64::from(p > 0.5)).sum();
    }
    let first = (0, f32::NEG_INFINITY);
    let best = output
        .iter()
        .enumerate()
        .fold(first, |best, (class, &score)| if score > best.1 { (class, score) } else { best });
    best.0 as i64
}

/// The share of pairs of a normal and an anomalous group in which the anomalous one has the larger
/// mean reconstruction error, equal ones counted half.
fn area_under_curve(data: &Dataset, labels: &[i64], outputs: &[ArrayD<f32>]) -> f64 {
    let single: Vec<i64> = (0..data.len() as i64).collect();
    let groups = data.groups().unwrap_or(&single);
    let mut errors: BTreeMap<i64, (i64, Vec<f64>)> = BTreeMap::new();
    for (sample, output) in outputs.iter().enumerate() {
        let squares = data.sample(sample)[0]
            .iter()
            .zip(output)
            .map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2))
            .sum::<f64>();
        let (_, members) = errors.entry(groups[sample]).or_insert((labels[sample], Vec::new()));
        members.push(squares / output.len() as f64);
    }
    let mean = |members: &Vec<f64>| members.iter().sum::<f64>() / members.len() as f64;
    let of = |kind: i64| -> Vec<f64> {
        errors.values().filter(|(label, _)| *label == kind).map(|(_, e)| mean(e)).collect()
    };
    let (normal, anomalous) = (of(0), of(1));
    let above = |a: f64| {
        normal.iter().map(move |&n| match a.total_cmp(&n) {
            Ordering::Greater => 1.0,
            Ordering::Equal => 0.5,
            Ordering::Less => 0.0,
        })
    };
    anomalous.iter().flat_map(|&a| above(a)).sum::<f64>() / (normal.len() * anomalous.len()) as f64
}
