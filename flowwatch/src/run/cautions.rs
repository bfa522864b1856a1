//! What may keep traffic from being seen: looked for at the start, and when other interfaces or
//! databases are taken up; each is warned of once, and stands beside the counts as long as it holds.

use crate::doctor;
use crate::geo::Databases;
use crate::kernel::interface;
use crate::store::Warning;

/// What was found last.
#[derive(Default)]
pub(crate) struct Cautions(Vec<Warning>);

impl Cautions {
    /// Looks at the interfaces that the user named, and at the databases; warns of what is new.
    pub(super) async fn look(&mut self, interfaces: &[String], databases: &Databases) {
        // What can't be looked at is no reason not to count.
        let existing = interface::list().await.unwrap_or_default();
        let (chosen, _) = interface::resolve_present(interfaces, &existing);
        let found = doctor::warnings(interfaces, &chosen, databases).await;
        for warning in found.iter().filter(|it| !self.0.contains(it)) {
            log::warn!("{}", warning.text);
        }
        self.0 = found;
    }

    /// Returns what holds.
    pub(super) fn all(&self) -> &[Warning] {
        &self.0
    }
}
