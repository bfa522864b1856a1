//! The files that a run reads and writes after it has given up its privileges, and which of them it
//! could not.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, Uid, eaccess};

use crate::plan::RunPlan;

/// The files, as far as a plan tells.
#[derive(Debug, Default)]
pub(super) struct LaterFiles {
    /// Read again when they change, or on SIGHUP.
    read: Vec<PathBuf>,
    /// Made or replaced in their folders.
    written: Vec<PathBuf>,
}

impl LaterFiles {
    /// Returns the files of a plan, and the configuration that it came from.
    pub(super) fn of(plan: &RunPlan, config: Option<&Path>) -> Self {
        let read = config
            .into_iter()
            .chain(plan.geo.iter().map(PathBuf::as_path));
        let output = plan.output.iter().filter(|path| is_replaced(path)).cloned();
        let history = plan.history.iter();
        let history = history.flat_map(|it| [it.history.clone(), it.journal.join("journal")]);
        let socket = plan.socket.iter().map(|it| it.path().to_owned());
        Self {
            read: read.map(Path::to_owned).collect(),
            written: output.chain(history).chain(socket).collect(),
        }
    }

    /// Returns what can't be written, or is another user's, as words for a sentence.
    pub(super) fn foreign(&self) -> Vec<String> {
        let own = Uid::effective();
        let is_foreign = |path: &Path| {
            let folder = existing_folder(path);
            let others = fs::metadata(path).is_ok_and(|found| found.uid() != own.as_raw());
            others || eaccess(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_err()
        };
        told(self.written.iter().filter(|path| is_foreign(path)))
    }

    /// Returns what can't be read.
    pub(super) fn hidden(&self) -> Vec<String> {
        let is_hidden = |path: &Path| eaccess(path, AccessFlags::R_OK).is_err();
        told(self.read.iter().filter(|path| is_hidden(path)))
    }
}

fn told<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Vec<String> {
    paths.map(|path| format!("`{}`", path.display())).collect()
}

/// Returns whether an output is a file that another takes the place of: a device or a pipe is opened.
fn is_replaced(path: &Path) -> bool {
    path != Path::new("-") && fs::metadata(path).is_ok_and(|found| found.is_file())
        || path.parent().is_some() && !path.exists()
}

/// Returns the folder that a file is to be made in; of those that are to be made first, the one that
/// the first of them is made in.
fn existing_folder(path: &Path) -> &Path {
    let folders = path.ancestors().skip(1);
    let mut folders = folders.map(|folder| {
        if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        }
    });
    folders
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Settings;

    fn plan() -> RunPlan {
        let tag: crate::model::DeviceTag = "cam=2c:aa:8e:00:00:01".parse().unwrap();
        let (devices, prefixes) = crate::model::DeviceTag::split(vec![tag]);
        let settings = Settings {
            interfaces: vec!["lan0".to_owned()],
            devices,
            prefixes,
            ..Settings::default()
        };
        RunPlan::try_from(settings).unwrap()
    }

    #[test]
    fn a_plans_files_are_all_there_and_devices_are_not_replaced() {
        let mut plan = plan();
        plan.geo = vec!["a.mmdb".into()];
        plan.output = Some("/dev/null".into());
        let files = LaterFiles::of(&plan, Some(Path::new("c.toml")));
        assert_eq!(files.read, [Path::new("c.toml"), Path::new("a.mmdb")]);
        assert_eq!(files.written, [Path::new("/run/flowwatch/live.sock")]);
        plan.output = Some("new.csv".into());
        let files = LaterFiles::of(&plan, None);
        assert_eq!(files.written[0], Path::new("new.csv"));
    }

    #[test]
    fn what_is_missing_can_not_be_read_and_a_folder_is_looked_for_upwards() {
        let folder = tempfile::tempdir().unwrap();
        let files = LaterFiles {
            read: vec![folder.path().join("none")],
            written: vec![folder.path().join("a/b/new.db")],
        };
        assert_eq!(files.hidden().len(), 1);
        assert_eq!(files.foreign(), [""; 0]);
        assert_eq!(existing_folder(&files.written[0]), folder.path());
        assert_eq!(existing_folder(Path::new("new.csv")), Path::new("."));
    }
}
