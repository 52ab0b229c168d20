#!/bin/sh
# Finishes a Debian whose packages were unpacked by a machine that cannot run its programs: what of
# their scripts a box needs. An extract hook of mmdebstrap: $1 is the root. $PYTHON: as on the box.
set -eu
cd "$1"
umask 022

# The newest of Debian's packages: what this system is said to have been made at.
newest=$(find usr/share/doc -type f -printf '%T@\n' | sort -n | tail -n 1)
mkdir -p usr/lib usr/share/lineguard
touch -d "@${newest%.*}" usr/lib/clock-epoch

# Which packages these are.
(cd var/cache/apt/archives && sha256sum ./*.deb) >usr/share/lineguard/packages
# base-passwd
cp usr/share/base-passwd/passwd.master etc/passwd
cp usr/share/base-passwd/group.master etc/group
# ca-certificates
find usr/share/ca-certificates -name '*.crt' | LC_ALL=C sort | xargs cat >etc/ssl/certs/ca-certificates.crt
ln -sf /etc/ssl/certs/ca-certificates.crt usr/lib/ssl/cert.pem
# openssh-server
cp usr/share/openssh/sshd_config etc/ssh/sshd_config
# linux-image
for each in usr/lib/modules/*; do depmod -b "$1" "${each##*/}"; done
# python3
"$PYTHON" -m compileall -q -j1 -s "$1" -p / --invalidation-mode unchecked-hash \
  "usr/lib/$PYTHON" opt/lineguard/lib || true # tests of packages may be no Python at all
# systemd, and lineguard
ln -sf ../run/systemd/resolve/stub-resolv.conf etc/resolv.conf
ln -sf /usr/share/zoneinfo/Etc/UTC etc/localtime
: >etc/machine-id
systemd-sysusers --root="$1"
systemctl --quiet --root="$1" preset-all
systemctl --quiet --root="$1" disable systemd-networkd-wait-online.service # comes with networkd
DPKG_ROOT=$1 prefix=/opt/lineguard again='' sh "$SETUP"

# The system's own folders, and those of the data that are bound over them.
mkdir -p data srv var/lib/dbus var/lib/lineguard var/lib/systemd var/log/journal
mkdir -p -m 700 var/cache/private var/lib/private
ln -sf /etc/machine-id var/lib/dbus/machine-id
