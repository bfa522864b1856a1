//! The live view on a terminal: of a capture, of a daemon's counting, and of its own.

mod captures;
mod daemon;
mod own;
mod shown;
