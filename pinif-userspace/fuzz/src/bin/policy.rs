//! libFuzzer with a policy's reader: `cargo xtask fuzz policy`.
#![no_main]
use fastrand::Rng;
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};
use pinif_fuzz::policy::{damage, try_out};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    // A file that is not UTF-8 is refused as a whole.
    let Ok(text) = str::from_utf8(bytes) else {
        return Corpus::Reject;
    };
    try_out(text);
    Corpus::Keep
});

fuzz_mutator!(|bytes: &mut [u8], size: usize, most: usize, seed: u32| {
    let mut random = Rng::with_seed(seed.into());
    // libFuzzer knows best which bytes were compared with what; it knows nothing of words and of parts.
    if random.u8(..4) == 0 {
        return fuzzer_mutate(bytes, size, most);
    }
    let mut text = String::from_utf8_lossy(&bytes[..size]).into_owned();
    for _ in 0..random.usize(1..4) {
        let other = text.clone();
        damage(&mut text, &other, most, &mut random);
    }
    let length = text.len().min(most);
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    length
});
