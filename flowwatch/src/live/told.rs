//! What a view is told: what changed, and how it stands with the one who tells.

use super::Update;

/// What who counts has to tell.
#[derive(Debug)]
pub enum Told {
    /// What changed.
    Update(Box<Update>),
    /// That the updates from here on are of another counting: the first of them tells everything.
    Anew,
    /// What is waited for; until the next update.
    Waiting(String),
    /// That no more will come, and why.
    Ended(String),
}
