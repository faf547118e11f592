//! A run: registers, calls, and the count.

use std::{collections::BTreeSet, rc::Rc};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    arithmetic::{compare, compute},
    count::Count,
    helpers::Effect,
    instruction::{Instruction, callee, class, constant, jump, mode},
    machine::{HANDLE, Input, Machine},
    maps::Content,
    memory::Memory,
    object::Program,
};

/// What the kernel gives each function (`MAX_BPF_STACK`).
const STACK: usize = 512;
/// Functions that call each other (`MAX_CALL_FRAMES`).
const FRAMES: usize = 8;
/// More instructions than any path has: beyond, a program does not end.
const MOST: u64 = 1_000_000;
/// Tail calls in a run (`MAX_TAIL_CALL_CNT`).
const TAIL_CALLS: u32 = 33;
/// The stacks of the functions that call each other.
#[derive(Debug)]
pub struct Stacks([u64; FRAMES]);

impl Stacks {
    /// Makes them.
    pub fn new(memory: &mut Memory) -> Self {
        Self([(); FRAMES].map(|()| memory.allocate(vec![0; STACK])))
    }

    /// The frame pointer of a function at this depth.
    fn top(&self, depth: usize) -> u64 {
        self.0[depth] + STACK as u64
    }
}

/// What is counted.
struct Counting<'a> {
    count: &'a mut Count,
    files: &'a mut [u64],
}

/// Where to go on after a call.
struct Frame {
    saved: [u64; 4],
    back: usize,
}

/// Where a function goes on.
enum Next {
    At(usize),
    Call(usize),
    Return,
    TailCall(String),
}

/// How a program ended.
enum End {
    Exit(u64),
    TailCall(String),
}

impl Machine {
    /// Runs a program. Returns what it returned, and what was executed.
    ///
    /// # Errors
    ///
    /// When there is no such program, or it does what it may not, or what this machine does not have.
    pub fn run(&mut self, program: &str, input: &Input) -> Result<(u32, Count)> {
        let mut count = Count::default();
        self.memory.take_written();
        self.changed.clear();
        let mut files = vec![0; self.files.len()];
        let mut name = program.to_owned();
        let mut tail_calls = 0;
        loop {
            let program = self.programs.get(&name);
            let program = program.with_context(|| format!("there is no program {name}"))?;
            let program = Rc::clone(program);
            let mut counting = Counting {
                count: &mut count,
                files: &mut files,
            };
            match self.execute(&program, input, &mut counting) {
                Ok(End::Exit(value)) => {
                    let named = self.files.iter().zip(files).filter(|(_, count)| *count > 0);
                    count.files = named.map(|(file, count)| (file.clone(), count)).collect();
                    count.shared = self.shared();
                    return Ok((value as u32, count));
                }
                Ok(End::TailCall(next)) => {
                    tail_calls += 1;
                    ensure!(tail_calls <= TAIL_CALLS, "{name}: too many tail calls");
                    name = next;
                }
                Err(error) => return Err(error.context(format!("the program {name} failed"))),
            }
        }
    }

    /// The maps of which this run has written something that all CPUs have in common.
    fn shared(&mut self) -> BTreeSet<String> {
        let written = self.memory.take_written();
        let shared = self.maps.iter().filter(|map| map.is_shared());
        let changed = shared
            .filter(|map| map.has_any(&written) || self.changed.contains(&map.definition.name));
        changed.map(|map| map.definition.name.clone()).collect()
    }

    fn execute(
        &mut self,
        program: &Program,
        input: &Input,
        counting: &mut Counting<'_>,
    ) -> Result<End> {
        let Program {
            instructions,
            sources,
        } = program;
        let mut registers = [0u64; 11];
        registers[1] = input.context;
        registers[10] = self.stacks.top(0);
        let mut frames: Vec<Frame> = Vec::new();
        let mut at = 0;
        loop {
            if let Some(&file) = sources.get(at) {
                counting.files[file] += 1;
            }
            let step = self.step(instructions, at, &mut registers, input, counting.count);
            let next =
                step.with_context(|| format!("instruction {at}: {:?}", instructions.get(at)))?;
            at = match next {
                Next::At(place) => place,
                Next::Call(place) => {
                    ensure!(frames.len() + 1 < FRAMES, "too many functions");
                    let [.., a, b, c, d, _] = registers;
                    frames.push(Frame {
                        saved: [a, b, c, d],
                        back: at + 1,
                    });
                    registers[10] = self.stacks.top(frames.len());
                    place
                }
                Next::Return => {
                    let Some(frame) = frames.pop() else {
                        return Ok(End::Exit(registers[0]));
                    };
                    registers[6..10].copy_from_slice(&frame.saved);
                    registers[10] = self.stacks.top(frames.len());
                    frame.back
                }
                Next::TailCall(name) => return Ok(End::TailCall(name)),
            };
        }
    }

    fn step(
        &mut self,
        program: &[Instruction],
        at: usize,
        registers: &mut [u64; 11],
        input: &Input,
        count: &mut Count,
    ) -> Result<Next> {
        let instruction = *program.get(at).context("beyond the program's end")?;
        count.instructions += 1;
        ensure!(count.instructions < MOST, "it does not end");
        let Instruction {
            to,
            from,
            offset,
            immediate,
            ..
        } = instruction;
        let from = usize::from(from);
        let constant = i64::from(immediate).cast_unsigned();
        match instruction.class() {
            class @ (class::ALU | class::ALU64) => {
                let operand = if instruction.takes_register() {
                    registers[from]
                } else {
                    constant
                };
                let wide = class == class::ALU64;
                registers[to] = compute(instruction, wide, registers[to], operand)?;
            }
            class::LD => {
                registers[to] = self.constant(program, at)?;
                return Ok(Next::At(at + 2));
            }
            class::LDX => {
                let place = shifted(registers[from], offset.into());
                ensure!(instruction.mode() == mode::MEM, "no such load");
                registers[to] = self.memory.number(place, instruction.width())?;
            }
            class::ST => {
                let place = shifted(registers[to], offset.into());
                ensure!(instruction.mode() == mode::MEM, "no such store");
                self.memory
                    .write_number(place, instruction.width(), constant)?;
            }
            class::STX => {
                let place = shifted(registers[to], offset.into());
                let width = instruction.width();
                let value = match instruction.mode() {
                    mode::MEM => registers[from],
                    // Of the atomic operations, Linux 5.10 has the addition that returns nothing.
                    mode::ATOMIC if immediate == 0 => {
                        let before = self.memory.number(place, width)?;
                        before.wrapping_add(registers[from])
                    }
                    _ => bail!("no such store"),
                };
                self.memory.write_number(place, width, value)?;
            }
            class => {
                return self.jump(
                    instruction,
                    at,
                    class == class::JMP,
                    registers,
                    input,
                    count,
                );
            }
        }
        Ok(Next::At(at + 1))
    }

    /// What a load of 64 bits loads.
    fn constant(&self, program: &[Instruction], at: usize) -> Result<u64> {
        let instruction = program[at];
        ensure!(
            instruction.mode() == mode::IMM && instruction.width() == 8,
            "no such load"
        );
        let upper = program.get(at + 1).context("half an instruction")?;
        let low = instruction.immediate.cast_unsigned();
        match instruction.from {
            constant::NUMBER => {
                Ok(u64::from(upper.immediate.cast_unsigned()) << 32 | u64::from(low))
            }
            constant::MAP => Ok(HANDLE + u64::from(low)),
            constant::VALUE => match &self.map_at(HANDLE + u64::from(low))?.content {
                Content::Array(first) => Ok(shifted(*first, upper.immediate.into())),
                _ => bail!("the map has no variables"),
            },
            _ => bail!("no such constant"),
        }
    }

    fn jump(
        &mut self,
        instruction: Instruction,
        at: usize,
        wide: bool,
        registers: &mut [u64; 11],
        input: &Input,
        count: &mut Count,
    ) -> Result<Next> {
        let Instruction {
            to,
            from,
            offset,
            immediate,
            ..
        } = instruction;
        let target = |distance: i64| usize::try_from(at as i64 + 1 + distance);
        match (instruction.operation(), wide) {
            (jump::JA, true) => return Ok(Next::At(target(offset.into())?)),
            (jump::JA, false) => return Ok(Next::At(target(immediate.into())?)),
            (jump::EXIT, true) => return Ok(Next::Return),
            (jump::CALL, true) => {
                return match from {
                    callee::FUNCTION => Ok(Next::Call(target(immediate.into())?)),
                    callee::HELPER => {
                        let [_, a, b, c, d, e, ..] = *registers;
                        let (name, effect) = self.help(immediate, [a, b, c, d, e], input)?;
                        *count.helpers.entry(name).or_default() += 1;
                        match effect {
                            Effect::Returns(value) => registers[0] = value,
                            Effect::TailCall(name) => return Ok(Next::TailCall(name)),
                        }
                        Ok(Next::At(at + 1))
                    }
                    _ => bail!("a kfunc"),
                };
            }
            _ => {}
        }
        let operand = if instruction.takes_register() {
            registers[usize::from(from)]
        } else {
            i64::from(immediate).cast_unsigned()
        };
        if compare(instruction, wide, registers[to], operand)? {
            Ok(Next::At(target(offset.into())?))
        } else {
            Ok(Next::At(at + 1))
        }
    }
}

fn shifted(address: u64, offset: i64) -> u64 {
    address.wrapping_add_signed(offset)
}
