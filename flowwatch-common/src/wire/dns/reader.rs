//! The place in a DNS message up to which it was read.
//!
//! Made of the message's octets by `Message`; all other octets are taken through it.

use super::DnsError;
use super::name::{MAX_LABEL_LENGTH, Name, POINTER};

/// A place in the message, from which octets are taken or refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self { message, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.message.get(self.at..).unwrap_or_default()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], DnsError> {
        let taken = self.rest().get(..length).ok_or(DnsError::Truncated)?;
        self.at += length;
        Ok(taken)
    }

    pub(super) fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DnsError> {
        let taken = *self.rest().first_chunk().ok_or(DnsError::Truncated)?;
        self.at += N;
        Ok(taken)
    }

    pub(super) fn take_u16(&mut self) -> Result<u16, DnsError> {
        self.take_array().map(u16::from_be_bytes)
    }

    /// Takes rdata with its length, as a reader that ends where the rdata does.
    pub(super) fn take_rdata(&mut self) -> Result<Self, DnsError> {
        let length = self.take_u16()?;
        let start = self.at;
        self.take(usize::from(length))?;
        let message = self.message.get(..self.at).unwrap_or_default();
        Ok(Self { message, at: start })
    }

    pub(super) fn take_name(&mut self) -> Result<Name<'a>, DnsError> {
        let before = self.message.get(..self.at).unwrap_or_default();
        let name = Name::parse(before, self.rest())?;
        self.skip_name()?;
        Ok(name)
    }

    /// Goes to the end of the name that is here: its root, or its first pointer.
    pub(super) fn skip_name(&mut self) -> Result<(), DnsError> {
        loop {
            let [length] = self.take_array()?;
            match length {
                0 => return Ok(()),
                1..=MAX_LABEL_LENGTH => self.take(usize::from(length)).map(|_| ())?,
                POINTER.. => return self.take_array::<1>().map(|_| ()),
                _ => return Err(DnsError::LabelType),
            }
        }
    }
}
