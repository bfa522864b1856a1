//! The names of the interfaces to count on, as far as names alone can be checked.

use super::PlanError;

/// Octets of an interface's name, at most (Linux, `IFNAMSIZ` less its zero).
const MAX_INTERFACE_NAME: usize = 15;

/// Returns the names, each once.
pub(super) fn checked(names: Vec<String>) -> Result<Vec<String>, PlanError> {
    if names.is_empty() {
        return Err(PlanError::NoInterface);
    }
    let mut checked = Vec::with_capacity(names.len());
    for name in names {
        let is_name = (1..=MAX_INTERFACE_NAME).contains(&name.len())
            && !name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
        if !is_name {
            return Err(PlanError::Interface(name));
        }
        if !checked.contains(&name) {
            checked.push(name);
        }
    }
    Ok(checked)
}
