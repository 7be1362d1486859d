//! The bundled plugin `openai`.
