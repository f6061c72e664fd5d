//! A small line chart of text: control against treatment.

use outcome_core::present::Scale;

/// A point: when (seconds), and the level.
pub type Point = (f64, f64);

const HEIGHT: usize = 9;

/// The chart, one string a row; empty when there is nothing to draw. `o` is control, `*` treatment, `@` both.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "scaled into the grid and clamped")]
#[expect(clippy::cast_precision_loss, reason = "the grid is small")]
pub fn chart(control: &[Point], treatment: &[Point], width: usize, scale: &Scale) -> Vec<String> {
    let all = || control.iter().chain(treatment).filter(|(x, y)| x.is_finite() && y.is_finite());
    if control.len().max(treatment.len()) < 2 {
        return Vec::new();
    }
    let bounds = |pick: fn(&Point) -> f64| {
        all().map(pick).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let ((left, right), (mut low, mut high)) = (bounds(|p| p.0), bounds(|p| p.1));
    if !(left.is_finite() && low.is_finite()) {
        return Vec::new();
    }
    if (high - low).abs() < f64::EPSILON * high.abs().max(1.0) {
        let pad = if high == 0.0 { 1.0 } else { high.abs() * 0.05 };
        (low, high) = (low - pad, high + pad);
    }
    let mut grid = vec![vec![' '; width]; HEIGHT];
    let at = |v: f64, from: f64, to: f64, cells: usize| {
        let share = if to > from { (v - from) / (to - from) } else { 0.5 };
        ((share * (cells - 1) as f64).round().max(0.0) as usize).min(cells - 1)
    };
    for (points, glyph) in [(control, 'o'), (treatment, '*')] {
        for (x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let (column, row) = (at(*x, left, right, width), HEIGHT - 1 - at(*y, low, high, HEIGHT));
            if let Some(cell) = grid.get_mut(row).and_then(|cells| cells.get_mut(column)) {
                *cell = if *cell == ' ' || *cell == glyph { glyph } else { '@' };
            }
        }
    }
    let labels = [(0, high), (HEIGHT / 2, f64::midpoint(low, high)), (HEIGHT - 1, low)];
    let margin = labels.iter().map(|(_, v)| scale.level(*v).chars().count()).max().unwrap_or(0);
    grid.into_iter()
        .enumerate()
        .map(|(row, cells)| {
            let label = labels.iter().find(|(at, _)| *at == row).map(|(_, v)| scale.level(*v)).unwrap_or_default();
            let line: String = cells.into_iter().collect();
            format!("{label:>margin$} │{}", line.trim_end())
        })
        .chain([format!("{:>margin$} └{}", "", "─".repeat(width))])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lines_are_drawn_within_the_frame() {
        let control: Vec<Point> = (0..20).map(|i| (f64::from(i), 0.10)).collect();
        let treatment: Vec<Point> = (0..20).map(|i| (f64::from(i), 0.10 + f64::from(i) * 0.001)).collect();
        let rows = chart(&control, &treatment, 40, &Scale::default());
        assert_eq!(rows.len(), HEIGHT + 1);
        assert!(rows.first().unwrap().ends_with('*'), "{rows:#?}");
        assert!(rows.get(HEIGHT - 1).unwrap().contains('@'), "{rows:#?}");
        assert!(rows.iter().all(|row| row.chars().count() <= 48));
    }

    #[test]
    fn nothing_and_strange_numbers_draw_nothing() {
        assert!(chart(&[], &[], 40, &Scale::default()).is_empty());
        assert!(chart(&[(0.0, f64::NAN), (1.0, f64::NAN)], &[], 40, &Scale::default()).is_empty());
        assert!(!chart(&[(0.0, 0.0), (1.0, 0.0)], &[], 40, &Scale::default()).is_empty());
    }
}
