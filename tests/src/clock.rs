//! A wall clock that a test sets, of one program alone: the machine's own is everybody's.
//!
//! A library that the program's linker loads first answers for the C library's `clock_gettime`; it adds
//! seconds that the test writes to a file.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::flowwatch::Run;
use crate::process::output_of;

/// The variable that tells the library where the seconds are.
const VARIABLE: &str = "LAB_CLOCK";

const LIBRARY: &str = r#"
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *seconds;

__attribute__((constructor)) static void find_seconds(void) {
    int file = open(getenv("LAB_CLOCK"), O_RDONLY);
    seconds = mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int status = (int)syscall(SYS_clock_gettime, clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *seconds;
    return status;
}
"#;

/// A clock, and the library that shows it.
#[derive(Debug)]
pub struct Clock {
    folder: TempDir,
    seconds: File,
}

impl Clock {
    /// Makes a clock that shows the machine's time. Needs a C compiler (`Need::Program("cc")`).
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let source = folder.path().join("clock.c");
        fs::write(&source, LIBRARY)?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]);
        compiler.arg(folder.path().join("clock.so")).arg(&source);
        output_of(compiler, "").context("compile the clock")?;
        let seconds = File::create_new(folder.path().join("seconds"))?;
        let clock = Self { folder, seconds };
        clock.set_off_by(0)?;
        Ok(clock)
    }

    /// Has a program read this clock.
    #[must_use]
    pub fn shown_to(&self, run: Run) -> Run {
        let path = |name: &str| -> String {
            let path: PathBuf = self.folder.path().join(name);
            path.to_string_lossy().into_owned()
        };
        let run = run.variable("LD_PRELOAD", &path("clock.so"));
        run.variable(VARIABLE, &path("seconds"))
    }

    /// Sets the clock: so many seconds from the machine's.
    pub fn set_off_by(&self, seconds: i64) -> Result<()> {
        Ok(self.seconds.write_all_at(&seconds.to_ne_bytes(), 0)?)
    }

    /// Sets the clock to a time in seconds since 1970; returns how far off that is.
    pub fn set(&self, to: i64) -> Result<i64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let off_by = to - i64::try_from(now)?;
        self.set_off_by(off_by)?;
        Ok(off_by)
    }
}
