//! Gives the component its memory at once: growing it later costs each instance two changes of memory protection,
//! which stop all cores for a moment.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=262144");
        println!("cargo::rustc-link-arg-cdylib=--initial-memory=2097152");
    }
}
