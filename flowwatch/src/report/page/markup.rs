//! Markup: elements that are always closed, and texts that are always escaped.
//!
//! All of a page goes through it, so that no text, whoever it is from, becomes markup. What doesn't
//! print is escaped as `text` has it, besides.

use crate::text::printable;

/// A document in the making.
pub(super) struct Markup {
    text: String,
}

/// An element's attribute: its name, and its value as it is to be read.
pub(super) type Attribute<'a> = (&'static str, &'a str);

impl Markup {
    /// Begins a document.
    pub(super) fn document() -> Self {
        Self {
            text: "<!DOCTYPE html>\n".to_owned(),
        }
    }

    /// Ends it.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Writes an element with what is inside it.
    pub(super) fn element(
        &mut self,
        name: &'static str,
        attributes: &[Attribute<'_>],
        inside: impl FnOnce(&mut Self),
    ) {
        self.open(name, attributes, ">");
        inside(self);
        self.text += "</";
        self.text += name;
        self.text += ">";
        if !is_inline(name) {
            self.text.push('\n');
        }
    }

    /// Writes an element with nothing but text inside it.
    pub(super) fn leaf(&mut self, name: &'static str, attributes: &[Attribute<'_>], text: &str) {
        self.element(name, attributes, |markup| markup.text(text));
    }

    /// Writes an element that can have nothing inside it.
    pub(super) fn void(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.open(name, attributes, "/>");
        if !is_inline(name) {
            self.text.push('\n');
        }
    }

    /// Writes a text.
    pub(super) fn text(&mut self, text: &str) {
        for character in printable(text).chars() {
            match character {
                '&' => self.text += "&amp;",
                '<' => self.text += "&lt;",
                '>' => self.text += "&gt;",
                '"' => self.text += "&quot;",
                '\'' => self.text += "&#39;",
                other => self.text.push(other),
            }
        }
    }

    /// Writes a name, whose line may be broken behind its dots.
    pub(super) fn breakable(&mut self, name: &str) {
        let mut labels = name.split_inclusive('.').peekable();
        while let Some(label) = labels.next() {
            self.text(label);
            if labels.peek().is_some() {
                self.void("wbr", &[]);
            }
        }
    }

    /// Writes what is flowwatch's own: a style or a script.
    pub(super) fn verbatim(&mut self, text: &'static str) {
        self.text += text;
    }

    fn open(&mut self, name: &'static str, attributes: &[Attribute<'_>], end: &str) {
        self.text.push('<');
        self.text += name;
        for (attribute, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
            self.text.push(' ');
            self.text += attribute;
            self.text += "=\"";
            self.text(value);
            self.text.push('"');
        }
        self.text += end;
    }
}

/// Returns whether a line end behind an element would be seen.
fn is_inline(name: &str) -> bool {
    matches!(
        name,
        "a" | "span" | "b" | "time" | "code" | "br" | "wbr" | "title" | "rect"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let mut markup = Markup {
            text: String::new(),
        };
        let evil = "\"><script>alert('x')</script>&\u{1b}[2J";
        markup.leaf("b", &[("title", evil)], evil);
        let escaped = "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\\x1b[2J";
        let expected = format!("<b title=\"{escaped}\">{escaped}</b>");
        assert_eq!(markup.into_text(), expected);
    }
}
