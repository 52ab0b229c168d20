# Nothing of ours stays but the records. $DPKG_ROOT: another root.
root=${DPKG_ROOT:-}
state=$root/var/lib/lineguard
if [ -d "$state" ]; then
  # A folder of records has records.db and its pictures; verdicts in files are records, too.
  find "$state" -type d -exec test -e '{}/records.db' ';' -prune -o \
    ! -type d ! -name '*.jsonl*' -exec rm -f {} +
  find "$state" -depth -type d -empty -delete 2>/dev/null || true # it may be a disk of its own
fi
rm -rf "$root/etc/lineguard"
rm -f "$root"/etc/systemd/system/multi-user.target.wants/lineguard-*
rm -rf "$root"/etc/systemd/system/lineguard-*.d # what `systemctl edit` wrote
if [ -d "$state" ]; then
  # Numbers of users that are gone are given to others.
  chown -hR 0:0 "$state"
  echo "lineguard: records are kept in $state"
fi
for user in lineguard lineguard-kiosk; do
  if grep -q "^$user:" "$root/etc/passwd"; then
    userdel ${root:+--prefix "$root"} "$user" || true
  fi
done
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
