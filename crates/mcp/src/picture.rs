//! A chart as PNG, for clients that show no SVG. Its lines are the drawing itself; its texts are painted with a font of our own,
//! glyph by glyph, since a machine may have none (Ubuntu Light, under the Ubuntu Font Licence 1.0).

use outcome_core::{Code, Error};
use resvg::tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, Transform};
use resvg::usvg::{Options, Tree};
use ttf_parser::{Face, OutlineBuilder};

use crate::chart::{Anchor, Chart, Text};

/// Pixels for each unit of the drawing, for screens with fine pixels.
const SCALE: f32 = 2.0;
/// Height of the texts, in units of the drawing.
const TEXT_SIZE: f32 = 12.0;

/// Paints a chart. It takes some milliseconds of computing.
///
/// # Errors
/// [`Code::Internal`] when it cannot be painted.
pub(crate) fn png(chart: Chart) -> Result<Vec<u8>, Error> {
    let failed = |what: String| Error::new(Code::Internal, format!("the chart cannot be rendered: {what}"));
    let chart = chart.painted();
    let tree = Tree::from_str(&chart.svg()?, &Options::default()).map_err(|error| failed(error.to_string()))?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or_else(|| failed("it has no size".to_owned()))?;
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or_else(|| failed("it is empty".to_owned()))?;
    let scale = Transform::from_scale(SCALE, SCALE);
    resvg::render(&tree, scale, &mut pixels.as_mut());
    let face = Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0).map_err(|error| failed(error.to_string()))?;
    for text in chart.texts() {
        write(&mut pixels, &face, text, scale);
    }
    pixels.encode_png().map_err(|error| failed(error.to_string()))
}

#[expect(clippy::cast_possible_truncation, reason = "places on a small drawing")]
fn write(pixels: &mut Pixmap, face: &Face<'_>, text: &Text, scale: Transform) {
    let size = TEXT_SIZE / f32::from(face.units_per_em());
    let glyphs: Vec<_> = text.text.chars().map(|letter| face.glyph_index(letter).unwrap_or_default()).collect();
    let advance = |glyph| f32::from(face.glyph_hor_advance(glyph).unwrap_or_default()) * size;
    let width: f32 = glyphs.iter().copied().map(advance).sum();
    let before = match text.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => width / 2.0,
        Anchor::End => width,
    };
    let mut outline = Outline { path: PathBuilder::new(), x: text.x as f32 - before, y: text.y as f32, size };
    for glyph in glyphs {
        face.outline_glyph(glyph, &mut outline);
        outline.x += advance(glyph);
    }
    // A text of spaces has no outline.
    let Some(path) = outline.path.finish() else { return };
    let mut paint = Paint::default();
    // The colours of the drawing on light paper.
    paint.set_color(if text.is_level {
        Color::from_rgba8(0x1c, 0x20, 0x24, 255)
    } else {
        Color::from_rgba8(0x5b, 0x65, 0x70, 255)
    });
    pixels.fill_path(&path, &paint, FillRule::Winding, scale, None);
}

/// Glyphs in the units of their font, upwards, as a path in units of the drawing, downwards.
struct Outline {
    path: PathBuilder,
    x: f32,
    y: f32,
    size: f32,
}

impl Outline {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.size, self.y - y * self.size)
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
