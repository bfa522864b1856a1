# Makes this process the first of a machine of its own: systemd, on a copy of this machine's files that
# vanishes with it. Runs in mount, process, name and cgroup namespaces of its own; $1 is an empty folder.
set -eu
folder=$1
root=$folder/root

mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
# As systemd mounts it on a real one.
mount -t bpf -o mode=700 bpf "$root/sys/fs/bpf"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

# Nothing of this machine's own starts there, and nothing looks after devices.
rm -rf "$root/var/log/journal" "$root"/etc/systemd/system/*.wants
units=$root/etc/systemd/system
for unit in systemd-hwdb-update systemd-journal-flush systemd-modules-load systemd-random-seed \
    systemd-sysctl systemd-sysusers systemd-timesyncd systemd-tmpfiles-setup \
    systemd-tmpfiles-setup-dev systemd-udev-trigger systemd-udevd systemd-update-utmp; do
    ln -sf /dev/null "$units/$unit.service"
done
for unit in dev-hugepages.mount dev-mqueue.mount proc-sys-fs-binfmt_misc.automount \
    sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount systemd-udevd-control.socket systemd-udevd-kernel.socket; do
    ln -sf /dev/null "$units/$unit"
done

mkdir "$root/outside"
cd "$root"
pivot_root . outside
exec chroot . /bin/sh -c 'umount -l /outside
    exec env -i container=flowwatch-lab NOTIFY_SOCKET="$NOTIFY_SOCKET" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --system --unit=basic.target --log-target=journal --log-level=notice'
