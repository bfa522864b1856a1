//! Debian's packages that the project's tests, lab and demo need, and their installation.
//!
//! A package counts as there when its command is: so a distribution without apt passes when it has
//! the commands by other names or means.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{find, is_root, run};

/// One package, the command by which its presence is known, and what needs it.
pub(crate) struct Package {
    /// Debian's name.
    name: &'static str,
    /// A command that it brings.
    command: &'static str,
    /// What needs it.
    why: &'static str,
}

/// The packages; a new need is one line here.
const PACKAGES: &[Package] = &[
    Package {
        name: "iproute2",
        command: "ip",
        why: "the lab's namespaces and links",
    },
    Package {
        name: "ethtool",
        command: "ethtool",
        why: "the lab switches offloads on and off",
    },
    Package {
        name: "dnsmasq-base",
        command: "dnsmasq",
        why: "the lab's name server, which gives addresses by DHCP, too",
    },
    Package {
        name: "tshark",
        command: "tshark",
        why: "a foreign reader checks captures",
    },
    Package {
        name: "prometheus",
        command: "promtool",
        why: "a foreign reader scrapes the metrics, and its linter reads them",
    },
    Package {
        name: "nfdump",
        command: "nfcapd",
        why: "a foreign collector of IPFIX",
    },
    Package {
        name: "mosquitto",
        command: "mosquitto",
        why: "a foreign broker takes what is published",
    },
    Package {
        name: "mosquitto-clients",
        command: "mosquitto_sub",
        why: "a foreign client reads what is published",
    },
    Package {
        name: "pmacct",
        command: "nfacctd",
        why: "another foreign collector of IPFIX",
    },
    Package {
        name: "nftables",
        command: "nft",
        why: "the lab's gateway forwards and translates",
    },
    Package {
        name: "systemd",
        command: "systemd-analyze",
        why: "the service is started, watched and stopped by it",
    },
    Package {
        name: "lintian",
        command: "lintian",
        why: "a foreign reader checks the Debian package",
    },
    Package {
        name: "groff-base",
        command: "groff",
        why: "a foreign reader checks the manual pages",
    },
];

/// Installs the packages whose commands are missing; says one line for each.
///
/// # Errors
/// When something is missing and this process can't install it, or apt fails.
pub(crate) fn install_missing() -> Result<()> {
    let mut missing = Vec::new();
    for package in PACKAGES {
        if let Some(path) = find(package.command) {
            println!("  {:<14} there: {}", package.name, path.display());
        } else {
            println!("  {:<14} missing, needed: {}", package.name, package.why);
            missing.push(package.name);
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        apt_install(&missing)
    }
}

/// Refreshes apt's lists and installs `names` without asking.
///
/// # Errors
/// When there is no apt, this process is not root, or apt fails; the message names the packages.
pub(crate) fn apt_install(names: &[&str]) -> Result<()> {
    let list = names.join(" ");
    if find("apt-get").is_none() {
        bail!("install {list}: this system has no apt-get; install what provides them by hand");
    }
    if !is_root() {
        bail!("install {list}: only root may; run `sudo apt-get install {list}`, then this again");
    }
    println!("  apt-get install {list}");
    run(apt_get().args(["-q", "-q", "update"]))?;
    let _no_services = NoServices::begin()?;
    run(apt_get()
        .args(["-q", "-q", "install", "-y", "--no-install-recommends"])
        .args(names))
}

/// Where Debian's packages ask whether the services that they bring may start.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Keeps services from starting as their packages are installed, until it is dropped: the tests start
/// what they need themselves, in namespaces of their own.
struct NoServices {
    is_ours: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        let is_ours = !Path::new(POLICY).exists();
        if is_ours {
            let what = || format!("write {POLICY}, so that no service starts");
            fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(what)?;
            fs::set_permissions(POLICY, Permissions::from_mode(0o755)).with_context(what)?;
        }
        Ok(Self { is_ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}

/// apt-get that asks no question.
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_listed_once_and_says_why() {
        for (at, package) in PACKAGES.iter().enumerate() {
            assert!(!package.why.is_empty());
            assert!(
                PACKAGES
                    .iter()
                    .skip(at + 1)
                    .all(|other| other.name != package.name)
            );
        }
    }
}
