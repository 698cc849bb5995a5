//! The program `triway`: sets the allocator. Everything else is in the library, behind the feature `cli`.

use std::process::ExitCode;

/// Returns the memory of a burst of large bodies or events to the system. The allocator of the C library may keep all
/// of it (`docs/operate.md`, "What a peer can cost").
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    triway::cli::main()
}
