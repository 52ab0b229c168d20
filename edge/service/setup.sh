# What the files need to take effect: users, folders, byte code, services.
# $prefix: where the program is. $again: not the first time. $DPKG_ROOT: another root, being made.
root=${DPKG_ROOT:-}
systemd-sysusers ${root:+--root="$root"} lineguard.conf
systemd-tmpfiles ${root:+--root="$root"} --create lineguard.conf
if [ -z "$again" ]; then
  systemctl ${root:+--root="$root"} enable \
    lineguard-agent.service lineguard-station.service lineguard-station.path
fi
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl try-restart systemd-journald.service
  if [ -S /run/udev/control ]; then
    udevadm control --reload
    udevadm trigger --subsystem-match=video4linux --subsystem-match=tty --subsystem-match=gpio
  fi
  for unit in lineguard-agent.service lineguard-station.path lineguard-station.service; do
    if systemctl --quiet is-enabled "$unit"; then systemctl --no-block restart "$unit"; fi
  done
fi
