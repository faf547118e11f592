//! Some functions of the kernel by their ids in its BTF (Documentation/bpf/btf.rst), as aya looks for what a program is attached to.

use aya::{Btf, BtfError, Endianness};

/// `struct btf_header` (linux/btf.h): its length, and what it begins with.
const HEADER: u32 = 24;
const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// `BTF_KIND_FWD` and `BTF_KIND_FUNC` at their place in `info` of `struct btf_type`.
const FORWARD: u32 = 7 << 24;
const FUNCTION: u32 = 12 << 24;

/// Types in which these functions have their ids, and all others are nothing. aya looks for the ids alone, and takes the kernel's types as a
/// whole for them, which it reads far slower than pinif does.
///
/// # Errors
///
/// When two have one id.
pub(super) fn types_of(functions: &[(u32, &str)]) -> Result<Btf, BtfError> {
    Btf::parse(&written(functions), Endianness::default())
}

fn written(functions: &[(u32, &str)]) -> Vec<u8> {
    let bytes = |words: [u32; 3]| words.map(u32::to_ne_bytes).concat();
    let mut functions = functions.to_vec();
    functions.sort_unstable();
    let mut strings = vec![0];
    let mut types = Vec::new();
    // The first type has the id 1.
    let mut next = 1;
    for (id, name) in functions {
        types.extend(bytes([0, FORWARD, 0]).repeat(id.saturating_sub(next) as usize));
        types.extend(bytes([strings.len() as u32, FUNCTION, 0]));
        strings.extend(name.bytes().chain([0]));
        next = id + 1;
    }
    let (type_length, name_length) = (types.len() as u32, strings.len() as u32);
    let header = [HEADER, 0, type_length, type_length, name_length];
    let mut data = Vec::with_capacity(HEADER as usize + types.len() + strings.len());
    data.extend(MAGIC.to_ne_bytes());
    data.extend([VERSION, 0]);
    data.extend(header.into_iter().flat_map(u32::to_ne_bytes));
    data.extend(types);
    data.extend(strings);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_their_ids() {
        let functions = [
            (150_000, "later"),
            (1, "first"),
            (2, "second"),
            (7, "seventh"),
        ];
        types_of(&functions).expect("BTF");
        let data = written(&functions);
        let types = &data[HEADER as usize..];
        for (id, name) in functions {
            let at = 12 * (id as usize - 1);
            let word = |place: usize| {
                let bytes = &types[at + 4 * place..at + 4 * place + 4];
                u32::from_ne_bytes(bytes.try_into().expect("a word"))
            };
            assert_eq!(word(1), FUNCTION, "{name}");
            let strings = &types[12 * 150_000..];
            assert!(
                strings[word(0) as usize..].starts_with(name.as_bytes()),
                "{name}"
            );
        }
        let function = |type_: &[u8]| type_[4..8] == FUNCTION.to_ne_bytes();
        assert_eq!(
            types
                .chunks_exact(12)
                .take(150_000)
                .filter(|it| function(it))
                .count(),
            4
        );
    }
}
