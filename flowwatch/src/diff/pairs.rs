//! Which device of one side is which of the other: by MAC address, else by name.

use std::collections::HashMap;

use super::SideDevice;
use crate::model::MacAddress;

/// A device as it is on the first side and on the second; on one at least.
pub(super) type Pair<'a> = [Option<&'a SideDevice>; 2];

/// Pairs the devices: in the order of the first side, then those that only the second has. A device
/// keeps its address when it is given another name; one that was replaced keeps its name.
pub(super) fn pairs<'a>(before: &'a [SideDevice], after: &'a [SideDevice]) -> Vec<Pair<'a>> {
    let mut partners: Vec<Option<usize>> = vec![None; before.len()];
    let mut is_taken = vec![false; after.len()];
    let by_mac: HashMap<MacAddress, usize> = positions(after, |device| device.mac);
    let by_name: HashMap<&str, usize> = positions(after, |device| Some(&*device.name));
    let mac = |device: &SideDevice| by_mac.get(&device.mac?).copied();
    let name = |device: &SideDevice| by_name.get(&*device.name).copied();
    for partner_of in [&mac as &dyn Fn(&SideDevice) -> Option<usize>, &name] {
        for (device, partner) in before.iter().zip(&mut partners) {
            let free = partner_of(device).filter(|&position| !is_taken[position]);
            if let (None, Some(position)) = (*partner, free) {
                *partner = Some(position);
                is_taken[position] = true;
            }
        }
    }
    let of_both = before.iter().zip(partners);
    let of_both = of_both.map(|(device, partner)| [Some(device), partner.map(|it| &after[it])]);
    let others = after.iter().zip(is_taken);
    let others =
        others.filter_map(|(device, is_taken)| (!is_taken).then_some([None, Some(device)]));
    of_both.chain(others).collect()
}

/// Returns where each key is first.
fn positions<'a, K: Eq + std::hash::Hash>(
    devices: &'a [SideDevice],
    key: impl Fn(&'a SideDevice) -> Option<K>,
) -> HashMap<K, usize> {
    let mut positions = HashMap::new();
    for (position, device) in devices.iter().enumerate() {
        if let Some(key) = key(device) {
            positions.entry(key).or_insert(position);
        }
    }
    positions
}
