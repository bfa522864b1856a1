//! A load of the programs, and the window for what they count, as a plan wants them.

use flowwatch_common::abi::mac_word;
use flowwatch_common::prefix::prefix_rule;

use super::kernel_log::kernel_log_level;
use crate::kernel::batch::Access;
use crate::kernel::load::{self, LoadOptions, Loaded, MapPins};
use crate::model::MacAddress;
use crate::plan::RunPlan;
use crate::store::{FlowTable, WINDOW_FLOWS};

/// Loads the programs for devices of these addresses, in this order, and for the plan's prefixes.
/// `pins` says where maps are pinned that outlive the process.
pub(super) fn load_programs(
    addresses: &[MacAddress],
    plan: &RunPlan,
    pins: Option<MapPins<'_>>,
) -> anyhow::Result<Loaded> {
    let devices = addresses.iter().map(|mac| mac_word(mac.octets()));
    let devices: Vec<u64> = devices.collect();
    let prefixes = plan.prefixes.iter().map(|tag| tag.prefix);
    let prefixes: Vec<_> = prefixes
        .map(|prefix| prefix_rule(prefix.octets(), prefix.bits()))
        .collect();
    let options = LoadOptions {
        devices: &devices,
        prefixes: &prefixes,
        flow_table_size: plan.flow_table_size,
        log_level: kernel_log_level(),
        access: Access::Batch,
        pins,
    };
    Ok(load::load(&options)?)
}

/// Returns an empty window. Where all is recorded, or nobody is told but one who watches, it is for
/// what goes on now.
pub(super) fn window(plan: &RunPlan) -> FlowTable {
    let table = FlowTable::new(plan.devices.len(), WINDOW_FLOWS);
    if plan.history.is_some() || plan.socket.is_none() {
        table.that_forgets()
    } else {
        table
    }
}
