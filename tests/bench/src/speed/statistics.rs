//! Medians and ratios.

use serde::Serialize;

/// A figure that was measured several times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of one value at least; the median of an even number is the mean of the two in the middle.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, min, max })
    }

    /// How many times longer `other` takes than `ours`: the ratio of the medians, with the least and the most of a round.
    pub(crate) fn ratio(ours: &[f64], other: &[f64]) -> Option<Self> {
        let (own, peer) = (Self::of(ours)?, Self::of(other)?);
        let rounds: Vec<f64> = ours
            .iter()
            .zip(other)
            .map(|(own, peer)| peer / own)
            .collect();
        let of_rounds = Self::of(&rounds)?;
        Some(Self {
            median: peer.median / own.median,
            min: of_rounds.min,
            max: of_rounds.max,
        })
    }
}

/// The mean that suits ratios; `None` of nothing.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let logarithms: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (logarithms / values.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        let spread = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of(&[4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratios_are_of_medians_and_of_rounds() {
        let ratio = Spread::ratio(&[1.0, 2.0, 4.0], &[10.0, 10.0, 10.0]).unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (5.0, 2.5, 10.0));
    }

    #[test]
    fn the_geometric_mean_of_two_and_eight_is_four() {
        let mean = geometric_mean(&[2.0, 8.0]).unwrap();
        assert!((mean - 4.0).abs() < 1e-9, "{mean}");
        assert_eq!(geometric_mean(&[]), None);
    }
}
