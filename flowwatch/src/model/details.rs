//! What is known of a record's names beside the names: for the formats with room for it.
//!
//! Made of the record's naming; written by `json` and `jsonl`, under the key `names`, behind the
//! fields.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::Value;
use crate::names::{Candidate, Naming};

/// The key under which formats write the details.
pub const NAME_DETAILS_KEY: &str = "names";

/// A record's names with all that is known of them, the best first; a name that two sources know is
/// there twice.
#[derive(Clone, Copy, Debug)]
pub struct NameDetails<'record>(pub(super) &'record Naming);

impl Serialize for NameDetails<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.candidates.iter().map(NameDetail::of))
    }
}

/// One name. Texts are exact: a writer escapes them.
#[derive(Serialize)]
struct NameDetail<'record> {
    name: &'record str,
    source: &'static str,
    /// Whether the device was seen to ask DNS for it; `null` where that was forgotten.
    asked: Option<bool>,
    first_told: Value<'static>,
    last_told: Value<'static>,
    /// Seconds; `null` for what the device said itself.
    ttl: Option<u32>,
    /// The names that it is an alias of, down to the one that has the address.
    chain: Vec<&'record str>,
    /// The protocols of the service under it, by service bindings (RFC 9460); `null` without any.
    alpn: Option<Vec<&'record str>>,
    /// Whether clients of that service can hide the name that they connect to; likewise.
    ech: Option<bool>,
}

impl<'record> NameDetail<'record> {
    fn of(candidate: &'record Candidate) -> Self {
        let binding = &candidate.binding;
        let offer = candidate.offer.as_ref();
        let text = |name: &'record Arc<str>| &**name;
        Self {
            name: &binding.name,
            source: binding.source.name(),
            asked: candidate.asked,
            first_told: Value::Time(binding.first_told),
            last_told: Value::Time(binding.last_told),
            ttl: binding.service.is_none().then_some(binding.ttl),
            chain: binding.chain.iter().map(text).collect(),
            alpn: offer.map(|offer| offer.alpn.iter().map(text).collect()),
            ech: offer.map(|offer| offer.has_ech),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        format::sample,
        names::{NameSource, Service, ServiceOffer},
    };

    fn check(naming: &Naming, expected: &str) {
        assert_eq!(
            serde_json::to_string(&NameDetails(naming)).unwrap(),
            expected
        );
    }

    #[test]
    fn a_record_without_names_has_no_details() {
        check(&Naming::default(), "[]");
    }

    #[test]
    fn each_name_comes_with_its_age_and_its_chain() {
        check(
            &sample::naming(&["us-master.iotcplatform.com"]),
            r#"[{"name":"us-master.iotcplatform.com","source":"dns","asked":true,"first_told":"2026-01-02T03:04:05.500Z","last_told":"2026-01-02T03:06:00.000Z","ttl":300,"chain":["cdn.example"],"alpn":null,"ech":null}]"#,
        );
    }

    #[test]
    fn what_a_device_said_itself_has_no_ttl_and_may_never_have_been_asked_for() {
        let mut naming = sample::naming(&["a.test"]);
        let candidate = &mut naming.candidates[0];
        let binding = Arc::make_mut(&mut candidate.binding);
        binding.source = NameSource::Sni;
        binding.service = Some(Service {
            protocol: 6,
            port: 443,
        });
        binding.chain = Arc::default();
        candidate.asked = Some(false);
        candidate.offer = Some(Arc::new(ServiceOffer {
            alpn: vec!["h2".into()],
            has_ech: true,
        }));
        check(
            &naming,
            r#"[{"name":"a.test","source":"sni","asked":false,"first_told":"2026-01-02T03:04:05.500Z","last_told":"2026-01-02T03:06:00.000Z","ttl":null,"chain":[],"alpn":["h2"],"ech":true}]"#,
        );
    }
}
