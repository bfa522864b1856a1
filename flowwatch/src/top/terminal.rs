//! The terminal: taken over, and given back as it was, whatever ends the program.

use std::io::{self, Stdout, Write, stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, raise};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// Whether the terminal is taken over, so that a panic gives it back once.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal that is taken over until this is dropped.
pub(super) struct Taken {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Taken {
    /// Takes the terminal over: raw, with a screen of its own, and told of the mouse. A panic gives it
    /// back before its message is printed.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(super) fn new() -> io::Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        take_over()?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()));
        match terminal {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Gives the terminal back, stops the program as Ctrl-Z does, and takes the terminal again once
    /// the shell lets it go on.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // The whole group is stopped by a terminal; who was started with us goes on waiting for us.
        raise(Signal::SIGSTOP)?;
        self.take_again()
    }

    /// Takes the terminal over again, and has everything drawn.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(super) fn take_again(&mut self) -> io::Result<()> {
        take_over()?;
        execute!(stdout(), Clear(ClearType::All))?;
        // One that has drawn nothing yet draws everything. `Terminal::clear` would ask the terminal
        // where its cursor is, and the answer goes to the thread that reads the keys.
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn take_over() -> io::Result<()> {
    enable_raw_mode()?;
    IS_TAKEN.store(true, Ordering::SeqCst);
    execute!(
        stdout(),
        EnterAlternateScreen,
        EnableMouseCapture,
        EnableBracketedPaste
    )
}

/// Gives the terminal back, if it is taken over. One that is gone needs nothing.
fn give_back() {
    if !IS_TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(
        stdout(),
        DisableBracketedPaste,
        DisableMouseCapture,
        LeaveAlternateScreen,
        Show
    );
    let _ = disable_raw_mode();
    let _ = stdout().flush();
}
