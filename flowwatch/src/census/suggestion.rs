//! The option that tags a device, to be copied: with a name made of its hostname or its vendor.
//!
//! Whatever strangers call a device, the name has nothing in it that a shell would take for its own.

use std::collections::HashSet;

use super::LanDevice;

/// The characters of a name, before a number that tells it from another.
const MAX_NAME: usize = 32;

/// Gives each device that isn't tagged the option that would tag it, under a name that no other has.
pub(super) fn suggest<'a>(devices: &mut [LanDevice], tagged: impl Iterator<Item = &'a str>) {
    let mut taken: HashSet<String> = tagged.map(str::to_owned).collect();
    taken.extend(devices.iter().filter_map(|device| device.tag.clone()));
    for device in devices.iter_mut().filter(|device| device.tag.is_none()) {
        let base = name_of(device);
        let numbered = (2..).map(|number: u32| format!("{base}-{number}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        if let Some(name) = names.find(|name| !taken.contains(name)) {
            device.option = Some(format!("--device {name}={}", device.mac));
            taken.insert(name);
        }
    }
}

fn name_of(device: &LanDevice) -> String {
    let hostname = device.hostname.as_ref().map(|name| &*name.text);
    // Of a domain name, the host's part; of a company, not its legal form.
    let host = hostname.and_then(|name| name.split('.').next()).map(plain);
    let vendor = device.vendor.as_deref().map(|vendor| {
        let words = vendor.split([' ', ',', '.', '(']).take(2).map(plain);
        let words = words.filter(|word| !word.is_empty() && !is_legal_form(word));
        words.collect::<Vec<_>>().join("-")
    });
    let known = host.filter(|name| !name.is_empty());
    let known = known.or(vendor.filter(|name| !name.is_empty()));
    known.unwrap_or_else(|| "device".to_owned())
}

/// Returns a text's ASCII letters and digits, in lower case, with single hyphens between them.
fn plain(text: &str) -> String {
    let mut name = String::new();
    for character in text.chars().take(4 * MAX_NAME) {
        if name.len() == MAX_NAME {
            break;
        }
        if character.is_ascii_alphanumeric() {
            name.push(character.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.trim_end_matches('-').to_owned()
}

fn is_legal_form(word: &str) -> bool {
    matches!(
        word,
        "inc"
            | "co"
            | "ltd"
            | "llc"
            | "corp"
            | "gmbh"
            | "corporation"
            | "corporate"
            | "technologies"
    )
}
