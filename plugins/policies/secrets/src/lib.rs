//! The bundled plugin `secrets`.
