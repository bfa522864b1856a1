//! BPF object files: what flowwatch keeps of one that the linker wrote.
//!
//! DWARF is what BTF is made from; once it is, only a debugger would read it, and the kernel and
//! aya do not. It is nine tenths of the file.

use anyhow::{Result, anyhow};
use object::build::elf::{Builder, SectionData};
use object::elf::SHT_STRTAB;

/// Returns `octets`, an ELF object, without DWARF; BTF, which aya loads maps by, stays.
///
/// # Errors
/// When it isn't an ELF object.
pub(crate) fn strip_dwarf(octets: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(octets).map_err(|error| anyhow!("read the object: {error}"))?;
    for section in &mut builder.sections {
        section.delete = is_dwarf(&section.name);
    }
    // Symbols of deleted sections, and relocations that belong to them, have no meaning any more.
    builder.delete_orphans();
    // LLVM keeps the sections' names among the symbols'; the writer wants them apart.
    let names = builder.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    builder
        .write(&mut stripped)
        .map_err(|error| anyhow!("write the object: {error}"))?;
    Ok(stripped)
}

/// Whether a section of this name holds DWARF, or relocations of DWARF.
fn is_dwarf(name: &[u8]) -> bool {
    name.starts_with(b".debug_") || name.starts_with(b".rel.debug_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dwarf_is_dropped() {
        assert!(is_dwarf(b".debug_info") && is_dwarf(b".rel.debug_info"));
        assert!(!is_dwarf(b".BTF") && !is_dwarf(b".rel.BTF.ext") && !is_dwarf(b"maps"));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(strip_dwarf(b"not an object").is_err());
    }
}
