#!/bin/sh
# boot.sh ROOT NAME: boot the systemd of a root directory as process 1 of namespaces of its own, in a control group called NAME below the
# caller's. Ends with it; the caller removes the groups.
set -eu
root=$1
name=$2
if [ "${3-}" != inside ]; then
	# a group of our own in each hierarchy, so that what systemd makes there stays together
	while IFS=: read -r id controllers path; do
		case $controllers in
		"") top=/sys/fs/cgroup; [ ! -d $top/unified ] || top=$top/unified ;;
		*) top=/sys/fs/cgroup/${controllers#name=} ;;
		esac
		group=$top$path/$name
		mkdir -p "$group" 2>/dev/null && echo $$ 2>/dev/null >"$group/cgroup.procs" || true
	done </proc/self/cgroup
	exec unshare --mount --pid --fork --kill-child --net --ipc --uts --cgroup "$0" "$root" "$name" inside
fi
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
ln -s pts/ptmx "$root/dev/ptmx"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
	mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
	mkdir "$root/sys/fs/cgroup/systemd"
	mount -t cgroup -o none,name=systemd,xattr cgroup "$root/sys/fs/cgroup/systemd"
fi
ip link set lo up
mkdir -p "$root/old"
cd "$root"
pivot_root . old
umount -l /old
mount --make-rshared / # what systemd mounts for a service (credentials) comes from namespaces of its helpers
exec env -i container=posthouse-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --log-target=console systemd.unit=multi-user.target
