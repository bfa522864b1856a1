//! Templates: what a kind of record is made of, and its encoding from the same list.

use super::element::{Element, VARIABLE};

/// A field of a record of `T`.
#[derive(Debug)]
pub(super) struct Field<T: 'static> {
    /// What it is.
    pub(super) element: Element,
    /// Appends its value, in as many octets as the element has; of one of variable length, the text
    /// alone.
    pub(super) write: fn(&T, &mut Vec<u8>),
}

/// What a kind of record is made of.
#[derive(Debug)]
pub(super) struct Template<T: 'static> {
    /// From 256 on.
    pub(super) id: u16,
    /// How many of the first fields say what the others are about, in an options template; 0 in one of
    /// flows.
    pub(super) scopes: u16,
    /// The fields, in parts that templates have in common.
    pub(super) parts: &'static [&'static [Field<T>]],
}

impl<T> Template<T> {
    fn fields(&self) -> impl Iterator<Item = &'static Field<T>> + use<T> {
        self.parts.iter().copied().flatten()
    }

    /// Appends the template record (RFC 7011 §3.4.1 and §3.4.2.2).
    pub(super) fn describe(&self, octets: &mut Vec<u8>) {
        octets.extend(self.id.to_be_bytes());
        octets.extend((self.fields().count() as u16).to_be_bytes());
        if self.scopes > 0 {
            octets.extend(self.scopes.to_be_bytes());
        }
        for Field { element, .. } in self.fields() {
            octets.extend(element.id.to_be_bytes());
            octets.extend(element.length.to_be_bytes());
        }
    }

    /// Appends a data record.
    pub(super) fn encode(&self, value: &T, octets: &mut Vec<u8>) {
        for field in self.fields() {
            if field.element.length == VARIABLE {
                let at = octets.len();
                octets.push(0);
                (field.write)(value, octets);
                // Texts are shorter than 255 octets, so that one says their length (RFC 7011 §7).
                octets[at] = (octets.len() - at - 1) as u8;
            } else {
                (field.write)(value, octets);
            }
        }
    }
}
