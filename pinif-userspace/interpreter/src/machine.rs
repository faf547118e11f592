//! The machine: programs, their maps, and the kernel around them.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    instruction::Instruction,
    kernel::Kernel,
    maps::{Content, Definition, Map},
    memory::Memory,
    object::{self, Program},
    run::Stacks,
};

/// A map, as programs hold it: no address.
pub(crate) const HANDLE: u64 = 0xffff_8880_0000_0000;

/// Programs, their maps, and the kernel around them.
#[derive(Debug)]
pub struct Machine {
    /// What helpers answer of the kernel.
    pub kernel: Kernel,
    pub(crate) memory: Memory,
    pub(crate) maps: Vec<Map>,
    pub(crate) programs: BTreeMap<String, Rc<Program>>,
    /// The source files of the programs ([`object::Loaded::files`]).
    pub(crate) files: Vec<String>,
    pub(crate) stacks: Stacks,
    /// The maps that helpers have changed in this run, or taken the lock of.
    pub(crate) changed: BTreeSet<String>,
}

/// What a program runs for.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// The address of its context, as userspace knows it (linux/bpf.h).
    pub context: u64,
    /// The address of the socket, zero for none.
    pub socket: u64,
    /// The packet, where there is one.
    pub packet: Option<Packet>,
}

/// Where a packet is.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// The address of its first byte.
    pub start: u64,
    /// How many bytes its link layer's header has.
    pub link: u32,
}

impl Machine {
    /// Loads an object, with these constants in it, by their names.
    ///
    /// # Errors
    ///
    /// When it is no object that aya loads, lacks a constant, or has a map of a type that pinif does not use.
    pub fn load(object: &[u8], constants: &[(&str, &[u8])]) -> Result<Self> {
        let loaded = object::load(object, constants)?;
        let mut memory = Memory::default();
        let stacks = Stacks::new(&mut memory);
        let maps = loaded.maps.into_iter();
        let maps = maps.map(|definition| Map::new(definition, &mut memory));
        Ok(Self {
            kernel: Kernel::default(),
            maps: maps.collect::<Result<_>>()?,
            memory,
            programs: loaded
                .programs
                .into_iter()
                .map(|(name, program)| (name, Rc::new(program)))
                .collect(),
            files: loaded.files,
            stacks,
            changed: BTreeSet::new(),
        })
    }

    /// The maps, as the object defines them.
    pub fn maps(&self) -> impl Iterator<Item = &Definition> {
        self.maps.iter().map(|map| &map.definition)
    }

    /// Makes a region of memory, and returns its address.
    pub fn allocate(&mut self, bytes: Vec<u8>) -> u64 {
        self.memory.allocate(bytes)
    }

    /// Writes to memory.
    ///
    /// # Errors
    ///
    /// Where there is no such region.
    pub fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        self.memory.write(at, bytes)
    }

    /// What is in memory.
    ///
    /// # Errors
    ///
    /// Where there is no such region.
    pub fn read(&self, at: u64, length: usize) -> Result<&[u8]> {
        self.memory.bytes(at, length)
    }

    /// Enters a value into a map.
    ///
    /// # Errors
    ///
    /// When there is no such map, it has other keys or values, or is full.
    pub fn insert(&mut self, map: &str, key: &[u8], value: &[u8]) -> Result<()> {
        let place = self.place_of(map)?;
        let status = self.maps[place].update(key, value, 0, &mut self.memory)?;
        ensure!(status == 0, "the map {map} takes no more");
        Ok(())
    }

    /// Has each update of a map return this error number from now on, a negative one, and do nothing.
    ///
    /// # Errors
    ///
    /// Where there is no such map.
    pub fn refuse(&mut self, map: &str, error: i64) -> Result<()> {
        let place = self.place_of(map)?;
        self.maps[place].refuses = Some(error);
        Ok(())
    }

    /// A key's value.
    ///
    /// # Errors
    ///
    /// When there is no such map.
    pub fn get(&self, map: &str, key: &[u8]) -> Result<Option<&[u8]>> {
        let map = &self.maps[self.place_of(map)?];
        match map.look_up(key)? {
            0 => Ok(None),
            at => self.memory.bytes(at, map.definition.value).map(Some),
        }
    }

    /// The entries of a hash map, in the order of their keys.
    ///
    /// # Errors
    ///
    /// When there is no such map.
    pub fn entries(&self, map: &str) -> Result<Vec<(&[u8], &[u8])>> {
        let map = &self.maps[self.place_of(map)?];
        let Content::Hash(values) = &map.content else {
            bail!("the map {} is no hash map", map.definition.name);
        };
        let size = map.definition.value;
        let entries = values.iter();
        let entries = entries.map(|(key, &at)| Ok((key.as_slice(), self.memory.bytes(at, size)?)));
        entries.collect()
    }

    /// How many records were submitted to a ring buffer.
    ///
    /// # Errors
    ///
    /// When there is no such map.
    pub fn submitted(&self, map: &str) -> Result<usize> {
        match &self.maps[self.place_of(map)?].content {
            Content::Ring(records) => Ok(records.len()),
            _ => bail!("the map {map} is no ring buffer"),
        }
    }

    /// Copies what is stored with a socket to another, as the kernel does on `accept()` (`bpf_sk_storage_clone`).
    ///
    /// # Errors
    ///
    /// When there is no such map.
    pub fn clone_storage(&mut self, map: &str, from: u64, to: u64) -> Result<()> {
        let place = self.place_of(map)?;
        let Map {
            definition,
            content: Content::Storage(values),
            ..
        } = &mut self.maps[place]
        else {
            bail!("the map {map} is no storage");
        };
        if let Some(&at) = values.get(&from) {
            let copy = self.memory.bytes(at, definition.value)?.to_vec();
            values.insert(to, self.memory.allocate(copy));
        }
        Ok(())
    }

    /// Puts a constant of 64 bits in another's place, wherever a program has that.
    ///
    /// # Errors
    ///
    /// When there is no such program, or it has no such constant.
    pub fn put_constant(&mut self, program: &str, placeholder: u64, value: u64) -> Result<()> {
        let found = self.programs.get_mut(program).map(Rc::make_mut);
        let found = found.with_context(|| format!("there is no program {program}"))?;
        let halves = |value: u64| [value as u32, (value >> 32) as u32].map(u32::cast_signed);
        let mut is_there = false;
        let mut rest = found.instructions.as_mut_slice();
        while let [first, second, ..] = rest {
            if first.is_long() && [first.immediate, second.immediate] == halves(placeholder) {
                [first.immediate, second.immediate] = halves(value);
                is_there = true;
            }
            rest = &mut rest[1..];
        }
        ensure!(is_there, "the program {program} has no such constant");
        Ok(())
    }

    /// Adds a program that the object does not have.
    pub fn add_program(&mut self, name: &str, instructions: Vec<Instruction>) {
        let program = Program {
            sources: vec![0; instructions.len()],
            instructions,
        };
        self.programs.insert(name.to_owned(), Rc::new(program));
    }

    /// Puts a program into a program array.
    ///
    /// # Errors
    ///
    /// When there is no such map.
    pub fn put_program(&mut self, map: &str, place: u32, program: &str) -> Result<()> {
        let map = self.place_of(map)?;
        let Content::Programs(programs) = &mut self.maps[map].content else {
            bail!("the map is no program array");
        };
        programs.insert(place, program.to_owned());
        Ok(())
    }

    /// The map that a program holds.
    pub(crate) fn map_at(&self, handle: u64) -> Result<&Map> {
        self.maps
            .get(place_of(handle))
            .with_context(|| format!("{handle:#x} is no map"))
    }

    /// The same, to be changed, with the memory that its values are in.
    pub(crate) fn map_at_mut(&mut self, handle: u64) -> Result<(&mut Map, &mut Memory)> {
        let map = self.maps.get_mut(place_of(handle));
        let map = map.with_context(|| format!("{handle:#x} is no map"))?;
        Ok((map, &mut self.memory))
    }

    fn place_of(&self, map: &str) -> Result<usize> {
        let mut maps = self.maps.iter();
        maps.position(|it| it.definition.name == map)
            .with_context(|| format!("there is no map {map}"))
    }
}

/// The place of a map in the list.
fn place_of(handle: u64) -> usize {
    usize::try_from(handle.wrapping_sub(HANDLE)).unwrap_or(usize::MAX)
}
