//! flowwatch's vocabulary: tagged devices, the flow record, and the one list of its fields.
//!
//! Filled by `join`; read by every view. Pure values: no I/O, no clock.

mod details;
mod device;
mod fields;
mod mac;
mod prefix;
mod protocol;
mod record;
mod tagged;
mod value;

pub use details::{NAME_DETAILS_KEY, NameDetails};
pub use device::{Device, DeviceError};
pub use fields::{FIELDS, Field, InformationElement, Unit};
pub use mac::{MacAddress, MacAddressError};
pub use prefix::{DeviceTag, MacPrefix, MacPrefixError, PrefixTag};
pub use protocol::{protocol_name, service_name};
pub use record::FlowRecord;
pub use tagged::TaggedDevices;
pub use value::{TIME_DECIMALS, Value};
