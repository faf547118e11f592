//! The object file, as aya reads and links it.

use std::{collections::BTreeMap, mem};

use anyhow::{Context as _, Result};
use aya_obj::{Function, Object, generated::bpf_insn};

use crate::{instruction::Instruction, maps::Definition};

/// By what name the build gives the project's folder to the compiler (`xtask/src/remap.rs`).
const PROJECT: &str = "/pinif/";

/// Of [`Loaded::files`]: no file, but a function of a library.
const LIBRARY: usize = 1;

/// What an object holds. Instructions name a map by its place in the list.
#[derive(Debug)]
pub struct Loaded {
    pub programs: BTreeMap<String, Program>,
    pub maps: Vec<Definition>,
    /// The source files that [`Program::sources`] names by their places. The first stands for what is not known.
    pub files: Vec<String>,
}

/// A program, with all functions that it calls.
#[derive(Clone, Debug)]
pub struct Program {
    pub instructions: Vec<Instruction>,
    /// The source file that each instruction comes from ([`Sources`]).
    pub sources: Vec<usize>,
}

/// Reads an object, with these constants in it, by their names.
///
/// # Errors
///
/// When it is no object that aya loads, or lacks a constant.
pub fn load(bytes: &[u8], constants: &[(&str, &[u8])]) -> Result<Loaded> {
    let mut object = Object::parse(bytes).context("the eBPF object cannot be read")?;
    let constants = constants
        .iter()
        .map(|&(name, value)| (name, (value, true)))
        .collect();
    object
        .patch_map_data(constants)
        .context("a constant cannot be set")?;
    let maps: BTreeMap<String, aya_obj::Map> = mem::take(&mut object.maps).into_iter().collect();
    let text = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    let places = maps.iter().zip(0..);
    let named = places.map(|((name, map), place)| (name.as_str(), place, map));
    object
        .relocate_maps(named, &text)
        .context("a map is missing")?;
    object
        .relocate_calls(&text)
        .context("a function is missing")?;
    let types = object.btf.as_ref().map(aya_obj::btf::Btf::to_bytes);
    let mut sources = Sources::of(types.unwrap_or_default());
    let mut programs = BTreeMap::new();
    for (name, program) in &object.programs {
        let function = object.functions.get(&program.function_key());
        let function =
            function.with_context(|| format!("the program {name} has no instructions"))?;
        let program = Program {
            instructions: function.instructions.iter().map(instruction).collect(),
            sources: sources.of_function(function),
        };
        programs.insert(name.clone(), program);
    }
    let maps = maps.into_iter().map(|(name, map)| Definition {
        name,
        kind: map.map_type(),
        key: map.key_size() as usize,
        value: map.value_size() as usize,
        entries: map.max_entries(),
        data: map.data().to_vec(),
    });
    Ok(Loaded {
        programs,
        maps: maps.collect(),
        files: sources.files,
    })
}

fn instruction(instruction: &bpf_insn) -> Instruction {
    Instruction {
        code: instruction.code,
        to: instruction.dst_reg().into(),
        from: instruction.src_reg(),
        offset: instruction.off,
        immediate: instruction.imm,
    }
}

/// Writes what the instructions from here on come from.
fn fill(sources: &mut [usize], from: usize, file: usize) {
    if let Some(rest) = sources.get_mut(from..) {
        rest.fill(file);
    }
}

/// The source files that the object's line information names (`struct bpf_line_info`). Of what was inlined it is the one where that is
/// written. What was inlined of a library counts for the project's file that comes before it in the function.
struct Sources {
    types: Vec<u8>,
    files: Vec<String>,
}

impl Sources {
    fn of(types: Vec<u8>) -> Self {
        Self {
            types,
            files: vec![String::new(), "a library's function".to_owned()],
        }
    }

    /// The file of each instruction.
    fn of_function(&mut self, function: &Function) -> Vec<usize> {
        let mut sources = vec![0; function.instructions.len()];
        let mut lines: Vec<(usize, usize)> = Vec::new();
        for line in &function.line_info.line_info {
            if let Some(file) = self.place_of(line.file_name_off) {
                lines.push((line.insn_off as usize, file));
            }
        }
        let begins = function.func_info.func_info.iter();
        let mut begins: Vec<usize> = begins.map(|info| info.insn_off as usize).collect();
        begins.sort_unstable();
        begins.push(sources.len());
        for range in begins.windows(2) {
            let (begin, end) = (range[0], range[1]);
            let own = lines.iter().filter(|(at, _)| (begin..end).contains(at));
            let Some(&(_, first)) = own.clone().next() else {
                fill(&mut sources, begin, LIBRARY);
                continue;
            };
            fill(&mut sources, begin, first);
            own.for_each(|&(at, file)| fill(&mut sources, at, file));
        }
        sources
    }

    /// The place of one of the project's files.
    fn place_of(&mut self, name: u32) -> Option<usize> {
        let name = self.string(name)?;
        if !name.starts_with(PROJECT) {
            return None;
        }
        let known = self.files.iter().position(|file| *file == name);
        Some(known.unwrap_or_else(|| {
            self.files.push(name);
            self.files.len() - 1
        }))
    }

    /// A string of the types (`struct btf_header`).
    fn string(&self, offset: u32) -> Option<String> {
        let word = |at: usize| {
            let bytes = self.types.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes) as usize)
        };
        let start = word(4)? + word(16)? + offset as usize;
        let bytes = self.types.get(start..)?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}
