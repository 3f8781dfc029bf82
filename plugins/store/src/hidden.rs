//! Keeps the C functions of `crc-fast` from standing beside the plugin's own symbols.

/// Has the linker hide them; to be called once, in the crate that becomes the plugin.
///
/// `opendal-service-s3` asks for all features of `crc-fast`, C interface included, and rustc exports from a plugin
/// every C function of the crates within it. Of all that is said about a symbol's visibility, a linker heeds what
/// confines it most: a reference to it as hidden is enough, in every linker of ELF (`--exclude-libs` is not known to
/// all). It is weak, so that a plugin without these functions links as well.
#[macro_export]
macro_rules! hide_c_functions {
    () => {
        #[cfg(target_os = "linux")]
        ::std::arch::global_asm!(
            concat!(
                ".irp name",
                ", checksum",
                ", checksum_combine",
                ", checksum_combine_with_params",
                ", checksum_file",
                ", checksum_file_with_params",
                ", checksum_with_params",
                ", clear_error",
                ", crc32_iscsi",
                ", crc32_iso_hdlc",
                ", crc64_nvme",
                ", digest_combine",
                ", digest_finalize",
                ", digest_finalize_reset",
                ", digest_free",
                ", digest_get_amount",
                ", digest_get_state",
                ", digest_new",
                ", digest_new_with_init_state",
                ", digest_new_with_params",
                ", digest_reset",
                ", digest_update",
                ", error_message",
                ", get_calculator_target",
                ", get_custom_params",
                ", get_last_error",
                ", get_version"
            ),
            ".weak crc_fast_\\name",
            ".hidden crc_fast_\\name",
            ".endr",
        );
    };
}
