//! The end of the preparation, after which nothing is loaded by more than counting takes.

use super::cautions::Cautions;
use crate::geo::Databases;
use crate::plan::RunPlan;
use crate::privileges;

/// Warns of what would hide traffic, and gives up what only that look took; in a program that is not
/// there to count alone, it stays. Comes before the first thread is started, which would keep it.
pub(super) async fn end(
    plan: &RunPlan,
    databases: &Databases,
    is_for_a_view: bool,
) -> anyhow::Result<Cautions> {
    let mut cautions = Cautions::default();
    cautions.look(&plan.interfaces, databases).await;
    if !is_for_a_view {
        privileges::end_preparation()?;
    }
    Ok(cautions)
}
