//! The paths in git's index, read without starting git: before each edit somebody waits, and it is asked before it is known
//! whether the repository may be trusted. <https://git-scm.com/docs/index-format>

/// Bytes of an entry before its name, with ids of 20 bytes: times, mode, owner and size, the id, and the flags.
const BEFORE_NAME: usize = 62;
/// Bytes of the checksum at the end.
const CHECKSUM: usize = 20;

/// Whether one of the paths satisfies `is_wanted`. `None` where the index has a form that only git reads: split in two
/// files, ids of another length, a later version, or damaged.
pub(super) fn any_path(index: &[u8], mut is_wanted: impl FnMut(&[u8]) -> bool) -> Option<bool> {
    let mut rest = index.strip_prefix(b"DIRC")?;
    let version = number(take(&mut rest, 4)?);
    let n_entries = number(take(&mut rest, 4)?);
    let mut name = Vec::new();
    let mut is_found = false;
    for _ in 0..n_entries {
        let before = rest.len();
        let head = take(&mut rest, BEFORE_NAME)?;
        let flags = number(head.get(BEFORE_NAME - 2..)?);
        if version >= 3 && flags & 0x4000 != 0 {
            take(&mut rest, 2)?;
        }
        match version {
            2 | 3 => name.clear(),
            // A name begins with what it has in common with the one before.
            4 => name.truncate(name.len().checked_sub(offset(&mut rest)?)?),
            _ => return None,
        }
        let end = rest.iter().position(|byte| *byte == 0)?;
        name.extend_from_slice(take(&mut rest, end)?);
        take(&mut rest, 1)?;
        let length = usize::try_from(flags & 0xfff).ok()?;
        if length != name.len().min(0xfff) {
            return None;
        }
        if version < 4 {
            let used = before - rest.len();
            take(&mut rest, used.next_multiple_of(8) - used)?;
        }
        is_found |= is_wanted(&name);
    }
    while rest.len() > CHECKSUM {
        let kind = take(&mut rest, 4)?;
        if kind == b"link" {
            return None;
        }
        let length = usize::try_from(number(take(&mut rest, 4)?)).ok()?;
        take(&mut rest, length)?;
    }
    (rest.len() == CHECKSUM).then_some(is_found)
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(n)?;
    *rest = left;
    Some(taken)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// A number of a variable length, as in the offsets of packs.
fn offset(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    loop {
        let byte = *take(rest, 1)?.first()?;
        value = value.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        value = value.checked_add(1)?;
    }
}
