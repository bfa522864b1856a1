//! The end of the preparation, after which nothing is loaded by more than counting takes.

use super::warn;
use crate::doctor;
use crate::geo::Databases;
use crate::kernel::interface::Interface;
use crate::plan::RunPlan;
use crate::privileges;

/// Warns of what would hide traffic, and gives up what only that look took; in a program that is not
/// there to count alone, it stays. Comes before the first thread is started, which would keep it.
pub(super) async fn end(
    plan: &RunPlan,
    interfaces: &[Interface],
    databases: &Databases,
    is_for_a_view: bool,
) -> anyhow::Result<()> {
    warn(&doctor::warnings(&plan.interfaces, interfaces, databases).await);
    if !is_for_a_view {
        privileges::end_preparation()?;
    }
    Ok(())
}
