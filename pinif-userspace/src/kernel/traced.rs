//! Functions of the kernel whose calls wake pinif: programs at them, by trampolines (fentry and fexit). Where there are none, or they do
//! not wake pinif when it tries, what they would say is looked for on time.

use std::{io, os::unix::net::UnixDatagram};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Btf, Ebpf,
    programs::{FEntry, FExit},
};
use nix::sys::socket::setsockopt;
use pinif_ebpf::wake::Sleeper;

use super::{
    entry::Entries,
    function_types::types_of,
    object::{program, refusal},
    syscall,
    wakes::Wakes,
};
use crate::host::{
    gaps::sockets::QdiscBypass,
    kernel_types::{SOCKET_OPTION, SYS_BPF, TABLE_CUT, TABLE_PUT, TracedFunctions},
};

/// The functions that wake pinif.
#[derive(Debug)]
pub struct Traced {
    attached: Vec<(Function, Result<()>)>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    SysBpf,
    TablePut,
    TableCut,
    SocketOption,
}

impl Function {
    const ALL: [Self; 4] = [
        Self::SysBpf,
        Self::TablePut,
        Self::TableCut,
        Self::SocketOption,
    ];

    /// Its name in the kernel, and that of the program at it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::SysBpf => (SYS_BPF, "pinif_sys_bpf"),
            Self::TablePut => (TABLE_PUT, "pinif_table_put"),
            Self::TableCut => (TABLE_CUT, "pinif_table_cut"),
            Self::SocketOption => (SOCKET_OPTION, "pinif_option"),
        }
    }

    fn id(self, functions: &TracedFunctions) -> Option<u32> {
        match self {
            Self::SysBpf => functions.sys_bpf,
            Self::TablePut => functions.table_put,
            Self::TableCut => functions.table_cut,
            Self::SocketOption => functions.socket_option,
        }
    }

    fn sleeper(self) -> Sleeper {
        match self {
            Self::SysBpf | Self::TablePut | Self::TableCut => Sleeper::Attachments,
            Self::SocketOption => Sleeper::Bypasses,
        }
    }

    fn attach(self, ebpf: &mut Ebpf, types: &Btf) -> Result<()> {
        let (function, name) = self.names();
        match self {
            Self::SysBpf | Self::TablePut | Self::TableCut => {
                let program: &mut FExit = program(ebpf, name)?;
                program.load(function, types).map_err(refusal)?;
                program.attach()?;
            }
            Self::SocketOption => {
                let program: &mut FEntry = program(ebpf, name)?;
                program.load(function, types).map_err(refusal)?;
                program.attach()?;
            }
        }
        Ok(())
    }

    /// Has the kernel call it, for nothing that changes anything.
    fn call(self, entries: &Entries) -> io::Result<()> {
        match self {
            Self::SysBpf => syscall::detach_none(),
            Self::TablePut => syscall::put_none(entries.table()),
            Self::TableCut => syscall::cut_none(entries.table()),
            Self::SocketOption => {
                // No socket of this family knows it.
                let _refused = setsockopt(&UnixDatagram::unbound()?, QdiscBypass, &0);
            }
        }
        Ok(())
    }
}

impl Traced {
    /// Attaches programs that wake pinif. They go with the object.
    pub(super) fn attach(ebpf: &mut Ebpf, functions: &TracedFunctions) -> Self {
        let known = Function::ALL
            .into_iter()
            .filter_map(|function| Some((function.id(functions)?, function.names().0)));
        let types = types_of(&known.collect::<Vec<_>>());
        let attached = Function::ALL.into_iter().map(|function| {
            let types = types.as_ref();
            let outcome = types
                .map_err(|error| anyhow!("the kernel's functions cannot be named: {error}"))
                .and_then(|types| {
                    let (name, _) = function.names();
                    let refused =
                        || format!("the kernel lets no program be attached to its function {name}");
                    function.attach(ebpf, types).with_context(refused)
                });
            (function, outcome)
        });
        Self {
            attached: attached.collect(),
        }
    }

    /// Why what wakes one who sleeps does not, now that each function is called for nothing; no reason where it does. Nobody sleeps after it.
    pub fn failures(&self, sleeper: Sleeper, wakes: &mut Wakes, entries: &Entries) -> Vec<String> {
        let its = self.attached.iter();
        let its = its.filter(|(function, _)| function.sleeper() == sleeper);
        its.filter_map(|(function, attached)| {
            let tried = match attached {
                Ok(()) => wakes.notices(sleeper, || function.call(entries)),
                Err(error) => return Some(format!("{error:#}")),
            };
            match tried {
                Ok(true) => None,
                Ok(false) => Some(format!(
                    "the kernel does not run the program at its function {}",
                    function.names().0
                )),
                Err(error) => Some(format!("{error:#}")),
            }
        })
        .collect()
    }
}
