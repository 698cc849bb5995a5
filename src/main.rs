//! The program `triway`. What it does is in the library, behind the feature `cli`; here is its allocator.

use std::process::ExitCode;

/// The C library keeps what a burst of large bodies or events took, up to all of it, where this one returns it to the
/// system (`docs/operate.md`, "What a peer can cost").
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    triway::cli::main()
}
