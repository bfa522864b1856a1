//! The data that are compressed into the program.

use ruzstd::decoding::{FrameDecoder, errors::FrameDecoderError};

/// Returns the octets of the one zstd frame that `compressed` is.
///
/// The frame says its length, so the memory is taken once and exactly.
///
/// # Errors
/// Why it is no such frame.
pub(crate) fn decompressed(compressed: &[u8]) -> Result<Vec<u8>, FrameDecoderError> {
    let mut decoder = FrameDecoder::new();
    decoder.init(compressed)?;
    let mut octets = Vec::with_capacity(decoder.content_size() as usize);
    decoder.decode_all_to_vec(compressed, &mut octets)?;
    Ok(octets)
}
