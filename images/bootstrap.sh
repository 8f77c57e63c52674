#!/bin/sh
# Makes a root file system from a distribution's package mirror and writes it to standard output as a tar.
# images/bootstraptool.go runs it as the first process of a pid namespace, as root of a user namespace, with the tool's
# name as argument and these variables: TBX_SCRATCH, an empty directory; TBX_SUITE; TBX_SOURCES, one a line; TBX_KEYRING,
# what signs them; TBX_INCLUDE, packages. A line "P: NAME VERSION" for each package goes to standard error.
set -eu
tool=$1 scratch=$TBX_SCRATCH
root=$scratch/root conf=$scratch/conf
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=$conf # no settings of the user's own, and nothing is left in the user's home
export PATH HOME
unset TMPDIR # it is no directory inside

# Standard input ends when tbx does, however that ends. Then nothing may go on, and kill -1 reaches just this namespace.
[ $$ = 1 ] || exit 1
exec 3<&0 </dev/null 4>&1 1>&2
{ cat <&3 >/dev/null; kill -KILL -1; } &

# A user namespace may make no device nodes; the host's are bound. They are no part of the tar: another file system.
mkdir -p "$root/dev" "$root/proc" "$conf"
mount -t tmpfs -o mode=755 tbx "$root/dev"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 tbx "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"

with_debootstrap() {
  # It knows one source and no updates, so that apt inside does the rest. "lxc" has it do without mknod.
  source=${TBX_SOURCES%%
*}
  source=${source#*] }
  # shellcheck disable=SC2086 # words are wanted
  set -- $source
  mirror=$1
  shift 2
  container=lxc debootstrap --variant=minbase --force-check-gpg --keyring="$TBX_KEYRING" --include="$(commas "$TBX_INCLUDE")" \
    --components="$(commas "$*")" "$TBX_SUITE" "$root" "$mirror"
  mount -t proc proc "$root/proc"
  printf '%s\n' "$TBX_SOURCES" >"$root/etc/apt/sources.list"
  chroot "$root" apt-get -qq update
  chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get -qq --yes dist-upgrade
  chroot "$root" apt-get clean
  rm -rf "$root"/var/lib/apt/lists/* "$root/etc/resolv.conf" "$root/etc/hostname" # the latter two are this machine's
  # shellcheck disable=SC2016 # dpkg-query's own
  chroot "$root" dpkg-query -W -f 'P: ${Package} ${Version}\n'
}

with_dnf() {
  mount -t proc proc "$root/proc"
  rpm_conf
  # shellcheck disable=SC2086 # words are wanted
  dnf --assumeyes --installroot="$root" --releasever="$TBX_SUITE" --setopt=reposdir="$conf/repos" --setopt=cachedir="$conf/cache" \
    --setopt=gpgcheck=1 --setopt=install_weak_deps=0 --setopt=tsflags=nodocs install $TBX_INCLUDE
  rpm --root "$root" -qa --qf 'P: %{NAME} %{VERSION}-%{RELEASE}\n'
}

with_zypper() {
  mount -t proc proc "$root/proc"
  rpm_conf
  rpm --root "$root" --import "$TBX_KEYRING" # zypper asks about a key that is not there, which is a no here
  set -- --non-interactive --root "$root" --reposd-dir "$conf/repos" --releasever "$TBX_SUITE"
  zypper "$@" refresh # without it, a signature that is wrong would be told as a package that is missing
  # shellcheck disable=SC2086 # words are wanted
  zypper "$@" install --no-recommends $TBX_INCLUDE
  rpm --root "$root" -qa --qf 'P: %{NAME} %{VERSION}-%{RELEASE}\n'
}

# pacstrap(8) is pacman in a root with mounts, some of which a user namespace may not make; the mounts above do.
with_pacman() {
  mount -t proc proc "$root/proc"
  # gpg's agent listens below /run/user/0 where that is, else in its own directory, whose name may be too long for a socket.
  if mount -t tmpfs tbx /run/user; then mkdir -m 700 /run/user/0; fi
  pacman-key --gpgdir "$conf/gnupg" --init
  pacman-key --gpgdir "$conf/gnupg" --populate "$(basename "$TBX_KEYRING" .gpg)" # it looks in its own directory only
  mkdir -p "$root/etc/pacman.d" "$root/var/lib/pacman" "$root/var/cache/pacman/pkg" "$root/var/log"
  {
    printf '[options]\nArchitecture = auto\nSigLevel = Required DatabaseOptional\n'
    for repository in core extra; do
      printf '[%s]\n' "$repository"
      printf '%s\n' "$TBX_SOURCES" | sed 's/^/Server = /'
    done
  } >"$conf/pacman.conf"
  # shellcheck disable=SC2086 # words are wanted
  pacman --root "$root" --config "$conf/pacman.conf" --gpgdir "$conf/gnupg" --cachedir "$conf" --noconfirm --noprogressbar -Sy $TBX_INCLUDE
  printf '%s\n' "$TBX_SOURCES" | sed 's/^/Server = /' >"$root/etc/pacman.d/mirrorlist"
  chroot "$root" pacman-key --init
  chroot "$root" pacman-key --populate
  pacman --root "$root" -Q | sed 's/^/P: /'
}

with_apk() {
  mount -t proc proc "$root/proc"
  mkdir -p "$root/etc/apk/keys"
  cp "$TBX_KEYRING"/*.pub "$root/etc/apk/keys/" # apk looks for keys and repositories below its root
  printf '%s\n' "$TBX_SOURCES" >"$root/etc/apk/repositories"
  # shellcheck disable=SC2086 # words are wanted
  apk --root "$root" --initdb --no-cache --no-progress add $TBX_INCLUDE
  apk --root "$root" info -v | sed -E 's/^(.+)-([0-9][^-]*-r[0-9]+)$/P: \1 \2/'
}

# rpm_conf writes the sources as repositories whose packages must be signed by the keyring, and has another
# distribution's rpm put its database where those of these distributions look for it.
rpm_conf() {
  printf '%%_dbpath /usr/lib/sysimage/rpm\n' >"$conf/.rpmmacros"
  mkdir "$conf/repos"
  n=0
  printf '%s\n' "$TBX_SOURCES" | while read -r url; do
    n=$((n + 1))
    printf '[tbx%d]\nname=tbx%d\nbaseurl=%s\nenabled=1\ngpgcheck=1\ngpgkey=file://%s\n' $n $n "$url" "$TBX_KEYRING"
  done >"$conf/repos/tbx.repo"
}

commas() { printf '%s' "$1" | tr ' ' ','; }

"with_$tool"
# Capabilities of files go along; other attributes are this machine's, such as a security label.
exec tar -C "$root" --one-file-system --numeric-owner --xattrs --xattrs-include=security.capability -c . >&4
