//! What one plan says differently than another: what can be taken up while counting, and in which
//! words.

use std::path::PathBuf;

use crate::plan::RunPlan;

/// The differences.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Each in a few words.
    parts: Vec<String>,
    new_interfaces: Vec<String>,
    needs_a_load: bool,
    /// Settings that only a start takes up.
    left_out: Vec<&'static str>,
}

impl Changes {
    /// Compares two plans.
    pub(super) fn between(before: &RunPlan, after: &RunPlan) -> Self {
        let mut changes = Self::default();
        changes.compare_devices(before, after);
        changes.compare_prefixes(before, after);
        let new = after.interfaces.iter();
        let new = new.filter(|name| !before.interfaces.contains(name));
        changes.new_interfaces = new.cloned().collect();
        let quoted =
            |names: &[String]| -> Vec<_> { names.iter().map(|name| format!("`{name}`")).collect() };
        let new = quoted(&changes.new_interfaces);
        changes.list("counts on", &new);
        let gone = before.interfaces.iter();
        let gone: Vec<_> = gone
            .filter(|name| !after.interfaces.contains(name))
            .cloned()
            .collect();
        changes.list("no longer on", &quoted(&gone));
        if before.interval != after.interval {
            changes
                .parts
                .push(format!("drains every {:?}", after.interval));
        }
        if (&before.geo, before.uses_builtin_geo) != (&after.geo, after.uses_builtin_geo) {
            changes
                .parts
                .push(databases(&after.geo, after.uses_builtin_geo));
        }
        changes.left_out = left_out(before, after);
        changes
    }

    fn compare_devices(&mut self, before: &RunPlan, after: &RunPlan) {
        let (mut added, mut renamed) = (Vec::new(), Vec::new());
        for device in &after.devices {
            match before.devices.iter().find(|it| it.mac == device.mac) {
                None => added.push(format!("`{}`", device.name)),
                Some(former) if former.name != device.name => {
                    renamed.push(format!("`{}` (was `{}`)", device.name, former.name));
                }
                Some(_) => {}
            }
        }
        let removed = before.devices.iter();
        let removed = removed
            .filter(|device| after.devices.iter().all(|it| it.mac != device.mac))
            .map(|device| format!("`{}`", device.name))
            .collect::<Vec<_>>();
        self.needs_a_load |= before.devices != after.devices;
        self.list("counts", &added);
        self.list("calls", &renamed);
        self.list("no longer counts", &removed);
    }

    fn compare_prefixes(&mut self, before: &RunPlan, after: &RunPlan) {
        let is_new = |tag: &&_| !before.prefixes.contains(tag);
        let is_gone = |tag: &&_| !after.prefixes.contains(tag);
        let new = after.prefixes.iter().filter(is_new);
        let new = new.map(|tag| format!("`{}={}`", tag.name, tag.prefix));
        let gone = before.prefixes.iter().filter(is_gone);
        let gone = gone.map(|tag| format!("`{}={}`", tag.name, tag.prefix));
        let (new, gone): (Vec<_>, Vec<_>) = (new.collect(), gone.collect());
        self.needs_a_load |= !new.is_empty() || !gone.is_empty();
        self.list("tags", &new);
        self.list("no longer tags", &gone);
    }

    fn list(&mut self, what: &str, names: &[String]) {
        if !names.is_empty() {
            self.parts.push(format!("{what} {}", names.join(", ")));
        }
    }

    /// Returns the interfaces that were not named before.
    pub(super) fn new_interfaces(&self) -> Vec<String> {
        self.new_interfaces.clone()
    }

    /// Returns whether the programs have to be loaded anew.
    pub(super) const fn need_a_load(&self) -> bool {
        self.needs_a_load
    }

    /// Returns what was taken up, in one line.
    pub(super) fn told(&self) -> String {
        if self.parts.is_empty() {
            return "read the configuration: it says nothing new".to_owned();
        }
        format!("took up the configuration: {}", self.parts.join("; "))
    }

    /// Returns what was not.
    pub(super) fn left_out(&self) -> Vec<String> {
        if self.left_out.is_empty() {
            return Vec::new();
        }
        let settings = self.left_out.join(", ");
        vec![format!(
            "not taken up while counting: {settings}; start flowwatch again for that"
        )]
    }
}

/// Returns the plan that is in use from now on.
pub(super) fn taken_up(before: &RunPlan, after: &RunPlan) -> RunPlan {
    RunPlan {
        interfaces: after.interfaces.clone(),
        devices: after.devices.clone(),
        prefixes: after.prefixes.clone(),
        interval: after.interval,
        geo: after.geo.clone(),
        uses_builtin_geo: after.uses_builtin_geo,
        ..before.clone()
    }
}

fn databases(files: &[PathBuf], with_builtin: bool) -> String {
    let mut names: Vec<_> = files
        .iter()
        .map(|file| format!("`{}`", file.display()))
        .collect();
    if with_builtin {
        names.push("the built-in database".to_owned());
    }
    if names.is_empty() {
        return "places nothing".to_owned();
    }
    format!("places by {}", names.join(", "))
}

fn left_out(before: &RunPlan, after: &RunPlan) -> Vec<&'static str> {
    // Every setting is listed: one that is in neither half would be left out without a word.
    let RunPlan {
        interfaces: _,
        devices: _,
        prefixes: _,
        interval: _,
        geo: _,
        uses_builtin_geo: _,
        duration,
        format,
        output,
        attach,
        tc_hook,
        flow_table_size,
        history,
        export,
        socket,
        user,
        persist,
    } = before;
    let sockets = [socket, &after.socket].map(Option::as_ref);
    let paths = sockets.map(|socket| socket.map(|it| &it.path));
    let groups = sockets.map(|socket| socket.map(|it| &it.group));
    let is_different = [
        ("duration", *duration != after.duration),
        ("format", format.name != after.format.name),
        ("output", *output != after.output),
        ("attach", *attach != after.attach),
        ("tc_hook", *tc_hook != after.tc_hook),
        ("flow_table_size", *flow_table_size != after.flow_table_size),
        ("history", *history != after.history),
        ("export", *export != after.export),
        ("socket", paths[0] != paths[1]),
        ("socket_group", groups[0] != groups[1]),
        ("user", *user != after.user),
        ("persist", *persist != after.persist),
    ];
    let different = is_different.into_iter().filter(|(_, is_it)| *is_it);
    different.map(|(setting, _)| setting).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::live::SocketOptions;
    use crate::model::DeviceTag;
    use crate::plan::Settings;

    fn plan(interfaces: &[&str], tags: &[&str]) -> RunPlan {
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let (devices, prefixes) = DeviceTag::split(tags);
        let settings = Settings {
            interfaces: interfaces.iter().map(ToString::to_string).collect(),
            devices,
            prefixes,
            ..Settings::default()
        };
        RunPlan::try_from(settings).unwrap()
    }

    #[test]
    fn what_is_different_is_told_in_one_line() {
        let before = plan(
            &["lan0", "lan1"],
            &["cam=2c:aa:8e:00:00:01", "tv=2c:aa:8e:00:00:02", "any=02:*"],
        );
        let mut after = plan(
            &["lan1", "lan2"],
            &["camera=2c:aa:8e:00:00:01", "plug=50:c7:bf:0a:0b:0c"],
        );
        after.interval = Duration::from_millis(500);
        after.geo = vec!["a.mmdb".into()];
        let changes = Changes::between(&before, &after);
        assert_eq!(
            changes.told(),
            "took up the configuration: counts `plug`; calls `camera` (was `cam`); no longer counts \
             `tv`; no longer tags `any=02:*`; counts on `lan2`; no longer on `lan0`; drains every \
             500ms; places by `a.mmdb`, the built-in database"
        );
        assert!(changes.need_a_load() && changes.left_out().is_empty());
        assert_eq!(changes.new_interfaces(), ["lan2"]);
    }

    #[test]
    fn what_only_a_start_takes_up_is_left_as_it_is() {
        let before = plan(&["lan0"], &["cam=2c:aa:8e:00:00:01"]);
        let mut after = before.clone();
        after.flow_table_size = 9;
        after.output = Some("a.txt".into());
        after.socket = after.socket.map(|socket| SocketOptions {
            path: Some("a.sock".into()),
            ..socket
        });
        let changes = Changes::between(&before, &after);
        assert!(changes.told().contains("nothing new") && !changes.need_a_load());
        let told = &changes.left_out()[0];
        assert!(
            told.contains("output, flow_table_size, socket; start"),
            "{told}"
        );
        let taken_up = taken_up(&before, &after);
        assert_eq!(
            (taken_up.flow_table_size, taken_up.output),
            (before.flow_table_size, None)
        );
    }
}
