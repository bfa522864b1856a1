//! From the counting to updates, at a cost that follows the changes.
//!
//! The window and the names tell what changed; [`Feed::take_up`] makes [`News`] of it for all views,
//! and [`Feed::update`] an [`Update`] of one view's. Pure: time is in what it gets.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::{Changed, FlowNumber, MOST_CHANGED, MOST_TOLD, Teller, Update};
use crate::geo::{Databases, Scope};
use crate::join::{Places, Sources, contact_of, join_devices, join_flow, rank, use_of};
use crate::model::{Device, FlowRecord};
use crate::names::{NameChanges, NameTable, Naming, Uses};
use crate::store::{FlowEntry, FlowTable, Marks, Meta};

/// Octets of names that one update tells, at most, but for the last flow's: strangers make them long.
const MOST_TEXT: usize = 4 << 20;
/// Flows to resolvers that are summed: a scan for resolvers has more.
const MOST_USES: usize = 1 << 16;
/// No position.
const NONE: u32 = u32::MAX;

/// What is followed.
#[derive(Debug)]
pub struct Followed<'a> {
    /// The devices; a device's number is its position.
    pub devices: &'a [Device],
    /// What was counted.
    pub flows: &'a mut FlowTable,
    /// Names.
    pub names: &'a mut NameTable,
    /// Places.
    pub databases: &'a Databases,
}

/// What changed since the news before, by the flows' positions.
#[derive(Debug, Default)]
pub struct News {
    /// Whether this is another window than that of the news before.
    pub(super) is_new_window: bool,
    /// Flows that are new or whose counts changed.
    pub(super) counted: Marks,
    /// Flows of which more than the counts may have changed.
    pub(super) renamed: Marks,
}

/// What is known of a window between two drains.
#[derive(Debug)]
pub struct Feed {
    devices: Vec<Device>,
    /// The version of the databases that the places are from.
    version: u64,
    places: Places,
    /// The newest flow to each remote.
    newest: HashMap<IpAddr, u32, RandomState>,
    /// Of each flow, the one to the same remote before it.
    before: Vec<u32>,
    /// Flows that may go by other names with their next packet.
    unsettled: Marks,
    /// Flows of each device.
    counts: Vec<u64>,
    /// The flows to resolvers, and what these are called.
    uses: BTreeMap<usize, Naming>,
}

impl Feed {
    /// Returns a feed that has taken up nothing.
    #[must_use]
    pub fn new(databases: &Databases) -> Self {
        Self {
            devices: Vec::new(),
            version: databases.version(),
            places: Places::default(),
            newest: HashMap::default(),
            before: Vec::new(),
            unsettled: Marks::default(),
            counts: Vec::new(),
            uses: BTreeMap::new(),
        }
    }

    /// Has the window and the names note their changes no more: nobody is told.
    pub fn unfollow(flows: &mut FlowTable, names: &mut NameTable) {
        flows.unfollow();
        names.unfollow();
    }

    /// Takes up what changed since the last time, in the window that was followed then or in another.
    pub fn take_up(&mut self, followed: Followed<'_>) -> News {
        let Followed {
            devices,
            flows,
            names,
            databases,
        } = followed;
        let changes = flows.take_changes();
        let is_new_window = changes.is_none();
        if is_new_window {
            *self = Self::new(databases);
            flows.follow();
        }
        let changes = changes.unwrap_or_default();
        let mut news = News {
            is_new_window,
            counted: changes.counted,
            renamed: changes.began_earlier,
        };
        self.take_up_names(names, flows, &mut news.renamed);
        if self.has_outdated(devices, databases) {
            news.renamed.set_below(self.before.len());
        }
        self.settle(names, flows, &mut news);
        for at in self.before.len()..flows.len() {
            if let Some(entry) = flows.flow(at) {
                self.enter(at, &entry, names);
            }
        }
        news
    }

    /// Marks the flows whose names changed.
    fn take_up_names(&self, names: &mut NameTable, flows: &FlowTable, renamed: &mut Marks) {
        match names.take_changes() {
            Some(NameChanges::Of { remotes, announced }) => {
                for (device, remote) in remotes {
                    let is_of_device = |at: &usize| {
                        let flow = flows.flow(*at);
                        flow.is_some_and(|flow| flow.device == device)
                    };
                    self.flows_to(remote)
                        .filter(is_of_device)
                        .for_each(|at| renamed.set(at));
                }
                for remote in announced {
                    self.flows_to(remote).for_each(|at| renamed.set(at));
                }
            }
            Some(NameChanges::All) => renamed.set_below(self.before.len()),
            None => {
                names.follow();
                renamed.set_below(self.before.len());
            }
        }
    }

    /// Iterates over the known flows to a remote, the newest first.
    fn flows_to(&self, remote: IpAddr) -> impl Iterator<Item = usize> + '_ {
        let is_one = |at: &u32| *at != NONE;
        let newest = self.newest.get(&remote).copied();
        let before = move |at: &u32| self.before.get(*at as usize).copied().filter(is_one);
        std::iter::successors(newest, before).map(|at| at as usize)
    }

    /// Returns whether what was told of devices and places holds no more, and takes up what does.
    fn has_outdated(&mut self, devices: &[Device], databases: &Databases) -> bool {
        let has_other_places = self.version != databases.version();
        if has_other_places {
            self.version = databases.version();
            self.places = Places::default();
        }
        let has_other_devices = self.devices != devices;
        if has_other_devices {
            self.devices = devices.to_vec();
        }
        has_other_places || has_other_devices
    }

    /// Marks the flows that are to be named again as their latest packet came after a name.
    fn settle(&mut self, names: &NameTable, flows: &FlowTable, news: &mut News) {
        let counted = news.counted.iter();
        for at in counted.filter(|at| self.unsettled.has(*at)) {
            news.renamed.set(at);
        }
        for at in news.renamed.iter() {
            if let Some(entry) = flows.flow(at) {
                self.note_settled(at, &entry, names);
            }
        }
    }

    fn note_settled(&mut self, at: usize, entry: &FlowEntry, names: &NameTable) {
        if names.is_settled(&contact_of(entry)) {
            self.unsettled.clear(at);
        } else {
            self.unsettled.set(at);
        }
    }

    /// Takes up a new flow.
    fn enter(&mut self, at: usize, entry: &FlowEntry, names: &NameTable) {
        let before = self.newest.insert(entry.remote, at as u32);
        self.before.push(before.unwrap_or(NONE));
        let device = usize::from(entry.device);
        if device >= self.counts.len() {
            self.counts.resize(device + 1, 0);
        }
        self.counts[device] += 1;
        self.note_settled(at, entry, names);
    }

    /// Returns what a view is to be told, up to the most of one update; there may be more to tell
    /// ([`Teller::is_behind`]).
    ///
    /// `sources` are what was taken up last; of `meta`, `join` fills in the rest.
    pub fn update(&mut self, teller: &mut Teller, sources: Sources<'_>, meta: Meta) -> Update {
        let at = meta.ended_at;
        let forgotten = teller.take_forgotten();
        let told = self.tell(teller, sources);
        let counted = teller.take_counted(MOST_CHANGED).into_iter();
        let changed = counted.filter_map(|at| {
            let entry = sources.flows.flow(at)?;
            // A flow of a device that isn't known yet was not told either.
            let device = sources.devices.get(usize::from(entry.device));
            device.filter(|device| !device.is_vacant())?;
            Some(Changed {
                flow: teller.number(at),
                up: entry.counts.traffic.up,
                down: entry.counts.traffic.down,
                last_seen: entry.counts.last_seen,
            })
        });
        let changed = changed.collect();
        let rest = join_devices(sources, meta, &self.counts, self.uses(sources));
        Update {
            at,
            meta: rest.meta,
            devices: rest.devices,
            told,
            changed,
            forgotten,
            unaccounted: rest.unaccounted,
            resolving: rest.resolving,
        }
    }

    /// Returns the flows that are to be told as a whole, as many as one update tells.
    fn tell(&mut self, teller: &mut Teller, sources: Sources<'_>) -> Vec<(FlowNumber, FlowRecord)> {
        let positions = teller.take_told(self.before.len(), MOST_TOLD);
        let mut told = Vec::with_capacity(positions.len());
        let mut text = 0;
        for (taken, &at) in positions.iter().enumerate() {
            if text > MOST_TEXT {
                teller.put_back(&positions[taken..]);
                break;
            }
            if let Some(record) = self.join(sources, at) {
                text += record.naming.octets();
                told.push((teller.number(at), record));
            }
        }
        told
    }

    /// Returns a flow's record, and notes whether it is one to a resolver.
    fn join(&mut self, sources: Sources<'_>, at: usize) -> Option<FlowRecord> {
        let entry = sources.flows.flow(at)?;
        let record = join_flow(sources, &entry, &mut self.places)?;
        let is_use = use_of(&entry, &record.naming, record.scope)
            .transport()
            .is_some();
        if !is_use {
            self.uses.remove(&at);
        } else if self.uses.len() < MOST_USES || self.uses.contains_key(&at) {
            self.uses.insert(at, record.naming.clone());
        }
        Some(record)
    }

    /// Sums the flows to resolvers.
    fn uses<'a>(&self, sources: Sources<'a>) -> Uses<'a> {
        let flows = self.uses.iter();
        let mut flows: Vec<_> = flows
            .filter_map(|(at, naming)| Some((sources.flows.flow(*at)?, naming)))
            .collect();
        // As the join has them: a resolver goes by the name of the flow with most octets.
        flows.sort_unstable_by_key(|(entry, _)| rank(entry));
        let mut uses = Uses::new(sources.names);
        for (entry, naming) in flows {
            uses.add(&use_of(&entry, naming, Scope::of(entry.remote)));
        }
        uses
    }
}
