# Installs the daemon on a machine with systemd; packagers set DESTDIR and PREFIX.

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man/man1
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
DOCDIR = $(PREFIX)/share/doc/gatehouse
BINARY = target/release/gatehouse

.PHONY: install uninstall

install: ## the binary, its service, manual pages and completions; DESTDIR and PREFIX are honoured
	test -x $(BINARY) || $(CARGO) build --release
	install -D -m 0755 $(BINARY) $(DESTDIR)$(BINDIR)/gatehouse
	install -d -m 0755 $(DESTDIR)$(UNITDIR) $(DESTDIR)$(MANDIR) $(DESTDIR)$(DOCDIR)
	install -d -m 0755 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -d -m 0755 $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	sed -e 's|@BINDIR@|$(BINDIR)|' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|' vm-images/systemd/gatehouse.service \
		> $(DESTDIR)$(UNITDIR)/gatehouse.service
	install -D -m 0644 vm-images/systemd/gatehouse.sysusers $(DESTDIR)$(SYSUSERSDIR)/gatehouse.conf
	$(BINARY) man --out $(DESTDIR)$(MANDIR)
	$(BINARY) completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gatehouse
	$(BINARY) completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_gatehouse
	$(BINARY) completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/gatehouse.fish
	$(BINARY) config example > $(DESTDIR)$(DOCDIR)/gatehouse.toml
	@test -n "$(DESTDIR)" || ! test -d /run/systemd/system || { systemd-sysusers && systemctl daemon-reload; }
	@echo 'Next, as root (the file holds a passphrase, so only the daemon may read it):'
	@echo '  install -D -m 0640 -g gatehouse $(DOCDIR)/gatehouse.toml $(SYSCONFDIR)/gatehouse/gatehouse.toml'
	@echo '  edit it, then: gatehouse config check && systemctl enable --now gatehouse'

uninstall: ## what `make install` put there; configuration and state stay
	rm -f $(DESTDIR)$(BINDIR)/gatehouse $(DESTDIR)$(UNITDIR)/gatehouse.service $(DESTDIR)$(SYSUSERSDIR)/gatehouse.conf
	rm -f $(DESTDIR)$(MANDIR)/gatehouse.1 $(DESTDIR)$(MANDIR)/gatehouse-*.1 $(DESTDIR)$(DOCDIR)/gatehouse.toml
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gatehouse
	rm -f $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_gatehouse
	rm -f $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/gatehouse.fish
