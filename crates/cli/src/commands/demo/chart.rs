//! A line chart in text: columns of time, rows of value.

/// Points `(label, value)` drawn `height` rows high and at most `width` columns wide, with an optional target line.
pub fn line_chart(title: &str, points: &[(String, f64)], target: Option<f64>, width: usize, height: usize) -> String {
    let Some((low, high)) = bounds(points, target) else {
        return format!("{title}: no readings yet");
    };
    let columns = resample(points, width);
    let row_of = |value: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small height")]
        let row = ((high - value) / (high - low) * (height as f64 - 1.0)).round() as usize;
        row.min(height - 1)
    };
    let mut lines = vec![title.to_owned()];
    let target_row = target.map(row_of);
    for row in 0..height {
        let value = high - (high - low) * row as f64 / (height as f64 - 1.0);
        let mut line = format!("{:>7.1} % |", value * 100.0);
        for (_, value) in &columns {
            line.push(match (row_of(*value) == row, target_row == Some(row)) {
                (true, _) => '\u{25cf}',
                (false, true) => '\u{2508}',
                (false, false) => ' ',
            });
        }
        if target_row == Some(row) {
            line.push_str(" target");
        }
        lines.push(line.trim_end().to_owned());
    }
    let first = columns.first().map_or("", |(label, _)| label.as_str());
    let last = columns.last().map_or("", |(label, _)| label.as_str());
    lines.push(format!("{:>9} +{}", "", "-".repeat(columns.len())));
    let gap = columns.len().saturating_sub(first.len() + last.len());
    lines.push(format!("{:>9}  {first}{}{last}", "", " ".repeat(gap.max(1))));
    lines.join("\n")
}

fn bounds(points: &[(String, f64)], target: Option<f64>) -> Option<(f64, f64)> {
    let values = || points.iter().map(|(_, value)| *value).chain(target);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    if !(low.is_finite() && high.is_finite()) || points.is_empty() {
        return None;
    }
    let margin = ((high - low) * 0.1).max(1e-6);
    Some((low - margin, high + margin))
}

fn resample(points: &[(String, f64)], width: usize) -> Vec<(String, f64)> {
    if points.len() <= width {
        return points.to_vec();
    }
    (0..width).filter_map(|column| points.get(column * (points.len() - 1) / (width - 1)).cloned()).collect()
}
