# Packages: apt and dpkg, as people and maintainers' scripts use them.

## apt-install: and remove
# short
sudo apt-get install -qq -y hello >/dev/null 2>&1; hello; sudo apt-get purge -qq -y hello >/dev/null 2>&1; command -v hello || echo gone

## reinstall: what every Debian has, without a terminal
# short
sudo DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --reinstall base-files bash passwd libc-bin </dev/null >out 2>&1 || tail -3 out; grep -ci 'error' out || true

## verify: no file of a package was changed
# short
sudo dpkg -V

## local-package: made and installed by hand
# short
mkdir -p p/DEBIAN p/usr/share/day p/etc; echo hi >p/usr/share/day/f; echo setting >p/etc/day.conf
printf 'Package: day\nVersion: 1\nArchitecture: all\nMaintainer: me <me@example.org>\nDescription: x\n' >p/DEBIAN/control
echo /etc/day.conf >p/DEBIAN/conffiles
printf '#!/bin/sh\necho configured "$1"\n' >p/DEBIAN/postinst; chmod 755 p/DEBIAN/postinst
dpkg-deb --root-owner-group -b p day.deb >/dev/null; sudo dpkg -i day.deb | tail -1; cat /usr/share/day/f; sudo dpkg -P day >/dev/null; ls /etc/day.conf 2>&1 || true

## divert: a file of another package
# short
sudo dpkg-divert --rename --divert /usr/bin/clear.real /usr/bin/clear; ls /usr/bin/clear*; sudo dpkg-divert --rename --remove /usr/bin/clear

## alternatives: a new editor
# short
sudo update-alternatives --install /usr/bin/dayeditor dayeditor /bin/true 1; readlink -f /usr/bin/dayeditor; sudo update-alternatives --remove-all dayeditor

## hold: a package stays
# short
sudo apt-mark hold bash; apt-mark showhold; sudo apt-mark unhold bash

## stat-override: of a directory
# short
sudo dpkg-statoverride --update --add root mail 2755 /opt; stat -c '%G %a' /opt; sudo dpkg-statoverride --remove /opt; sudo chmod 755 /opt; sudo chgrp root /opt

## loader-cache: is rebuilt
# short
sudo ldconfig; ldconfig -p | grep -c 'libc.so.6'

## debconf: a preset answer
# short
echo 'day day/q string yes' | sudo debconf-set-selections; echo PURGE | sudo debconf-communicate day >/dev/null; echo $?

## own-repository: a directory of packages
# packages: dpkg-dev
mkdir -p p/DEBIAN; printf 'Package: day2\nVersion: 1\nArchitecture: all\nMaintainer: me <me@example.org>\nDescription: x\n' >p/DEBIAN/control
mkdir r; dpkg-deb --root-owner-group -b p r/day2.deb >/dev/null; (cd r; dpkg-scanpackages -m . 2>/dev/null >Packages); sudo rm -rf /opt/day-repo; sudo cp -r r /opt/day-repo
echo 'deb [trusted=yes] file:/opt/day-repo ./' | sudo tee /etc/apt/sources.list.d/day.list >/dev/null; sudo apt-get update -qq -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/day.list -o Dir::Etc::sourceparts=- 2>&1
sudo apt-get install -qq -y day2 >/dev/null 2>&1; dpkg-query -W -f '${Status}\n' day2; sudo apt-get purge -qq -y day2 >/dev/null 2>&1; sudo rm -r /etc/apt/sources.list.d/day.list /opt/day-repo

## source-package: built from a directory
# packages: dpkg-dev debhelper build-essential
mkdir -p s/debian/source; cd s; echo '3.0 (native)' >debian/source/format
printf 'Source: day3\nMaintainer: me <me@example.org>\nBuild-Depends: debhelper-compat (= 13)\n\nPackage: day3\nArchitecture: all\nDescription: x\n' >debian/control
printf 'day3 (1) unstable; urgency=low\n\n  * x.\n\n -- me <me@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n' >debian/changelog
printf '#!/usr/bin/make -f\n%%:\n\tdh $@\n' >debian/rules; chmod 755 debian/rules; dpkg-buildpackage -us -uc -b >../log 2>&1 || tail -3 ../log; ls ..

## locale: one is made and used
# packages: locales
echo 'de_DE.UTF-8 UTF-8' | sudo tee -a /etc/locale.gen >/dev/null; sudo locale-gen >/dev/null; LC_ALL=de_DE.UTF-8 date -d 2026-03-01 +%B
