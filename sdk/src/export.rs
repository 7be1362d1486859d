//! The macros that make a component of a plugin. On other targets they only check that the trait is there, so
//! that the same crate can be unit-tested natively.

/// Makes a policy component of a type that implements [`Policy`](crate::Policy). Once for each crate.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        const _: () = $crate::guest::assert_policy::<$policy>();
        $crate::__component!(
            $policy,
            Exported,
            [$crate::bindings::policy_plugin::export],
            [$crate::bindings::policy_plugin]
        );
    };
}

/// Makes a policy component of a type that implements [`StreamingPolicy`](crate::StreamingPolicy). Once for
/// each crate.
#[macro_export]
macro_rules! export_streaming_policy {
    ($policy:ty) => {
        const _: () = $crate::guest::assert_streaming_policy::<$policy>();
        $crate::__component!(
            $policy,
            ExportedStreaming,
            [$crate::bindings::streaming_policy_plugin::export],
            [$crate::bindings::streaming_policy_plugin]
        );
    };
}

/// Makes a provider component of a type that implements [`Provider`](crate::Provider). Once for each crate.
#[macro_export]
macro_rules! export_provider {
    ($provider:ty) => {
        const _: () = $crate::guest::assert_provider::<$provider>();
        $crate::__component!(
            $provider,
            Exported,
            [$crate::bindings::provider_plugin::export],
            [$crate::bindings::provider_plugin]
        );
    };
}

/// The slot and the exported functions, on WebAssembly.
#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    ($plugin:ty, $exported:ident, [$($export:tt)*], [$($world:tt)*]) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct GavelSlot;

            impl $crate::guest::Slot for GavelSlot {
                type Plugin = $plugin;

                fn place() -> &'static ::std::thread::LocalKey<::std::cell::OnceCell<&'static $plugin>> {
                    ::std::thread_local! {
                        static PLACE: ::std::cell::OnceCell<&'static $plugin> = const { ::std::cell::OnceCell::new() };
                    }
                    &PLACE
                }
            }

            type GavelPlugin = $crate::guest::$exported<GavelSlot>;
            $($export)*!(GavelPlugin with_types_in $($world)*);
        };
    };
}
