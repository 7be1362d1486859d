//! The bundled plugin `pii`.
