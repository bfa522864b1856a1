//! A daemon's counting, through its socket.

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::{Beginning, show_told};
use crate::live::{Asked, Client, DEFAULT_SOCKET, follow};
use crate::plan::WatchPlan;

/// What a user is told who says what to count, where somebody counts already.
const LEFT_ASIDE: &str = "A flowwatch runs already, and this is what it counts: --interface, --device \
                          and the like are left aside";

/// Shows what a daemon tells.
pub(super) fn show(runtime: &Runtime, plan: &WatchPlan, client: Client) -> anyhow::Result<()> {
    let (tell, told) = mpsc::channel(1);
    let (path, interval) = (plan.socket.clone(), plan.interval);
    runtime.spawn(async move {
        let asked = Asked {
            path: &path,
            interval,
        };
        follow(client, asked, tell).await;
    });
    let source = if plan.socket.as_os_str() == DEFAULT_SOCKET {
        "daemon".to_owned()
    } else {
        format!("daemon at {}", plan.socket.display())
    };
    let beginning = Beginning {
        source,
        pace: None,
        message: plan.says_what_to_count.then(|| LEFT_ASIDE.to_owned()),
    };
    show_told(runtime, told, beginning)
}
