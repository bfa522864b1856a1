//! The place in a TLS message up to which it was read.
//!
//! Made of a message's octets by `ClientHello`; all other octets are taken through it.

use super::TlsError;

/// A place in a vector (RFC 8446 §3.4), of which the last octets may not be at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    /// What is at hand from here on; never more than `length`.
    pub(super) octets: &'a [u8],
    /// Octets from here to the vector's end.
    pub(super) length: usize,
}

impl<'a> Reader<'a> {
    pub(super) const EMPTY: Self = Self {
        octets: &[],
        length: 0,
    };

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], TlsError> {
        let left = self.length.checked_sub(count).ok_or(TlsError::Malformed)?;
        let split = self.octets.split_at_checked(count);
        let missing = count.saturating_sub(self.octets.len());
        let (taken, rest) = split.ok_or(TlsError::Incomplete { missing })?;
        (self.octets, self.length) = (rest, left);
        Ok(taken)
    }

    pub(super) fn take_u8(&mut self) -> Result<u8, TlsError> {
        Ok(self.take(1)?.iter().fold(0, |_, octet| *octet))
    }

    pub(super) fn take_u16(&mut self) -> Result<u16, TlsError> {
        let octets = self.take(2)?.iter();
        Ok(octets.fold(0, |number, octet| number << 8 | u16::from(*octet)))
    }

    /// Takes a vector whose length is in one octet, whole.
    pub(super) fn take_short_vector(&mut self) -> Result<&'a [u8], TlsError> {
        let length = self.take_u8()?;
        self.take(usize::from(length))
    }

    /// Takes a vector whose length is in two octets, whole or as much as is at hand.
    pub(super) fn take_vector(&mut self) -> Result<Self, TlsError> {
        let length = usize::from(self.take_u16()?);
        self.length = self.length.checked_sub(length).ok_or(TlsError::Malformed)?;
        let (octets, rest) = self
            .octets
            .split_at_checked(length)
            .unwrap_or((self.octets, &[]));
        self.octets = rest;
        Ok(Self { octets, length })
    }

    /// Returns all that the vector holds.
    pub(super) fn whole(self) -> Result<&'a [u8], TlsError> {
        match self.length - self.octets.len() {
            0 => Ok(self.octets),
            missing => Err(TlsError::Incomplete { missing }),
        }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.length == 0
    }
}
