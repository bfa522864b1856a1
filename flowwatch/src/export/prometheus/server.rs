//! The HTTP side: a page for whoever asks, one request a connection, and bounds for whoever means ill.
//!
//! A connection has a while for all of it, whatever the peer does or doesn't; there are so many at a
//! time, and pages that are being sent are fewer still. What finds no room is turned away and counted.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::accept::Syntax;
use super::destinations::Limits;
use super::scrape::Scraper;
use crate::export::{Figures, Wiring};

/// Connections at a time; more wait for one of these to end.
const MOST_CONNECTIONS: usize = 256;
/// How long a connection may take to say what it wants: who says nothing must not keep others waiting.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may last: what a scraper waits, at most, by Prometheus' own limits.
const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of a request's line and headers.
const MOST_HEAD: usize = 16 << 10;
/// Headers of a request.
const MOST_HEADERS: usize = 64;
/// For how long a page is good enough for others who ask: who asks more often costs nothing.
const FRESHNESS: Duration = Duration::from_millis(250);
/// Pages that are kept or being sent, at a time.
const MOST_PAGES: usize = 8;

/// What is shown to who asks for nothing in particular.
const INDEX: &str = "<!DOCTYPE html>\n<title>flowwatch</title>\n<a href=\"/metrics\">Metrics</a>\n";

/// Serves metrics until the counting has ended.
pub(super) async fn serve(listener: TcpListener, limits: Limits, mut wiring: Wiring) {
    let figures = Arc::clone(&wiring.figures);
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::warn!("export to prometheus: serve metrics: {error}"),
    };
    let endpoint = Arc::new(Endpoint::new(limits, wiring.clone()));
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let serving = async {
        loop {
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let endpoint = Arc::clone(&endpoint);
                    let figures = Arc::clone(&figures);
                    tokio::spawn(async move {
                        if !attend(stream, endpoint).await {
                            figures.failed();
                        }
                        drop(permit);
                    });
                }
                // Without descriptors, trying again at once would take all of the processor.
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let ended = async { while wiring.news().await {} };
    tokio::select! {
        () = serving => {}
        () = ended => {}
    }
}

/// Serves one connection; returns whether it came to a good end.
async fn attend(stream: TcpStream, endpoint: Arc<Endpoint>) -> bool {
    let service = service_fn(move |request| {
        let answer = endpoint.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .keep_alive(false)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    matches!(timeout(PATIENCE, connection).await, Ok(Ok(())))
}

/// What is asked.
struct Endpoint {
    figures: Arc<Figures>,
    pages: Mutex<Pages>,
}

struct Pages {
    scraper: Scraper,
    /// The newest of each format, and when it was made.
    newest: [Option<(Instant, Bytes)>; 2],
    /// All that somebody may still be reading.
    read: Vec<Bytes>,
}

impl Endpoint {
    fn new(limits: Limits, wiring: Wiring) -> Self {
        Self {
            figures: Arc::clone(&wiring.figures),
            pages: Mutex::new(Pages {
                scraper: Scraper::new(limits, wiring),
                newest: [None, None],
                read: Vec::new(),
            }),
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/metrics") => self.metrics(request),
            (&Method::GET | &Method::HEAD, "/") => {
                answer(StatusCode::OK, "text/html; charset=utf-8", INDEX)
            }
            (&Method::GET | &Method::HEAD, _) => plain(
                StatusCode::NOT_FOUND,
                "there is /metrics, and nothing else\n",
            ),
            _ => {
                let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "GET it\n");
                let allowed = HeaderValue::from_static("GET, HEAD");
                refusal.headers_mut().insert(ALLOW, allowed);
                refusal
            }
        }
    }

    fn metrics(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let accepts = request.headers().get_all(ACCEPT).iter();
        let accepts: Vec<_> = accepts.filter_map(|it| it.to_str().ok()).collect();
        let syntax = Syntax::accepted(&accepts.join(","));
        let pages = &mut *self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = pages.page(syntax, Instant::now()) {
            self.figures.delivered(1, page.len() as u64);
            answer(StatusCode::OK, syntax.media_type(), page)
        } else {
            self.figures.discard(1);
            let mut busy = plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many pages are being read slowly; ask again later\n",
            );
            let later = HeaderValue::from_static("5");
            busy.headers_mut().insert(RETRY_AFTER, later);
            busy
        }
    }
}

impl Pages {
    /// Returns a page that is fresh enough; nothing while too many older ones are still being read.
    fn page(&mut self, syntax: Syntax, now: Instant) -> Option<Bytes> {
        let newest = &mut self.newest[syntax as usize];
        if let Some((made_at, page)) = newest
            && now.duration_since(*made_at) < FRESHNESS
        {
            return Some(page.clone());
        }
        *newest = None;
        // One that nobody reads is held here alone.
        self.read.retain(|page| !page.is_unique());
        if self.read.len() >= MOST_PAGES {
            return None;
        }
        let page = Bytes::from(self.scraper.scrape(syntax, now));
        self.read.push(page.clone());
        *newest = Some((now, page.clone()));
        Some(page)
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", text)
}

fn answer(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static(media_type);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
