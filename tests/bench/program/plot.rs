//! The growth as a picture: four small plots over the number of users, in one SVG.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::growth::Point;

/// Width and height.
const SIZE: (u32, u32) = (960, 640);

/// A name and what it is of a point.
type Line = (&'static str, fn(&Point) -> f64);

/// Of each plot the title and the lines.
const PLOTS: [(&str, &[Line]); 4] = [
    (
        "authenticated read, 32 connections (ms)",
        &[("median", |point| point.read_p50_ms), ("p99", |point| point.read_p99_ms)],
    ),
    (
        "refresh, 32 connections (ms)",
        &[("median", |point| point.refresh_p50_ms), ("p99", |point| point.refresh_p99_ms)],
    ),
    (
        "start to first answer (ms), resident memory (MiB)",
        &[("start", |point| point.start_ms), ("memory", |point| point.resident_mib)],
    ),
    ("database (KiB for each user)", &[("file", |point| point.file_mib * 1024.0 / point.users as f64)]),
];

/// Draws points, of which there must be two at least.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn draw<'a>(points: &[Point], to: &'a Path) -> Result<(), Box<dyn Error + 'a>> {
    let root = SVGBackend::new(to, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, (title, lines)) in root.split_evenly((2, 2)).iter().zip(PLOTS) {
        draw_one(area, points, title, lines)?;
    }
    root.present()?;
    Ok(())
}

fn draw_one<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    points: &[Point],
    title: &str,
    lines: &[Line],
) -> Result<(), Box<dyn Error + 'a>> {
    let highest = points.iter().flat_map(|point| lines.iter().map(|(_, of)| of(point))).fold(0.0, f64::max);
    let (first, last) = (points.first().ok_or("no points")?, points.last().ok_or("no points")?);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .margin_right(32)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d((first.users as f64..last.users as f64).log_scale(), 0.0..highest * 1.5)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_labels(points.len())
        .x_label_formatter(&|users| format!("{users:.0}"))
        .x_desc("users stored")
        .draw()?;
    for (index, (name, of)) in lines.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let places = || points.iter().map(|point| (point.users as f64, of(point)));
        chart
            .draw_series(LineSeries::new(places(), color.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        chart.draw_series(places().map(|place| Circle::new(place, 3, color.filled())))?;
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .position(SeriesLabelPosition::UpperLeft)
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::tests::point;

    #[test]
    fn every_line_is_drawn() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("growth.svg");
        draw(&[point(10_000), point(100_000), point(1_000_000)], &file).expect("a picture");
        let svg = std::fs::read_to_string(file).expect("a file");
        assert!(svg.starts_with("<svg") && svg.contains("1000000"), "{svg}");
        // Three points on each of seven lines.
        assert_eq!(svg.matches("<circle").count(), 21);
        assert!(draw(&[point(1)], Path::new("/nonexistent/growth.svg")).is_err());
    }
}
