//! Of several rounds, one figure.

/// The middle one; of an even number, the mean of the two in the middle. `None` of none, or when one is no number.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    if values.iter().any(|value| value.is_nan()) {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], upper) } else { upper })
}

/// The median of the ratios of two figures that were taken in the same rounds, whatever the machine did between them.
pub(crate) fn ratio(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    (ours.len() == theirs.len())
        .then(|| median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_outliers_and_order() {
        assert_eq!(median([9000.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 1.0]), Some(1.5));
        assert_eq!(median([7.0]), Some(7.0));
        assert_eq!(median([]), None);
        assert_eq!(median([1.0, f64::NAN, 2.0]), None);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        // The machine was half as fast in the second round.
        assert_eq!(ratio(&[90.0, 45.0, 91.0], &[100.0, 50.0, 100.0]), Some(0.9));
        assert_eq!(ratio(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(ratio(&[0.0], &[0.0]), None);
    }
}
