# The binary is built already.

RUST_ARCH_DEPENDS :=
RustBinPackage =
