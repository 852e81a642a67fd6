# Installing: make install [PREFIX=/usr/local] [DESTDIR=]. Man pages of commands come from the same
# rows as --help; those written by hand are in man/.
LODGE_VERSION = $(shell $O/lodge version | sed 's/^lodge //')
INSTALL ?= install
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
DATADIR ?= $(PREFIX)/share
VERBS    = $(basename $(patsubst src/cli/cmd_%.c,%,$(wildcard src/cli/cmd_*.c)))
MAN1     = $O/man/lodge.1 $(VERBS:%=$O/man/lodge-%.1)
MAN5     = $O/man/lodge-config.5 $O/man/lodge-state.5 $O/man/lodge-stream.5

.PHONY: man install uninstall
man: $(MAN1) $(MAN5)
$O/man/lodge.1 $O/man/lodge-oci.1 $(MAN5): $O/man/%: man/%.scd
	@mkdir -p $(@D)
	$Qscdoc < $< > $@.tmp && mv $@.tmp $@
$O/man/lodge-%.1: $O/lodge
	@mkdir -p $(@D)
	$Q$O/lodge help --format scdoc $* > $@.scd && scdoc < $@.scd > $@.tmp && mv $@.tmp $@

$O/lodge.pc: $O/lodge
	$Qprintf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$${prefix}/include' '' \
	  'Name: lodge' 'Description: run guests at several levels of virtualization' \
	  'Version: $(LODGE_VERSION)' 'Requires.private: $(PKGS)' 'Libs: -L$${libdir} -llodge' \
	  'Libs.private: -lfdt -lpthread' 'Cflags: -I$${includedir}' > $@

install: build man $O/lodge.pc
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include/lodge \
	  $(DESTDIR)$(DATADIR)/man/man1 $(DESTDIR)$(DATADIR)/man/man5 \
	  $(DESTDIR)$(DATADIR)/bash-completion/completions $(DESTDIR)$(DATADIR)/zsh/site-functions \
	  $(DESTDIR)$(DATADIR)/fish/vendor_completions.d $(DESTDIR)$(DATADIR)/lodge
	$(INSTALL) -m 755 $O/lodge $(DESTDIR)$(BINDIR)/lodge
	$(INSTALL) -m 755 $O/lodge-riscv64 $(DESTDIR)$(BINDIR)/lodge-riscv64
	$(INSTALL) -m 755 $O/lodge-oci $(DESTDIR)$(BINDIR)/lodge-oci
	$(INSTALL) -m 644 $O/liblodge.a $(DESTDIR)$(LIBDIR)/liblodge.a
	$(INSTALL) -m 755 $O/liblodge.so $(DESTDIR)$(LIBDIR)/liblodge.so.0
	ln -sf liblodge.so.0 $(DESTDIR)$(LIBDIR)/liblodge.so
	$(INSTALL) -m 644 $O/lodge.pc $(DESTDIR)$(LIBDIR)/pkgconfig/lodge.pc
	$(INSTALL) -m 644 include/lodge/*.h $(DESTDIR)$(PREFIX)/include/lodge/
	$(INSTALL) -m 644 docs/openapi.yaml $(DESTDIR)$(DATADIR)/lodge/openapi.yaml
	$(INSTALL) -m 644 $(MAN1) $(DESTDIR)$(DATADIR)/man/man1
	$(INSTALL) -m 644 $(MAN5) $(DESTDIR)$(DATADIR)/man/man5
	$O/lodge completion bash > $(DESTDIR)$(DATADIR)/bash-completion/completions/lodge
	$O/lodge completion zsh > $(DESTDIR)$(DATADIR)/zsh/site-functions/_lodge
	$O/lodge completion fish > $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/lodge.fish

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/lodge $(DESTDIR)$(BINDIR)/lodge-riscv64 \
	  $(DESTDIR)$(BINDIR)/lodge-oci \
	  $(DESTDIR)$(LIBDIR)/liblodge.a $(DESTDIR)$(LIBDIR)/liblodge.so* \
	  $(DESTDIR)$(LIBDIR)/pkgconfig/lodge.pc $(DESTDIR)$(DATADIR)/man/man1/lodge.1 \
	  $(DESTDIR)$(DATADIR)/man/man1/lodge-*.1 $(MAN5:$O/man/%=$(DESTDIR)$(DATADIR)/man/man5/%) \
	  $(DESTDIR)$(DATADIR)/bash-completion/completions/lodge \
	  $(DESTDIR)$(DATADIR)/zsh/site-functions/_lodge \
	  $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/lodge.fish
	rm -rf $(DESTDIR)$(PREFIX)/include/lodge $(DESTDIR)$(DATADIR)/lodge
