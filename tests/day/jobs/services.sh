# Servers, by hand and by the packages' scripts; the network; buses.

## loopback: a listener and a client
# packages: netcat-openbsd
nc -l 127.0.0.1 18480 >o & sleep 1; echo ping | nc -N 127.0.0.1 18480; wait; cat o

## unix-socket: with socat
# packages: socat
socat UNIX-LISTEN:s,fork EXEC:cat & sleep 1; echo echoed | socat - UNIX-CONNECT:s; kill $!

## tls: a server with a certificate of its own
# packages: openssl
openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -subj /CN=localhost -days 1 2>/dev/null; openssl s_server -quiet -accept 127.0.0.1:18481 -key k -cert c -www >/dev/null 2>&1 & sleep 1; echo Q | openssl s_client -connect 127.0.0.1:18481 -CAfile c 2>/dev/null | grep 'Verify return code'; kill $!

## names: localhost and the machine's own
# short
getent hosts localhost | awk '{print $2}'; getent hosts "$(hostname)" >/dev/null && echo own

## ping: an ordinary user
# packages: iputils-ping
# may differ: a host that lets no ordinary user ping (net.ipv4.ping_group_range) lets no toolbox, see docs/day.md
ping -c1 -W2 127.0.0.1 | grep -o '1 received'

## addresses: of the loopback
# packages: iproute2
ip -o -4 addr show lo | awk '{print $4}'; ss -ltn >/dev/null && echo listed

## nginx: by its script
# packages: nginx-light curl
sudo sed -i 's/listen 80 /listen 127.0.0.1:18482 /; /listen \[::\]/d' /etc/nginx/sites-available/default; sudo service nginx start >/dev/null; sleep 1; curl -s http://127.0.0.1:18482/ | grep -o '<title>.*</title>'; sudo service nginx stop >/dev/null

## redis: by hand
# packages: redis-server redis-tools
redis-server --port 18483 --bind 127.0.0.1 --daemonize yes --dir "$PWD" >/dev/null; sleep 1; redis-cli -p 18483 set k v; redis-cli -p 18483 get k; redis-cli -p 18483 shutdown nosave

## memcached: by hand
# packages: memcached netcat-openbsd
memcached -l 127.0.0.1 -p 18484 -U 0 & sleep 1; printf 'set k 0 0 1\r\nv\r\nget k\r\nquit\r\n' | nc 127.0.0.1 18484 | tr -d '\r'; kill $!

## postgresql: the package's cluster
# packages: postgresql
sudo pg_ctlcluster 15 main start 2>/dev/null || sudo service postgresql start >/dev/null; sleep 3; sudo -u postgres psql -Atc 'select 40+2' 2>/dev/null; sudo pg_ctlcluster 15 main stop 2>/dev/null || true

## apache: by its script
# packages: apache2 curl
echo 'Listen 127.0.0.1:18485' | sudo tee /etc/apache2/ports.conf >/dev/null; sudo sed -i 's/\*:80/*:18485/' /etc/apache2/sites-available/000-default.conf; sudo service apache2 start >/dev/null 2>&1; sleep 1; curl -sI http://127.0.0.1:18485/ | head -1 | tr -d '\r'; sudo service apache2 stop >/dev/null 2>&1

## sshd: a server of the user's own
# packages: openssh-server openssh-client
ssh-keygen -q -t ed25519 -N '' -f h; ssh-keygen -q -t ed25519 -N '' -f k; cp k.pub a; printf 'Port 18486\nListenAddress 127.0.0.1\nHostKey %s/h\nAuthorizedKeysFile %s/a\nStrictModes no\nUsePAM no\nPidFile none\n' "$PWD" "$PWD" >c
/usr/sbin/sshd -f c -D 2>/dev/null & sleep 1; ssh -F none -i k -p 18486 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR 127.0.0.1 echo through; kill $!

## session-bus: one of a program's own
# packages: dbus-daemon dbus-bin
dbus-run-session -- dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ListNames | grep -c org.freedesktop.DBus

## cron: runs a job's line
# packages: cron
echo '* * * * * root touch /run/day-cron' | sudo tee /etc/cron.d/day >/dev/null; sudo run-parts --test /etc/cron.daily >/dev/null && echo listed; sudo rm /etc/cron.d/day

## supervisor: keeps a program
# packages: supervisor
printf '[supervisord]\nnodaemon=false\nlogfile=%s/l\npidfile=%s/p\n[program:x]\ncommand=sleep 60\nstdout_logfile=NONE\nstderr_logfile=NONE\n[unix_http_server]\nfile=%s/s\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n[supervisorctl]\nserverurl=unix://%s/s\n' "$PWD" "$PWD" "$PWD" "$PWD" >c; supervisord -c c; sleep 2; supervisorctl -c c status x | awk '{print $2}'; supervisorctl -c c shutdown >/dev/null

## x-server: a display without a screen
# packages: xvfb x11-utils xauth
timeout 60 xvfb-run -a xdpyinfo | grep -c 'dimensions:'

## fonts: are found
# packages: fontconfig fonts-dejavu-core
fc-match 'DejaVu Sans' | cut -d: -f1

## picture: is drawn
# packages: imagemagick
convert -size 8x8 xc:red f.png; identify -format '%wx%h %m\n' f.png

## settings: of the desktop's store
# packages: dconf-cli dconf-gsettings-backend dbus-daemon
export HOME=$PWD XDG_CONFIG_HOME=$PWD/.config XDG_RUNTIME_DIR=$PWD; dbus-run-session -- sh -c 'dconf write /day "5"; dconf read /day' 2>log || cat log
