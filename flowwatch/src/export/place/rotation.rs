//! When a file of lines gives way to a new one: the settings' texts and what they say.

use super::Rotation;
use crate::export::TargetError;

/// Octets after which a file is rotated, unless the user says otherwise.
const DEFAULT_SIZE: u64 = 100 << 20;
/// Older files that are kept, unless the user says otherwise.
const DEFAULT_FILES: u32 = 5;
/// The least size of a file: a rotation at each delivery would help nobody.
const LEAST_SIZE: u64 = 64 << 10;
/// The most older files.
const MOST_FILES: u32 = 999;

/// Checks a size at which to rotate.
pub(in crate::export) fn check_size(text: &str) -> Result<(), TargetError> {
    size_of(text).map(drop)
}

/// Checks a number of older files.
pub(in crate::export) fn check_files(text: &str) -> Result<(), TargetError> {
    files_of(text).map(drop)
}

/// Returns what the settings say, both of which may be unset.
pub(super) fn rotation_of(
    size: Option<&str>,
    files: Option<&str>,
) -> Result<Rotation, TargetError> {
    Ok(Rotation {
        octets: size.map_or(Ok(Some(DEFAULT_SIZE)), size_of)?,
        files: files.map_or(Ok(DEFAULT_FILES), files_of)?,
    })
}

/// Returns the octets of a text such as `100MiB`; nothing for `never`.
fn size_of(text: &str) -> Result<Option<u64>, TargetError> {
    if text == "never" {
        return Ok(None);
    }
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let octets = units.into_iter().find_map(|(unit, bits)| {
        let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(1 << bits)
    });
    match octets {
        Some(octets) if octets >= LEAST_SIZE => Ok(Some(octets)),
        Some(_) => Err(TargetError::new(text, "is too little; the least is 64KiB")),
        None => Err(TargetError::new(
            text,
            "is no size; write a number with KiB, MiB or GiB, such as 100MiB, or never",
        )),
    }
}

fn files_of(text: &str) -> Result<u32, TargetError> {
    let files = text.parse().ok().filter(|files| *files <= MOST_FILES);
    files.ok_or_else(|| TargetError::new(text, "is no number of older files from 0 to 999"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_is_never() {
        let check = |text: &str, expected: Option<Option<u64>>| {
            assert_eq!(size_of(text).ok(), expected, "{text}");
        };
        check("100MiB", Some(Some(104_857_600)));
        check("64KiB", Some(Some(65_536)));
        check("2 GiB", Some(Some(2_147_483_648)));
        check("never", Some(None));
        check("63KiB", None);
        check("100", None);
        check("-1MiB", None);
        check("99999999999GiB", None);
    }

    #[test]
    fn without_settings_a_hundred_mebioctets_and_five_older_files_are_kept() {
        let rotation = rotation_of(None, None).unwrap();
        assert_eq!((rotation.octets, rotation.files), (Some(100 << 20), 5));
        let rotation = rotation_of(Some("never"), Some("0")).unwrap();
        assert_eq!((rotation.octets, rotation.files), (None, 0));
        assert!(rotation_of(None, Some("1000")).is_err());
    }
}
