//! The user and the groups that a run goes on as.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, User, getgrouplist, getgroups, setgroups, setresgid, setresuid};
use rustix::thread::CapabilitySet;

use crate::live::SocketOptions;
use crate::plan::RunPlan;

/// Who may look into the folder of the socket and the journal.
const RUNTIME_MODE: u32 = 0o755;

/// Why a run can't go on as a user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is none of that name.
    #[error(
        "run as the user `{0}`: there is no such user; make it with `useradd --system \
         --user-group --shell /usr/sbin/nologin {0}`"
    )]
    Unknown(String),
    /// The system refused.
    #[error("run as the user `{user}`: {errno}; only root can become another user")]
    Refused {
        /// The user.
        user: String,
        /// Why.
        errno: Errno,
    },
    /// The folder of the socket can't be made.
    #[error("make the folder `{}` for the user `{user}`: {cause}; make it by hand", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The user.
        user: String,
        /// Why.
        cause: io::Error,
    },
}

fn find(name: &str) -> Result<User, UserError> {
    let found = User::from_name(name).ok().flatten();
    found.ok_or_else(|| UserError::Unknown(name.to_owned()))
}

/// Joins the group of those who may watch: a file is given to one's own groups without a privilege. Sees
/// to the folder that root alone can make.
pub(super) fn join(plan: &RunPlan, permitted: CapabilitySet) -> Result<(), UserError> {
    let user = plan.user.as_deref().map(find).transpose()?;
    let watching = plan.socket.as_ref().and_then(SocketOptions::group_id);
    if permitted.contains(CapabilitySet::SETGID) {
        let groups = match &user {
            Some(user) => CString::new(user.name.as_str())
                .map_err(|_| Errno::EINVAL)
                .and_then(|name| getgrouplist(&name, user.gid)),
            None => getgroups(),
        };
        let joined = groups.and_then(|groups| join_also(groups, watching));
        if let (Err(errno), Some(user)) = (joined, &user) {
            let user = user.name.clone();
            return Err(UserError::Refused { user, errno });
        }
    }
    match (user, &plan.socket) {
        (Some(user), Some(socket)) if permitted.contains(CapabilitySet::CHOWN) => {
            make_folder(socket.runtime_folder(), &user)
        }
        _ => Ok(()),
    }
}

fn join_also(mut groups: Vec<Gid>, other: Option<u32>) -> nix::Result<()> {
    let other = other.map(Gid::from_raw);
    groups.extend(other.filter(|other| !groups.contains(other)));
    setgroups(&groups)
}

/// Makes the folder under `/run` that is the program's own, for its user.
fn make_folder(folder: Option<&Path>, user: &User) -> Result<(), UserError> {
    let Some(folder) = folder else { return Ok(()) };
    let made = match fs::DirBuilder::new().mode(RUNTIME_MODE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
    };
    made.map_err(|cause| UserError::Folder {
        folder: folder.to_owned(),
        user: user.name.clone(),
        cause,
    })
}

/// Becomes a user, for good, in every thread.
pub(super) fn become_user(name: Option<&str>) -> Result<(), UserError> {
    let Some(name) = name else { return Ok(()) };
    let user = find(name)?;
    if Uid::current() == user.uid && Uid::effective() == user.uid {
        return Ok(());
    }
    let (uid, gid) = (user.uid, user.gid);
    let became = setresgid(gid, gid, gid).and_then(|()| setresuid(uid, uid, uid));
    became.map_err(|errno| UserError::Refused {
        user: name.to_owned(),
        errno,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_is_not_is_named_with_the_way_to_make_one() {
        let error = become_user(Some("no-such-user")).unwrap_err().to_string();
        assert!(
            error.contains("`no-such-user`: there is no such user"),
            "{error}"
        );
        assert!(become_user(None).is_ok());
    }

    #[test]
    fn who_is_the_user_already_becomes_nobody_else() {
        let own = User::from_uid(Uid::effective()).unwrap().unwrap();
        assert!(become_user(Some(&own.name)).is_ok());
        assert_eq!(Uid::effective(), own.uid);
    }
}
