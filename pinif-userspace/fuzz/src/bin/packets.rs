//! Frames through the parser, many of them: `cargo xtask fuzz packets`.

use std::time::Instant;

use clap::Parser;
use pinif_fuzz::packets::{kernel, run};

/// How many.
#[derive(Debug, Parser)]
struct Args {
    /// Frames that are compared with etherparse
    #[arg(long)]
    count: u64,
    /// Frames that are sent, and compared with the kernel; as root
    #[arg(long)]
    sent: u64,
    /// What the frames follow from
    #[arg(long)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let began = Instant::now();
    let tally = run(args.seed, args.count);
    let (count, seed) = (args.count, args.seed);
    println!(
        "{count} frames of seed {seed} in {:.0?}: {tally:?}",
        began.elapsed()
    );
    let began = Instant::now();
    let compared = kernel::compare(args.seed, args.sent)?;
    println!(
        "sent, of the same seed, in {:.0?}: {compared:?}",
        began.elapsed()
    );
    Ok(())
}
