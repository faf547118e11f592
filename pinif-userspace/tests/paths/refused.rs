//! A socket whose entry in the table of local endpoints the kernel refuses.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use pinif_ebpf::loss::Loss;

use super::{
    frame::UDP,
    host::{Host, Kind},
    lives::outwards,
    matrix,
    path::{Path, Paths},
    state::ETH1,
};

/// A UDP socket that `bind()` gave a port, and its first packet. A kernel without memory, or without the table's lock, is not taken for a full
/// table.
pub fn endpoint() -> Result<Vec<Path>> {
    const PORT: u16 = 40_001;
    let mut paths = Paths::with("no policy, UDP after bind(), no entry");
    for (error, name, loss) in [
        (libc::E2BIG, "connect(), a full table", Loss::EndpointsFull),
        (libc::ENOMEM, "connect(), no memory", Loss::EndpointsRefused),
        (libc::EBUSY, "connect(), no lock", Loss::EndpointsRefused),
    ] {
        let mut host = Host::new("")?;
        host.machine.refuse("ENDPOINTS", -i64::from(error))?;
        let (sock, _) = host.create(Kind::Datagram)?;
        host.bind(sock, Ipv4Addr::UNSPECIFIED, PORT)?;
        paths.add(name, host.connect(sock, PORT)?);
        host.send(Some(sock), &outwards(UDP, PORT), ETH1, None)?;
        let lost = matrix::lost(&host)?;
        let reasons: Vec<_> = lost.iter().map(|(loss, _)| *loss).collect();
        ensure!(reasons == [loss], "{name}: lost {lost:?}");
    }
    Ok(paths.all)
}
