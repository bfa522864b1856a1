//! The counting as it goes on: what changed since the last look, for a view that follows it.
//!
//! Made where the counting is (`run`, `replay`), or read from its socket; taken by `top`. A view
//! that has taken in every update since the first knows what a snapshot would say.

mod audience;
mod client;
mod feed;
mod follow;
mod pace;
mod server;
mod socket;
mod teller;
#[cfg(test)]
mod tests;
mod told;
mod update;
pub mod wire;

pub use audience::{Audience, Sink, View};
pub use client::{Client, ClientError};
pub use feed::{Feed, Followed, News};
pub use follow::{Asked, follow};
pub use pace::{Pace, Speed};
pub use server::Server;
pub use socket::{DEFAULT_SOCKET, SocketError, SocketOptions};
pub use teller::Teller;
pub use told::Told;
pub use update::{Changed, FlowNumber, MOST_CHANGED, MOST_TOLD, Update};
