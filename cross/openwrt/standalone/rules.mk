# Stands in for OpenWrt's buildroot when cross/ipk reads a package's Makefile: what the install recipes call.

INCLUDE_DIR := $(TOPDIR)/include

INSTALL_DIR := install -d -m0755
INSTALL_BIN := install -m0755
INSTALL_CONF := install -m0600
INSTALL_DATA := install -m0644
CP := cp -fpR

# Given by the caller: PACKAGE, one of the Makefile's; ROOT, where its files go; PKG_INSTALL_DIR, with bin/picovrrp.
