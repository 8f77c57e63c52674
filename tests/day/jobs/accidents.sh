# Accidents, signals and what shells tell of them.

## exit-code: of a command
# short
sh -c 'exit 42' || echo $?

## killed: 128 and the signal
# short
sh -c 'kill -TERM $$' || echo $?; (sh -c 'kill -KILL $$' || echo $?) 2>/dev/null

## broken-pipe: the writer ends
# short
set +e; yes | head -1; echo "${PIPESTATUS[0]}"

## time-out: 124
# short
timeout 0.2 sleep 5 || echo $?

## not-found: 127 and 126
# short
nosuchcommand 2>/dev/null || echo $?; touch f; ./f 2>/dev/null || echo $?

## background: ends with its shell's end or goes on
# short
(nohup sh -c 'sleep 1; echo late >f' >/dev/null 2>&1 &); sleep 2; cat f

## trap: runs at the end
# short
bash -c 'trap "echo bye" EXIT; exit 3' || echo $?

## deleted-directory: a shell in it goes on
# short
mkdir d; cd d; rmdir ../d; pwd | sed 's,.*/,,'; ls; touch x 2>&1 | sed 's/.*: //'

## root-is-kept: rm refuses
# short
rm -rf / 2>&1 | head -1

## full-device: a write fails
# short
echo x 2>&1 >/dev/full | sed 's/.*: //'

## nice: a lower priority
# short
nice -n 7 nice; nice -n 5 sh -c 'ps -o ni= -p $$ | tr -d " "'

## processors: one is chosen
# short
taskset -c 0 sh -c 'taskset -p $$ | sed "s/.*: //"'

## processes: own ones are seen and ended by name
# packages: procps
cp /bin/sleep ./daysleep; ./daysleep 60 & sleep 0.5; pgrep -u "$USER" -x daysleep | wc -l; pkill -u "$USER" -x daysleep; wait 2>/dev/null || true; pgrep -x daysleep || echo none

## memory-file: /dev/shm
# short
echo x >/dev/shm/day.$$; cat /dev/shm/day.$$; rm /dev/shm/day.$$; stat -c %a /dev/shm

## random: devices
# short
for d in null zero urandom full tty; do test -c /dev/$d && echo $d; done; head -c4 /dev/urandom | wc -c

## limits: open files may be many
# short
ulimit -n 256; ulimit -n

## arguments: odd ones arrive
# short
printf '[%s]' '' ' ' "a'b" 'c"d' '*' '$HOME' "$(printf 'x\ny')"; echo

## here-document: and standard input
# short
cat <<E | tr a-z A-Z
abc
E
read -r x </dev/null || echo empty

## large-output: arrives whole
# short
seq 200000 | tail -1; seq 200000 | wc -c

## environment: is clean of odd names
# short
env -0 | tr -d '\n' | tr '\0' '\n' | grep -vc '^[A-Za-z_][A-Za-z0-9_]*=' || true

## clock: the zone and the time
# short
date +%Z >/dev/null && TZ=UTC date -d @0 +%Y-%m-%d; test -e /etc/localtime && echo zone

## kernel-filesystems: proc and sys are there
# short
test -r /proc/self/status && test -d /sys/class/net/lo && echo both

## temp-directory: programs use it
# short
f=$(mktemp); test -w "$f" && echo made; rm "$f"; d=$(mktemp -d); stat -c %a "$d"; rmdir "$d"
