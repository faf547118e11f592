//! The instructions of entry programs, as the object has them: with the numbers of this process's maps in them, and a placeholder for
//! the namespace's cookie. aya loads a program of an object once; these are loaded for each namespace.

use std::{
    collections::HashSet,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use anyhow::{Context as _, Result, bail};
use aya::{Ebpf, maps::Map};
use aya_obj::generated::bpf_insn;
use pinif_ebpf::{entry::PLACEHOLDER, key::NetNsCookie};

use crate::kernel::{direction::TcDirection, object::Object};

/// The maps that entry programs use.
const MAPS: [&str; 6] = [
    "NETNS", "TRAFFIC", "IN_FORCE", "RECORDS", "COUNTS", ".rodata",
];
/// `BPF_LD | BPF_IMM | BPF_DW`: a constant of 64 bits, its upper half in the next instruction.
const CONSTANT: u8 = 0x18;

/// The entry programs, for no namespace yet.
pub(super) struct Code {
    egress: Vec<bpf_insn>,
    ingress: Vec<bpf_insn>,
    /// The maps that the instructions name by their numbers.
    _maps: Vec<OwnedFd>,
}

impl Code {
    /// Reads the entry programs, for the maps of this loaded object.
    ///
    /// # Errors
    ///
    /// When the object lacks a program or a map, or there is no descriptor left for a map.
    pub(super) fn of(ebpf: &Ebpf) -> Result<Self> {
        let mut object = aya_obj::Object::parse(Object::Audit.bytes())
            .context("the eBPF object cannot be read")?;
        let text: HashSet<usize> = object
            .functions
            .keys()
            .map(|(section, _)| *section)
            .collect();
        let is_entry = |name: &str| TcDirection::ALL.iter().any(|it| it.entry() == name);
        object
            .functions
            .retain(|_, function| is_entry(&function.name));
        let maps = MAPS.map(|name| {
            let map = ebpf.map(name);
            let map = map.with_context(|| format!("the eBPF object has no map {name}"))?;
            anyhow::Ok((name, descriptor(map)?.try_clone_to_owned()?))
        });
        let maps: Vec<(&str, OwnedFd)> = maps.into_iter().collect::<Result<_>>()?;
        let definitions = std::mem::take(&mut object.maps);
        // With no number, where the kernel refuses the program: aya takes one that is not named for another.
        let number_of = |name: &str| {
            let mut maps = maps.iter();
            let map = maps.find(|(known, _)| *known == name);
            map.map_or(-1, |(_, descriptor)| descriptor.as_raw_fd())
        };
        let named = definitions.iter();
        let named = named.map(|(name, map)| (name.as_str(), number_of(name), map));
        object
            .relocate_maps(named, &text)
            .context("an entry program names a map that it has not")?;
        let take = |direction: TcDirection| {
            let mut functions = object.functions.values();
            let function = functions.find(|function| function.name == direction.entry());
            let function = function
                .with_context(|| format!("the eBPF object has no program {}", direction.entry()))?;
            anyhow::Ok(function.instructions.clone())
        };
        Ok(Self {
            egress: take(TcDirection::Egress)?,
            ingress: take(TcDirection::Ingress)?,
            _maps: maps.into_iter().map(|(_, descriptor)| descriptor).collect(),
        })
    }

    /// The entry program of a namespace.
    ///
    /// # Errors
    ///
    /// When the program of the object has no placeholder: it would count for no namespace.
    pub(super) fn of_namespace(
        &self,
        netns: NetNsCookie,
        direction: TcDirection,
    ) -> Result<Vec<bpf_insn>> {
        let mut instructions = match direction {
            TcDirection::Egress => self.egress.clone(),
            TcDirection::Ingress => self.ingress.clone(),
        };
        if !put_cookie(&mut instructions, netns) {
            bail!("{} has no place for its namespace", direction.entry());
        }
        Ok(instructions)
    }
}

/// Puts a namespace's cookie in the placeholder's place. Whether there is one.
fn put_cookie(instructions: &mut [bpf_insn], netns: NetNsCookie) -> bool {
    let halves = |cookie: u64| [cookie as u32, (cookie >> 32) as u32].map(u32::cast_signed);
    let placeholder = halves(PLACEHOLDER.0);
    let [low, high] = halves(netns.0);
    let mut is_there = false;
    let mut rest = instructions;
    while let [first, second, ..] = rest {
        if first.code == CONSTANT && [first.imm, second.imm] == placeholder {
            (first.imm, second.imm) = (low, high);
            is_there = true;
        }
        rest = &mut rest[1..];
    }
    is_there
}

/// The descriptor of a map.
fn descriptor(map: &Map) -> Result<BorrowedFd<'_>> {
    match map {
        Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::ProgramArray(data)
        | Map::SkStorage(data) => Ok(data.fd().as_fd()),
        _ => bail!("a map of the eBPF object is of another type"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespaces_cookie_is_put_where_the_placeholder_is() {
        let instruction = |code, imm| bpf_insn {
            code,
            imm,
            _bitfield_align_1: [],
            _bitfield_1: bpf_insn::new_bitfield_1(0, 0),
            off: 0,
        };
        let constant = |value: u64| {
            let [low, high] = [value as u32, (value >> 32) as u32].map(u32::cast_signed);
            [instruction(CONSTANT, low), instruction(0, high)]
        };
        let (other, placeholder) = (constant(7), constant(PLACEHOLDER.0));
        let mut instructions = [other, placeholder, other].concat();
        let cookie = NetNsCookie(0x0123_4567_89ab_cdef);
        assert!(put_cookie(&mut instructions, cookie));
        assert!(
            !put_cookie(&mut instructions, cookie),
            "it is there no more"
        );
        let immediates: Vec<u32> = instructions
            .iter()
            .map(|one| one.imm.cast_unsigned())
            .collect();
        assert_eq!(immediates, [7, 0, 0x89ab_cdef, 0x0123_4567, 7, 0]);
        let codes: Vec<u8> = instructions.iter().map(|one| one.code).collect();
        assert_eq!(codes, [CONSTANT, 0, CONSTANT, 0, CONSTANT, 0]);
    }
}
