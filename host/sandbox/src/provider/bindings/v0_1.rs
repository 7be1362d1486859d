//! Host bindings of the world `provider-plugin` of `gavel:plugin@0.1.0`, generated from `wit/`.

#![allow(clippy::all, clippy::pedantic, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "provider-plugin",
    imports: { default: async | trappable },
    exports: { default: async },
    require_store_data_send: true,
});
