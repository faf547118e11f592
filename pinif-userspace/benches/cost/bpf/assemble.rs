//! Instructions, by the names of the kernel's documentation (Documentation/bpf/standardization).

use super::Hook;

/// `struct bpf_insn`: code, destination and source register, offset, immediate.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const MOV: u8 = 0xb7;
const EXIT: u8 = 0x95;

const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: from << 4 | to,
        offset,
        immediate,
    }
}

/// What a program of the hook answers so that nothing changes: no verdict (`TC_ACT_UNSPEC`) of a packet, 1 in a cgroup.
fn pass(hook: Hook) -> i32 {
    if hook.is_of_interface() { -1 } else { 1 }
}

/// A program that does nothing.
pub fn empty(hook: Hook) -> Vec<Instruction> {
    vec![
        instruction(MOV, 0, 0, 0, pass(hook)),
        instruction(EXIT, 0, 0, 0, 0),
    ]
}
