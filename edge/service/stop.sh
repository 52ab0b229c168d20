# Before files go: services rest. $DPKG_ROOT: another root.
if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
  systemctl stop lineguard-kiosk.service lineguard-station.path lineguard-station.service \
    lineguard-agent.service || true
fi
