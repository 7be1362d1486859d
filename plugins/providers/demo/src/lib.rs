//! The bundled plugin `demo`.
