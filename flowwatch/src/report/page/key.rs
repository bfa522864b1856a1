//! A key's entries: what a shape or a colour of a drawing stands for.

use super::markup::Markup;

/// Writes an entry: a shape, drawn in a square of 10 by 10, and what it stands for.
pub(super) fn write(shape: impl FnOnce(&mut Markup), text: &str, page: &mut Markup) {
    page.element("span", &[("class", "key")], |page| {
        let frame = [
            ("class", "swatch"),
            ("viewBox", "0 0 10 10"),
            ("aria-hidden", "true"),
        ];
        page.element("svg", &frame, shape);
        page.text(text);
    });
}

/// Likewise, of a colour, by its class.
pub(super) fn write_colour(colour: &str, text: &str, page: &mut Markup) {
    let square = [("class", colour), ("width", "10"), ("height", "10")];
    write(|page| page.void("rect", &square), text, page);
}
