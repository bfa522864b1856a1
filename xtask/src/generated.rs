//! The data that generators make: written to `flowwatch/data`, or compared with what lies there.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// Writes files, or, with `check`, compares the committed ones with them; `command` makes them.
///
/// # Errors
/// What kept it from that, or the file that differs.
pub(crate) fn deliver(files: &[(&str, &[u8])], check: bool, command: &str) -> Result<()> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../flowwatch/data");
    for (name, octets) in files {
        let path = data.join(name);
        let shown = path.display();
        if check {
            let committed = fs::read(&path).with_context(|| format!("read `{shown}`"))?;
            ensure!(
                committed == *octets,
                "`{shown}` differs from what its sources give; run {command}"
            );
        } else {
            fs::write(&path, octets).with_context(|| format!("write `{shown}`"))?;
        }
    }
    Ok(())
}
