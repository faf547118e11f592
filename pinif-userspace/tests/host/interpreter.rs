//! The interpreter that counts what the programs execute ([`pinif_interpreter`]), held against the kernel: random programs come to the same
//! on both.

use std::cell::RefCell;
use std::os::fd::{AsRawFd as _, OwnedFd};

use pinif_interpreter::{Input, Instruction, Machine};
use pinif_userspace::kernel::{
    Object,
    syscall::{BPF_PROG_LOAD, LoadAttributes, bpf, make, name},
};
use proptest::{prelude::*, test_runner::TestRunner};

const BPF_PROG_TEST_RUN: u32 = 10;
const SCHED_CLS: u32 = 3;
/// What is executed of each random program.
const STEPS: usize = 40;
/// The words of the stack that programs use.
const WORDS: i16 = 4;

/// The `test` member of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    returned: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_sizes: [u32; 2],
    contexts: [u64; 2],
    flags: u32,
    cpu: u32,
    batch: u32,
    _pad: u32,
}

#[test]
fn random_programs_come_to_the_same_as_in_the_kernel() {
    let mut machine = Machine::load(Object::Audit.bytes(), &[]).expect("the object");
    let context = machine.allocate(vec![0; 256]);
    let input = Input {
        context,
        socket: 0,
        packet: None,
    };
    let machine = RefCell::new(machine);
    // The same ones each time.
    let mut runner = TestRunner::deterministic();
    let programs = proptest::collection::vec(step(), STEPS);
    let constants = proptest::array::uniform10(any::<u64>());
    runner
        .run(&(constants, programs), |(constants, steps)| {
            let program = whole(constants, &steps);
            let mut machine = machine.borrow_mut();
            machine.add_program(
                "random",
                program.iter().copied().map(Instruction::of).collect(),
            );
            let (returned, _) = machine.run("random", &input).expect("it runs");
            prop_assert_eq!(returned, in_the_kernel(&program), "{:x?}", program);
            Ok(())
        })
        .expect("the same");
}

/// One instruction that the verifier accepts wherever it stands, and where it may skip to.
fn step() -> impl Strategy<Value = [u8; 8]> {
    let register = || 0..10u8;
    let arithmetic = (
        any::<bool>(),
        any::<bool>(),
        0..13u8,
        register(),
        register(),
        any::<i32>(),
    );
    let arithmetic = arithmetic.prop_map(|(wide, by_register, operation, to, from, constant)| {
        let class = if wide { 7 } else { 4 };
        let bits = if wide { 64 } else { 32 };
        let constant = match operation {
            // The verifier refuses to divide by a constant of zero, and to shift by all bits.
            3 | 9 if constant == 0 => 1,
            6 | 7 | 12 => constant.rem_euclid(bits),
            _ => constant,
        };
        match (operation, by_register) {
            (8, _) => instruction(class | 0x80, to, 0, 0, 0),
            (_, true) => instruction(class | (operation << 4) | 8, to, from, 0, 0),
            (_, false) => instruction(class | (operation << 4), to, 0, 0, constant),
        }
    });
    let order = (any::<bool>(), 0..3, register());
    let order = order.prop_map(|(to_big, bits, to)| {
        instruction(0xd4 | (u8::from(to_big) << 3), to, 0, 0, 16 << bits)
    });
    let access = (0..3u8, 0..4u8, 0..WORDS, register(), any::<i32>());
    let access = access.prop_map(|(how, width, word, register, constant)| {
        let mode = 0x60 | (width << 3);
        let at = -8 * (word + 1);
        match how {
            0 => instruction(mode | 1, register, 10, at, 0),
            1 => instruction(mode | 2, 10, 0, at, constant),
            _ => instruction(mode | 3, 10, register, at, 0),
        }
    });
    let add = (any::<bool>(), 0..WORDS, register());
    let add = add.prop_map(|(wide, word, from)| {
        instruction(0xc3 | (u8::from(wide) * 0x18), 10, from, -8 * (word + 1), 0)
    });
    let comparisons = proptest::sample::select(vec![1u8, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13]);
    let jump = (
        any::<bool>(),
        any::<bool>(),
        comparisons,
        register(),
        register(),
        0..3i16,
        any::<i32>(),
    );
    let jump = jump.prop_map(
        |(wide, by_register, comparison, to, from, skip, constant)| {
            let code = (comparison << 4) | if wide { 5 } else { 6 };
            if by_register {
                instruction(code | 8, to, from, skip, 0)
            } else {
                instruction(code, to, 0, skip, constant)
            }
        },
    );
    prop_oneof![8 => arithmetic, 1 => order, 2 => access, 1 => add, 3 => jump]
}

/// A program that begins with these constants in registers and on the stack, and returns what is made of all registers.
fn whole(constants: [u64; 10], steps: &[[u8; 8]]) -> Vec<[u8; 8]> {
    let mut program = Vec::new();
    for (register, constant) in (0..).zip(constants) {
        let [low, high] = [constant as u32, (constant >> 32) as u32].map(u32::cast_signed);
        program.push(instruction(0x18, register, 0, 0, low));
        program.push(instruction(0, 0, 0, 0, high));
    }
    for word in 0..WORDS {
        program.push(instruction(0x7b, 10, word as u8, -8 * (word + 1), 0));
    }
    program.extend(steps);
    // Jumps of the last ones lead here at most.
    let nothing = instruction(0xbf, 1, 1, 0, 0);
    program.extend([nothing; 3]);
    for register in 1..10 {
        program.push(instruction(0x27, 0, 0, 0, 31));
        program.push(instruction(0xaf, 0, register, 0, 0));
    }
    // Both halves, since 32 bits are returned.
    program.push(instruction(0xbf, 1, 0, 0, 0));
    program.push(instruction(0x77, 1, 0, 0, 32));
    program.push(instruction(0xaf, 0, 1, 0, 0));
    program.push(instruction(0x95, 0, 0, 0, 0));
    program
}

/// `struct bpf_insn`.
fn instruction(code: u8, to: u8, from: u8, offset: i16, constant: i32) -> [u8; 8] {
    let [o0, o1] = offset.to_le_bytes();
    let [c0, c1, c2, c3] = constant.to_le_bytes();
    [code, (from << 4) | to, o0, o1, c0, c1, c2, c3]
}

/// What the kernel returns.
fn in_the_kernel(program: &[[u8; 8]]) -> u32 {
    let mut load = LoadAttributes {
        kind: SCHED_CLS,
        instruction_count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        licence: c"GPL".as_ptr() as u64,
        name: name("pinif_random"),
        ..LoadAttributes::default()
    };
    // SAFETY: instructions and licence outlive the call, and are as long as is said.
    let program: OwnedFd = unsafe { make(BPF_PROG_LOAD, &mut load) }
        .unwrap_or_else(|error| panic!("the kernel refuses it: {error}\n{program:x?}"));
    let frame = [0u8; 64];
    let mut run = TestRun {
        program: program.as_raw_fd().cast_unsigned(),
        size_in: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        repeat: 1,
        ..TestRun::default()
    };
    // SAFETY: the frame outlives the call, and is as long as is said.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut run) }.expect("the kernel runs it");
    run.returned
}
