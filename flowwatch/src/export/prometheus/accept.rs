//! Which format a scraper wants, by what its request accepts (RFC 9110 §12.5.1).

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Prometheus' text, version 0.0.4.
    Text,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

/// Ranges of media types that are looked at; a request has a few.
const MOST_RANGES: usize = 32;

impl Syntax {
    /// Returns what a request that accepts this is answered with. One that accepts neither gets text,
    /// as by every other exporter.
    pub(super) fn accepted(accept: &str) -> Self {
        let mut weights = [0, 0];
        for range in accept.split(',').take(MOST_RANGES) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let mut weight = 1000;
            let mut version = None;
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim() {
                    "q" | "Q" => weight = weight_of(value.trim()),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            let at = match (&*kind, version) {
                ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => 1,
                ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => 0,
                _ => continue,
            };
            weights[at] = weights[at].max(weight);
        }
        if weights[1] > 0 && weights[1] >= weights[0] {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// Returns the media type.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Returns a weight in thousandths; that of a text that is none is 0.
fn weight_of(text: &str) -> u32 {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_weight = matches!(whole, "0" | "1")
        && decimals.len() <= 3
        && decimals.bytes().all(|digit| digit.is_ascii_digit());
    if !is_weight {
        return 0;
    }
    let decimals = format!("{decimals:0<3}").parse().unwrap_or(0);
    let whole = if whole == "1" { 1000 } else { 0 };
    1000.min(whole + decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: &str, expected: Syntax) {
        assert_eq!(Syntax::accepted(accept), expected, "{accept}");
    }

    #[test]
    fn the_scraper_chooses() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                            version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        check(prometheus_2, Syntax::OpenMetrics);
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;\
                            escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        check(prometheus_3, Syntax::OpenMetrics);
        check("text/plain;version=0.0.4;q=1,*/*;q=0.1", Syntax::Text);
        check(
            "application/openmetrics-text; q=0.2, text/plain; q=0.3",
            Syntax::Text,
        );
        check("Application/OpenMetrics-Text; Q=0.2", Syntax::OpenMetrics);
        check("application/openmetrics-text;q=0", Syntax::Text);
    }

    #[test]
    fn who_does_not_choose_or_talks_nonsense_gets_text() {
        check("", Syntax::Text);
        check("text/html,application/xhtml+xml,*/*;q=0.8", Syntax::Text);
        check("application/openmetrics-text;version=9", Syntax::Text);
        check("application/openmetrics-text;q=1e9", Syntax::Text);
        check("application/openmetrics-text;q=-1,;;==,", Syntax::Text);
        check(&"a/b,".repeat(9_999), Syntax::Text);
    }
}
