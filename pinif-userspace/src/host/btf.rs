//! Just enough of BTF (Documentation/bpf/btf.rst) to find the members of kernel structures, and to read one type after another.
//!
//! A general library builds every type of the kernel first, a hundred thousand of them, and finds types by their name
//! alone, where a function and a structure may share one. Here some twenty structures are looked up in the bytes as they are.

use std::{cell::RefCell, ffi::CStr};

/// Why something was not found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BtfError {
    /// The bytes are no BTF of this machine's byte order.
    #[error("it is not BTF of this machine's byte order")]
    NotBtf,
    /// It ends too early, or refers beyond its end.
    #[error("it is cut short or damaged")]
    Damaged,
    /// A kind of type that came after this was written.
    #[error("it has types of the unknown kind {0}")]
    UnknownKind(u32),
    /// No such structure.
    #[error("it has no `struct {0}`")]
    NoStructure(String),
    /// No such function.
    #[error("it has no function `{0}`")]
    NoFunction(String),
    /// No such member, or one that has no byte offset.
    #[error("`struct {structure}` has no member `{path}`")]
    NoMember {
        /// The structure.
        structure: String,
        /// The path that was asked for.
        path: String,
    },
}

const MAGIC: u16 = 0xeb9f;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const FUNCTION: u32 = 12;
/// A structure inside a structure inside …: none of the kernel's goes deeper.
const DEPTH: usize = 16;

/// A type (`struct btf_type`, with what follows it).
pub(super) struct Entry<'a> {
    /// Its name; empty where it has none.
    pub name: &'a str,
    /// `BTF_KIND_*`.
    pub kind: u32,
    /// Its size in bytes, or the type that it refers to.
    pub size_or_type: u32,
    /// The words that follow.
    pub rest: Vec<u32>,
}

/// The types of a kernel, or of an object.
pub(super) struct Btf {
    data: Vec<u8>,
    /// Where each type begins in the data, in words; a type's id is its index here, and 0 is `void`.
    types: Vec<usize>,
    /// The ids of the structures that have members: a tenth of all.
    structures: Vec<u32>,
    /// Those that were asked for: members of one structure are asked for one after another.
    found: RefCell<Vec<(String, u32)>>,
    /// Where the names begin, in bytes.
    strings: usize,
}

impl Btf {
    /// Reads where the types are.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let magic = data.get(..2).ok_or(BtfError::NotBtf)?;
        if magic != MAGIC.to_ne_bytes() {
            return Err(BtfError::NotBtf);
        }
        let header = |at| word(&data, at).map(|word| word as usize);
        let (length, types, types_length, strings) =
            (header(1)?, header(2)?, header(3)?, header(4)?);
        // The types are aligned to words (`btf_parse_hdr`).
        let (mut at, end) = ((length + types) / 4, (length + types + types_length) / 4);
        let mut places = vec![0];
        let mut structures = Vec::new();
        while at < end {
            let info = Info(word(&data, at + 1)?);
            if info.kind() == STRUCT && info.count() > 0 {
                structures.push(places.len() as u32);
            }
            places.push(at);
            at += 3 + trailing(info)?;
        }
        Ok(Self {
            data,
            types: places,
            structures,
            found: RefCell::default(),
            strings: length + strings,
        })
    }

    /// The byte offset of a member: `path` names it from the structure down, through named and unnamed members.
    pub fn offset(&self, structure: &str, path: &str) -> Result<u32, BtfError> {
        match self.bit_offset(structure, path)? {
            bits if bits % 8 == 0 => Ok(bits / 8),
            _ => Err(BtfError::NoMember {
                structure: structure.to_owned(),
                path: path.to_owned(),
            }),
        }
    }

    /// The same in bits, also of a bit field.
    ///
    /// # Errors
    /// Where there is no such structure or member.
    pub fn bit_offset(&self, structure: &str, path: &str) -> Result<u32, BtfError> {
        let lacks = || BtfError::NoMember {
            structure: structure.to_owned(),
            path: path.to_owned(),
        };
        let mut id = self.structure(structure)?;
        let mut bits = 0;
        for name in path.split('.') {
            let (member, offset) = self
                .member(self.resolve(id)?, name, DEPTH)?
                .ok_or_else(lacks)?;
            bits += offset;
            id = member;
        }
        Ok(bits)
    }

    /// The type with this id, which is not `void`.
    ///
    /// # Errors
    /// Where there is none, or its name is no text.
    pub fn entry(&self, id: u32) -> Result<Entry<'_>, BtfError> {
        let at = self.at(id)?;
        let info = Info(self.word(at + 1)?);
        let rest = (0..trailing(info)?).map(|index| self.word(at + 3 + index));
        Ok(Entry {
            name: self.name(self.word(at)?)?,
            kind: info.kind(),
            size_or_type: self.word(at + 2)?,
            rest: rest.collect::<Result<_, _>>()?,
        })
    }

    /// The ids of all types but `void`.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        1..self.types.len() as u32
    }

    /// The name that begins at an offset into the names.
    ///
    /// # Errors
    /// Where none does, or it is no text.
    pub fn name(&self, offset: u32) -> Result<&str, BtfError> {
        let names = self.data.get(self.strings + offset as usize..);
        let name = names.and_then(|names| CStr::from_bytes_until_nul(names).ok());
        name.and_then(|name| name.to_str().ok())
            .ok_or(BtfError::Damaged)
    }

    /// The id of a function.
    pub fn function(&self, name: &str) -> Result<u32, BtfError> {
        for (id, &at) in self.types.iter().enumerate().skip(1) {
            let info = Info(self.word(at + 1)?);
            if info.kind() == FUNCTION && self.is_named(self.word(at)?, name) {
                return Ok(id as u32);
            }
        }
        Err(BtfError::NoFunction(name.to_owned()))
    }

    fn structure(&self, name: &str) -> Result<u32, BtfError> {
        let mut found = self.found.borrow_mut();
        if let Some((_, id)) = found.iter().find(|(known, _)| known == name) {
            return Ok(*id);
        }
        for &id in &self.structures {
            if self.is_named(self.word(self.at(id)?)?, name) {
                found.push((name.to_owned(), id));
                return Ok(id);
            }
        }
        Err(BtfError::NoStructure(name.to_owned()))
    }

    /// The type and the offset in bits of a structure's member, looked for in its unnamed members too.
    fn member(&self, id: u32, name: &str, depth: usize) -> Result<Option<(u32, u32)>, BtfError> {
        let at = self.at(id)?;
        let info = Info(self.word(at + 1)?);
        if !matches!(info.kind(), STRUCT | UNION) || depth == 0 {
            return Ok(None);
        }
        for index in 0..info.count() {
            let member = at + 3 + 3 * index;
            let (member_name, kind, offset) = (
                self.word(member)?,
                self.word(member + 1)?,
                self.word(member + 2)?,
            );
            // With the flag, the upper eight bits are a bit field's size.
            let offset = if info.flag() {
                offset & 0xff_ffff
            } else {
                offset
            };
            if !self.is_named(member_name, "") {
                if self.is_named(member_name, name) {
                    return Ok(Some((kind, offset)));
                }
            } else if let Some((found, inner)) =
                self.member(self.resolve(kind)?, name, depth - 1)?
            {
                return Ok(Some((found, offset + inner)));
            }
        }
        Ok(None)
    }

    /// What a type is under its type definitions and qualifiers.
    fn resolve(&self, mut id: u32) -> Result<u32, BtfError> {
        for _ in 0..DEPTH {
            let at = self.at(id)?;
            match Info(self.word(at + 1)?).kind() {
                // typedef, volatile, const, restrict, type tag
                8..=11 | 18 => id = self.word(at + 2)?,
                _ => return Ok(id),
            }
        }
        Err(BtfError::Damaged)
    }

    fn at(&self, id: u32) -> Result<usize, BtfError> {
        self.types
            .get(id as usize)
            .copied()
            .filter(|at| *at != 0)
            .ok_or(BtfError::Damaged)
    }

    fn is_named(&self, offset: u32, name: &str) -> bool {
        let (name, at) = (name.as_bytes(), self.strings + offset as usize);
        // Most names differ in their first byte, and this is asked of ten thousand.
        at < self.data.len()
            && self.data[at] == *name.first().unwrap_or(&0)
            && self.data[at..].starts_with(name)
            && self.data.get(at + name.len()) == Some(&0)
    }

    fn word(&self, at: usize) -> Result<u32, BtfError> {
        word(&self.data, at)
    }
}

/// The word at an index.
fn word(data: &[u8], at: usize) -> Result<u32, BtfError> {
    let words = data.as_chunks().0;
    if at < words.len() {
        Ok(u32::from_ne_bytes(words[at]))
    } else {
        Err(BtfError::Damaged)
    }
}

/// `info` of `struct btf_type`.
#[derive(Clone, Copy)]
struct Info(u32);

impl Info {
    fn kind(self) -> u32 {
        self.0 >> 24 & 0x1f
    }

    fn count(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    fn flag(self) -> bool {
        self.0 >> 31 != 0
    }
}

/// How many words follow `struct btf_type`, by its kind (`BTF_KIND_*` of linux/btf.h).
fn trailing(info: Info) -> Result<usize, BtfError> {
    Ok(match info.kind() {
        2 | 7..=12 | 16 | 18 => 0,
        1 | 14 | 17 => 1,
        3 => 3,
        6 | 13 => 2 * info.count(),
        4 | 5 | 15 | 19 => 3 * info.count(),
        unknown => return Err(BtfError::UnknownKind(unknown)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `typedef struct { struct net *net; } t; struct sock { int a; union { struct { int b:8; t c; }; const t d; }; };`
    /// and a function that is called `sock` too.
    fn sample() -> Vec<u8> {
        let strings = b"\0sock\0a\0b\0c\0d\0net\0t\0";
        let name = |text: &[u8]| {
            let at = strings
                .windows(text.len() + 2)
                .position(|w| w[0] == 0 && w[1..=text.len()] == *text && w[text.len() + 1] == 0);
            at.expect("a string") as u32 + 1
        };
        let info = |kind: u32, count: u32| kind << 24 | count;
        let bits = 1 << 31;
        let words = [
            vec![0, info(1, 0), 4, 32],                 // 1: int
            vec![0, info(2, 0), 0],                     // 2: void *
            vec![0, info(4, 1), 8, name(b"net"), 2, 0], // 3: struct { net }
            vec![name(b"t"), info(8, 0), 3],            // 4: typedef t
            vec![0, info(10, 0), 4],                    // 5: const t
            vec![
                0,
                info(4, 2) | bits,
                16,
                name(b"b"),
                1,
                8 << 24 | 4,
                name(b"c"),
                4,
                64,
            ], // 6
            vec![0, info(5, 2), 16, 0, 6, 0, name(b"d"), 5, 0], // 7: union
            vec![name(b"sock"), info(12, 0), 1],        // 8: a function
            vec![name(b"sock"), info(4, 2), 24, name(b"a"), 1, 0, 0, 7, 64], // 9: struct sock
        ];
        let types: Vec<u8> = words
            .concat()
            .into_iter()
            .flat_map(u32::to_ne_bytes)
            .collect();
        let mut data = MAGIC.to_ne_bytes().to_vec();
        data.extend([1, 0]);
        let header = [
            24,
            0,
            types.len() as u32,
            types.len() as u32,
            strings.len() as u32,
        ];
        data.extend(header.into_iter().flat_map(u32::to_ne_bytes));
        data.extend(types);
        data.extend(strings);
        data
    }

    #[test]
    fn members_are_found_through_unnamed_ones_and_definitions() {
        let btf = Btf::parse(sample()).expect("BTF");
        assert_eq!(btf.offset("sock", "a"), Ok(0));
        assert_eq!(btf.offset("sock", "c"), Ok(16));
        assert_eq!(btf.offset("sock", "c.net"), Ok(16));
        assert_eq!(btf.offset("sock", "d.net"), Ok(8));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let btf = Btf::parse(sample()).expect("BTF");
        assert_eq!(
            btf.offset("file", "a"),
            Err(BtfError::NoStructure("file".to_owned()))
        );
        for path in ["e", "a.b", "b", ""] {
            let error = BtfError::NoMember {
                structure: "sock".to_owned(),
                path: path.to_owned(),
            };
            assert_eq!(btf.offset("sock", path), Err(error));
        }
        assert!(matches!(Btf::parse(Vec::new()), Err(BtfError::NotBtf)));
        let mut swapped = sample();
        swapped.swap(0, 1);
        assert!(matches!(Btf::parse(swapped), Err(BtfError::NotBtf)));
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..400, value: u8, length in 0usize..400) {
            let mut data = sample();
            if let Some(byte) = data.get_mut(at) {
                *byte = value;
            }
            data.truncate(length);
            if let Ok(btf) = Btf::parse(data) {
                let _ = btf.offset("sock", "c.net");
                let _ = btf.offset("sock", "zzz");
            }
        }
    }
}
