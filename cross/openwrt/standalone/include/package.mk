# One package's fields, conffiles or description on stdout, or its files in ROOT.

define BuildPackage
  ifeq ($$(PACKAGE),$(1))
    $$(eval $$(Package/$(1)))
    fields:
	@:$$(info Section: $$(SECTION))
	@:$$(info PkgArch: $$(PKGARCH))
	@:$$(info Title: $$(TITLE))
	@:$$(info Version: $$(PKG_VERSION)-r$$(PKG_RELEASE))
	@:$$(info License: $$(PKG_LICENSE))
	@:$$(info Maintainer: $$(PKG_MAINTAINER))
	@:$$(info Depends: $$(patsubst +%,%,$$(strip $$(DEPENDS))))
	@:$$(info Provides: $$(PROVIDES))
	@:$$(info Conflicts: $$(CONFLICTS))
    conffiles:
	@:$$(info $$(Package/$(1)/conffiles))
    description:
	@:$$(info $$(Package/$(1)/description))
    install:
	$$(call Package/$(1)/install,$$(ROOT))
  endif
endef

.PHONY: fields conffiles description install
